//! What a device does by itself: it says that it is there, and who stands at it.

use actix_web::post;
use actix_web::web::Json as Answer;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::view::{CashierView, DeviceView};
use crate::extract::{CurrentDevice, Guarded, Json, MemberAtDevice, Policy as _, can, instant};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(heartbeat).service(sign_on).service(sign_off);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct HeartbeatBody {
    app_version: String,
    /// The device's own clock when it sent this.
    #[serde(deserialize_with = "instant")]
    #[schema(value_type = String, format = DateTime)]
    device_time: DateTime<Utc>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct HeartbeatView {
    server_time: DateTime<Utc>,
    /// How far the device's clock is ahead of ours, with the way here counted in; negative: behind.
    clock_ahead_ms: i64,
    #[schema(inline)]
    cashier: Option<CashierView>,
    /// Until the next one.
    next_in_s: u16,
}

/// A third of the time after which a device counts as away.
const HEARTBEAT_EVERY_S: u16 = 60;

/// The device is there. Its first heartbeat makes it active.
#[utoipa::path(tag = "devices", operation_id = "device_heartbeat", request_body = HeartbeatBody,
    extensions(("x-capability" = json!("device"))), responses((status = 200, body = HeartbeatView)))]
#[post("/api/v1/devices/current/heartbeat")]
async fn heartbeat(
    api: Api,
    Guarded(current, Json(body)): Guarded<CurrentDevice, Json<HeartbeatBody>>,
) -> Result<Answer<HeartbeatView>, ApiError> {
    let device = api
        .devices
        .heartbeat(current.scope(), current.device().id, &body.app_version)
        .await?;
    let now = api.clock.now();
    Ok(Answer(HeartbeatView {
        server_time: now,
        clock_ahead_ms: (body.device_time - now).num_milliseconds(),
        cashier: device.shift(now).map(CashierView::of),
        next_in_s: HEARTBEAT_EVERY_S,
    }))
}

/// The caller stands at the device from now on, twelve hours at most. Who stood there before is signed off. Two credentials:
/// the person's token in `Authorization`, the device's in `X-Device-Token`.
#[utoipa::path(tag = "devices", operation_id = "sign_on_at_device", params(("X-Device-Token" = String, Header)),
    extensions(("x-capability" = json!(can::OperateDevices::names()))),
    responses((status = 200, body = DeviceView), (status = 409, description = "The device is not active.")))]
#[post("/api/v1/devices/current/cashier")]
async fn sign_on(api: Api, both: MemberAtDevice) -> Result<Answer<DeviceView>, ApiError> {
    let MemberAtDevice { member, device } = both;
    let device = api
        .devices
        .sign_on(member.scope(), device.id, member.member())
        .await?;
    Ok(Answer(DeviceView::of(device, api.clock.now())))
}

/// Nobody stands at the device any more: it is a kiosk.
#[utoipa::path(tag = "devices", operation_id = "sign_off_at_device",
    extensions(("x-capability" = json!("device"))), responses((status = 200, body = DeviceView)))]
#[post("/api/v1/devices/current/cashier/end")]
async fn sign_off(api: Api, current: CurrentDevice) -> Result<Answer<DeviceView>, ApiError> {
    let device = api.devices.sign_off(current.scope(), current.device().id).await?;
    Ok(Answer(DeviceView::of(device, api.clock.now())))
}
