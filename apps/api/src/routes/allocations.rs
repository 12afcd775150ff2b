//! Allocations.

use actix_web::web::Json as Answer;
use actix_web::{get, post};
use posx_allocations::{AllocationFilter, AllocationView, RetryError, StateName};
use posx_kernel::{AllocationId, BatchId, Cursor, OrderId, Page, PartyId};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::page;
use crate::extract::{Allowed, Guarded, Id, Policy as _, Query, SiteCaller, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_allocation).service(retry);
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

/// Sends a failed allocation round again, once the custodian confirms that none of its tries lives and it is not on chain. So does
/// one that is pending and parked because an earlier try seemed to live.
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
