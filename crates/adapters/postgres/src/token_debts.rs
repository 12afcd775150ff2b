//! How buyers' debts of tokens ended.

use posx_allocations::{Settling, TokenSettlement, TokenSettlementView};
use posx_kernel::{AllocationId, IdentityId, Page, PageRequest, StoreError, TokenSettlementId};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::allocations::tokens;
use crate::error::{StoreResult, store};
use crate::site_tx::SiteTx;

/// The trigger's name for its refusal.
const TRANSACTION_ONCE: &str = "token_settlements_transaction_once";

pub(crate) async fn insert(tx: &mut SiteTx, settlement: &TokenSettlement) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "insert into token_settlements (id, allocation_id, how, amount, reason, tx_hash, made_by, at)
         values ($1, $2, $3, $4::numeric, $5, $6, $7, $8)",
    )
    .bind(settlement.id.as_uuid())
    .bind(settlement.allocation.as_uuid())
    .bind(settlement.how.as_str())
    .bind(settlement.amount.to_string())
    .bind(&settlement.reason)
    .bind(&settlement.tx_hash)
    .bind(settlement.made_by.as_uuid())
    .bind(settlement.at)
    .execute(tx.connection())
    .await
    .map_err(store);
    match done {
        Ok(_) => Ok(true),
        Err(error) if error.constraint_name() == Some(TRANSACTION_ONCE) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `None`: there is no such allocation.
pub(crate) async fn settlements(
    tx: &mut SiteTx,
    allocation: AllocationId,
    page: PageRequest,
) -> Result<Option<Page<TokenSettlementView>>, StoreError> {
    let known = sqlx::query("select from allocations where id = $1")
        .bind(allocation.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
    if known.is_none() {
        return Ok(None);
    }
    let rows = sqlx::query(
        "select id, how, amount::text as amount, reason, tx_hash, made_by, at from token_settlements
         where allocation_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
    )
    .bind(allocation.as_uuid())
    .bind(page.after_id())
    .bind(i32::from(page.limit()) + 1)
    .fetch_all(tx.connection())
    .await
    .store()?;
    let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Page::from_rows(views, page, |view| view.id.as_uuid())))
}

fn view(row: &PgRow) -> Result<TokenSettlementView, StoreError> {
    let how = Settling::from_name(row.try_get("how").store()?);
    Ok(TokenSettlementView {
        id: TokenSettlementId::from_uuid(row.try_get("id").store()?),
        how: how.ok_or_else(|| StoreError::broken("how a debt ended"))?,
        amount: tokens(row, "amount")?,
        reason: row.try_get("reason").store()?,
        tx_hash: row.try_get("tx_hash").store()?,
        made_by: IdentityId::from_uuid(row.try_get("made_by").store()?),
        at: row.try_get("at").store()?,
    })
}
