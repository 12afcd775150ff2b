//! Batches of allocations: a draft, two people's word, and what becomes of it.

mod csv_rows;

use actix_web::web::Json as Answer;
use actix_web::{HttpRequest, HttpResponse, get, post};
use futures::stream;
use posx_allocations::{BatchCheck, BatchReport, BatchView, DryRun};
use posx_kernel::{AllocationId, BatchId, Cursor, Page, SiteScope};
use posx_tenancy::ReviewedOperation;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use self::csv_rows::rows_of;
use super::approvals::{Asked, Maker};
use super::page;
use super::reports::streamed::{Format, streamed};
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IdempotentPath, PathId as _, Policy as _, Query, can,
    created,
};
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_batch).service(create);
    config.service(dry_run).service(approve);
    config.service(pause).service(resume).service(discard);
    config.service(report).service(check);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Shape {
    /// Else as `Accept` asks for, and JSON.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// 1 to 100 pending ones.
    allocations: Vec<AllocationId>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBatchBody {
    /// Of what was looked at, as the batch and its dry run show it.
    hash: String,
}

/// Newest first.
#[utoipa::path(tag = "allocations", operation_id = "list_allocation_batches", params(Listing),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))),
    responses((status = 200, body = Page<BatchView>)))]
#[get("/api/v1/allocation-batches")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAllocations>, Query<Listing>>,
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
    Ok(Answer(found(&api, staff.scope(), id).await?))
}

/// A draft: nothing is sent before two others approve it. What cannot be sent now is left out, and its line says why; an
/// allocation that is in another batch, or not pending, refuses it whole.
#[utoipa::path(tag = "allocations", operation_id = "create_allocation_batch", request_body = BatchBody,
    params(("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, above the site's limit.")),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 201, body = BatchView),
        (status = 409, description = "One of them is not pending, none can be sent now, or a second person must agree.")))]
#[post("/api/v1/allocation-batches")]
async fn create(
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
    Ok(created(&made).json(found(&api, staff.scope(), made.id).await?))
}

/// What it would send now, from where, and what it would not. The custodian is asked what its vaults hold; nothing is written.
#[utoipa::path(tag = "allocations", operation_id = "dry_run_allocation_batch", params(("id" = BatchId, Path)),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))), responses((status = 200, body = DryRun)))]
#[get("/api/v1/allocation-batches/{id}/dry-run")]
async fn dry_run(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadAllocations>, Id<BatchId>>,
) -> Result<Answer<DryRun>, ApiError> {
    Ok(Answer(api.allocations.dry_run(staff.scope(), id).await?))
}

/// Agrees to exactly what the named hash stands for. Two people do, neither of them who made it; with the second one a draft is
/// sent. What must not be sent any more is taken out first: then the hash is another one.
#[utoipa::path(tag = "allocations", operation_id = "approve_allocation_batch", request_body = ApproveBatchBody,
    params(("id" = BatchId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 200, body = BatchView),
        (status = 409, description = "The hash is another, this person approved before, or it is approved or over.")))]
#[post("/api/v1/allocation-batches/{id}/approve")]
async fn approve(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::SendAllocations>,
        (Id<BatchId>, Idempotent<ApproveBatchBody>),
    >,
) -> Result<Answer<BatchView>, ApiError> {
    let mut seen = [0; 32];
    hex::decode_to_slice(&request.body.hash, &mut seen).map_err(|_| EdgeError::FieldInvalid {
        field: "hash".to_owned(),
        message: "a hash is 64 hexadecimal digits".to_owned(),
    })?;
    let operation = "POST /api/v1/allocation-batches/{id}/approve";
    let call = request.call(staff.who(), operation, api.clock.now());
    let (scope, by) = (staff.scope(), staff.identity());
    api.allocations
        .approve_batch(scope, id, &seen, by, Some(&call))
        .await?;
    Ok(Answer(found(&api, scope, id).await?))
}

