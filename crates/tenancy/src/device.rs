//! Devices of a site: paired by a code, they act as a kiosk or with the cashier who stands there.

mod code;
mod entity;
mod error;
mod ports;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{
    Begin, Clock, DeviceId, Event, IdentityId, Ids, PlaceId, Randomness, SiteScope, StoreError, StoreFault,
    Timestamp, retry_busy,
};
use secrecy::SecretString;
use serde_json::{Value, json};

pub use entity::{Device, DeviceState, Shift};
pub use error::DeviceError;
pub use ports::{DeviceQueries, DeviceRepository, DevicesTx, Pairing};

use crate::{Capability, CredentialKind, Member};

pub const NAME_CHARS_MAX: usize = 100;
pub const VERSION_CHARS_MAX: usize = 50;
pub const PAIRING_MINUTES: i64 = 10;
pub const DEVICES_MAX: u32 = 1_000;
/// The arithmetic of guessing stands at [`code::new_code`].
pub const OPEN_PAIRINGS_MAX: u32 = 20;
/// Of everyone at one site together.
pub const PAIRING_TRIES_PER_MINUTE: u32 = 30;

/// What a cashier may do at a device, if their role lets them: what a till is for, and nothing else of theirs. A kiosk may
/// none of it.
const AT_A_DEVICE: &[Capability] = &[Capability::DevicesOperate];

/// Whether who stands at a device of that place may do it there.
pub fn may_at_device(cashier: &Member, place: PlaceId, capability: Capability) -> bool {
    AT_A_DEVICE.contains(&capability) && cashier.role.may(capability) && cashier.reaches(place)
}

/// A code that a person types into the device, shown once.
#[derive(Debug)]
pub struct StartedPairing {
    pub device: DeviceId,
    pub code: SecretString,
    pub expires_at: Timestamp,
}

/// Use cases of devices inside one site.
#[derive(Clone)]
pub struct Devices {
    db: Arc<dyn Begin<dyn DevicesTx>>,
    queries: Arc<dyn DeviceQueries>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for Devices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Devices").finish_non_exhaustive()
    }
}

