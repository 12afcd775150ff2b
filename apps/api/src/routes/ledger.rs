//! The site's books.

mod periods;

use actix_web::get;
use actix_web::web::Json as Answer;
use chrono::{DateTime, Utc};
use posx_kernel::{Cursor, Page};
use posx_ledger::{
    AccountStatement, AccountView, EntryFilter, EntryView, StatementOf, TrialBalanceRow, Unit,
};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::{page, whole};
use crate::extract::{AccountCode, Allowed, Guarded, Id, PathId as _, Policy as _, Query, can, instant};
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(accounts).service(entries).service(trial_balance);
    config.service(statement);
    periods::routes(config);
}

/// An instant in a query.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
struct At(#[serde(deserialize_with = "instant")] DateTime<Utc>);

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AsOf {
    /// Of entries that were posted before this instant; of all when it is left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    as_of: Option<At>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Span {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// A currency, or a chain asset as `asset_…`; the site's currency when it is left out.
    unit: Option<String>,
    /// The beginning of the books when it is left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    from: Option<At>,
    /// Up to this instant, which is not part of it; now when it is left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    until: Option<At>,
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

/// Every account in every unit, with what it holds.
#[utoipa::path(tag = "ledger", operation_id = "list_ledger_accounts", params(AsOf),
    extensions(("x-capability" = json!(can::ReadLedger::names()))), responses((status = 200, body = Page<AccountView>)))]
#[get("/api/v1/ledger/accounts")]
async fn accounts(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadLedger>, Query<AsOf>>,
) -> Result<Answer<Page<AccountView>>, ApiError> {
    let as_of = query.as_of.map(|at| at.0);
    let accounts = api.ledger_queries.accounts(staff.scope(), as_of).await?;
    Ok(Answer(whole(accounts)))
}

/// One account over a time: what it held when the time began, each entry that moved it, what it held at the end. The closing of
/// one statement is the opening of the next.
#[utoipa::path(tag = "ledger", operation_id = "get_account_statement",
    params(("code" = String, Path, description = "As in the list of accounts: `sales`, `commission:payable:pty_…`.",
        pattern = "^[a-z0-9:_-]+$"), Span),
    extensions(("x-capability" = json!(can::ReadLedger::names()))), responses((status = 200, body = AccountStatement)))]
#[get("/api/v1/ledger/accounts/{code}/statement")]
async fn statement(
    api: Api,
    Guarded(staff, (Id(AccountCode(account)), Query(query))): Guarded<
        Allowed<can::ReadLedger>,
        (Id<AccountCode>, Query<Span>),
    >,
) -> Result<Answer<AccountStatement>, ApiError> {
    let unit = match query.unit {
        None => Unit::Currency(staff.site().currency),
        Some(text) => text.parse().map_err(|error| EdgeError::QueryInvalid {
            message: format!("unit: {error}"),
        })?,
    };
    let of = StatementOf {
        account,
        unit,
        from: query.from.map(|at| at.0),
        until: query.until.map(|at| at.0),
    };
    if of.from.zip(of.until).is_some_and(|(from, until)| from > until) {
        let message = "from is not after until".to_owned();
        return Err(EdgeError::QueryInvalid { message }.into());
    }
    let page = page(query.limit, query.after);
    let found = api.ledger_queries.statement(staff.scope(), &of, page).await?;
    found.map(Answer).ok_or_else(AccountCode::not_found)
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
#[utoipa::path(tag = "ledger", operation_id = "get_trial_balance", params(AsOf),
    extensions(("x-capability" = json!(can::ReadLedger::names()))),
    responses((status = 200, body = Page<TrialBalanceRow>)))]
#[get("/api/v1/ledger/trial-balance")]
async fn trial_balance(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadLedger>, Query<AsOf>>,
) -> Result<Answer<Page<TrialBalanceRow>>, ApiError> {
    let as_of = query.as_of.map(|at| at.0);
    let rows = api.ledger_queries.trial_balance(staff.scope(), as_of).await?;
    Ok(Answer(whole(rows)))
}
