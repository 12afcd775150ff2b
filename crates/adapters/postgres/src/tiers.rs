//! Chain assets, tiers and their stock.

use async_trait::async_trait;
use posx_kernel::{
    ChainAssetId, Currency, IdentityId, Money, MovementId, PartyId, SiteScope, StoreError, TierId, Timestamp,
    TokenAmount,
};
use posx_tiers::{
    AssetRefusal, AssetRepository, AssetView, Chain, ChainAsset, Promotion, PromotionView, Stock,
    StockChange, StockMove, StockRefusal, StockRepository, StockView, Tier, TierQueries, TierRepository,
    TierView,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::{StoreResult, store};
use crate::site_tx::SiteTx;

pub(crate) fn currency(code: &str) -> Result<Currency, StoreError> {
    Currency::from_code(code).ok_or_else(|| StoreError::broken("an unknown currency"))
}

pub(crate) fn tokens(text: &str) -> Result<TokenAmount, StoreError> {
    text.parse().map_err(|_| StoreError::broken("a token amount"))
}

pub(crate) fn chain(name: &str) -> Result<Chain, StoreError> {
    Chain::from_name(name).ok_or_else(|| StoreError::broken("an unknown chain"))
}

pub(crate) fn count(stored: i32) -> Result<u32, StoreError> {
    u32::try_from(stored).map_err(|_| StoreError::broken("a negative count"))
}

pub(crate) fn stored_count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The trigger's name for its refusal; it holds for every role and every statement.
const OWN_VAULT: &str = "chain_assets_own_vault";

pub(crate) const ASSET_COLUMNS: &str = "a.id as asset_id, a.chain, a.symbol, a.decimals, a.provider_asset, a.vault, a.active as asset_active, a.created_at as asset_created_at";

pub(crate) fn asset_of(row: &PgRow) -> Result<ChainAsset, StoreError> {
    let decimals: i16 = row.try_get("decimals").store()?;
    Ok(ChainAsset {
        id: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        chain: chain(row.try_get("chain").store()?)?,
        symbol: row.try_get("symbol").store()?,
        decimals: u8::try_from(decimals).map_err(|_| StoreError::broken("an asset's decimals"))?,
        provider_asset: row.try_get("provider_asset").store()?,
        vault: row.try_get("vault").store()?,
        active: row.try_get("asset_active").store()?,
        created_at: row.try_get("asset_created_at").store()?,
    })
}

pub(crate) const TIER_COLUMNS: &str = "t.id, t.name, t.description, t.asset_id as tier_asset_id, t.currency, t.list_price, t.promo_price, t.promo_from, \
     t.promo_until, t.tokens_per_unit::text as tokens_per_unit, t.bonus_per_unit::text as bonus_per_unit, t.max_per_order, \
     t.max_per_buyer, t.active, t.position, t.version, t.created_at, t.updated_at";

pub(crate) fn tier_of(row: &PgRow) -> Result<Tier, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let promo: Option<i64> = row.try_get("promo_price").store()?;
    let promotion = match promo {
        Some(price) => Some(Promotion {
            price: Money::from_minor(price, currency),
            from: row.try_get("promo_from").store()?,
            until: row.try_get("promo_until").store()?,
        }),
        None => None,
    };
    let max_per_buyer: Option<i32> = row.try_get("max_per_buyer").store()?;
    Ok(Tier {
        id: TierId::from_uuid(row.try_get("id").store()?),
        name: row.try_get("name").store()?,
        description: row.try_get("description").store()?,
        asset: ChainAssetId::from_uuid(row.try_get("tier_asset_id").store()?),
        list_price: Money::from_minor(row.try_get("list_price").store()?, currency),
        promotion,
        tokens_per_unit: tokens(row.try_get("tokens_per_unit").store()?)?,
        bonus_per_unit: tokens(row.try_get("bonus_per_unit").store()?)?,
        max_per_order: count(row.try_get("max_per_order").store()?)?,
        max_per_buyer: max_per_buyer.map(count).transpose()?,
        active: row.try_get("active").store()?,
        position: row.try_get("position").store()?,
        version: row.try_get("version").store()?,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

#[async_trait]
impl AssetRepository for SiteTx {
    async fn find(&mut self, id: ChainAssetId) -> Result<Option<ChainAsset>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {ASSET_COLUMNS} from chain_assets a where a.id = $1"
        )))
        .bind(id.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.as_ref().map(asset_of).transpose()
    }

    async fn insert(&mut self, asset: &ChainAsset) -> Result<Result<(), AssetRefusal>, StoreError> {
        let done = sqlx::query(
            "insert into chain_assets (id, chain, symbol, decimals, provider_asset, vault, active, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict on constraint chain_assets_chain_symbol_key do nothing",
        )
        .bind(asset.id.as_uuid())
        .bind(asset.chain.as_str())
        .bind(&asset.symbol)
        .bind(i16::from(asset.decimals))
        .bind(&asset.provider_asset)
        .bind(&asset.vault)
        .bind(asset.active)
        .bind(asset.created_at)
        .execute(self.connection())
        .await
        .map_err(store);
        match done {
            Ok(done) if done.rows_affected() == 1 => Ok(Ok(())),
            Ok(_) => Ok(Err(AssetRefusal::Taken)),
            Err(error) if error.constraint_name() == Some(OWN_VAULT) => Ok(Err(AssetRefusal::ForeignVault)),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl TierRepository for SiteTx {
    async fn find(&mut self, id: TierId) -> Result<Option<Tier>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {TIER_COLUMNS} from tiers t where t.id = $1"
        )))
        .bind(id.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.as_ref().map(tier_of).transpose()
    }

    async fn find_many(&mut self, ids: &[TierId]) -> Result<Vec<(Tier, ChainAsset)>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {TIER_COLUMNS}, {ASSET_COLUMNS} from tiers t
             join chain_assets a on a.site_id = t.site_id and a.id = t.asset_id where t.id = any ($1)"
        )))
        .bind(ids)
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter()
            .map(|row| Ok((tier_of(row)?, asset_of(row)?)))
            .collect()
    }

    async fn insert(
        &mut self,
        tier: &Tier,
        supply: i64,
        movement: MovementId,
        actor: Option<IdentityId>,
    ) -> Result<(), StoreError> {
        let promotion = tier.promotion.as_ref();
        sqlx::query(
            "with t as (
               insert into tiers (id, name, description, asset_id, currency, list_price, promo_price, promo_from, promo_until,
                 tokens_per_unit, bonus_per_unit, max_per_order, max_per_buyer, active, position, version, created_at, updated_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::numeric, $11::text::numeric, $12, $13, $14, $15, $16, $17, $17)),
             s as (insert into tier_stock (tier_id, supply) values ($1, $18))
             insert into stock_movements (id, tier_id, kind, supply_delta, actor_id, at)
             values ($19, $1, 'create', $18, $20, $17)",
        )
        .bind(tier.id.as_uuid())
        .bind(&tier.name)
        .bind(&tier.description)
        .bind(tier.asset.as_uuid())
        .bind(tier.list_price.currency().code())
        .bind(tier.list_price.minor())
        .bind(promotion.map(|p| p.price.minor()))
        .bind(promotion.map(|p| p.from))
        .bind(promotion.map(|p| p.until))
        .bind(tier.tokens_per_unit.to_string())
        .bind(tier.bonus_per_unit.to_string())
        .bind(stored_count(tier.max_per_order))
        .bind(tier.max_per_buyer.map(stored_count))
        .bind(tier.active)
        .bind(tier.position)
        .bind(tier.version)
        .bind(tier.created_at)
        .bind(supply)
        .bind(movement.as_uuid())
        .bind(actor.map(IdentityId::as_uuid))
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn save(&mut self, tier: &Tier, seen: i32) -> Result<bool, StoreError> {
        let promotion = tier.promotion.as_ref();
        let done = sqlx::query(
            "update tiers set name = $3, description = $4, list_price = $5, promo_price = $6, promo_from = $7, promo_until = $8,
               max_per_order = $9, max_per_buyer = $10, active = $11, position = $12, version = $13, updated_at = $14
             where id = $1 and version = $2",
        )
        .bind(tier.id.as_uuid())
        .bind(seen)
        .bind(&tier.name)
        .bind(&tier.description)
        .bind(tier.list_price.minor())
        .bind(promotion.map(|p| p.price.minor()))
        .bind(promotion.map(|p| p.from))
        .bind(promotion.map(|p| p.until))
        .bind(stored_count(tier.max_per_order))
        .bind(tier.max_per_buyer.map(stored_count))
        .bind(tier.active)
        .bind(tier.position)
        .bind(tier.version)
        .bind(tier.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }
}

