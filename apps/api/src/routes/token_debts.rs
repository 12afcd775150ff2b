//! What buyers owe of tokens whose money went back, and how it ends.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_allocations::{DebtError, SettleDebt, Settling, TokenDebtView, TokenSettlementView};
use posx_kernel::{AllocationId, Cursor, Page, TokenAmount, TokenSettlementId};
use posx_tenancy::ReviewedOperation;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::approvals::{Asked, Maker};
use super::page;
use crate::extract::{Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, Query, can, created};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(settlements).service(settle);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleBody {
    how: Settling,
    /// No more than is owed.
    amount: TokenAmount,
    /// 1 to 500 characters.
    reason: String,
    /// The hash of the transaction by which the tokens came back; of what is waived there is none.
    tx_hash: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SettledView {
    id: TokenSettlementId,
}

/// Tokens that buyers were sent, got the money back for and still owe, newest first. The id of a debt is its allocation's.
#[utoipa::path(tag = "allocations", operation_id = "list_token_debts", params(Listing),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))), responses((status = 200, body = Page<TokenDebtView>)))]
#[get("/api/v1/token-debts")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAllocations>, Query<Listing>>,
) -> Result<Answer<Page<TokenDebtView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.vesting_queries.token_debts(staff.scope(), None, page).await?,
    ))
}

/// How debts of the allocation ended, newest first.
#[utoipa::path(tag = "allocations", operation_id = "list_token_settlements", params(("id" = AllocationId, Path), Listing),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))),
    responses((status = 200, body = Page<TokenSettlementView>)))]
#[get("/api/v1/token-debts/{id}/settlements")]
async fn settlements(
    api: Api,
    Guarded(staff, (Id(id), Query(query))): Guarded<
        Allowed<can::ReadAllocations>,
        (Id<AllocationId>, Query<Listing>),
    >,
) -> Result<Answer<Page<TokenSettlementView>>, ApiError> {
    let page = page(query.limit, query.after);
    let found = api
        .vesting_queries
        .token_settlements(staff.scope(), id, page)
        .await?;
    Ok(Answer(found.ok_or(DebtError::NotFound)?))
}

/// Ends what the buyer owes of the allocation, or a part of it: the tokens came back, or the debt is given up. A transaction is
/// one buyer's, of one token, and ends each of their debts once.
#[utoipa::path(tag = "allocations", operation_id = "settle_token_debt", request_body = SettleBody,
    params(("id" = AllocationId, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, above the site's limit.")),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 201, body = SettledView),
        (status = 409, description = "The buyer does not owe so much of it, its transaction is counted already, or a second \
            person must agree.")))]
#[post("/api/v1/token-debts/{id}/settlements")]
async fn settle(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::SendAllocations>,
        (Id<AllocationId>, Idempotent<SettleBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let operation = "POST /api/v1/token-debts/{id}/settlements";
    let call = request.call(staff.who(), operation, api.clock.now());
    let body = &request.body;
    let of = api.allocation_queries.allocation(staff.scope(), id, None).await?;
    let decimals = of.ok_or(DebtError::NotFound)?.decimals;
    let asked = Asked {
        operation: ReviewedOperation::TokenDebtSettling,
        quantity: whole_tokens(body.amount, decimals),
    };
    let wish = SettleDebt {
        allocation: id,
        how: body.how,
        amount: body.amount,
        reason: body.reason.clone(),
        tx_hash: body.tx_hash.clone(),
        by: staff.identity(),
    };
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            api.allocations
                .settle_debt(staff.scope(), &wish, Some(call))
                .await
        })
        .await?;
    Ok(created(&made).json(SettledView { id: made.id }))
}

/// A part of one counts as one.
fn whole_tokens(amount: TokenAmount, decimals: u8) -> i64 {
    let token = 10_u128.saturating_pow(u32::from(decimals));
    i64::try_from(amount.base_units().div_ceil(token)).unwrap_or(i64::MAX)
}
