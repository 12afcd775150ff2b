//! What was taken back of commissions, and given back.

use posx_commissions::{Adjustment, AdjustmentKind, AdjustmentView, Commission};
use posx_kernel::{AdjustmentId, CommissionId, OrderId, StoreError};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::money;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

pub(super) const ADJUSTMENT: &str =
    "select id, commission_id, order_id, number, kind, currency, amount, reversed_before, reversed_after, returned, total, at
     from commission_adjustments where true";

pub(super) async fn save(tx: &mut SiteTx, commission: &Commission) -> Result<(), StoreError> {
    let sql = "update commissions set state = $2, back_to = $3, reversed = $4, updated_at = $5 where id = $1";
    let done = sqlx::query(sql)
        .bind(commission.id.as_uuid())
        .bind(commission.state.as_str())
        .bind(commission.back_to.map(posx_commissions::CommissionState::as_str))
        .bind(commission.reversed.minor())
        .bind(commission.updated_at)
        .execute(tx.connection())
        .await
        .store()?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::broken("a commission that is not there")),
    }
}

/// The commission is locked: nobody else takes the next number.
pub(super) async fn insert(tx: &mut SiteTx, step: &Adjustment) -> Result<(), StoreError> {
    sqlx::query(
        "insert into commission_adjustments
           (id, commission_id, order_id, number, kind, currency, amount, reversed_before, reversed_after, returned, total, at)
         select $1, $2, $3, coalesce(max(number), 0) + 1, $4, $5, $6, $7, $8, $9, $10, $11
         from commission_adjustments where commission_id = $2",
    )
    .bind(step.id.as_uuid())
    .bind(step.commission.as_uuid())
    .bind(step.order.as_uuid())
    .bind(step.kind.as_str())
    .bind(step.amount.currency().code())
    .bind(step.amount.minor())
    .bind(step.reversed_before.minor())
    .bind(step.reversed_after.minor())
    .bind(step.returned.minor())
    .bind(step.total.minor())
    .bind(step.at)
    .execute(tx.connection())
    .await
    .store()?;
    Ok(())
}

pub(super) fn adjustment(row: &PgRow) -> Result<AdjustmentView, StoreError> {
    let kind: &str = row.try_get("kind").store()?;
    Ok(AdjustmentView {
        id: AdjustmentId::from_uuid(row.try_get("id").store()?),
        commission: CommissionId::from_uuid(row.try_get("commission_id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        number: crate::tiers::count(row.try_get("number").store()?)?,
        kind: AdjustmentKind::from_name(kind).ok_or_else(|| StoreError::broken("an adjustment's kind"))?,
        amount: money(row, "amount")?,
        reversed_before: money(row, "reversed_before")?,
        reversed_after: money(row, "reversed_after")?,
        returned: money(row, "returned")?,
        total: money(row, "total")?,
        at: row.try_get("at").store()?,
    })
}
