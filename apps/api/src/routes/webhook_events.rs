//! What providers told about the site's objects, for its staff.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::{Cursor, Page, WebhookId};
use posx_postgres::WebhookView;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::page;
use crate::extract::{Allowed, Guarded, Id, PathId as _, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(replay).service(park);
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum InboxState {
    Received,
    Done,
    Dead,
    Ignored,
    Parked,
}

impl InboxState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Ignored => "ignored",
            Self::Parked => "parked",
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    #[param(inline)]
    state: Option<InboxState>,
}

/// The site's events, newest first.
#[utoipa::path(tag = "operations", operation_id = "list_webhook_events", params(Listing),
    extensions(("x-capability" = json!(can::ReadJobs::names()))), responses((status = 200, body = Page<WebhookView>)))]
#[get("/api/v1/webhook-events")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadJobs>, Query<Listing>>,
) -> Result<Answer<Page<WebhookView>>, ApiError> {
    let (state, page) = (
        query.state.map(InboxState::as_str),
        page(query.limit, query.after),
    );
    Ok(Answer(api.database.webhooks(staff.scope(), state, page).await?))
}

/// Has the event interpreted again. What is applied already stays as it is.
#[utoipa::path(tag = "operations", operation_id = "replay_webhook_event", params(("id" = WebhookId, Path)),
    extensions(("x-capability" = json!(can::ReplayJobs::names()))),
    responses((status = 204, description = "It will be interpreted.")))]
#[post("/api/v1/webhook-events/{id}/replay")]
async fn replay(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReplayJobs>, Id<WebhookId>>,
) -> Result<HttpResponse, ApiError> {
    if api
        .database
        .replay_webhook(staff.scope(), id, api.clock.now())
        .await?
    {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(WebhookId::not_found())
    }
}

/// Sets the event aside: it is not interpreted, and not deleted with its age, until it is replayed. What is applied stays.
#[utoipa::path(tag = "operations", operation_id = "park_webhook_event", params(("id" = WebhookId, Path)),
    extensions(("x-capability" = json!(can::ReplayJobs::names()))),
    responses((status = 204, description = "It is parked.")))]
#[post("/api/v1/webhook-events/{id}/park")]
async fn park(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReplayJobs>, Id<WebhookId>>,
) -> Result<HttpResponse, ApiError> {
    let now = api.clock.now();
    if api
        .database
        .park_webhook(staff.scope(), id, "parked_by_staff", now)
        .await?
    {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(WebhookId::not_found())
    }
}
