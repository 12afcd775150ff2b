//! The site's jobs: what waits, what is dead, and giving the dead their tries back.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::PageRequest;
use posx_postgres::JobView;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Allowed, Guarded, Id, JobNumber, PathId as _, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(replay);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    /// `next` of the page before.
    after: Option<i64>,
    /// Only those whose tries are used up.
    #[serde(default)]
    dead: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct JobPage {
    items: Vec<JobView>,
    next: Option<String>,
}

/// Waiting, running and dead jobs, newest first.
#[utoipa::path(tag = "operations", operation_id = "list_jobs", params(Listing),
    extensions(("x-capability" = json!(can::ReadJobs::names()))), responses((status = 200, body = JobPage)))]
#[get("/api/v1/jobs")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadJobs>, Query<Listing>>,
) -> Result<Answer<JobPage>, ApiError> {
    let limit = PageRequest::new(query.limit, None).limit();
    let mut items = api
        .database
        .jobs(staff.scope(), query.dead, query.after, limit + 1)
        .await?;
    let more = items.len() > usize::from(limit);
    items.truncate(usize::from(limit));
    let next = items.last().filter(|_| more).map(|job| job.id.to_string());
    Ok(Answer(JobPage { items, next }))
}

/// Runs a dead job again, with all its tries.
#[utoipa::path(tag = "operations", operation_id = "replay_job", params(("id" = i64, Path)),
    extensions(("x-capability" = json!(can::ReplayJobs::names()))),
    responses((status = 204, description = "It will run.")))]
#[post("/api/v1/jobs/{id}/replay")]
async fn replay(
    api: Api,
    Guarded(staff, Id(JobNumber(id))): Guarded<Allowed<can::ReplayJobs>, Id<JobNumber>>,
) -> Result<HttpResponse, ApiError> {
    if api
        .database
        .replay_job(staff.scope(), id, api.clock.now())
        .await?
    {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(JobNumber::not_found())
    }
}
