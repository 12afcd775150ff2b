//! What the site may spend on models, and what it has set of that.

use actix_web::{HttpResponse, get, put};
use posx_assistant::{BudgetView, Limit};
use posx_kernel::SiteScope;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::on;
use crate::extract::{Allowed, Guarded, IfMatch, Json, Policy as _, can, etag};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_budgets).service(set_budgets);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetModelBudgets)]
struct BudgetsBody {
    /// The site's own; for what is left out, the operator's are in force. While the operator's key pays, those are the most.
    #[schema(max_items = 14)]
    limits: Vec<Limit>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelBudgets)]
struct BudgetsView {
    items: Vec<BudgetView>,
}

/// Every budget of today and this month: its limit, what was spent, what is held for calls under way, and when it begins anew.
#[utoipa::path(tag = "assistant", operation_id = "get_model_budgets",
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = BudgetsView, headers(("ETag" = String, description = "The version, for If-Match.")))))]
#[get("/api/v1/assistant/budgets")]
async fn get_budgets(
    api: Api,
    Guarded(staff, ()): Guarded<Allowed<can::ManageAssistant>, ()>,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    show(&api, staff.scope()).await
}

/// Replaces the limits that the site has set. A limit holds for calls that begin from now on.
#[utoipa::path(tag = "assistant", operation_id = "set_model_budgets", request_body = BudgetsBody,
    params(("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = BudgetsView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed them."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/assistant/budgets")]
async fn set_budgets(
    api: Api,
    Guarded(staff, (IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageAssistant>,
        (IfMatch, Json<BudgetsBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    api.model_budgets
        .set_limits(staff.scope(), seen, body.limits)
        .await?;
    show(&api, staff.scope()).await
}

async fn show(api: &Api, scope: &SiteScope) -> Result<HttpResponse, ApiError> {
    let queries = &api.model_budget_queries;
    let version = queries.site_limits(scope).await?.version;
    let items = queries.budgets(scope, api.clock.now()).await?;
    Ok(HttpResponse::Ok()
        .insert_header(etag(version))
        .json(BudgetsView { items }))
}
