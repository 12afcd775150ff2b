//! Devices as they are shown.

use chrono::{DateTime, Utc};
use posx_kernel::{DeviceId, IdentityId, PlaceId, Timestamp};
use posx_tenancy::{Device, DeviceState, Shift};
use serde::Serialize;

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Paired,
    Active,
    Suspended,
    Revoked,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeviceView {
    id: DeviceId,
    name: String,
    place: PlaceId,
    #[schema(inline)]
    state: State,
    /// Heard of within the last three minutes.
    online: bool,
    last_seen_at: Option<DateTime<Utc>>,
    app_version: Option<String>,
    #[schema(inline)]
    cashier: Option<CashierView>,
    paired_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

/// Who stands at the device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CashierView {
    identity: IdentityId,
    /// They are signed off by then at the latest.
    until: DateTime<Utc>,
}

impl CashierView {
    pub const fn of(shift: Shift) -> Self {
        Self {
            identity: shift.cashier,
            until: shift.until,
        }
    }
}

impl DeviceView {
    pub fn of(device: Device, now: Timestamp) -> Self {
        Self {
            state: match device.state {
                DeviceState::Paired => State::Paired,
                DeviceState::Active { .. } => State::Active,
                DeviceState::Suspended => State::Suspended,
                DeviceState::Revoked => State::Revoked,
            },
            online: device.is_online(now),
            cashier: device.shift(now).map(CashierView::of),
            id: device.id,
            name: device.name,
            place: device.place,
            last_seen_at: device.last_seen_at,
            app_version: device.app_version,
            paired_at: device.paired_at,
            created_at: device.created_at,
        }
    }
}
