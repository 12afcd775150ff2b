//! Withdrawals: what agents asked for, and what is decided about it.

use actix_web::web::Json as Answer;
use actix_web::{get, post};
use posx_commissions::{PayoutError, PayoutFilter, PayoutState, WithdrawalView};
use posx_kernel::{Cursor, Page, PartyId, PayoutId, SiteScope, WithdrawalId};
use posx_tenancy::{Capability, ReviewedOperation};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::approvals::{Asked, Maker};
use super::page;
use super::payouts::WhyBody;
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IdempotentPath, Policy as _, Query, can,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_withdrawal);
    config.service(approve).service(reject).service(cancel);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    state: Option<PayoutState>,
    agent: Option<PartyId>,
}

/// Everybody's, newest first.
#[utoipa::path(tag = "payouts", operation_id = "list_withdrawals", params(Listing),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = Page<WithdrawalView>)))]
#[get("/api/v1/withdrawals")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadPayouts>, Query<Listing>>,
) -> Result<Answer<Page<WithdrawalView>>, ApiError> {
    let filter = PayoutFilter {
        settlement: None,
        state: query.state,
        agent: query.agent,
        withdrawals_only: true,
    };
    let page = page(query.limit, query.after);
    let Page { items, next } = api.payout_queries.payouts(staff.scope(), &filter, page).await?;
    let items = items.into_iter().map(Into::into).collect();
    Ok(Answer(Page { items, next }))
}

/// One's own, or for staff anybody's.
#[utoipa::path(tag = "payouts", operation_id = "get_withdrawal", params(("id" = WithdrawalId, Path)),
    extensions(("x-capability" = json!(can::SeeWithdrawals::names()))), responses((status = 200, body = WithdrawalView)))]
#[get("/api/v1/withdrawals/{id}")]
async fn get_withdrawal(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeWithdrawals>, Id<WithdrawalId>>,
) -> Result<Answer<WithdrawalView>, ApiError> {
    let only = member.only_own_without(Capability::PayoutsRead)?;
    Ok(Answer(found(&api, member.scope(), id, only).await?))
}

/// From then on it is sent. Nobody approves their own; above the site's limit a second person must agree.
#[utoipa::path(tag = "payouts", operation_id = "approve_withdrawal",
    params(("id" = WithdrawalId, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, above the site's limit.")),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = WithdrawalView),
        (status = 409, description = "It is decided already, not covered any more, or a second person must agree.")))]
#[post("/api/v1/withdrawals/{id}/approve")]
async fn approve(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePayouts>,
        (Id<WithdrawalId>, IdempotentPath),
    >,
) -> Result<Answer<WithdrawalView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(
        staff.who(),
        "POST /api/v1/withdrawals/{id}/approve",
        api.clock.now(),
    );
    let (scope, by) = (staff.scope(), staff.identity());
    let asked = Asked {
        operation: ReviewedOperation::WithdrawalApproval,
        quantity: found(&api, scope, id, None).await?.amount.minor(),
    };
    Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            api.payouts.approve_withdrawal(scope, id, by, Some(call)).await
        })
        .await?;
    Ok(Answer(found(&api, scope, id, None).await?))
}

/// The money is the agent's again.
#[utoipa::path(tag = "payouts", operation_id = "reject_withdrawal", request_body = WhyBody,
    params(("id" = WithdrawalId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = WithdrawalView), (status = 409, description = "It is decided already.")))]
#[post("/api/v1/withdrawals/{id}/reject")]
async fn reject(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePayouts>,
        (Id<WithdrawalId>, Idempotent<WhyBody>),
    >,
) -> Result<Answer<WithdrawalView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(
        staff.who(),
        "POST /api/v1/withdrawals/{id}/reject",
        api.clock.now(),
    );
    let (scope, by) = (staff.scope(), staff.identity());
    api.payouts
        .reject_withdrawal(scope, id, &request.body.reason, by, Some(&call))
        .await?;
    Ok(Answer(found(&api, scope, id, None).await?))
}

/// Takes one's own back, while nobody has decided on it.
#[utoipa::path(tag = "payouts", operation_id = "cancel_withdrawal",
    params(("id" = WithdrawalId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::RequestWithdrawals::names()))),
    responses((status = 200, body = WithdrawalView), (status = 409, description = "It is decided already.")))]
#[post("/api/v1/withdrawals/{id}/cancel")]
async fn cancel(
    api: Api,
    Guarded(agent, (Id(id), request)): Guarded<
        AllowedMember<can::RequestWithdrawals>,
        (Id<WithdrawalId>, IdempotentPath),
    >,
) -> Result<Answer<WithdrawalView>, ApiError> {
    let call = request.call(
        agent.who(),
        "POST /api/v1/withdrawals/{id}/cancel",
        api.clock.now(),
    );
    let (scope, party) = (agent.scope(), agent.party());
    api.payouts
        .cancel_withdrawal(scope, id, party, Some(&call))
        .await?;
    Ok(Answer(found(&api, scope, id, Some(party)).await?))
}

/// `only`: of this agent.
pub(super) async fn found(
    api: &Api,
    scope: &SiteScope,
    id: WithdrawalId,
    only: Option<PartyId>,
) -> Result<WithdrawalView, ApiError> {
    let id = PayoutId::from_uuid(id.as_uuid());
    let view = api.payout_queries.payout(scope, id, only).await?;
    let view = view.filter(|view| view.settlement.is_none());
    Ok(view.ok_or(PayoutError::WithdrawalNotFound)?.into())
}
