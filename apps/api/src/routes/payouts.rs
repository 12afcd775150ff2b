//! Payouts: what was approved, and what people do with it.

mod debts;
mod files;
mod rules;

use actix_web::web::Json as Answer;
use actix_web::{get, post};
use posx_commissions::{PayoutError, PayoutFilter, PayoutState, PayoutView};
use posx_kernel::{Cursor, Page, PartyId, PayoutId, SettlementId, SiteScope};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::page;
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IdempotentPath, Policy as _, Query, can,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_payout);
    config
        .service(retry)
        .service(paid)
        .service(failed)
        .service(give_back);
    files::routes(config);
    rules::routes(config);
    debts::routes(config);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    settlement: Option<SettlementId>,
    state: Option<PayoutState>,
    agent: Option<PartyId>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaidBody {
    /// By what it is found where it was paid: 1 to 140 characters.
    reference: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyBody {
    /// 1 to 500 characters.
    pub reason: String,
}

/// Lines of settlements, and withdrawals that agents asked for, newest first.
#[utoipa::path(tag = "payouts", operation_id = "list_payouts", params(Listing),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))), responses((status = 200, body = Page<PayoutView>)))]
#[get("/api/v1/payouts")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadPayouts>, Query<Listing>>,
) -> Result<Answer<Page<PayoutView>>, ApiError> {
    let filter = PayoutFilter {
        settlement: query.settlement,
        state: query.state,
        agent: query.agent,
        withdrawals_only: false,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.payout_queries.payouts(staff.scope(), &filter, page).await?,
    ))
}

#[utoipa::path(tag = "payouts", operation_id = "get_payout", params(("id" = PayoutId, Path)),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))), responses((status = 200, body = PayoutView)))]
#[get("/api/v1/payouts/{id}")]
async fn get_payout(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadPayouts>, Id<PayoutId>>,
) -> Result<Answer<PayoutView>, ApiError> {
    found(&api, staff.scope(), id).await
}

/// Sends a failed one round again, under another key and to the account that the agent has now. The provider is asked first
/// whether an earlier try arrived after all.
#[utoipa::path(tag = "payouts", operation_id = "retry_payout",
    params(("id" = PayoutId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = PayoutView),
        (status = 409, description = "It has not failed, or there is no account that may be paid to.")))]
#[post("/api/v1/payouts/{id}/retry")]
async fn retry(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePayouts>,
        (Id<PayoutId>, IdempotentPath),
    >,
) -> Result<Answer<PayoutView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(staff.who(), "POST /api/v1/payouts/{id}/retry", api.clock.now());
    api.payouts.retry(staff.scope(), id, Some(&call)).await?;
    found(&api, staff.scope(), id).await
}

/// A person has paid it, or has seen that the bank did.
#[utoipa::path(tag = "payouts", operation_id = "mark_payout_paid", request_body = PaidBody,
    params(("id" = PayoutId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = PayoutView),
        (status = 409, description = "It goes by the provider, or was paid, failed or given back before.")))]
#[post("/api/v1/payouts/{id}/paid")]
async fn paid(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePayouts>,
        (Id<PayoutId>, Idempotent<PaidBody>),
    >,
) -> Result<Answer<PayoutView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(staff.who(), "POST /api/v1/payouts/{id}/paid", api.clock.now());
    let reference = &request.body.reference;
    api.payouts
        .mark_paid(staff.scope(), id, reference, Some(&call))
        .await?;
    found(&api, staff.scope(), id).await
}

/// The bank did not pay it.
#[utoipa::path(tag = "payouts", operation_id = "mark_payout_failed", request_body = WhyBody,
    params(("id" = PayoutId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = PayoutView),
        (status = 409, description = "It goes by the provider, or is not under way.")))]
#[post("/api/v1/payouts/{id}/failed")]
async fn failed(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePayouts>,
        (Id<PayoutId>, Idempotent<WhyBody>),
    >,
) -> Result<Answer<PayoutView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(staff.who(), "POST /api/v1/payouts/{id}/failed", api.clock.now());
    let reason = &request.body.reason;
    api.payouts
        .mark_failed(staff.scope(), id, reason, Some(&call))
        .await?;
    found(&api, staff.scope(), id).await
}

/// Gives up on one that is approved or has failed: its money is the agent's again.
#[utoipa::path(tag = "payouts", operation_id = "give_payout_back", request_body = WhyBody,
    params(("id" = PayoutId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = PayoutView),
        (status = 409, description = "It is under way or done, or the provider has a transfer for it.")))]
#[post("/api/v1/payouts/{id}/give-back")]
async fn give_back(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePayouts>,
        (Id<PayoutId>, Idempotent<WhyBody>),
    >,
) -> Result<Answer<PayoutView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(
        staff.who(),
        "POST /api/v1/payouts/{id}/give-back",
        api.clock.now(),
    );
    let (scope, by) = (staff.scope(), staff.identity());
    api.payouts
        .give_back(scope, id, &request.body.reason, by, Some(&call))
        .await?;
    found(&api, scope, id).await
}

async fn found(api: &Api, scope: &SiteScope, id: PayoutId) -> Result<Answer<PayoutView>, ApiError> {
    let view = api.payout_queries.payout(scope, id, None).await?;
    Ok(Answer(view.ok_or(PayoutError::NotFound)?))
}
