//! Assets, tiers and their stock.

use async_trait::async_trait;
use posx_kernel::{
    ChainAssetId, Idempotency, IdempotentTx, IdentityId, MovementId, Outbox, PartyId, StoreError, TierId,
};
use posx_tiers::{
    AssetRefusal, AssetRepository, ChainAsset, PromoCodeRepository, Stock, StockChange, StockMove,
    StockRefusal, StockRepository, Tier, TierRepository, TiersTx,
};

use super::SimTx;
use crate::bugs::Bug;

impl IdempotentTx for SimTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        self
    }
}

impl TiersTx for SimTx {
    fn assets(&mut self) -> &mut dyn AssetRepository {
        self
    }
    fn tiers(&mut self) -> &mut dyn TierRepository {
        self
    }
    fn stock(&mut self) -> &mut dyn StockRepository {
        self
    }
    fn promo_codes(&mut self) -> &mut dyn PromoCodeRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl AssetRepository for SimTx {
    async fn find(&mut self, id: ChainAssetId) -> Result<Option<ChainAsset>, StoreError> {
        self.step("assets.find").await;
        Ok(self.get(|rows| &rows.assets, &id))
    }

    /// Here every vault is the site's.
    async fn insert(&mut self, asset: &ChainAsset) -> Result<Result<(), AssetRefusal>, StoreError> {
        self.step("assets.insert").await;
        let same = |old: &ChainAsset| (old.chain, &old.symbol) == (asset.chain, &asset.symbol);
        if self.all(|rows| &rows.assets).iter().any(same) {
            return Ok(Err(AssetRefusal::Taken));
        }
        self.put(|rows| &mut rows.assets, asset.id, asset.clone());
        Ok(Ok(()))
    }
}

#[async_trait]
impl TierRepository for SimTx {
    async fn find(&mut self, id: TierId) -> Result<Option<Tier>, StoreError> {
        self.step("tiers.find").await;
        Ok(self.get(|rows| &rows.tiers, &id))
    }

    async fn find_many(&mut self, ids: &[TierId]) -> Result<Vec<(Tier, ChainAsset)>, StoreError> {
        self.step("tiers.find_many").await;
        let with_asset = |id: &TierId| {
            let tier = self.get(|rows| &rows.tiers, id)?;
            let asset = self.get(|rows| &rows.assets, &tier.asset)?;
            Some((tier, asset))
        };
        Ok(ids.iter().filter_map(with_asset).collect())
    }

    async fn insert(
        &mut self,
        tier: &Tier,
        supply: i64,
        _: MovementId,
        _: Option<IdentityId>,
    ) -> Result<(), StoreError> {
        self.step("tiers.insert").await;
        self.put(|rows| &mut rows.tiers, tier.id, tier.clone());
        let stock = Stock {
            supply,
            reserved: 0,
            sold: 0,
        };
        self.put(|rows| &mut rows.stock, tier.id, stock);
        Ok(())
    }

    async fn save(&mut self, tier: &Tier, seen: i32) -> Result<bool, StoreError> {
        self.step("tiers.save").await;
        self.lock(("tier", tier.id.as_uuid().as_u128())).await?;
        let fits = self
            .get(|rows| &rows.tiers, &tier.id)
            .is_some_and(|stored| stored.version == seen);
        if fits {
            self.put(|rows| &mut rows.tiers, tier.id, tier.clone());
        }
        Ok(fits)
    }
}

fn moved(stock: Stock, change: &StockChange, n: i64) -> Stock {
    let mut next = stock;
    match change {
        StockChange::Reserve => next.reserved += n,
        StockChange::Release => next.reserved -= n,
        StockChange::Sell => (next.reserved, next.sold) = (next.reserved - n, next.sold + n),
        StockChange::SellFree => next.sold += n,
        StockChange::Unsell => next.sold -= n,
        StockChange::Correct { .. } => next.supply += n,
    }
    next
}

#[async_trait]
impl StockRepository for SimTx {
    async fn change(
        &mut self,
        movement: &StockMove,
        change: &StockChange,
    ) -> Result<Result<Stock, StockRefusal>, StoreError> {
        self.step("stock.change").await;
        let unlocked = self.planted(Bug::StockReadThenWritten);
        if !unlocked {
            self.lock(("stock", movement.tier.as_uuid().as_u128())).await?;
        }
        let Some(stock) = self.get(|rows| &rows.stock, &movement.tier) else {
            return Ok(Err(StockRefusal::NoSuchTier));
        };
        if unlocked {
            self.step("stock.write").await;
        }
        let next = moved(stock, change, movement.quantity);
        let guarded = !self.planted(Bug::StockUnguarded);
        if guarded && (next.reserved < 0 || next.sold < 0 || next.available() < 0) {
            let available = stock.available();
            return Ok(Err(StockRefusal::NotEnough { available }));
        }
        self.put(|rows| &mut rows.stock, movement.tier, next);
        let forgotten = self.planted(Bug::MovementForgotten) && *change == StockChange::Release;
        if !forgotten {
            let row = (movement.clone(), change.clone());
            self.put(|rows| &mut rows.movements, movement.id, row);
        }
        Ok(Ok(next))
    }

    async fn count_for_buyer(
        &mut self,
        tier: TierId,
        buyer: PartyId,
        quantity: i64,
        limit: Option<u32>,
    ) -> Result<Result<(), StockRefusal>, StoreError> {
        self.step("stock.count_for_buyer").await;
        let key = tier.as_uuid().as_u128() ^ buyer.as_uuid().as_u128().rotate_left(1);
        if self.planted(Bug::BuyerCountNotGivenBack) && quantity < 0 {
            return Ok(Ok(()));
        }
        if !self.planted(Bug::BuyerLimitReadThenWritten) {
            self.lock(("held", key)).await?;
        }
        let held = self.get(|rows| &rows.held_by_buyer, &(tier, buyer));
        let next = held.unwrap_or_default() + quantity;
        if self.planted(Bug::BuyerLimitReadThenWritten) {
            self.step("stock.count_written").await;
        }
        // What is given back is taken, also when the limit was lowered in the meantime.
        let over = quantity > 0 && limit.is_some_and(|limit| next > i64::from(limit));
        if next < 0 || over {
            return Ok(Err(StockRefusal::BuyerLimit));
        }
        self.put(|rows| &mut rows.held_by_buyer, (tier, buyer), next);
        Ok(Ok(()))
    }
}
