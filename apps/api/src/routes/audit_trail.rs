//! Who did what in the site, and the same as sealed, to take away and check.

use actix_web::web::{Bytes, Json as Answer};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use futures::stream;
use posx_kernel::{PageRequest, SiteScope, StoreError};
use posx_postgres::{AuditEntry, AuditFilter, SealedEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::extract::{Allowed, Guarded, Policy as _, Query, can};
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

/// Sealed events of one read of the database.
const EXPORT_STEP: u16 = 500;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(export);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    /// `next` of the page before.
    after: Option<i64>,
    /// As in `tier.edited`.
    kind: Option<String>,
    /// An id, with or without its prefix: what it happened to.
    subject: Option<String>,
    /// An id, with or without its prefix: of the identity, the key or the device that did it.
    actor: Option<String>,
    /// Of the answer's `X-Request-Id`.
    request_id: Option<String>,
    since: Option<DateTime<Utc>>,
    /// Up to this instant, which is not part of it.
    until: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AuditPage {
    items: Vec<AuditEntry>,
    next: Option<String>,
}

/// What was done in the site and by whom, newest first.
#[utoipa::path(tag = "audit", operation_id = "list_audit_trail", params(Listing),
    extensions(("x-capability" = json!(can::ReadAudit::names()))), responses((status = 200, body = AuditPage)))]
#[get("/api/v1/audit-trail")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAudit>, Query<Listing>>,
) -> Result<Answer<AuditPage>, ApiError> {
    let limit = PageRequest::new(query.limit, None).limit();
    let filter = AuditFilter {
        kind: query.kind,
        subject: query
            .subject
            .as_deref()
            .map(|id| uuid_of(id, "subject"))
            .transpose()?,
        actor: query
            .actor
            .as_deref()
            .map(|id| uuid_of(id, "actor"))
            .transpose()?,
        request_id: query.request_id,
        since: query.since,
        until: query.until,
    };
    let mut items = api
        .database
        .audit_trail(staff.scope(), &filter, query.after, limit + 1)
        .await?;
    let more = items.len() > usize::from(limit);
    items.truncate(usize::from(limit));
    let next = items.last().filter(|_| more).map(|entry| entry.id.to_string());
    Ok(Answer(AuditPage { items, next }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Exporting {
    /// The position of the last line that was read: a download that broke off goes on behind it.
    after: Option<i64>,
}

/// Every sealed event, one JSON object a line, in the order of the chain. `digest` is SHA-256 over the 32 bytes of the digest before
/// it (nothing, for the first) and the bytes of the text `event`: whoever has the lines can check that none was changed or left out.
#[utoipa::path(tag = "audit", operation_id = "export_audit_trail", params(Exporting),
    extensions(("x-capability" = json!(can::ReadAudit::names()))),
    responses((status = 200, content_type = "application/x-ndjson", body = String,
        description = "Lines of `position`, `digest` (hexadecimal digits) and `event` (text).")))]
#[get("/api/v1/audit-trail/export")]
async fn export(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAudit>, Query<Exporting>>,
) -> Result<HttpResponse, ApiError> {
    // The first step before the answer begins, so that its failure is one that the client sees.
    let scope = staff.scope().clone();
    let first = step(&api, &scope, query.after.unwrap_or(0)).await?;
    let steps = stream::try_unfold(Some(first), move |events| {
        let (api, scope) = (api.clone(), scope.clone());
        async move {
            let Some(events) = events else {
                return Ok::<_, StoreError>(None);
            };
            let next = match events.last() {
                Some(last) if events.len() == usize::from(EXPORT_STEP) => {
                    Some(step(&api, &scope, last.position).await?)
                }
                _ => None,
            };
            Ok(Some((lines(&events), next)))
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((
            "content-disposition",
            "attachment; filename=\"audit-trail.ndjson\"",
        ))
        .streaming(steps))
}

async fn step(api: &Api, scope: &SiteScope, position: i64) -> Result<Vec<SealedEvent>, StoreError> {
    api.database.sealed_events(scope, position, EXPORT_STEP).await
}

fn lines(events: &[SealedEvent]) -> Bytes {
    let line = |event: &SealedEvent| {
        let digest = event.digest_hex();
        format!(
            "{}\n",
            json!({ "position": event.position, "digest": digest, "event": event.line })
        )
    };
    events.iter().map(line).collect::<String>().into()
}

/// `ord_0190…` or `0190…`: the trail's subjects are of every kind.
fn uuid_of(id: &str, field: &'static str) -> Result<Uuid, ApiError> {
    let digits = id.rsplit_once('_').map_or(id, |(_, digits)| digits);
    Uuid::try_parse(digits).map_err(|_| {
        let message = format!("{field}: not an id");
        EdgeError::QueryInvalid { message }.into()
    })
}