/// One guarded statement: the counters move and the movement is noted, or nothing happens and no row comes back.
pub(crate) const MOVE_STOCK: &str = "with moved as (
               update tier_stock set supply = supply + $3, reserved = reserved + $4, sold = sold + $5
               where tier_id = $1 and reserved + $4 >= 0 and sold + $5 >= 0 and reserved + $4 + sold + $5 <= supply + $3
               returning supply, reserved, sold),
             noted as (
               insert into stock_movements (id, tier_id, kind, supply_delta, reserved_delta, sold_delta, order_id, reason, actor_id, at)
               select $2, $1, $6, $3, $4, $5, $7, $8, $9, $10 from moved)
             select supply, reserved, sold from moved";

/// Deltas of (supply, reserved, sold) and the movement's name.
fn deltas(change: &StockChange, quantity: i64) -> (i64, i64, i64, &'static str) {
    match change {
        StockChange::Reserve => (0, quantity, 0, "reserve"),
        StockChange::Release => (0, -quantity, 0, "release"),
        StockChange::Sell => (0, -quantity, quantity, "sell"),
        StockChange::SellFree => (0, 0, quantity, "sell"),
        StockChange::Unsell => (0, 0, -quantity, "unsell"),
        StockChange::Correct { .. } => (quantity, 0, 0, "correct"),
    }
}

