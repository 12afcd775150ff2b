//! Codes are claimed once, and what a device is told at the same moment comes out as if one came after the other.

use std::sync::Arc;

use posx_kernel::{DeviceId, PlaceId, Refusal as _, SystemIds, SystemRandomness};
use posx_tenancy::{DeviceQueries as _, DeviceState, Devices, Member, PlaceState, PlaceTerms, Places, Role};
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use crate::world::World;

impl World {
    pub fn devices(&self) -> Devices {
        let (db, ids) = (Arc::new(self.database.clone()), Arc::new(SystemIds));
        Devices::new(
            db.clone(),
            db,
            self.clock.clone(),
            ids,
            Arc::new(SystemRandomness),
        )
    }

    pub async fn branch(&self, code: &str, state: PlaceState) -> PlaceId {
        let places = Places::new(
            Arc::new(self.database.clone()),
            self.clock.clone(),
            Arc::new(SystemIds),
        );
        let terms = PlaceTerms {
            name: "Branch".to_owned(),
            time_zone: None,
        };
        let made = places
            .create(&self.scope, code.to_owned(), &terms, None)
            .await
            .expect("a place");
        if state == PlaceState::Closed {
            places
                .set_state(&self.scope, made.id, 1, state)
                .await
                .expect("closed");
        }
        made.id
    }

    /// A member stands there as if they were a cashier.
    pub async fn manned_till(&self, member: &Member) {
        let cashier = Member {
            role: Role::Cashier,
            ..member.clone()
        };
        let (id, _) = self.till(self.branch("TILLS", PlaceState::Active).await).await;
        let manned = self.devices().sign_on(&self.scope, id, &cashier).await;
        manned.expect("signed on");
    }

    /// One that is active, and its text.
    pub async fn till(&self, place: PlaceId) -> (DeviceId, String) {
        let devices = self.devices();
        let started = devices
            .start_pairing(&self.scope, "Till 1", place)
            .await
            .expect("a code");
        let paired = devices.pair(&self.scope, started.code.expose_secret()).await;
        let (device, secret) = paired.expect("paired");
        devices
            .heartbeat(&self.scope, device.id, "1.0")
            .await
            .expect("heard");
        (device.id, secret.expose_secret().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_claims_of_one_code_at_once_exactly_one_is_paired() {
    let world = Arc::new(World::with_pool(20).await);
    let place = world.branch("A", PlaceState::Active).await;
    for _ in 0..5 {
        let started = world
            .devices()
            .start_pairing(&world.scope, "Till", place)
            .await
            .expect("a code");
        let mut racing = JoinSet::new();
        for _ in 0..20 {
            let (world, code) = (world.clone(), started.code.clone());
            racing.spawn(async move {
                let paired = world.devices().pair(&world.scope, code.expose_secret()).await;
                paired.map(|_| ()).map_err(|error| error.code())
            });
        }
        let outcomes = racing.join_all().await;
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "{outcomes:?}"
        );
        let refused = outcomes
            .iter()
            .filter(|outcome| **outcome == Err("device_code_unknown"));
        assert_eq!(refused.count(), 19, "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_codes_wait_than_the_arithmetic_of_guessing_counts_on() {
    let world = Arc::new(World::with_pool(8).await);
    let place = world.branch("A", PlaceState::Active).await;
    let mut racing = JoinSet::new();
    for _ in 0..30 {
        let world = world.clone();
        racing.spawn(async move {
            let started = world.devices().start_pairing(&world.scope, "Till", place).await;
            started.map(|_| ()).map_err(|error| error.code())
        });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        20,
        "{outcomes:?}"
    );
    let refused = outcomes
        .iter()
        .filter(|outcome| **outcome == Err("device_pairings_too_many"));
    assert_eq!(refused.count(), 10, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_revoked_while_it_pairs_again_is_out_whichever_came_first() {
    let world = Arc::new(World::with_pool(4).await);
    let place = world.branch("A", PlaceState::Active).await;
    for _ in 0..10 {
        let (id, old) = world.till(place).await;
        let code = world
            .devices()
            .start_pairing_again(&world.scope, id)
            .await
            .expect("a code")
            .code;
        let (claiming, revoking) = (world.clone(), world.clone());
        let claim = tokio::spawn(async move {
            let paired = claiming
                .devices()
                .pair(&claiming.scope, code.expose_secret())
                .await;
            paired.map(|(_, secret)| secret).ok()
        });
        let revoke =
            tokio::spawn(async move { revoking.devices().revoke(&revoking.scope, id).await.map(|_| ()) });
        revoke.await.expect("a task").expect("revoked");
        let new = claim.await.expect("a task");
        let stored = world
            .database
            .device(&world.scope, id)
            .await
            .expect("a read")
            .expect("a device");
        assert_eq!(stored.state, DeviceState::Revoked);
        let texts = new
            .iter()
            .map(|secret| secret.expose_secret().to_owned())
            .chain([old]);
        for text in texts {
            let found = world
                .devices()
                .verify(&world.scope, &text)
                .await
                .expect("an answer");
            assert!(found.is_none());
        }
    }
}

#[tokio::test]
async fn p01_a_device_and_a_place_of_another_site_are_unknown() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let place = world.branch("A", PlaceState::Active).await;
    let (id, text) = world.till(place).await;
    let (there, scope) = (elsewhere.devices(), &elsewhere.scope);
    assert!(there.verify(scope, &text).await.expect("an answer").is_none());
    for refused in [
        there.suspend(scope, id).await.map(|_| ()),
        there.resume(scope, id).await.map(|_| ()),
        there.revoke(scope, id).await.map(|_| ()),
        there.heartbeat(scope, id, "1.0").await.map(|_| ()),
        there.sign_off(scope, id).await.map(|_| ()),
        there.start_pairing_again(scope, id).await.map(|_| ()),
    ] {
        assert_eq!(refused.expect_err("unknown there").code(), "device_not_found");
    }
    let started = there.start_pairing(scope, "Till", place).await.map(|_| ());
    assert_eq!(
        started.expect_err("another site's place").code(),
        "device_place_unknown"
    );
    assert!(
        world
            .devices()
            .verify(&world.scope, &text)
            .await
            .expect("an answer")
            .is_some()
    );
}
