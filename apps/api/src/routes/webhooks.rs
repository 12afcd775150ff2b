//! Where providers deliver: verify over the raw bytes → store with its job → commit → 200. Nothing is interpreted here.

use actix_web::{HttpRequest, HttpResponse, post};
use posx_fireblocks::WebhookError;
use posx_kernel::WebhookId;
use posx_postgres::{NewWebhook, WebhookEndpoint};
use posx_stripe::SigningSecret;
use posx_tenancy::SiteCode;
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Guarded, Provider, RawBody};
use crate::problem::{ApiError, EdgeError, ProblemBody};
use crate::state::Api;

/// Headers that help a person later. Never a signature.
const KEPT: [&str; 2] = ["content-type", "user-agent"];
const KEPT_CHARS_MAX: usize = 200;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(stripe)
        .service(stripe_connect)
        .service(stripe_of_site);
    config.service(fireblocks);
}

/// What an event says of itself.
struct Envelope<'a> {
    endpoint: &'a str,
    event_id: String,
    event_type: String,
    external_id: Option<String>,
    /// Whether anybody acts on the type.
    known: bool,
}

/// Stripe's endpoint for every site that has none of its own. A second delivery of an event only counts.
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
    let secrets = &api.stripe_webhooks.shared;
    from_stripe(&api, &req, &body, secrets, WebhookEndpoint::SHARED).await
}

/// Stripe's endpoint for events of connected accounts.
#[utoipa::path(tag = "webhooks", operation_id = "stripe_connect_webhook", extensions(("x-capability" = json!("public"))),
    params(("Stripe-Signature" = String, Header)),
    responses((status = 200, description = "Stored."), (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "Not Stripe's; nothing is stored."),
        (status = 404, description = "No such endpoint is configured."), (status = 413, description = "Larger than 256 KiB."), (status = 503, description = "Not stored: send it again.")))]
#[post("/webhooks/stripe-connect")]
async fn stripe_connect(
    api: Api,
    req: HttpRequest,
    Guarded(_provider, RawBody(body)): Guarded<Provider, RawBody>,
) -> Result<HttpResponse, ApiError> {
    let secrets = &api.stripe_webhooks.connect;
    from_stripe(&api, &req, &body, secrets, WebhookEndpoint::CONNECT).await
}

/// The endpoint of a site that is paid into an account of its own. An event of another site's object is parked.
#[utoipa::path(tag = "webhooks", operation_id = "stripe_site_webhook", extensions(("x-capability" = json!("public"))),
    params(("site" = String, Path, description = "The site's code."), ("Stripe-Signature" = String, Header)),
    responses((status = 200, description = "Stored."), (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "Not Stripe's; nothing is stored."),
        (status = 404, description = "No such endpoint is configured."), (status = 413, description = "Larger than 256 KiB."), (status = 503, description = "Not stored: send it again.")))]
#[post("/webhooks/stripe/{site}")]
async fn stripe_of_site(
    api: Api,
    req: HttpRequest,
    Guarded(_provider, RawBody(body)): Guarded<Provider, RawBody>,
) -> Result<HttpResponse, ApiError> {
    let site = SiteCode::new(req.match_info().query("site")).ok_or(EdgeError::NoRoute)?;
    let site = api
        .directory
        .site_by_code(&site)
        .await?
        .ok_or(EdgeError::NoRoute)?;
    let secrets = api.stripe_endpoint_of(&site).await?;
    from_stripe(&api, &req, &body, &secrets, site.code.as_str()).await
}

async fn from_stripe(
    api: &Api,
    req: &HttpRequest,
    body: &[u8],
    secrets: &[SigningSecret],
    endpoint: &str,
) -> Result<HttpResponse, ApiError> {
    if secrets.is_empty() {
        return Err(EdgeError::NoRoute.into());
    }
    let (signature, tolerance) = (
        header(req, posx_stripe::SIGNATURE_HEADER),
        api.stripe_webhooks.tolerance,
    );
    let delivery = posx_stripe::verify(body, signature, secrets, tolerance, api.clock.now())
        .map_err(|error| refused("stripe", error.reason(), EdgeError::BadSignature(Box::new(error))))?;
    let event = delivery
        .event()
        .map_err(|error| EdgeError::BadEvent(Box::new(error)))?;
    let of_account = event
        .of_connected_account()
        .map(posx_stripe::AccountNotice::account);
    let money = event.notice().map(posx_stripe::Notice::external_id);
    let ours = of_account.or(money).or(event.transfer()).map(str::to_owned);
    let envelope = Envelope {
        known: ours.is_some(),
        external_id: ours.or(event.object.id),
        event_id: event.id,
        event_type: event.kind,
        endpoint,
    };
    store(api, req, api.payments.provider(), &envelope, body).await
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
        endpoint: WebhookEndpoint::SHARED,
    };
    store(&api, &req, api.custody.provider(), &envelope, &body).await
}

async fn store(
    api: &Api,
    req: &HttpRequest,
    provider: &'static str,
    envelope: &Envelope<'_>,
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
        endpoint: envelope.endpoint,
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
