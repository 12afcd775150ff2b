//! The second person: what waits for one, agreeing and refusing, and from when on one is needed.

use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::Json as Answer;
use actix_web::{get, post, put};
use posx_kernel::{ApprovalId, Cursor, IdempotentCall, IdentityId, KeyRefusal, Page, Refusal, SiteScope};
use posx_tenancy::{
    ApprovalError, ApprovalFilter, ApprovalLimitView, ApprovalStateName, ApprovalView, AskApproval,
    ReviewedOperation,
};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{page, whole};
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, Json, Labelled, PathId, Policy as _, Query, can,
};
use crate::problem::{ApiError, ApprovalHint, EdgeError};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_approval);
    config.service(approve).service(reject).service(withdraw);
    config.service(limits).service(change_limit);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    state: Option<ApprovalStateName>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// Of the request that was looked at, as the approval shows it.
    hash: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectBody {
    /// 1 to 500 characters.
    reason: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitBody {
    /// More than this needs a second person; `null`: nothing does.
    #[serde(deserialize_with = "Option::deserialize")]
    quantity_max: Option<i64>,
}

/// What was asked of a second person, newest first.
#[utoipa::path(tag = "approvals", operation_id = "list_approvals", params(Listing),
    extensions(("x-capability" = json!(can::ReadApprovals::names()))),
    responses((status = 200, body = Page<ApprovalView>)))]
#[get("/api/v1/approvals")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadApprovals>, Query<Listing>>,
) -> Result<Answer<Page<ApprovalView>>, ApiError> {
    let (filter, page) = (
        ApprovalFilter { state: query.state },
        page(query.limit, query.after),
    );
    let approvals = api
        .approval_queries
        .approvals(staff.scope(), filter, page, api.clock.now())
        .await?;
    Ok(Answer(approvals))
}

#[utoipa::path(tag = "approvals", operation_id = "get_approval", params(("id" = ApprovalId, Path)),
    extensions(("x-capability" = json!(can::ReadApprovals::names()))), responses((status = 200, body = ApprovalView)))]
#[get("/api/v1/approvals/{id}")]
async fn get_approval(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadApprovals>, Id<ApprovalId>>,
) -> Result<Answer<ApprovalView>, ApiError> {
    show(&api, staff.scope(), id).await
}

/// Agrees to exactly the request whose hash is named. Nobody agrees to their own.
#[utoipa::path(tag = "approvals", operation_id = "approve_approval", request_body = ApproveBody,
    params(("id" = ApprovalId, Path)), extensions(("x-capability" = json!(can::DecideApprovals::names()))),
    responses((status = 200, body = ApprovalView),
        (status = 409, description = "It is decided or expired already, or the hash is another's.")))]
#[post("/api/v1/approvals/{id}/approve")]
async fn approve(
    api: Api,
    Guarded(checker, (Id(id), Json(body))): Guarded<
        AllowedMember<can::DecideApprovals>,
        (Id<ApprovalId>, Json<ApproveBody>),
    >,
) -> Result<Answer<ApprovalView>, ApiError> {
    let mut seen = [0; 32];
    hex::decode_to_slice(&body.hash, &mut seen).map_err(|_| EdgeError::FieldInvalid {
        field: "hash".to_owned(),
        message: "a hash is 64 hexadecimal digits".to_owned(),
    })?;
    let identity = checker.identity();
    api.approvals
        .approve(checker.scope(), id, identity, &seen)
        .await?;
    show(&api, checker.scope(), id).await
}

#[utoipa::path(tag = "approvals", operation_id = "reject_approval", request_body = RejectBody,
    params(("id" = ApprovalId, Path)), extensions(("x-capability" = json!(can::DecideApprovals::names()))),
    responses((status = 200, body = ApprovalView), (status = 409, description = "It is decided or expired already.")))]
#[post("/api/v1/approvals/{id}/reject")]
async fn reject(
    api: Api,
    Guarded(checker, (Id(id), Json(body))): Guarded<
        AllowedMember<can::DecideApprovals>,
        (Id<ApprovalId>, Json<RejectBody>),
    >,
) -> Result<Answer<ApprovalView>, ApiError> {
    let identity = checker.identity();
    api.approvals
        .reject(checker.scope(), id, identity, &body.reason)
        .await?;
    show(&api, checker.scope(), id).await
}

/// Takes back what one asked for, while nobody has decided on it.
#[utoipa::path(tag = "approvals", operation_id = "withdraw_approval", params(("id" = ApprovalId, Path)),
    extensions(("x-capability" = json!(can::ReadApprovals::names()))),
    responses((status = 200, body = ApprovalView), (status = 409, description = "It is decided or expired already.")))]
#[post("/api/v1/approvals/{id}/withdraw")]
async fn withdraw(
    api: Api,
    Guarded(maker, Id(id)): Guarded<AllowedMember<can::ReadApprovals>, Id<ApprovalId>>,
) -> Result<Answer<ApprovalView>, ApiError> {
    api.approvals
        .withdraw(maker.scope(), id, maker.identity())
        .await?;
    show(&api, maker.scope(), id).await
}

