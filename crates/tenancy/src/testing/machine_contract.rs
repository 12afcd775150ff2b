//! What every store of keys and devices must do, checked through its ports.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{
    ApiKeyId, Begin, DeviceId, IdentityId, Ids as _, PageRequest, PlaceId, SiteScope, SystemIds,
    SystemRandomness, Timestamp,
};

use crate::{
    ApiKey, ApiKeyQueries, ApiKeysTx, Capability, CredentialHash, CredentialKind, Device, DeviceQueries,
    DeviceState, DevicesTx, KeySecret, Pairing, Shift,
};

/// One store, by each of its ports.
pub struct MachineStores {
    keys: Arc<dyn Begin<dyn ApiKeysTx>>,
    key_queries: Arc<dyn ApiKeyQueries>,
    devices: Arc<dyn Begin<dyn DevicesTx>>,
    device_queries: Arc<dyn DeviceQueries>,
}

impl std::fmt::Debug for MachineStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineStores").finish_non_exhaustive()
    }
}

impl MachineStores {
    pub fn of<S>(store: Arc<S>) -> Self
    where
        S: Begin<dyn ApiKeysTx> + Begin<dyn DevicesTx> + ApiKeyQueries + DeviceQueries + 'static,
    {
        Self {
            keys: store.clone(),
            key_queries: store.clone(),
            devices: store.clone(),
            device_queries: store,
        }
    }
}

/// What the caller has put into the store.
#[derive(Debug)]
pub struct MachinesGiven {
    pub scope: SiteScope,
    pub elsewhere: SiteScope,
    /// A member of the site.
    pub member: IdentityId,
    /// Of the site, and open.
    pub place: PlaceId,
    pub closed_place: PlaceId,
    pub now: Timestamp,
}

/// Runs on a site without keys and devices. Leaves it changed.
pub async fn machine_contract(stores: &MachineStores, given: &MachinesGiven) {
    let suite = Suite { stores, given };
    suite.a_key_is_read_back_in_its_own_site_only().await;
    suite.what_is_not_committed_was_never_there().await;
    suite.secrets_end_earlier_and_never_later().await;
    suite.a_use_is_noted_when_the_last_one_is_old().await;
    suite.live_keys_are_counted().await;
    suite.a_place_is_open_in_its_site().await;
    suite.a_code_is_claimed_once_in_its_time_and_site().await;
    suite.a_device_is_read_back_in_every_state().await;
}

struct Suite<'a> {
    stores: &'a MachineStores,
    given: &'a MachinesGiven,
}

