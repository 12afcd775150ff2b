//! How a device gets its secret: staff ask for a code, and the device claims it.

use actix_web::{HttpRequest, HttpResponse, post};
use chrono::{DateTime, Utc};
use posx_kernel::{DeviceId, PlaceId, SiteId};
use posx_tenancy::{Bucket, Capability, DeviceError, PAIRING_TRIES_PER_MINUTE, RateVerdict, StartedPairing};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::view::DeviceView;
use super::within_reach;
use crate::extract::{DeviceStaff, Guarded, Id, Json, Policy as _, PublicSite, can};
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(start).service(start_again).service(pair);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PairingBody {
    name: String,
    place: PlaceId,
}

/// No `Debug`: it carries a code.
#[derive(Serialize, utoipa::ToSchema)]
struct PairingView {
    device: DeviceId,
    /// To be typed into the device: `7K2M-9QXD`, shown this once.
    code: String,
    /// Ten minutes from now.
    expires_at: DateTime<Utc>,
}

/// No `Debug`: it carries a code.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = PairingCode)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    /// In any case, with or without its dash.
    code: String,
}

/// No `Debug`: it carries a secret.
#[derive(Serialize, utoipa::ToSchema)]
struct PairedView {
    device: DeviceView,
    /// The device's own token, `psd_…`: shown this once.
    secret: String,
}

impl PairingView {
    fn of(started: &StartedPairing) -> Self {
        Self {
            device: started.device,
            code: started.code.expose_secret().to_owned(),
            expires_at: started.expires_at,
        }
    }
}

/// A code for a device that is not there yet. It is good once, within ten minutes; a code that was lost is asked for anew.
#[utoipa::path(tag = "devices", operation_id = "start_device_pairing", request_body = PairingBody,
    extensions(("x-capability" = json!(can::ManageDevices::names()))),
    responses((status = 201, body = PairingView), (status = 409, description = "The site has as many as it may have.")))]
#[post("/api/v1/device-pairings")]
async fn start(
    api: Api,
    Guarded(staff, Json(body)): Guarded<DeviceStaff, Json<PairingBody>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_at(Capability::DevicesManage, body.place)?;
    let started = api
        .devices
        .start_pairing(staff.scope(), &body.name, body.place)
        .await?;
    Ok(HttpResponse::Created().json(PairingView::of(&started)))
}

/// A code for a device that lost its secret. The secret so far holds until the code is claimed; earlier codes do not.
#[utoipa::path(tag = "devices", operation_id = "start_device_pairing_again", params(("id" = DeviceId, Path)),
    extensions(("x-capability" = json!(can::ManageDevices::names()))),
    responses((status = 201, body = PairingView), (status = 409, description = "It is suspended or revoked.")))]
#[post("/api/v1/devices/{id}/pairings")]
async fn start_again(
    api: Api,
    Guarded(staff, Id(id)): Guarded<DeviceStaff, Id<DeviceId>>,
) -> Result<HttpResponse, ApiError> {
    within_reach(&api, &staff, id).await?;
    let started = api.devices.start_pairing_again(staff.scope(), id).await?;
    Ok(HttpResponse::Created().json(PairingView::of(&started)))
}

/// The device claims its code and is shown its own token, once.
#[utoipa::path(tag = "devices", operation_id = "pair_device", request_body = CodeBody,
    extensions(("x-capability" = json!("public"))), responses((status = 201, body = PairedView)))]
#[post("/api/v1/devices/pair")]
async fn pair(
    api: Api,
    req: HttpRequest,
    Guarded(PublicSite(context), Json(body)): Guarded<PublicSite, Json<CodeBody>>,
) -> Result<HttpResponse, ApiError> {
    let (site, address) = (context.site.id, limit::address_key(&req, &api));
    // Growing delays are for who fails: an address at a site, so that a guesser delays nobody else.
    let guesser = format!("pairing:{site}:{address}");
    let delayed = |retry_after_s| EdgeError::SignInDelayed { retry_after_s };
    api.sign_in_guard
        .check(&guesser, &address)
        .await
        .map_err(delayed)?;
    count_try(&api, site).await.map_err(delayed)?;
    let paired = api.devices.pair(&context.scope, &body.code).await;
    match &paired {
        Ok(_) => api.sign_in_guard.succeeded(&guesser).await,
        Err(DeviceError::Code) => api.sign_in_guard.failed(&guesser, &address).await,
        // Says nothing of who asks.
        Err(_) => {}
    }
    let (device, secret) = paired?;
    Ok(HttpResponse::Created().json(PairedView {
        device: DeviceView::of(device, api.clock.now()),
        secret: secret.expose_secret().to_owned(),
    }))
}

/// Of everyone together: what the arithmetic of guessing counts on. The error: how many seconds to wait.
async fn count_try(api: &Api, site: SiteId) -> Result<(), u32> {
    let tries = Bucket::per_minute("pairing", site.to_string(), PAIRING_TRIES_PER_MINUTE);
    match api.limiter.check(&[tries]).await {
        RateVerdict::Allowed { .. } => Ok(()),
        RateVerdict::Refused { retry_after_s, .. } => Err(retry_after_s),
    }
}
