//! Assets, tiers and their stock.

use async_trait::async_trait;
use posx_kernel::{ChainAssetId, IdentityId, MovementId, PartyId, StoreError, TierId};
use posx_tiers::{
    AssetRefusal, AssetRepository, ChainAsset, Stock, StockChange, StockMove, StockRefusal, StockRepository,
    Tier, TierRepository,
};

use super::{FakeTx, constraint};

#[async_trait]
impl AssetRepository for FakeTx {
    async fn find(&mut self, id: ChainAssetId) -> Result<Option<ChainAsset>, StoreError> {
        Ok(self.work.assets.get(&id).cloned())
    }

    /// Here every vault is the site's.
    async fn insert(&mut self, asset: &ChainAsset) -> Result<Result<(), AssetRefusal>, StoreError> {
        let same = |old: &ChainAsset| (old.chain, &old.symbol) == (asset.chain, &asset.symbol);
        if self.work.assets.values().any(same) {
            return Ok(Err(AssetRefusal::Taken));
        }
        self.work.assets.insert(asset.id, asset.clone());
        Ok(Ok(()))
    }
}

#[async_trait]
impl TierRepository for FakeTx {
    async fn find(&mut self, id: TierId) -> Result<Option<Tier>, StoreError> {
        Ok(self.work.tiers.get(&id).map(|(tier, _)| tier.clone()))
    }

    async fn find_many(&mut self, ids: &[TierId]) -> Result<Vec<(Tier, ChainAsset)>, StoreError> {
        let wanted = |(tier, _): &&(Tier, ChainAsset)| ids.contains(&tier.id);
        Ok(self.work.tiers.values().filter(wanted).cloned().collect())
    }

    async fn insert(
        &mut self,
        tier: &Tier,
        supply: i64,
        _: MovementId,
        _: Option<IdentityId>,
    ) -> Result<(), StoreError> {
        let Some(asset) = self.work.assets.get(&tier.asset).cloned() else {
            return Err(constraint("tiers_site_id_asset_id_fkey"));
        };
        if self.work.tiers.contains_key(&tier.id) {
            return Err(constraint("tiers_pkey"));
        }
        self.work.add_tier(tier.clone(), asset, supply);
        Ok(())
    }

    async fn save(&mut self, tier: &Tier, seen: i32) -> Result<bool, StoreError> {
        match self.work.tiers.get_mut(&tier.id) {
            Some((stored, _)) if stored.version == seen => {
                *stored = tier.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl StockRepository for FakeTx {
    async fn change(
        &mut self,
        movement: &StockMove,
        change: &StockChange,
    ) -> Result<Result<Stock, StockRefusal>, StoreError> {
        let Some(stock) = self.work.stock.get_mut(&movement.tier) else {
            return Ok(Err(StockRefusal::NoSuchTier));
        };
        let n = movement.quantity;
        let mut next = *stock;
        match change {
            StockChange::Reserve => next.reserved += n,
            StockChange::Release => next.reserved -= n,
            StockChange::Sell => (next.reserved, next.sold) = (next.reserved - n, next.sold + n),
            StockChange::SellFree => next.sold += n,
            StockChange::Unsell => next.sold -= n,
            StockChange::Correct { .. } => next.supply += n,
        }
        if next.reserved < 0 || next.sold < 0 || next.available() < 0 {
            return Ok(Err(StockRefusal::NotEnough {
                available: stock.available(),
            }));
        }
        *stock = next;
        Ok(Ok(next))
    }

    async fn count_for_buyer(
        &mut self,
        tier: TierId,
        buyer: PartyId,
        quantity: i64,
        limit: Option<u32>,
    ) -> Result<Result<(), StockRefusal>, StoreError> {
        let held = self.work.held_by_buyer.get(&(tier, buyer)).copied();
        let next = held.unwrap_or_default() + quantity;
        // What is given back is taken, also when the limit was lowered in the meantime.
        let over = quantity > 0 && limit.is_some_and(|limit| next > i64::from(limit));
        if next < 0 || over {
            return Ok(Err(StockRefusal::BuyerLimit));
        }
        if !self.work.tiers.contains_key(&tier) {
            return Err(constraint("tier_buyers_site_id_tier_id_fkey"));
        }
        self.work.held_by_buyer.insert((tier, buyer), next);
        Ok(Ok(()))
    }
}
