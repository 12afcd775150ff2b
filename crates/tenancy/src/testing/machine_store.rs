//! Keys and devices in memory. A transaction works on a copy and puts it back when it commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use posx_kernel::{
    ApiKeyId, Begin, DeviceId, Event, Idempotency, IdempotentTx, Outbox, Page, PageRequest, PlaceId,
    RememberedAnswers, SiteId, SiteScope, StoreError, Timestamp, Transaction,
};

use crate::{
    ApiKey, ApiKeyQueries, ApiKeyRepository, ApiKeysTx, CredentialHash, Device, DeviceQueries,
    DeviceRepository, DeviceState, DevicesTx, KeySecret, Pairing,
};

/// What one site's tables hold.
#[derive(Debug, Clone, Default)]
pub struct MachineState {
    pub keys: BTreeMap<ApiKeyId, ApiKey>,
    pub secrets: Vec<(ApiKeyId, KeySecret)>,
    pub devices: BTreeMap<DeviceId, Device>,
    /// With the time of the claim.
    pub pairings: Vec<(Pairing, Option<Timestamp>)>,
    pub open_places: BTreeSet<PlaceId>,
    pub events: Vec<Event>,
    pub answers: RememberedAnswers,
}

/// Sites, each apart. Concurrent transactions do not exist in it: the last commit wins.
#[derive(Debug, Clone, Default)]
pub struct MachineStore(Arc<Mutex<BTreeMap<SiteId, MachineState>>>);

struct MachineTx {
    store: MachineStore,
    site: SiteId,
    state: MachineState,
}

impl MachineStore {
    pub fn of(&self, scope: &SiteScope) -> MachineState {
        let sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites.get(&scope.site()).cloned().unwrap_or_default()
    }

    pub fn arrange(&self, scope: &SiteScope, change: impl FnOnce(&mut MachineState)) {
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(sites.entry(scope.site()).or_default());
    }

    fn open(&self, scope: &SiteScope) -> Box<MachineTx> {
        Box::new(MachineTx {
            store: self.clone(),
            site: scope.site(),
            state: self.of(scope),
        })
    }
}

#[async_trait]
impl Begin<dyn ApiKeysTx> for MachineStore {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ApiKeysTx>, StoreError> {
        Ok(self.open(scope))
    }
}

#[async_trait]
impl Begin<dyn DevicesTx> for MachineStore {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn DevicesTx>, StoreError> {
        Ok(self.open(scope))
    }
}

#[async_trait]
impl Transaction for MachineTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { store, site, state } = *self;
        let mut sites = store.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites.insert(site, state);
        Ok(())
    }
}

impl IdempotentTx for MachineTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        &mut self.state.answers
    }
}

impl ApiKeysTx for MachineTx {
    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository {
        &mut self.state
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        &mut self.state
    }
}

impl DevicesTx for MachineTx {
    fn devices(&mut self) -> &mut dyn DeviceRepository {
        &mut self.state
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        &mut self.state
    }
}

#[async_trait]
impl Outbox for MachineState {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.events.push(event);
        Ok(())
    }
}

fn count<T>(found: impl Iterator<Item = T>) -> Result<u32, StoreError> {
    u32::try_from(found.count()).map_err(|_| StoreError::broken("a count"))
}

#[async_trait]
impl ApiKeyRepository for MachineState {
    async fn count_live(&mut self, now: Timestamp) -> Result<u32, StoreError> {
        count(self.keys.values().filter(|key| key.is_live(now)))
    }

    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.keys.insert(key.id, key.clone());
        Ok(())
    }

    async fn for_update(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.keys.get(&id).cloned())
    }

    async fn save(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        if let Some(stored) = self.keys.get_mut(&key.id) {
            (stored.expires_at, stored.revoked_at) = (key.expires_at, key.revoked_at);
        }
        Ok(())
    }

    async fn insert_secret(&mut self, key: ApiKeyId, secret: &KeySecret) -> Result<(), StoreError> {
        self.secrets.push((key, secret.clone()));
        Ok(())
    }

    async fn end_secrets(&mut self, key: ApiKeyId, until: Timestamp) -> Result<(), StoreError> {
        for (_, secret) in self.secrets.iter_mut().filter(|(of, _)| *of == key) {
            secret.expires_at = secret.expires_at.min(until);
        }
        Ok(())
    }

    async fn count_secrets(&mut self, key: ApiKeyId, now: Timestamp) -> Result<u32, StoreError> {
        let secrets = self.secrets.iter();
        count(secrets.filter(|(of, secret)| *of == key && now < secret.expires_at))
    }

    async fn note_use(
        &mut self,
        key: ApiKeyId,
        at: Timestamp,
        unless_since: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(key) = self.keys.get_mut(&key)
            && key.last_used_at.is_none_or(|last| last <= unless_since)
        {
            key.last_used_at = Some(at);
        }
        Ok(())
    }
}