/// From when on each operation needs a second person.
#[utoipa::path(tag = "approvals", operation_id = "list_approval_limits",
    extensions(("x-capability" = json!(can::ReadApprovals::names()))),
    responses((status = 200, body = Page<ApprovalLimitView>)))]
#[get("/api/v1/approval-limits")]
async fn limits(
    api: Api,
    staff: Allowed<can::ReadApprovals>,
) -> Result<Answer<Page<ApprovalLimitView>>, ApiError> {
    Ok(Answer(whole(
        api.approval_queries.approval_limits(staff.scope()).await?,
    )))
}

/// Sets a limit. To allow more than before needs a second person, where there is one.
#[utoipa::path(tag = "approvals", operation_id = "change_approval_limit", request_body = LimitBody,
    params(("operation" = ReviewedOperation, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of the second person.")),
    extensions(("x-capability" = json!(can::ManageApprovalLimits::names()))),
    responses((status = 200, body = ApprovalLimitView), (status = 409, description = "A second person must agree.")))]
#[put("/api/v1/approval-limits/{operation}")]
async fn change_limit(
    api: Api,
    Guarded(owner, (Id(operation), request)): Guarded<
        AllowedMember<can::ManageApprovalLimits>,
        (Id<ReviewedOperation>, Idempotent<LimitBody>),
    >,
) -> Result<Answer<ApprovalLimitView>, ApiError> {
    let maker = Maker::of(&owner, request.labelled());
    let route = "PUT /api/v1/approval-limits/{operation}";
    let call = IdempotentCall {
        review: posx_kernel::Review::Needed(request.labelled().approval),
        ..request.call(owner.who(), route, api.clock.now())
    };
    let quantity_max = request.body.quantity_max;
    let changed = api
        .approvals
        .change_limit(owner.scope(), operation, quantity_max, owner.identity(), call)
        .await;
    let asked = Asked {
        operation: ReviewedOperation::LimitRaise,
        quantity: quantity_max.unwrap_or(i64::MAX),
    };
    maker.or_ask(&api, asked, changed).await?;
    let all = api.approval_queries.approval_limits(owner.scope()).await?;
    let mut same = all.into_iter().filter(|limit| limit.operation == operation);
    Ok(Answer(same.next().ok_or(ApprovalError::UnknownOperation)?))
}

impl PathId for ReviewedOperation {
    fn read(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn not_found() -> ApiError {
        ApprovalError::UnknownOperation.into()
    }
}

async fn show(api: &Api, scope: &SiteScope, id: ApprovalId) -> Result<Answer<ApprovalView>, ApiError> {
    let found = api.approval_queries.approval(scope, id, api.clock.now()).await?;
    Ok(Answer(found.ok_or(ApprovalError::NotFound)?))
}

/// How much of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub operation: ReviewedOperation,
    pub quantity: i64,
}

/// Who sent a request that may need a second person.
pub(super) struct Maker<'a> {
    scope: &'a SiteScope,
    identity: IdentityId,
    labelled: &'a Labelled,
}

impl<'a> Maker<'a> {
    pub(super) fn of<P: crate::extract::Policy>(
        member: &'a AllowedMember<P>,
        labelled: &'a Labelled,
    ) -> Self {
        Self {
            scope: member.scope(),
            identity: member.identity(),
            labelled,
        }
    }

    /// Does the work, if a second person is not needed or has agreed; else asks for one.
    pub(super) async fn reviewed<T, E: Refusal>(
        self,
        api: &Api,
        asked: Asked,
        call: IdempotentCall,
        work: impl AsyncFnOnce(&IdempotentCall) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        let review = api
            .approvals
            .review(
                self.scope,
                asked.operation,
                asked.quantity,
                self.labelled.approval,
            )
            .await?;
        let call = IdempotentCall { review, ..call };
        let outcome = work(&call).await;
        self.or_ask(api, asked, outcome).await
    }

    async fn or_ask<T, E: Refusal>(
        self,
        api: &Api,
        asked: Asked,
        outcome: Result<T, E>,
    ) -> Result<T, ApiError> {
        match outcome {
            Err(refused) if refused.code() == KeyRefusal::ApprovalNeeded.code() => {
                let wish = AskApproval {
                    operation: asked.operation,
                    quantity: asked.quantity,
                    request: self.labelled.request.clone(),
                    maker: self.identity,
                };
                let approval = api.approvals.ask(self.scope, wish).await?;
                let hint = ApprovalHint::of(&approval, api.clock.now());
                let location = HeaderValue::from_str(&format!("/api/v1/approvals/{}", approval.id));
                let refused = ApiError::from(refused).with_approval(hint);
                Err(match location {
                    Ok(location) => refused.with_header(LOCATION, location),
                    Err(_) => refused,
                })
            }
            outcome => Ok(outcome?),
        }
    }
}
