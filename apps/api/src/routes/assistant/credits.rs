//! What the site may spend on models beyond its month's limit.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_assistant::{AddCredit, CreditKind, CreditView, Micros};
use posx_kernel::{Page, StoreError};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::on;
use crate::extract::{Allowed, Guarded, Idempotent, Policy as _, Query, can, created};
use crate::problem::ApiError;
use crate::routes::{PageQuery, page};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(add);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewModelCredit)]
struct CreditBody {
    kind: CreditKind,
    /// Millionths of the price book's currency.
    amount_micros: Micros,
    /// 1 to 200 characters.
    note: Option<String>,
    /// From then on it gives nothing. Left out: it does not lapse.
    expires_at: Option<DateTime<Utc>>,
}

/// Newest first. They are burnt once the month's limit is used up: what lapses first, then what is oldest.
#[utoipa::path(tag = "assistant", operation_id = "list_model_credits", params(PageQuery),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = Page<CreditView>)))]
#[get("/api/v1/assistant/credits")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ManageAssistant>, Query<PageQuery>>,
) -> Result<Answer<Page<CreditView>>, ApiError> {
    on(staff.site())?;
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.model_credit_queries.credits(staff.scope(), page).await?,
    ))
}

/// A grant or a top-up. It is a limit and no charge: nobody pays by it.
#[utoipa::path(tag = "assistant", operation_id = "add_model_credit", request_body = CreditBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 201, body = CreditView),
        (status = 409, description = "The first request with this key still runs.")))]
#[post("/api/v1/assistant/credits")]
async fn add(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManageAssistant>, Idempotent<CreditBody>>,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let call = request.call(staff.who(), "POST /api/v1/assistant/credits", api.clock.now());
    let CreditBody {
        kind,
        amount_micros,
        note,
        expires_at,
    } = request.body;
    let wish = AddCredit {
        kind,
        amount: amount_micros,
        note,
        expires_at,
    };
    let made = api
        .model_budgets
        .add_credit(staff.scope(), wish, Some(&call))
        .await?;
    let view = api.model_credit_queries.credit(staff.scope(), made.id).await?;
    let view = view.ok_or_else(|| StoreError::broken("the credit that was added is gone"))?;
    Ok(created(&made).json(view))
}
