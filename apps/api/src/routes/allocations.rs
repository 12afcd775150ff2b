//! Allocations and their batches.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_allocations::{AllocationFilter, AllocationView, BatchView, RetryError, StateName};
use posx_kernel::{AllocationId, BatchId, Cursor, OrderId, Page, PartyId};
use posx_tenancy::{Capability, ReviewedOperation};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::approvals::{Asked, Maker};
use super::page;
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, PathId as _, Policy as _, Query, SiteCaller, can,
    created,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_allocation).service(retry);
    config.service(batches).service(get_batch).service(create_batch);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// Everybody's; needs `allocations:read`.
    #[serde(default)]
    all: bool,
    state: Option<StateName>,
    order: Option<OrderId>,
    batch: Option<BatchId>,
    needs_person: Option<bool>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BatchListing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// 1 to 100 pending ones.
    allocations: Vec<AllocationId>,
}

/// What is delivered to the caller, newest first; with `all=true` to everybody.
#[utoipa::path(tag = "allocations", operation_id = "list_allocations", params(Listing),
    extensions(("x-capability" = json!(can::SeeAllocations::names()))),
    responses((status = 200, body = Page<AllocationView>)))]
#[get("/api/v1/allocations")]
async fn list(
    api: Api,
    Guarded(member, Query(query)): Guarded<Allowed<can::SeeAllocations>, Query<Listing>>,
) -> Result<Answer<Page<AllocationView>>, ApiError> {
    let party = member.own_or_all(query.all, Capability::AllocationsRead)?;
    let staff = member.may(Capability::AllocationsRead);
    let filter = AllocationFilter {
        state: query.state,
        order: query.order,
        batch: query.batch.filter(|_| staff),
        party,
        needs_person: query.needs_person.filter(|_| staff),
    };
    let page = page(query.limit, query.after);
    let Page { items, next } = api
        .allocation_queries
        .allocations(member.scope(), &filter, page)
        .await?;
    let items = items
        .into_iter()
        .map(|item| if staff { item } else { item.for_buyer() })
        .collect();
    Ok(Answer(Page { items, next }))
}

#[utoipa::path(tag = "allocations", operation_id = "get_allocation", params(("id" = AllocationId, Path)),
    extensions(("x-capability" = json!(can::SeeAllocations::names()))),
    responses((status = 200, body = AllocationView)))]
#[get("/api/v1/allocations/{id}")]
async fn get_allocation(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeAllocations>, Id<AllocationId>>,
) -> Result<Answer<AllocationView>, ApiError> {
    show(
        &api,
        &member,
        id,
        member.only_own_without(Capability::AllocationsRead)?,
    )
    .await
}

/// Sends a failed allocation round again, once the custodian confirms that the last try is dead and it is not on chain.
#[utoipa::path(tag = "allocations", operation_id = "retry_allocation", params(("id" = AllocationId, Path)),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 200, body = AllocationView), (status = 409, description = "It cannot be tried again.")))]
#[post("/api/v1/allocations/{id}/retry")]
async fn retry(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::SendAllocations>, Id<AllocationId>>,
) -> Result<Answer<AllocationView>, ApiError> {
    api.allocations.retry(staff.scope(), id).await?;
    show(&api, &staff, id, None).await
}

#[utoipa::path(tag = "allocations", operation_id = "list_allocation_batches", params(BatchListing),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))),
    responses((status = 200, body = Page<BatchView>)))]
#[get("/api/v1/allocation-batches")]
async fn batches(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAllocations>, Query<BatchListing>>,
) -> Result<Answer<Page<BatchView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.allocation_queries.batches(staff.scope(), page).await?))
}

#[utoipa::path(tag = "allocations", operation_id = "get_allocation_batch", params(("id" = BatchId, Path)),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))), responses((status = 200, body = BatchView)))]
#[get("/api/v1/allocation-batches/{id}")]
async fn get_batch(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadAllocations>, Id<BatchId>>,
) -> Result<Answer<BatchView>, ApiError> {
    let batch = api.allocation_queries.batch(staff.scope(), id).await?;
    Ok(Answer(batch.ok_or_else(BatchId::not_found)?))
}

/// Queues pending allocations for sending: all of them, or none. An allocation goes into one batch.
#[utoipa::path(tag = "allocations", operation_id = "create_allocation_batch", request_body = BatchBody,
    params(("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, above the site's limit.")),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 201, body = BatchView),
        (status = 409, description = "One of them is not pending, or a second person must agree.")))]
#[post("/api/v1/allocation-batches")]
async fn create_batch(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::SendAllocations>, Idempotent<BatchBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/allocation-batches", api.clock.now());
    let wished = &request.body.allocations;
    let asked = Asked {
        operation: ReviewedOperation::AllocationBatch,
        quantity: i64::try_from(wished.len()).unwrap_or(i64::MAX),
    };
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            let (scope, by) = (staff.scope(), staff.identity());
            api.allocations.create_batch(scope, by, wished, Some(call)).await
        })
        .await?;
    let view = api.allocation_queries.batch(staff.scope(), made.id).await?;
    Ok(created(&made).json(view.ok_or_else(BatchId::not_found)?))
}

async fn show(
    api: &Api,
    member: &SiteCaller,
    id: AllocationId,
    only: Option<PartyId>,
) -> Result<Answer<AllocationView>, ApiError> {
    let found = api
        .allocation_queries
        .allocation(member.scope(), id, only)
        .await?;
    let view = found.ok_or(RetryError::NotFound)?;
    Ok(Answer(if member.may(Capability::AllocationsRead) {
        view
    } else {
        view.for_buyer()
    }))
}
