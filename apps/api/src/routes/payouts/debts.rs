//! What agents owe, and what of it is given up.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_commissions::{NegativeBalance, WriteOffView};
use posx_kernel::{Money, Page, PartyId, WriteOffId};
use posx_tenancy::{Capability, ReviewedOperation};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Allowed, AllowedMember, Guarded, Idempotent, Policy as _, Query, can, created};
use crate::problem::ApiError;
use crate::routes::approvals::{Asked, Maker};
use crate::routes::{PageQuery, page, whole};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(negative).service(list).service(write_off);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteOffBody {
    agent: PartyId,
    /// No more than the agent owes.
    amount: Money,
    /// 1 to 500 characters.
    reason: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WrittenOffView {
    id: WriteOffId,
}

/// Who owes something, and since when, the longest first; at most 1,000.
#[utoipa::path(tag = "payouts", operation_id = "list_negative_balances",
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = Page<NegativeBalance>)))]
#[get("/api/v1/negative-balances")]
async fn negative(
    api: Api,
    staff: Allowed<can::ReadPayouts>,
) -> Result<Answer<Page<NegativeBalance>>, ApiError> {
    let owing = api
        .payout_queries
        .negative_balances(staff.scope(), api.clock.now())
        .await?;
    Ok(Answer(whole(owing)))
}

/// Newest first.
#[utoipa::path(tag = "payouts", operation_id = "list_write_offs", params(PageQuery),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = Page<WriteOffView>)))]
#[get("/api/v1/write-offs")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadPayouts>, Query<PageQuery>>,
) -> Result<Answer<Page<WriteOffView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.payout_queries.write_offs(staff.scope(), page).await?))
}

/// Gives up a debt, or a part of it.
#[utoipa::path(tag = "payouts", operation_id = "write_off_balance", request_body = WriteOffBody,
    params(("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, above the site's limit.")),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 201, body = WrittenOffView),
        (status = 409, description = "The agent does not owe that much, or a second person must agree.")))]
#[post("/api/v1/write-offs")]
async fn write_off(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ManagePayouts>, Idempotent<WriteOffBody>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(staff.who(), "POST /api/v1/write-offs", api.clock.now());
    let wish = &request.body;
    let asked = Asked {
        operation: ReviewedOperation::WriteOff,
        quantity: wish.amount.minor(),
    };
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            let (scope, by) = (staff.scope(), staff.identity());
            api.payouts
                .write_off(scope, wish.agent, wish.amount, &wish.reason, by, Some(call))
                .await
        })
        .await?;
    Ok(created(&made).json(WrittenOffView { id: made.id }))
}
