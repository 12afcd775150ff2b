//! Orders as allocations read them, and what they tell them.

use async_trait::async_trait;
use posx_allocations::{DeliveredOrders, Delivery, LineToDeliver, OrderToDeliver, Restock};
use posx_kernel::{
    ChainAssetId, LineId, Money, OrderId, PartyId, StoreError, TierId, Timestamp, VestingPolicyId,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::tokens;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::{count, currency, stored_count};

// Rows that only refer to the order go on being inserted: no key is changed.
const LOCK: &str =
    "select buyer_id, wallet_address, wallet_usable_from, lifecycle in ('confirmed', 'fulfilled') as paid,
    currency, total, returned, disputed from orders where id = $1 for no key update";

// After the order is locked: what of it restocks nothing, and by which policies its lines are vested.
const LINES: &str =
    "select l.id, l.tier_id, l.asset_id, l.tokens::text as tokens, l.quantity, l.counted_per_buyer,
      (t.tokens_per_unit + t.bonus_per_unit)::text as unit_tokens,
      (select v.policy_id from tier_vesting v where v.tier_id = l.tier_id and v.since <= o.placed_at
       order by v.since desc limit 1) as policy_id,
      (select coalesce(sum(r.amount), 0)::bigint from refunds r
       where r.order_id = o.id and r.origin <> 'automatic' and r.restock = 'none'
         and r.state in ('pending', 'requires_action', 'succeeded')) as not_restocked
    from orders o
    join order_lines l on l.site_id = o.site_id and l.order_id = o.id
    join tiers t on t.site_id = l.site_id and t.id = l.tier_id
    where o.id = $1 order by l.position";

#[async_trait]
impl DeliveredOrders for SiteTx {
    async fn for_update(&mut self, order: OrderId) -> Result<Option<OrderToDeliver>, StoreError> {
        let row = sqlx::query(LOCK)
            .bind(order.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let lines = sqlx::query(LINES)
            .bind(order.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        let currency = currency(row.try_get("currency").store()?)?;
        let money = |row: &PgRow, column| {
            let minor = row.try_get(column).store()?;
            Ok::<_, StoreError>(Money::from_minor(minor, currency))
        };
        let not_restocked = match lines.first() {
            Some(line) => money(line, "not_restocked")?,
            None => Money::zero(currency),
        };
        Ok(Some(OrderToDeliver {
            order,
            buyer: PartyId::from_uuid(row.try_get("buyer_id").store()?),
            address: row.try_get("wallet_address").store()?,
            wallet_usable_from: row.try_get("wallet_usable_from").store()?,
            paid: row.try_get("paid").store()?,
            total: money(&row, "total")?,
            returned: money(&row, "returned")?,
            not_restocked,
            disputed: row.try_get("disputed").store()?,
            lines: lines.iter().map(line).collect::<Result<_, _>>()?,
        }))
    }

    async fn disputed(&mut self, orders: &[OrderId]) -> Result<Vec<OrderId>, StoreError> {
        let orders: Vec<_> = orders.iter().map(|order| order.as_uuid()).collect();
        let rows = sqlx::query("select id from orders where id = any($1) and disputed")
            .bind(orders)
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter()
            .map(|row| row.try_get("id").map(OrderId::from_uuid).store())
            .collect()
    }

    async fn restocks(&mut self, order: OrderId) -> Result<Vec<Restock>, StoreError> {
        let sql = "select r.line_id, r.units, r.changes from line_restocks r
                   join order_lines l on l.site_id = r.site_id and l.id = r.line_id where l.order_id = $1";
        let rows = sqlx::query(sql)
            .bind(order.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        let restock = |row: &PgRow| {
            Ok(Restock {
                line: LineId::from_uuid(row.try_get("line_id").store()?),
                units: count(row.try_get("units").store()?)?,
                changes: count(row.try_get("changes").store()?)?,
            })
        };
        rows.iter().map(restock).collect()
    }

    async fn save_restock(&mut self, restock: &Restock) -> Result<(), StoreError> {
        sqlx::query(
            "insert into line_restocks (line_id, units, changes) values ($1, $2, $3)
             on conflict (site_id, line_id) do update set units = $2, changes = $3",
        )
        .bind(restock.line.as_uuid())
        .bind(stored_count(restock.units))
        .bind(stored_count(restock.changes))
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn set_delivery(
        &mut self,
        order: OrderId,
        delivery: Delivery,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update orders set
               delivery = $2,
               lifecycle = case when $2 = 'done' and lifecycle = 'confirmed' then 'fulfilled' else lifecycle end,
               closed_at = case when $2 = 'done' and lifecycle = 'confirmed' then $3 else closed_at end,
               version = version + 1
             where id = $1 and (delivery <> $2 or ($2 = 'done' and lifecycle = 'confirmed'))",
        )
        .bind(order.as_uuid())
        .bind(delivery.as_str())
        .bind(at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn flag(&mut self, order: OrderId, why: &str) -> Result<(), StoreError> {
        let sql =
            "update orders set attention = $2, version = version + 1 where id = $1 and attention is null";
        sqlx::query(sql)
            .bind(order.as_uuid())
            .bind(why)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }
}

fn line(row: &PgRow) -> Result<LineToDeliver, StoreError> {
    let policy: Option<Uuid> = row.try_get("policy_id").store()?;
    Ok(LineToDeliver {
        line: LineId::from_uuid(row.try_get("id").store()?),
        tier: TierId::from_uuid(row.try_get("tier_id").store()?),
        quantity: count(row.try_get("quantity").store()?)?,
        counted_per_buyer: row.try_get("counted_per_buyer").store()?,
        unit_tokens: tokens(row, "unit_tokens")?,
        asset: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        tokens: tokens(row, "tokens")?,
        vesting: policy.map(VestingPolicyId::from_uuid),
    })
}