impl Devices {
    pub fn new(
        db: Arc<dyn Begin<dyn DevicesTx>>,
        queries: Arc<dyn DeviceQueries>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            queries,
            clock,
            ids,
            randomness,
        }
    }

    /// A code for a device that is not there yet.
    pub async fn start_pairing(
        &self,
        scope: &SiteScope,
        name: &str,
        place: PlaceId,
    ) -> Result<StartedPairing, DeviceError> {
        let name = name.trim();
        if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
            return Err(DeviceError::Name);
        }
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            if !tx.devices().place_is_open(place).await? {
                return Err(DeviceError::Place);
            }
            if tx.devices().count().await? >= DEVICES_MAX {
                return Err(DeviceError::TooMany);
            }
            let device = DeviceId::from_uuid(self.ids.uuid(self.clock.now()));
            let started = self.start_in_tx(tx.as_mut(), scope, device, name, place).await?;
            tx.commit().await?;
            Ok(started)
        })
        .await
    }

    /// A code for a device that lost its secret. The secret so far holds until the code is claimed.
    pub async fn start_pairing_again(
        &self,
        scope: &SiteScope,
        id: DeviceId,
    ) -> Result<StartedPairing, DeviceError> {
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            // Counted first: the lock of the site comes before that of the row, here as when a device is made.
            tx.devices().count().await?;
            // Codes before the device, as a claim locks them.
            tx.devices().close_pairings(id, self.clock.now()).await?;
            let device = find_in_tx(tx.as_mut(), id).await?;
            device.check_pairs_again()?;
            let started = self
                .start_in_tx(tx.as_mut(), scope, id, &device.name, device.place)
                .await?;
            tx.commit().await?;
            Ok(started)
        })
        .await
    }

    async fn start_in_tx(
        &self,
        tx: &mut dyn DevicesTx,
        scope: &SiteScope,
        device: DeviceId,
        name: &str,
        place: PlaceId,
    ) -> Result<StartedPairing, DeviceError> {
        let now = self.clock.now();
        if tx.devices().count_pairings(now).await? >= OPEN_PAIRINGS_MAX {
            return Err(DeviceError::TooManyPairings);
        }
        let code = code::new_code(self.randomness.as_ref());
        let pairing = Pairing {
            code_hash: code::hash_typed(&code),
            device,
            name: name.to_owned(),
            place,
            started_by: scope.actor().who.identity(),
            created_at: now,
            expires_at: now + TimeDelta::minutes(PAIRING_MINUTES),
        };
        if !tx.devices().insert_pairing(&pairing).await? {
            return Err(StoreError::new(StoreFault::Retry, "the code is taken").into());
        }
        let payload = json!({ "place": place, "expires_at": pairing.expires_at });
        tx.outbox()
            .append(event("device.pairing_started", device, payload, now))
            .await?;
        Ok(StartedPairing {
            device,
            code: code::shown(&code).into(),
            expires_at: pairing.expires_at,
        })
    }

    /// The device claims its code and gets its secret, once.
    pub async fn pair(&self, scope: &SiteScope, typed: &str) -> Result<(Device, SecretString), DeviceError> {
        let code = code::hash_typed(typed);
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            let now = self.clock.now();
            let claimed = tx.devices().claim(&code, now).await?;
            let pairing = claimed.ok_or(DeviceError::Code)?;
            let made = CredentialKind::Device.issue(self.randomness.as_ref());
            let known = tx.devices().for_update(pairing.device).await?;
            let device = if let Some(mut device) = known {
                let again = device.pair_again(made.public_part.clone(), made.hash.clone(), now);
                again.map_err(|_| DeviceError::Code)?;
                tx.devices().save(&device).await?;
                device
            } else {
                let device = Device {
                    id: pairing.device,
                    name: pairing.name,
                    place: pairing.place,
                    state: DeviceState::Paired,
                    public_part: made.public_part.clone(),
                    hash: made.hash.clone(),
                    app_version: None,
                    last_seen_at: None,
                    paired_at: now,
                    created_at: now,
                };
                tx.devices().insert(&device).await?;
                device
            };
            let payload = json!({ "place": device.place, "public_part": made.public_part });
            tx.outbox()
                .append(event("device.paired", device.id, payload, now))
                .await?;
            tx.commit().await?;
            Ok((device, made.text))
        })
        .await
    }

    /// The device that the text opens at this site. Whatever is wrong with it, the answer is the same and as late.
    pub async fn verify(&self, scope: &SiteScope, text: &str) -> Result<Option<Device>, StoreError> {
        let shown = CredentialKind::Device.read(text);
        let found = self
            .queries
            .device_by_public_part(scope, &shown.public_part)
            .await?;
        let is_it = shown.is(found.as_ref().map(|device| &device.hash));
        Ok(found.filter(|device| is_it && device.state.is_let_in()))
    }

    /// The device says that it is there. The first time makes it active.
    pub async fn heartbeat(
        &self,
        scope: &SiteScope,
        id: DeviceId,
        app_version: &str,
    ) -> Result<Device, DeviceError> {
        let fits = (1..=VERSION_CHARS_MAX).contains(&app_version.len());
        if !fits || !app_version.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(DeviceError::Version);
        }
        self.change(scope, id, |device, now| {
            let first = device.heartbeat(app_version, now)?;
            Ok(first
                .then_some(("device.activated", json!({})))
                .into_iter()
                .collect())
        })
        .await
    }

    pub async fn suspend(&self, scope: &SiteScope, id: DeviceId) -> Result<Device, DeviceError> {
        self.change(scope, id, |device, _| {
            let first = device.suspend()?;
            Ok(first
                .then_some(("device.suspended", json!({})))
                .into_iter()
                .collect())
        })
        .await
    }

    pub async fn resume(&self, scope: &SiteScope, id: DeviceId) -> Result<Device, DeviceError> {
        self.change(scope, id, |device, _| {
            let first = device.resume()?;
            Ok(first
                .then_some(("device.resumed", json!({})))
                .into_iter()
                .collect())
        })
        .await
    }

    pub async fn revoke(&self, scope: &SiteScope, id: DeviceId) -> Result<Device, DeviceError> {
        self.change(scope, id, |device, _| {
            let first = device.revoke();
            Ok(first
                .then_some(("device.revoked", json!({})))
                .into_iter()
                .collect())
        })
        .await
    }

    /// The member stands at the device from now on. Who stood there before is signed off.
    pub async fn sign_on(
        &self,
        scope: &SiteScope,
        id: DeviceId,
        member: &Member,
    ) -> Result<Device, DeviceError> {
        self.change(scope, id, |device, now| {
            if !may_at_device(member, device.place, Capability::DevicesOperate) {
                return Err(DeviceError::NotACashierHere);
            }
            let (shift, before) = device.sign_on(member.identity, now)?;
            let mut facts: Vec<_> = before.map(signed_off).into_iter().collect();
            let payload = json!({ "cashier": shift.cashier, "until": shift.until });
            facts.push(("device.cashier_signed_on", payload));
            Ok(facts)
        })
        .await
    }

    pub async fn sign_off(&self, scope: &SiteScope, id: DeviceId) -> Result<Device, DeviceError> {
        self.change(scope, id, |device, now| {
            Ok(device.sign_off(now)?.map(signed_off).into_iter().collect())
        })
        .await
    }

    /// Loads, tells, stores, and appends what it came to.
    async fn change(
        &self,
        scope: &SiteScope,
        id: DeviceId,
        tell: impl Fn(&mut Device, Timestamp) -> Result<Vec<Fact>, DeviceError> + Send + Sync,
    ) -> Result<Device, DeviceError> {
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            let mut device = find_in_tx(tx.as_mut(), id).await?;
            let now = self.clock.now();
            let facts = tell(&mut device, now)?;
            tx.devices().save(&device).await?;
            for (kind, payload) in facts {
                tx.outbox().append(event(kind, id, payload, now)).await?;
            }
            tx.commit().await?;
            Ok(device)
        })
        .await
    }
}

/// Kind and payload of an event.
type Fact = (&'static str, Value);

fn signed_off(cashier: IdentityId) -> Fact {
    ("device.cashier_signed_off", json!({ "cashier": cashier }))
}

async fn find_in_tx(tx: &mut dyn DevicesTx, id: DeviceId) -> Result<Device, DeviceError> {
    let found = tx.devices().for_update(id).await?;
    found.ok_or(DeviceError::NotFound)
}

fn event(kind: &'static str, device: DeviceId, payload: Value, at: Timestamp) -> Event {
    Event {
        kind,
        subject: device.as_uuid(),
        payload,
        at,
    }
}