#[async_trait]
impl DeviceRepository for MachineState {
    async fn place_is_open(&mut self, place: PlaceId) -> Result<bool, StoreError> {
        Ok(self.open_places.contains(&place))
    }

    async fn count(&mut self) -> Result<u32, StoreError> {
        let devices = self.devices.values();
        count(devices.filter(|device| device.state != DeviceState::Revoked))
    }

    async fn count_pairings(&mut self, now: Timestamp) -> Result<u32, StoreError> {
        let pairings = self.pairings.iter();
        count(pairings.filter(|(pairing, claimed)| claimed.is_none() && now < pairing.expires_at))
    }

    async fn insert_pairing(&mut self, pairing: &Pairing) -> Result<bool, StoreError> {
        let taken = self
            .pairings
            .iter()
            .any(|(other, _)| other.code_hash == pairing.code_hash);
        if !taken {
            self.pairings.push((pairing.clone(), None));
        }
        Ok(!taken)
    }

    async fn close_pairings(&mut self, device: DeviceId, now: Timestamp) -> Result<(), StoreError> {
        for (pairing, claimed) in &mut self.pairings {
            if pairing.device == device && claimed.is_none() {
                pairing.expires_at = pairing.expires_at.min(now);
            }
        }
        Ok(())
    }

    async fn claim(&mut self, code: &CredentialHash, now: Timestamp) -> Result<Option<Pairing>, StoreError> {
        let open = self.pairings.iter_mut().find(|(pairing, claimed)| {
            pairing.code_hash == *code && claimed.is_none() && now < pairing.expires_at
        });
        Ok(open.map(|(pairing, claimed)| {
            *claimed = Some(now);
            pairing.clone()
        }))
    }

    async fn insert(&mut self, device: &Device) -> Result<(), StoreError> {
        self.devices.insert(device.id, device.clone());
        Ok(())
    }

    async fn for_update(&mut self, id: DeviceId) -> Result<Option<Device>, StoreError> {
        Ok(self.devices.get(&id).cloned())
    }

    async fn save(&mut self, device: &Device) -> Result<(), StoreError> {
        self.devices.insert(device.id, device.clone());
        Ok(())
    }
}

fn page_of<T>(
    rows: impl DoubleEndedIterator<Item = T>,
    page: PageRequest,
    id: impl Fn(&T) -> uuid::Uuid,
) -> Page<T> {
    let after = page.after_id();
    let rows = rows.rev().filter(|row| after.is_none_or(|after| id(row) < after));
    let rows = rows.take(usize::from(page.limit()) + 1).collect();
    Page::from_rows(rows, page, &id)
}

#[async_trait]
impl ApiKeyQueries for MachineStore {
    async fn api_keys(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<ApiKey>, StoreError> {
        let keys = self.of(scope).keys;
        Ok(page_of(keys.into_values(), page, |key| key.id.as_uuid()))
    }

    async fn api_key(&self, scope: &SiteScope, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.of(scope).keys.get(&id).cloned())
    }

    async fn api_key_by_public_part(
        &self,
        scope: &SiteScope,
        public_part: &str,
    ) -> Result<Option<(ApiKey, KeySecret)>, StoreError> {
        let state = self.of(scope);
        let found = state
            .secrets
            .into_iter()
            .find(|(_, secret)| secret.public_part == public_part);
        Ok(found.and_then(|(id, secret)| Some((state.keys.get(&id)?.clone(), secret))))
    }
}

#[async_trait]
impl DeviceQueries for MachineStore {
    async fn devices(
        &self,
        scope: &SiteScope,
        places: &[PlaceId],
        page: PageRequest,
    ) -> Result<Page<Device>, StoreError> {
        let devices = self.of(scope).devices.into_values();
        let there = devices.filter(|device| places.is_empty() || places.contains(&device.place));
        Ok(page_of(there, page, |device| device.id.as_uuid()))
    }

    async fn device(&self, scope: &SiteScope, id: DeviceId) -> Result<Option<Device>, StoreError> {
        Ok(self.of(scope).devices.get(&id).cloned())
    }

    async fn device_by_public_part(
        &self,
        scope: &SiteScope,
        public_part: &str,
    ) -> Result<Option<Device>, StoreError> {
        let mut devices = self.of(scope).devices.into_values();
        Ok(devices.find(|device| device.public_part == public_part))
    }
}
