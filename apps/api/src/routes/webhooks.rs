//! Where providers deliver: verify over the raw bytes → store with its job → commit → 200. Nothing is interpreted here.

use actix_web::{HttpRequest, HttpResponse, post};
use posx_fireblocks::WebhookError;
use posx_kernel::WebhookId;
use posx_postgres::NewWebhook;
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Guarded, Provider, RawBody};
use crate::problem::{ApiError, EdgeError, ProblemBody};
use crate::state::Api;

/// Headers that help a person later. Never a signature.
const KEPT: [&str; 2] = ["content-type", "user-agent"];
const KEPT_CHARS_MAX: usize = 200;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(stripe).service(fireblocks);
}

/// What an event says of itself.
struct Envelope {
    event_id: String,
    event_type: String,
    external_id: Option<String>,
    /// Whether anybody acts on the type.
    known: bool,
}

/// Stripe's endpoint. A second delivery of an event only counts.
#[utoipa::path(tag = "webhooks", operation_id = "stripe_webhook", extensions(("x-capability" = json!("public"))),
    params(("Stripe-Signature" = String, Header)),
    responses((status = 200, description = "Stored."), (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "Not Stripe's; nothing is stored."),
        (status = 413, description = "Larger than 256 KiB."), (status = 503, description = "Not stored: send it again.")))]
#[post("/webhooks/stripe")]
async fn stripe(
    api: Api,
    req: HttpRequest,
    Guarded(_provider, RawBody(body)): Guarded<Provider, RawBody>,
) -> Result<HttpResponse, ApiError> {
    let signature = header(&req, posx_stripe::SIGNATURE_HEADER);
    let ours = &api.stripe_webhooks;
    let delivery = posx_stripe::verify(&body, signature, &ours.secrets, ours.tolerance, api.clock.now())
        .map_err(|error| refused("stripe", error.reason(), EdgeError::BadSignature(Box::new(error))))?;
    let event = delivery
        .event()
        .map_err(|error| EdgeError::BadEvent(Box::new(error)))?;
    let intent = event.payment_intent().map(|notice| notice.intent_id.to_owned());
    let envelope = Envelope {
        known: intent.is_some(),
        external_id: intent.or(event.object.id),
        event_id: event.id,
        event_type: event.kind,
    };
    store(&api, &req, api.payments.provider(), &envelope, &body).await
}

/// Fireblocks' endpoint. A second delivery of an event only counts.
#[utoipa::path(tag = "webhooks", operation_id = "fireblocks_webhook", extensions(("x-capability" = json!("public"))),
    params(("Fireblocks-Webhook-Signature" = String, Header)),
    responses((status = 200, description = "Stored."), (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "Not Fireblocks'; nothing is stored."),
        (status = 413, description = "Larger than 256 KiB."), (status = 503, description = "Not stored: send it again.")))]
#[post("/webhooks/fireblocks")]
async fn fireblocks(
    api: Api,
    req: HttpRequest,
    Guarded(_provider, RawBody(body)): Guarded<Provider, RawBody>,
) -> Result<HttpResponse, ApiError> {
    let signature = header(&req, posx_fireblocks::SIGNATURE_HEADER);
    let verified = api.fireblocks_webhooks.verify(&body, signature).await;
    let delivery = verified.map_err(|error| {
        let edge = match error {
            WebhookError::Invalid(_) => EdgeError::BadSignature(Box::new(error)),
            WebhookError::KeysUnavailable(_) => EdgeError::KeysUnavailable(Box::new(error)),
        };
        refused("fireblocks", error.reason(), edge)
    })?;
    let event = delivery
        .event()
        .map_err(|error| EdgeError::BadEvent(Box::new(error)))?;
    let known = event.transaction.is_some();
    let ours = event
        .transaction
        .and_then(|transaction| transaction.external_tx_id);
    let envelope = Envelope {
        known,
        external_id: ours.or(event.resource_id),
        event_id: event.id,
        event_type: event.kind,
    };
    store(&api, &req, api.custody.provider(), &envelope, &body).await
}

async fn store(
    api: &Api,
    req: &HttpRequest,
    provider: &'static str,
    envelope: &Envelope,
    body: &[u8],
) -> Result<HttpResponse, ApiError> {
    let now = api.clock.now();
    let new = NewWebhook {
        id: WebhookId::from_uuid(api.ids.uuid(now)),
        provider,
        event_id: &envelope.event_id,
        event_type: &envelope.event_type,
        external_id: envelope.external_id.as_deref(),
        known: envelope.known,
        body,
        headers: kept_headers(req),
        received_at: now,
    };
    let first = api.database.store_webhook(&new).await?;
    let outcome = match (first, envelope.known) {
        (true, true) => "stored",
        (true, false) => "ignored",
        (false, _) => "again",
    };
    metrics::counter!("posx_webhooks_total", "provider" => provider, "outcome" => outcome).increment(1);
    tracing::info!(
        provider,
        event = new.event_id,
        kind = new.event_type,
        outcome,
        "webhook"
    );
    Ok(HttpResponse::Ok().json(json!({ "outcome": outcome })))
}

fn refused(provider: &'static str, reason: &'static str, error: EdgeError) -> ApiError {
    metrics::counter!("posx_webhooks_refused_total", "provider" => provider, "reason" => reason).increment(1);
    error.into()
}

/// Empty when it is missing: no signature is ever empty.
fn header<'a>(req: &'a HttpRequest, name: &str) -> &'a str {
    req.headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

fn kept_headers(req: &HttpRequest) -> serde_json::Value {
    let kept = KEPT.iter().filter_map(|name| {
        let text: String = header(req, name).chars().take(KEPT_CHARS_MAX).collect();
        (!text.is_empty()).then(|| ((*name).to_owned(), text.into()))
    });
    serde_json::Value::Object(kept.collect())
}
