//! Refunds.

use async_trait::async_trait;
use posx_kernel::{Money, OrderId, PageRequest, PaymentAttemptId, RefundId, StoreError, Timestamp};
use posx_orders::{
    Refund, RefundFilter, RefundOrigin, RefundReason, RefundRepository, RefundState, RefundView, Restock,
};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};

use super::payments::one;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::currency;

fn refund_of(row: &PgRow) -> Result<Refund, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let named = |what: &'static str| StoreError::broken(what);
    Ok(Refund {
        id: RefundId::from_uuid(row.try_get("id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        attempt: PaymentAttemptId::from_uuid(row.try_get("attempt_id").store()?),
        amount: Money::from_minor(row.try_get("amount").store()?, currency),
        reason: RefundReason::from_name(row.try_get("reason").store()?)
            .ok_or_else(|| named("a refund's reason"))?,
        note: row.try_get("note").store()?,
        origin: RefundOrigin::from_name(row.try_get("origin").store()?)
            .ok_or_else(|| named("a refund's origin"))?,
        restock: Restock::from_name(row.try_get("restock").store()?)
            .ok_or_else(|| named("a refund's restock"))?,
        state: RefundState::from_name(row.try_get("state").store()?)
            .ok_or_else(|| named("a refund's state"))?,
        provider_refund: row.try_get("provider_refund_id").store()?,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

pub(super) async fn of_order(tx: &mut SiteTx, order: OrderId) -> Result<Vec<Refund>, StoreError> {
    let rows = sqlx::query("select * from refunds where order_id = $1 order by id")
        .bind(order.as_uuid())
        .fetch_all(tx.connection())
        .await
        .store()?;
    rows.iter().map(refund_of).collect()
}

/// One row more than the page has.
pub(super) async fn list(
    tx: &mut SiteTx,
    filter: RefundFilter,
    page: PageRequest,
) -> Result<Vec<RefundView>, StoreError> {
    let mut sql = QueryBuilder::<Postgres>::new("select * from refunds where true");
    if let Some(after) = page.after_id() {
        sql.push(" and id < ").push_bind(after);
    }
    if let Some(id) = filter.id {
        sql.push(" and id = ").push_bind(id.as_uuid());
    }
    if let Some(order) = filter.order {
        sql.push(" and order_id = ").push_bind(order.as_uuid());
    }
    if let Some(state) = filter.state {
        sql.push(" and state = ").push_bind(state.as_str());
    }
    sql.push(" order by site_id desc, id desc limit ")
        .push_bind(i64::from(page.limit()) + 1);
    let rows = sql.build().fetch_all(tx.connection()).await.store()?;
    rows.iter()
        .map(|row| refund_of(row).map(RefundView::of))
        .collect()
}

#[async_trait]
impl RefundRepository for SiteTx {
    async fn insert(&mut self, refund: &Refund) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into refunds (id, order_id, attempt_id, currency, amount, reason, note, origin, restock, state,
               provider_refund_id, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict on constraint refunds_once do nothing",
        )
        .bind(refund.id.as_uuid())
        .bind(refund.order.as_uuid())
        .bind(refund.attempt.as_uuid())
        .bind(refund.amount.currency().code())
        .bind(refund.amount.minor())
        .bind(refund.reason.as_str())
        .bind(&refund.note)
        .bind(refund.origin.as_str())
        .bind(refund.restock.as_str())
        .bind(refund.state.as_str())
        .bind(&refund.provider_refund)
        .bind(refund.created_at)
        .bind(refund.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn find(&mut self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        let row = sqlx::query("select * from refunds where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(refund_of).transpose()
    }

    async fn by_provider_id(&mut self, provider_refund: &str) -> Result<Option<Refund>, StoreError> {
        let row = sqlx::query("select * from refunds where provider_refund_id = $1")
            .bind(provider_refund)
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(refund_of).transpose()
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Refund>, StoreError> {
        of_order(self, order).await
    }

    async fn save(&mut self, refund: &Refund) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update refunds set state = $2, provider_refund_id = $3, updated_at = $4 where id = $1",
        )
        .bind(refund.id.as_uuid())
        .bind(refund.state.as_str())
        .bind(&refund.provider_refund)
        .bind(refund.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        one(&done, "a refund that was read is gone")
    }

    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Refund>, StoreError> {
        let rows = sqlx::query(
            "select * from refunds where state in ('pending', 'requires_action') and updated_at < $1
             order by updated_at limit $2",
        )
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(refund_of).collect()
    }
}
