//! Disputes.

use async_trait::async_trait;
use posx_kernel::{DisputeId, Money, OrderId, PageRequest, PaymentAttemptId, StoreError, Timestamp};
use posx_orders::{
    Dispute, DisputeFilter, DisputeRepository, DisputeState, DisputeView, ProviderDisputeState,
};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};

use super::payments::one;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::currency;

fn dispute_of(row: &PgRow) -> Result<Dispute, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let money = |column: &str| Ok::<_, StoreError>(Money::from_minor(row.try_get(column).store()?, currency));
    let count = |column: &str| {
        let stored: i32 = row.try_get(column).store()?;
        u32::try_from(stored).map_err(|_| StoreError::broken("a dispute's count"))
    };
    let alarm: Option<i16> = row.try_get("evidence_alarm_hours").store()?;
    Ok(Dispute {
        id: DisputeId::from_uuid(row.try_get("id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        attempt: PaymentAttemptId::from_uuid(row.try_get("attempt_id").store()?),
        provider: row.try_get("provider").store()?,
        provider_dispute: row.try_get("provider_dispute_id").store()?,
        amount: money("amount")?,
        reason: row.try_get("reason").store()?,
        state: DisputeState::from_name(row.try_get("state").store()?)
            .ok_or_else(|| StoreError::broken("a dispute's state"))?,
        provider_state: ProviderDisputeState::from_name(row.try_get("provider_state").store()?)
            .ok_or_else(|| StoreError::broken("a dispute's state at the provider"))?,
        refundable: row.try_get("refundable").store()?,
        evidence_due_by: row.try_get("evidence_due_by").store()?,
        evidence_alarm_hours: alarm.and_then(|hours| u8::try_from(hours).ok()),
        withdrawn: money("withdrawn")?,
        lost: money("lost")?,
        verdicts: count("verdicts")?,
        revision: count("revision")?,
        opened_at: row.try_get("opened_at").store()?,
        closed_at: row.try_get("closed_at").store()?,
        asked_at: row.try_get("asked_at").store()?,
    })
}

pub(super) async fn of_order(tx: &mut SiteTx, order: OrderId) -> Result<Vec<Dispute>, StoreError> {
    let rows = sqlx::query("select * from disputes where order_id = $1 order by id")
        .bind(order.as_uuid())
        .fetch_all(tx.connection())
        .await
        .store()?;
    rows.iter().map(dispute_of).collect()
}

/// One row more than the page has.
pub(super) async fn list(
    tx: &mut SiteTx,
    filter: DisputeFilter,
    page: PageRequest,
) -> Result<Vec<DisputeView>, StoreError> {
    let mut sql = QueryBuilder::<Postgres>::new("select * from disputes where true");
    if let Some(after) = page.after_id() {
        sql.push(" and id < ").push_bind(after);
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
        .map(|row| dispute_of(row).map(DisputeView::of))
        .collect()
}

fn stored(count: u32) -> Result<i32, StoreError> {
    i32::try_from(count).map_err(|_| StoreError::broken("a dispute's count"))
}

#[async_trait]
impl DisputeRepository for SiteTx {
    async fn insert(&mut self, dispute: &Dispute) -> Result<(), StoreError> {
        sqlx::query(
            "insert into disputes (id, order_id, attempt_id, provider, provider_dispute_id, currency, amount, reason, state,
               provider_state, refundable, evidence_due_by, evidence_alarm_hours, withdrawn, lost, verdicts, revision,
               opened_at, closed_at, asked_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        )
        .bind(dispute.id.as_uuid())
        .bind(dispute.order.as_uuid())
        .bind(dispute.attempt.as_uuid())
        .bind(&dispute.provider)
        .bind(&dispute.provider_dispute)
        .bind(dispute.amount.currency().code())
        .bind(dispute.amount.minor())
        .bind(&dispute.reason)
        .bind(dispute.state.as_str())
        .bind(dispute.provider_state.as_str())
        .bind(dispute.refundable)
        .bind(dispute.evidence_due_by)
        .bind(dispute.evidence_alarm_hours.map(i16::from))
        .bind(dispute.withdrawn.minor())
        .bind(dispute.lost.minor())
        .bind(stored(dispute.verdicts)?)
        .bind(stored(dispute.revision)?)
        .bind(dispute.opened_at)
        .bind(dispute.closed_at)
        .bind(dispute.asked_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn find(&mut self, id: DisputeId) -> Result<Option<Dispute>, StoreError> {
        let row = sqlx::query("select * from disputes where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(dispute_of).transpose()
    }

    async fn by_provider_id(
        &mut self,
        provider: &str,
        provider_dispute: &str,
    ) -> Result<Option<Dispute>, StoreError> {
        let row = sqlx::query("select * from disputes where provider = $1 and provider_dispute_id = $2")
            .bind(provider)
            .bind(provider_dispute)
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(dispute_of).transpose()
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Dispute>, StoreError> {
        of_order(self, order).await
    }

    async fn save(&mut self, dispute: &Dispute) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update disputes set amount = $2, reason = $3, state = $4, provider_state = $5, refundable = $6,
               evidence_due_by = $7, evidence_alarm_hours = $8, withdrawn = $9, lost = $10, verdicts = $11, revision = $12,
               closed_at = $13, asked_at = $14
             where id = $1",
        )
        .bind(dispute.id.as_uuid())
        .bind(dispute.amount.minor())
        .bind(&dispute.reason)
        .bind(dispute.state.as_str())
        .bind(dispute.provider_state.as_str())
        .bind(dispute.refundable)
        .bind(dispute.evidence_due_by)
        .bind(dispute.evidence_alarm_hours.map(i16::from))
        .bind(dispute.withdrawn.minor())
        .bind(dispute.lost.minor())
        .bind(stored(dispute.verdicts)?)
        .bind(stored(dispute.revision)?)
        .bind(dispute.closed_at)
        .bind(dispute.asked_at)
        .execute(self.connection())
        .await
        .store()?;
        one(&done, "a dispute that was read is gone")
    }

    async fn open(&mut self, asked_before: Timestamp, limit: u16) -> Result<Vec<Dispute>, StoreError> {
        let rows = sqlx::query(
            "select * from disputes where state = 'open' and asked_at < $1 order by asked_at limit $2",
        )
        .bind(asked_before)
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(dispute_of).collect()
    }

    async fn evidence_due(
        &mut self,
        due_by: Timestamp,
        alarm_hours: u8,
        limit: u16,
    ) -> Result<Vec<DisputeId>, StoreError> {
        let rows = sqlx::query(
            "select id from disputes
             where state = 'open' and provider_state in ('needs_response', 'warning_needs_response')
               and evidence_due_by <= $1 and (evidence_alarm_hours is null or evidence_alarm_hours > $2)
             order by evidence_due_by limit $3",
        )
        .bind(due_by)
        .bind(i16::from(alarm_hours))
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        let id = |row: &PgRow| Ok(DisputeId::from_uuid(row.try_get("id").store()?));
        rows.iter().map(id).collect()
    }
}
