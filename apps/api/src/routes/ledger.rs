//! The site's books.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_kernel::{Cursor, Page};
use posx_ledger::{AccountView, EntryFilter, EntryView, TrialBalanceRow};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::{page, whole};
use crate::extract::{Allowed, Guarded, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(accounts).service(entries).service(trial_balance);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// The id of what caused it, without its prefix.
    cause: Option<Uuid>,
    /// `payment_captured`, `commission_accrued`, …
    kind: Option<String>,
}

#[utoipa::path(tag = "ledger", operation_id = "list_ledger_accounts",
    extensions(("x-capability" = json!(can::ReadLedger::names()))), responses((status = 200, body = Page<AccountView>)))]
#[get("/api/v1/ledger/accounts")]
async fn accounts(api: Api, staff: Allowed<can::ReadLedger>) -> Result<Answer<Page<AccountView>>, ApiError> {
    Ok(Answer(whole(api.ledger_queries.accounts(staff.scope()).await?)))
}

/// Entries with their postings, newest first.
#[utoipa::path(tag = "ledger", operation_id = "list_ledger_entries", params(Listing),
    extensions(("x-capability" = json!(can::ReadLedger::names()))), responses((status = 200, body = Page<EntryView>)))]
#[get("/api/v1/ledger/entries")]
async fn entries(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadLedger>, Query<Listing>>,
) -> Result<Answer<Page<EntryView>>, ApiError> {
    let filter = EntryFilter {
        cause: query.cause,
        kind: query.kind,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.ledger_queries.entries(staff.scope(), &filter, page).await?,
    ))
}

/// Every account in every unit. The rows of a unit sum to zero.
#[utoipa::path(tag = "ledger", operation_id = "get_trial_balance",
    extensions(("x-capability" = json!(can::ReadLedger::names()))),
    responses((status = 200, body = Page<TrialBalanceRow>)))]
#[get("/api/v1/ledger/trial-balance")]
async fn trial_balance(
    api: Api,
    staff: Allowed<can::ReadLedger>,
) -> Result<Answer<Page<TrialBalanceRow>>, ApiError> {
    Ok(Answer(whole(
        api.ledger_queries.trial_balance(staff.scope()).await?,
    )))
}
