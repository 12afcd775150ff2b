//! How the books compare with the providers' own accounts. A run is made in the night, or by `posx reconcile`.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_kernel::{Cursor, Page, ReconciliationId};
use posx_ledger::reconcile::{DifferenceView, Provider, ReconcileError, ReconciliationView};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page};
use crate::extract::{Allowed, Guarded, Id, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(one).service(differences);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// 1 to 100, else 25.
    limit: Option<u16>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    #[param(inline)]
    provider: Option<Provider>,
}

/// Runs over single days, the newest run first.
#[utoipa::path(tag = "ledger", operation_id = "list_reconciliations", params(Listing),
    extensions(("x-capability" = json!(can::ReadLedger::names()))),
    responses((status = 200, body = Page<ReconciliationView>)))]
#[get("/api/v1/ledger/reconciliations")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadLedger>, Query<Listing>>,
) -> Result<Answer<Page<ReconciliationView>>, ApiError> {
    let page = page(query.limit, query.after);
    let runs = &api.reconciliation_queries;
    Ok(Answer(
        runs.reconciliations(staff.scope(), query.provider, page).await?,
    ))
}

#[utoipa::path(tag = "ledger", operation_id = "get_reconciliation", params(("id" = ReconciliationId, Path)),
    extensions(("x-capability" = json!(can::ReadLedger::names()))),
    responses((status = 200, body = ReconciliationView)))]
#[get("/api/v1/ledger/reconciliations/{id}")]
async fn one(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadLedger>, Id<ReconciliationId>>,
) -> Result<Answer<ReconciliationView>, ApiError> {
    let found = api
        .reconciliation_queries
        .reconciliation(staff.scope(), id)
        .await?;
    Ok(Answer(found.ok_or(ReconcileError::NotFound)?))
}

/// What that run could not match, and why.
#[utoipa::path(tag = "ledger", operation_id = "list_reconciliation_differences",
    params(("id" = ReconciliationId, Path), PageQuery), extensions(("x-capability" = json!(can::ReadLedger::names()))),
    responses((status = 200, body = Page<DifferenceView>)))]
#[get("/api/v1/ledger/reconciliations/{id}/differences")]
async fn differences(
    api: Api,
    Guarded(staff, (Id(id), Query(query))): Guarded<
        Allowed<can::ReadLedger>,
        (Id<ReconciliationId>, Query<PageQuery>),
    >,
) -> Result<Answer<Page<DifferenceView>>, ApiError> {
    let page = page(query.limit, query.after);
    let found = api
        .reconciliation_queries
        .differences(staff.scope(), id, page)
        .await?;
    Ok(Answer(found.ok_or(ReconcileError::NotFound)?))
}