/// Nothing more of it is sent; what is on its way goes on.
#[utoipa::path(tag = "allocations", operation_id = "pause_allocation_batch", params(("id" = BatchId, Path)),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 200, body = BatchView), (status = 409, description = "It is a draft, or over.")))]
#[post("/api/v1/allocation-batches/{id}/pause")]
async fn pause(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::SendAllocations>, Id<BatchId>>,
) -> Result<Answer<BatchView>, ApiError> {
    api.allocations.pause_batch(staff.scope(), id).await?;
    Ok(Answer(found(&api, staff.scope(), id).await?))
}

/// It goes on where it was. If something was taken out of it, two people approve the rest first.
#[utoipa::path(tag = "allocations", operation_id = "resume_allocation_batch",
    params(("id" = BatchId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 200, body = BatchView),
        (status = 409, description = "It is not paused, or what is left of it is not approved.")))]
#[post("/api/v1/allocation-batches/{id}/resume")]
async fn resume(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::SendAllocations>,
        (Id<BatchId>, IdempotentPath),
    >,
) -> Result<Answer<BatchView>, ApiError> {
    let operation = "POST /api/v1/allocation-batches/{id}/resume";
    let call = request.call(staff.who(), operation, api.clock.now());
    api.allocations
        .resume_batch(staff.scope(), id, Some(&call))
        .await?;
    Ok(Answer(found(&api, staff.scope(), id).await?))
}

/// Gives up what is not sent: it is pending again. Of what nobody knows whether it was sent, the custodian is asked: what it never
/// heard of is given up too. A draft is over then; what was begun ends as what was sent ends.
#[utoipa::path(tag = "allocations", operation_id = "discard_allocation_batch", params(("id" = BatchId, Path)),
    extensions(("x-capability" = json!(can::SendAllocations::names()))),
    responses((status = 200, body = BatchView),
        (status = 409, description = "It is being sent: pause it first. Or nothing of it waits.")))]
#[post("/api/v1/allocation-batches/{id}/discard")]
async fn discard(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::SendAllocations>, Id<BatchId>>,
) -> Result<Answer<BatchView>, ApiError> {
    api.allocations.discard_batch(staff.scope(), id).await?;
    Ok(Answer(found(&api, staff.scope(), id).await?))
}

/// Every line as it was agreed to and what became of it, with totals; as CSV the lines, each with who agreed.
#[utoipa::path(tag = "allocations", operation_id = "report_allocation_batch", params(("id" = BatchId, Path), Shape),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))),
    responses((status = 200, content((BatchReport = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/allocation-batches/{id}/report")]
async fn report(
    api: Api,
    Guarded(staff, (Id(id), request, Query(query))): Guarded<
        Allowed<can::ReadAllocations>,
        (Id<BatchId>, HttpRequest, Query<Shape>),
    >,
) -> Result<HttpResponse, ApiError> {
    let report = api.allocation_queries.batch_report(staff.scope(), id).await?;
    let report = report.ok_or_else(BatchId::not_found)?;
    match Format::of(&request, query.format) {
        Format::Json => Ok(HttpResponse::Ok().insert_header(("vary", "accept")).json(report)),
        Format::Csv => {
            let rows = rows_of(&report);
            streamed(Format::Csv, "allocation-batch", stream::iter([Ok(rows)])).await
        }
    }
}

/// The report's deliveries, rebuilt from the books and the custodian alone: what differs is named.
#[utoipa::path(tag = "allocations", operation_id = "check_allocation_batch", params(("id" = BatchId, Path)),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))), responses((status = 200, body = BatchCheck)))]
#[get("/api/v1/allocation-batches/{id}/check")]
async fn check(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadAllocations>, Id<BatchId>>,
) -> Result<Answer<BatchCheck>, ApiError> {
    Ok(Answer(api.allocations.check_batch(staff.scope(), id).await?))
}

async fn found(api: &Api, scope: &SiteScope, id: BatchId) -> Result<BatchView, ApiError> {
    let batch = api.allocation_queries.batch(scope, id).await?;
    batch.ok_or_else(BatchId::not_found)
}