#[async_trait]
impl StockRepository for SiteTx {
    async fn change(
        &mut self,
        movement: &StockMove,
        change: &StockChange,
    ) -> Result<Result<Stock, StockRefusal>, StoreError> {
        let (supply, reserved, sold, kind) = deltas(change, movement.quantity);
        let (reason, actor) = match change {
            StockChange::Correct { reason, actor } => (Some(reason.as_str()), Some(actor.as_uuid())),
            _ => (None, None),
        };
        let row = sqlx::query(MOVE_STOCK)
            .bind(movement.tier.as_uuid())
            .bind(movement.id.as_uuid())
            .bind(supply)
            .bind(reserved)
            .bind(sold)
            .bind(kind)
            .bind(movement.order.map(posx_kernel::OrderId::as_uuid))
            .bind(reason)
            .bind(actor)
            .bind(movement.at)
            .fetch_optional(self.connection())
            .await
            .store()?;
        if let Some(row) = row {
            return Ok(Ok(stock_of(&row)?));
        }
        let stock = sqlx::query("select supply, reserved, sold from tier_stock where tier_id = $1")
            .bind(movement.tier.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        Ok(Err(match stock {
            Some(row) => StockRefusal::NotEnough {
                available: stock_of(&row)?.available(),
            },
            None => StockRefusal::NoSuchTier,
        }))
    }

    async fn count_for_buyer(
        &mut self,
        tier: TierId,
        buyer: PartyId,
        quantity: i64,
        limit: Option<u32>,
    ) -> Result<Result<(), StockRefusal>, StoreError> {
        let limit = limit.map_or(i32::MAX, stored_count);
        let quantity = i32::try_from(quantity).map_err(|_| StoreError::broken("a quantity"))?;
        // The first row is as guarded as the ones that are there.
        let done = if quantity > limit {
            0
        } else if quantity > 0 {
            sqlx::query(
                "insert into tier_buyers as b (tier_id, party_id, quantity) values ($1, $2, $3)
                 on conflict (site_id, tier_id, party_id) do update set quantity = b.quantity + $3
                 where b.quantity + $3 <= $4",
            )
            .bind(tier.as_uuid())
            .bind(buyer.as_uuid())
            .bind(quantity)
            .bind(limit)
            .execute(self.connection())
            .await
            .store()?
            .rows_affected()
        } else {
            sqlx::query("update tier_buyers set quantity = quantity + $3 where tier_id = $1 and party_id = $2 and quantity + $3 >= 0")
                .bind(tier.as_uuid())
                .bind(buyer.as_uuid())
                .bind(quantity)
                .execute(self.connection())
                .await
                .store()?
                .rows_affected()
        };
        Ok(if done == 1 {
            Ok(())
        } else {
            Err(StockRefusal::BuyerLimit)
        })
    }
}

pub(crate) fn stock_of(row: &PgRow) -> Result<Stock, StoreError> {
    Ok(Stock {
        supply: row.try_get("supply").store()?,
        reserved: row.try_get("reserved").store()?,
        sold: row.try_get("sold").store()?,
    })
}

fn view_of(row: &PgRow, staff: bool, now: Timestamp) -> Result<TierView, StoreError> {
    let (tier, asset, stock) = (tier_of(row)?, asset_of(row)?, stock_of(row)?);
    let counters = StockView {
        supply: stock.supply,
        reserved: stock.reserved,
        sold: stock.sold,
        available: stock.available(),
    };
    Ok(TierView {
        id: tier.id,
        price: tier.price_at(now),
        name: tier.name,
        description: tier.description,
        chain: asset.chain,
        symbol: asset.symbol,
        asset_id: asset.id,
        decimals: asset.decimals,
        list_price: tier.list_price,
        promotion: tier.promotion.map(|p| PromotionView {
            price: p.price,
            from: p.from,
            until: p.until,
        }),
        tokens_per_unit: tier.tokens_per_unit,
        bonus_per_unit: tier.bonus_per_unit,
        max_per_order: tier.max_per_order,
        max_per_buyer: tier.max_per_buyer,
        availability: stock.availability(),
        active: tier.active,
        position: tier.position,
        version: tier.version,
        stock: staff.then_some(counters),
    })
}

fn asset_view(row: &PgRow) -> Result<AssetView, StoreError> {
    let asset = asset_of(row)?;
    Ok(AssetView {
        id: asset.id,
        chain: asset.chain,
        symbol: asset.symbol,
        decimals: asset.decimals,
        provider_asset: asset.provider_asset,
        vault: asset.vault,
        active: asset.active,
    })
}

fn tiers_sql(condition: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!(
        "select {TIER_COLUMNS}, {ASSET_COLUMNS}, s.supply, s.reserved, s.sold
         from tiers t join chain_assets a on a.site_id = t.site_id and a.id = t.asset_id
         join tier_stock s on s.site_id = t.site_id and s.tier_id = t.id
         where {condition} order by t.position, t.id"
    ))
}

#[async_trait]
impl TierQueries for Database {
    async fn tiers(
        &self,
        scope: &SiteScope,
        staff: bool,
        now: Timestamp,
    ) -> Result<Vec<TierView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(tiers_sql("(t.active or $1)"))
            .bind(staff)
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(|row| view_of(row, staff, now)).collect()
    }

    async fn tier(
        &self,
        scope: &SiteScope,
        id: TierId,
        staff: bool,
        now: Timestamp,
    ) -> Result<Option<TierView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(tiers_sql("(t.active or $1) and t.id = $2"))
            .bind(staff)
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.map(|row| view_of(&row, staff, now)).transpose()
    }

    async fn assets(&self, scope: &SiteScope) -> Result<Vec<AssetView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "select {ASSET_COLUMNS} from chain_assets a order by a.id"
        ));
        let rows = sqlx::query(sql).fetch_all(tx.connection()).await.store()?;
        rows.iter().map(asset_view).collect()
    }

    async fn asset(&self, scope: &SiteScope, id: ChainAssetId) -> Result<Option<AssetView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "select {ASSET_COLUMNS} from chain_assets a where a.id = $1"
        ));
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(asset_view).transpose()
    }
}
