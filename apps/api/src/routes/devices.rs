//! Devices: staff pair and manage them, and they call by themselves.

mod current;
mod pairing;
mod view;

use actix_web::web::Json as Answer;
use actix_web::{get, post};
use posx_kernel::{Cursor, DeviceId, Page, PlaceId};
use posx_tenancy::{Capability, Device, DeviceError};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use self::view::DeviceView;
use super::page;
use crate::extract::{DeviceStaff, Guarded, Id, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    pairing::routes(config);
    current::routes(config);
    config
        .service(list)
        .service(get_device)
        .service(suspend)
        .service(resume)
        .service(revoke);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// Only the devices there.
    place: Option<PlaceId>,
}

/// The site's devices, newest first; for who is narrowed to places, those there.
#[utoipa::path(tag = "devices", operation_id = "list_devices", params(Listing),
    extensions(("x-capability" = json!(can::ManageDevices::names()))), responses((status = 200, body = Page<DeviceView>)))]
#[get("/api/v1/devices")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<DeviceStaff, Query<Listing>>,
) -> Result<Answer<Page<DeviceView>>, ApiError> {
    let page = page(query.limit, query.after);
    let places = match query.place {
        Some(place) => {
            staff.require_at(Capability::DevicesManage, place)?;
            vec![place]
        }
        None => staff.places(),
    };
    let Page { items, next } = api.device_queries.devices(staff.scope(), &places, page).await?;
    let now = api.clock.now();
    let items = items
        .into_iter()
        .map(|device| DeviceView::of(device, now))
        .collect();
    Ok(Answer(Page { items, next }))
}

#[utoipa::path(tag = "devices", operation_id = "get_device", params(("id" = DeviceId, Path)),
    extensions(("x-capability" = json!(can::ManageDevices::names()))), responses((status = 200, body = DeviceView)))]
#[get("/api/v1/devices/{id}")]
async fn get_device(
    api: Api,
    Guarded(staff, Id(id)): Guarded<DeviceStaff, Id<DeviceId>>,
) -> Result<Answer<DeviceView>, ApiError> {
    let device = within_reach(&api, &staff, id).await?;
    Ok(Answer(DeviceView::of(device, api.clock.now())))
}

/// The device is out from now on, and so is who stands there. Suspending again changes nothing.
#[utoipa::path(tag = "devices", operation_id = "suspend_device", params(("id" = DeviceId, Path)),
    extensions(("x-capability" = json!(can::ManageDevices::names()))),
    responses((status = 200, body = DeviceView), (status = 409, description = "It is not active.")))]
#[post("/api/v1/devices/{id}/suspend")]
async fn suspend(
    api: Api,
    Guarded(staff, Id(id)): Guarded<DeviceStaff, Id<DeviceId>>,
) -> Result<Answer<DeviceView>, ApiError> {
    within_reach(&api, &staff, id).await?;
    let device = api.devices.suspend(staff.scope(), id).await?;
    Ok(Answer(DeviceView::of(device, api.clock.now())))
}

/// A suspended device is in again, with the secret that it has.
#[utoipa::path(tag = "devices", operation_id = "resume_device", params(("id" = DeviceId, Path)),
    extensions(("x-capability" = json!(can::ManageDevices::names()))),
    responses((status = 200, body = DeviceView), (status = 409, description = "It is not suspended.")))]
#[post("/api/v1/devices/{id}/resume")]
async fn resume(
    api: Api,
    Guarded(staff, Id(id)): Guarded<DeviceStaff, Id<DeviceId>>,
) -> Result<Answer<DeviceView>, ApiError> {
    within_reach(&api, &staff, id).await?;
    let device = api.devices.resume(staff.scope(), id).await?;
    Ok(Answer(DeviceView::of(device, api.clock.now())))
}

/// The device is out for good. Revoking again changes nothing.
#[utoipa::path(tag = "devices", operation_id = "revoke_device", params(("id" = DeviceId, Path)),
    extensions(("x-capability" = json!(can::ManageDevices::names()))), responses((status = 200, body = DeviceView)))]
#[post("/api/v1/devices/{id}/revoke")]
async fn revoke(
    api: Api,
    Guarded(staff, Id(id)): Guarded<DeviceStaff, Id<DeviceId>>,
) -> Result<Answer<DeviceView>, ApiError> {
    within_reach(&api, &staff, id).await?;
    let device = api.devices.revoke(staff.scope(), id).await?;
    Ok(Answer(DeviceView::of(device, api.clock.now())))
}

/// A device at a place that the caller does not reach is as one that is not there. A device never moves.
async fn within_reach(api: &Api, staff: &DeviceStaff, id: DeviceId) -> Result<Device, ApiError> {
    let found = api.device_queries.device(staff.scope(), id).await?;
    let found = found.filter(|device| staff.may_at(Capability::DevicesManage, device.place));
    Ok(found.ok_or(DeviceError::NotFound)?)
}