impl Suite<'_> {
    fn key(&self) -> ApiKey {
        let now = self.given.now;
        ApiKey {
            id: ApiKeyId::from_uuid(SystemIds.uuid(now)),
            name: "Books".to_owned(),
            scopes: vec![Capability::OrdersRead, Capability::LedgerRead],
            made_by: self.given.member,
            created_at: now,
            expires_at: now + TimeDelta::days(90),
            last_used_at: None,
            revoked_at: None,
        }
    }

    fn secret(&self, days: i64) -> KeySecret {
        let made = CredentialKind::ApiKey.issue(&SystemRandomness);
        KeySecret {
            public_part: made.public_part,
            hash: made.hash,
            created_at: self.given.now,
            expires_at: self.given.now + TimeDelta::days(days),
        }
    }

    fn device(&self) -> Device {
        let made = CredentialKind::Device.issue(&SystemRandomness);
        let now = self.given.now;
        Device {
            id: DeviceId::from_uuid(SystemIds.uuid(now)),
            name: "Till 1".to_owned(),
            place: self.given.place,
            state: DeviceState::Paired,
            public_part: made.public_part,
            hash: made.hash,
            app_version: None,
            last_seen_at: None,
            paired_at: now,
            created_at: now,
        }
    }

    fn pairing(&self, code: &str) -> Pairing {
        let now = self.given.now;
        Pairing {
            code_hash: CredentialHash::of(code),
            device: DeviceId::from_uuid(SystemIds.uuid(now)),
            name: "Till 1".to_owned(),
            place: self.given.place,
            started_by: Some(self.given.member),
            created_at: now,
            expires_at: now + TimeDelta::minutes(10),
        }
    }

    async fn keys(&self) -> Box<dyn ApiKeysTx> {
        self.stores
            .keys
            .begin(&self.given.scope)
            .await
            .expect("a transaction")
    }

    async fn devices(&self) -> Box<dyn DevicesTx> {
        self.stores
            .devices
            .begin(&self.given.scope)
            .await
            .expect("a transaction")
    }

    async fn stored(&self) -> ApiKey {
        let key = self.key();
        let mut tx = self.keys().await;
        tx.api_keys().insert(&key).await.expect("stored");
        tx.commit().await.expect("committed");
        key
    }

    async fn a_key_is_read_back_in_its_own_site_only(&self) {
        let (key, secret) = (self.stored().await, self.secret(90));
        let mut tx = self.keys().await;
        tx.api_keys()
            .insert_secret(key.id, &secret)
            .await
            .expect("stored");
        tx.commit().await.expect("committed");
        let (scope, elsewhere, queries) =
            (&self.given.scope, &self.given.elsewhere, &self.stores.key_queries);
        assert_eq!(
            queries.api_key(scope, key.id).await.expect("a read"),
            Some(key.clone())
        );
        let found = queries.api_key_by_public_part(scope, &secret.public_part).await;
        assert_eq!(found.expect("a read"), Some((key.clone(), secret.clone())));
        assert_eq!(
            queries.api_key_by_public_part(scope, "").await.expect("a read"),
            None
        );

        assert_eq!(queries.api_key(elsewhere, key.id).await.expect("a read"), None);
        let found = queries
            .api_key_by_public_part(elsewhere, &secret.public_part)
            .await;
        assert_eq!(found.expect("a read"), None);
        let page = PageRequest::new(Some(100), None);
        assert_eq!(queries.api_keys(elsewhere, page).await.expect("a page").items, []);
        let mut tx = self.stores.keys.begin(elsewhere).await.expect("a transaction");
        assert_eq!(tx.api_keys().for_update(key.id).await.expect("a read"), None);
        assert_eq!(
            tx.api_keys().count_live(self.given.now).await.expect("a count"),
            0
        );
    }

    async fn what_is_not_committed_was_never_there(&self) {
        let key = self.key();
        let mut tx = self.keys().await;
        tx.api_keys().insert(&key).await.expect("stored");
        drop(tx);
        let found = self.stores.key_queries.api_key(&self.given.scope, key.id).await;
        assert_eq!(found.expect("a read"), None);
    }

    async fn secrets_end_earlier_and_never_later(&self) {
        let (key, now) = (self.stored().await, self.given.now);
        let (short, long) = (self.secret(1), self.secret(90));
        let mut tx = self.keys().await;
        let repository = tx.api_keys();
        for secret in [&short, &long] {
            repository.insert_secret(key.id, secret).await.expect("stored");
        }
        let until = now + TimeDelta::days(7);
        repository.end_secrets(key.id, until).await.expect("ended");
        let mut good = Vec::new();
        for days in [0, 1, 7] {
            let at = now + TimeDelta::days(days);
            good.push(repository.count_secrets(key.id, at).await.expect("a count"));
        }
        tx.commit().await.expect("committed");
        assert_eq!(good, [2, 1, 0]);
        for (secret, expected) in [(short.clone(), short.expires_at), (long, until)] {
            let found = self
                .stores
                .key_queries
                .api_key_by_public_part(&self.given.scope, &secret.public_part)
                .await
                .expect("a read");
            assert_eq!(found.map(|(_, secret)| secret.expires_at), Some(expected));
        }
    }

    async fn a_use_is_noted_when_the_last_one_is_old(&self) {
        let (key, minute) = (self.stored().await, TimeDelta::minutes(1));
        for (second, noted) in [(0, 0), (59, 0), (60, 60), (61, 60)] {
            let at = self.given.now + TimeDelta::seconds(second);
            let mut tx = self.keys().await;
            tx.api_keys()
                .note_use(key.id, at, at - minute)
                .await
                .expect("noted");
            tx.commit().await.expect("committed");
            let found = self.stores.key_queries.api_key(&self.given.scope, key.id).await;
            let last = found.expect("a read").and_then(|key| key.last_used_at);
            assert_eq!(last, Some(self.given.now + TimeDelta::seconds(noted)), "{second}");
        }
    }

    async fn live_keys_are_counted(&self) {
        let now = self.given.now;
        let mut tx = self.keys().await;
        let before = tx.api_keys().count_live(now).await.expect("a count");
        drop(tx);
        let (mut revoked, kept) = (self.stored().await, self.stored().await);
        let mut tx = self.keys().await;
        revoked.revoked_at = Some(now);
        tx.api_keys().save(&revoked).await.expect("saved");
        assert_eq!(
            tx.api_keys().for_update(revoked.id).await.expect("a read"),
            Some(revoked)
        );
        assert_eq!(tx.api_keys().count_live(now).await.expect("a count"), before + 1);
        let late = tx.api_keys().count_live(kept.expires_at).await;
        assert_eq!(late.expect("a count"), 0);
        tx.commit().await.expect("committed");
    }

    async fn a_place_is_open_in_its_site(&self) {
        let mut tx = self.devices().await;
        assert!(
            tx.devices()
                .place_is_open(self.given.place)
                .await
                .expect("a read")
        );
        assert!(
            !tx.devices()
                .place_is_open(self.given.closed_place)
                .await
                .expect("a read")
        );
        drop(tx);
        let mut tx = self
            .stores
            .devices
            .begin(&self.given.elsewhere)
            .await
            .expect("a transaction");
        assert!(
            !tx.devices()
                .place_is_open(self.given.place)
                .await
                .expect("a read")
        );
    }

    async fn a_code_is_claimed_once_in_its_time_and_site(&self) {
        let now = self.given.now;
        let (pairing, closed) = (self.pairing("one"), self.pairing("closed"));
        let mut tx = self.devices().await;
        let before = tx.devices().count_pairings(now).await.expect("a count");
        for one in [&pairing, &closed] {
            assert!(tx.devices().insert_pairing(one).await.expect("stored"));
        }
        assert!(
            !tx.devices()
                .insert_pairing(&self.pairing("one"))
                .await
                .expect("an answer")
        );
        assert_eq!(
            tx.devices().count_pairings(now).await.expect("a count"),
            before + 2
        );
        tx.devices()
            .close_pairings(closed.device, now)
            .await
            .expect("closed");
        tx.commit().await.expect("committed");

        let mut tx = self
            .stores
            .devices
            .begin(&self.given.elsewhere)
            .await
            .expect("a transaction");
        let claimed = tx
            .devices()
            .claim(&pairing.code_hash, now)
            .await
            .expect("an answer");
        assert_eq!(claimed, None, "another site's");
        drop(tx);
        let mut tx = self.devices().await;
        let mut claim =
            async |code: &CredentialHash, at| tx.devices().claim(code, at).await.expect("an answer");
        assert_eq!(claim(&closed.code_hash, now).await, None);
        assert_eq!(claim(&CredentialHash::of("nobody's"), now).await, None);
        assert_eq!(
            claim(&pairing.code_hash, pairing.expires_at).await,
            None,
            "too late"
        );
        assert_eq!(claim(&pairing.code_hash, now).await, Some(pairing.clone()));
        assert_eq!(claim(&pairing.code_hash, now).await, None, "used");
        assert_eq!(tx.devices().count_pairings(now).await.expect("a count"), before);
        tx.commit().await.expect("committed");
    }

    async fn a_device_is_read_back_in_every_state(&self) {
        let (now, queries, scope) = (self.given.now, &self.stores.device_queries, &self.given.scope);
        let mut device = self.device();
        let mut tx = self.devices().await;
        let before = tx.devices().count().await.expect("a count");
        tx.devices().insert(&device).await.expect("stored");
        tx.commit().await.expect("committed");
        let shift = Shift {
            cashier: self.given.member,
            until: now + TimeDelta::hours(12),
        };
        let states = [
            DeviceState::Active { cashier: None },
            DeviceState::Active { cashier: Some(shift) },
            DeviceState::Suspended,
            DeviceState::Paired,
            DeviceState::Revoked,
        ];
        for state in states {
            let made = CredentialKind::Device.issue(&SystemRandomness);
            device = Device {
                state,
                public_part: made.public_part,
                hash: made.hash,
                app_version: Some("1.2.3".to_owned()),
                last_seen_at: Some(now),
                paired_at: now + TimeDelta::seconds(1),
                ..device
            };
            let mut tx = self.devices().await;
            tx.devices().save(&device).await.expect("saved");
            assert_eq!(
                tx.devices().for_update(device.id).await.expect("a read"),
                Some(device.clone())
            );
            let counted = tx.devices().count().await.expect("a count");
            assert_eq!(
                counted,
                before + u32::from(state != DeviceState::Revoked),
                "{state:?}"
            );
            tx.commit().await.expect("committed");
            let found = queries.device_by_public_part(scope, &device.public_part).await;
            assert_eq!(found.expect("a read"), Some(device.clone()));
        }
        assert_eq!(
            queries.device(scope, device.id).await.expect("a read"),
            Some(device.clone())
        );
        let page = PageRequest::new(None, None);
        let there = queries
            .devices(scope, &[self.given.place], page)
            .await
            .expect("a page");
        assert_eq!(there.items, std::slice::from_ref(&device));
        let there = queries.devices(scope, &[self.given.closed_place], page).await;
        assert_eq!(there.expect("a page").items, []);
        let all = queries.devices(scope, &[], page).await.expect("a page");
        assert_eq!(all.items, std::slice::from_ref(&device));
        let elsewhere = &self.given.elsewhere;
        assert_eq!(queries.device(elsewhere, device.id).await.expect("a read"), None);
        assert_eq!(
            queries.devices(elsewhere, &[], page).await.expect("a page").items,
            []
        );
        let found = queries
            .device_by_public_part(elsewhere, &device.public_part)
            .await;
        assert_eq!(found.expect("a read"), None);
    }
}
