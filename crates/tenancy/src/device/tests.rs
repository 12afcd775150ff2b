//! The machine, tried exhaustively, and the use cases on storage in memory.

use std::collections::BTreeSet;

use posx_kernel::{Actor, ManualClock, PartyId, Refusal as _, SeededIds, SiteId, Who};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::*;
use crate::testing::{MachineStore, MachineStores, MachinesGiven, machine_contract};
use crate::{CredentialHash, ReferralCode, Role, SiteCode};

fn noon() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("an instant")
}

fn identity(n: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(n))
}

fn place(n: u128) -> PlaceId {
    PlaceId::from_uuid(Uuid::from_u128(n))
}

fn member(n: u128, role: Role) -> Member {
    let site = SiteCode::new("NA").expect("a code");
    Member {
        identity: identity(n),
        party: PartyId::from_uuid(Uuid::from_u128(n)),
        role,
        places: BTreeSet::new(),
        referral_code: ReferralCode::random(&site, &SeededIds::new(1)),
    }
}

fn device(state: DeviceState) -> Device {
    Device {
        id: DeviceId::from_uuid(Uuid::from_u128(5)),
        name: "Till 1".to_owned(),
        place: place(1),
        state,
        public_part: "0".repeat(12),
        hash: CredentialHash::from_bytes([1; 32]),
        app_version: None,
        last_seen_at: None,
        paired_at: noon(),
        created_at: noon(),
    }
}

const KIOSK: DeviceState = DeviceState::Active { cashier: None };

fn manned(n: u128, hours_left: i64) -> DeviceState {
    let (cashier, until) = (identity(n), noon() + TimeDelta::hours(hours_left));
    DeviceState::Active {
        cashier: Some(Shift { cashier, until }),
    }
}

type Command = fn(&mut Device) -> Result<(), DeviceError>;
type Outcome = Result<DeviceState, &'static str>;

fn commands() -> [(&'static str, Command); 7] {
    [
        ("heartbeat", |device| device.heartbeat("1.0", noon()).map(|_| ())),
        ("suspend", |device| device.suspend().map(|_| ())),
        ("resume", |device| device.resume().map(|_| ())),
        ("revoke", |device| {
            device.revoke();
            Ok(())
        }),
        ("pair again", |device| {
            device.pair_again("f".repeat(12), CredentialHash::from_bytes([2; 32]), noon())
        }),
        ("sign on", |device| {
            device.sign_on(identity(2), noon()).map(|_| ())
        }),
        ("sign off", |device| device.sign_off(noon()).map(|_| ())),
    ]
}

/// What becomes of each state by each command, in their order.
fn moves() -> [(DeviceState, [Outcome; 7]); 5] {
    let (paired, suspended, revoked) = (DeviceState::Paired, DeviceState::Suspended, DeviceState::Revoked);
    let (kiosk, out, gone) = (Ok(KIOSK), Ok(suspended), Ok(revoked));
    let (idle, held, dead) = (
        Err("device_not_active"),
        Err("device_suspended"),
        Err("device_revoked"),
    );
    let (again, taken, kept) = (Ok(paired), Ok(manned(2, 12)), Ok(manned(1, 1)));
    [
        (paired, [kiosk, idle, idle, gone, again, idle, again]),
        (KIOSK, [kiosk, out, kiosk, gone, again, taken, kiosk]),
        (manned(1, 1), [kept, out, kept, gone, again, taken, kiosk]),
        (suspended, [held, out, kiosk, gone, held, held, held]),
        (revoked, [dead, dead, dead, gone, dead, dead, dead]),
    ]
}

#[test]
fn p16_a_device_moves_as_listed_and_no_other_way() {
    for (state, outcomes) in moves() {
        for ((name, command), expected) in commands().into_iter().zip(outcomes) {
            let before = device(state);
            let mut after = before.clone();
            let outcome = command(&mut after);
            match expected {
                Ok(next) => {
                    assert!(outcome.is_ok(), "{name} from {state:?}: {outcome:?}");
                    assert_eq!(after.state, next, "{name} from {state:?}");
                }
                Err(code) => {
                    let refused = outcome.expect_err(name);
                    assert_eq!(refused.code(), code, "{name} from {state:?}");
                    assert_eq!(after, before, "{name} from {state:?} changes nothing");
                }
            }
        }
    }
}

#[test]
fn a_shift_ends_after_twelve_hours_by_itself() {
    let mut till = device(DeviceState::Active { cashier: None });
    till.sign_on(identity(1), noon()).expect("signed on");
    let end = noon() + TimeDelta::hours(12);
    let at = |at| till.shift(at).map(|shift| shift.cashier);
    assert_eq!(at(end - TimeDelta::microseconds(1)), Some(identity(1)));
    assert_eq!(at(end), None);
}

#[test]
fn a_device_is_online_while_it_was_heard_of_within_three_minutes() {
    let mut till = device(DeviceState::Paired);
    assert!(!till.is_online(noon()));
    till.heartbeat("1.0", noon()).expect("heard");
    assert!(till.is_online(noon() + TimeDelta::seconds(179)));
    assert!(!till.is_online(noon() + TimeDelta::minutes(3)));
    till.suspend().expect("suspended");
    assert!(!till.is_online(noon()));
}

#[test]
fn at_a_device_a_member_may_what_their_role_and_place_let_them_and_only_a_tills_work() {
    for role in Role::ALL {
        for capability in Capability::ALL {
            let expected = *capability == Capability::DevicesOperate && role.may(*capability);
            let everywhere = member(1, *role);
            assert_eq!(
                may_at_device(&everywhere, place(1), *capability),
                expected,
                "{role:?} {capability:?}"
            );
        }
    }
    let narrowed = Member {
        places: BTreeSet::from([place(1)]),
        ..member(1, Role::Cashier)
    };
    assert!(may_at_device(&narrowed, place(1), Capability::DevicesOperate));
    assert!(!may_at_device(&narrowed, place(2), Capability::DevicesOperate));
}

struct World {
    store: MachineStore,
    devices: Devices,
    clock: Arc<ManualClock>,
    scope: SiteScope,
}

impl World {
    fn new() -> Self {
        let store = MachineStore::default();
        let clock = Arc::new(ManualClock::stopped_at(noon()));
        let (db, ids) = (Arc::new(store.clone()), Arc::new(SeededIds::new(9)));
        let devices = Devices::new(db.clone(), db, clock.clone(), ids.clone(), ids);
        let scope = SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(7)))
            .by(Actor::of(Who::Person(identity(1))));
        store.arrange(&scope, |state| {
            state.open_places.insert(place(1));
        });
        Self {
            store,
            devices,
            clock,
            scope,
        }
    }

    async fn started(&self) -> StartedPairing {
        let started = self.devices.start_pairing(&self.scope, "Till 1", place(1)).await;
        started.expect("a code")
    }

    async fn paired(&self) -> (DeviceId, String) {
        let code = self.started().await.code;
        let paired = self.devices.pair(&self.scope, code.expose_secret()).await;
        let (device, secret) = paired.expect("paired");
        (device.id, secret.expose_secret().to_owned())
    }

    async fn active(&self) -> (DeviceId, String) {
        let (id, text) = self.paired().await;
        self.devices
            .heartbeat(&self.scope, id, "1.0")
            .await
            .expect("heard");
        (id, text)
    }

    async fn opens(&self, text: &str) -> bool {
        let found = self.devices.verify(&self.scope, text).await;
        found.expect("an answer").is_some()
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.store
            .of(&self.scope)
            .events
            .iter()
            .map(|event| event.kind)
            .collect()
    }
}

#[tokio::test]
async fn the_store_in_memory_keeps_what_a_store_of_machines_promises() {
    let world = World::new();
    let given = MachinesGiven {
        scope: world.scope.clone(),
        elsewhere: SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(8))),
        member: identity(1),
        place: place(1),
        closed_place: place(2),
        now: noon(),
    };
    machine_contract(&MachineStores::of(Arc::new(world.store)), &given).await;
}

#[tokio::test]
async fn a_code_makes_one_device_once_and_its_secret_is_kept_nowhere() {
    let world = World::new();
    let started = world.started().await;
    let code = started.code.expose_secret();
    assert!(code.len() == 9 && code.as_bytes()[4] == b'-', "{code}");
    assert!(!format!("{started:?}").contains(code));
    let (device, secret) = world
        .devices
        .pair(&world.scope, &code.to_lowercase())
        .await
        .expect("paired");
    let secret = secret.expose_secret();
    assert_eq!(
        (device.id, device.state, device.place),
        (started.device, DeviceState::Paired, place(1))
    );
    assert!(secret.starts_with("psd_") && world.opens(secret).await);
    let again = world.devices.pair(&world.scope, code).await.expect_err("used");
    assert_eq!(again.code(), "device_code_unknown");
    let kept = format!("{:?}", world.store.of(&world.scope));
    assert!(!kept.contains(&secret[17..]) && !kept.contains(code) && !kept.contains(&code.replace('-', "")));
    assert_eq!(world.kinds(), ["device.pairing_started", "device.paired"]);
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes_and_at_its_own_site() {
    let world = World::new();
    let code = world.started().await.code;
    let elsewhere = SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(8)));
    let there = world.devices.pair(&elsewhere, code.expose_secret()).await;
    assert_eq!(there.expect_err("another site's").code(), "device_code_unknown");
    world.clock.advance(TimeDelta::minutes(10));
    let late = world.devices.pair(&world.scope, code.expose_secret()).await;
    assert_eq!(late.expect_err("too late").code(), "device_code_unknown");
}

#[tokio::test]
async fn codes_and_devices_are_bounded_and_stand_at_a_place_that_is_there() {
    let world = World::new();
    let start = async |name: &str, at| {
        let started = world.devices.start_pairing(&world.scope, name, at).await;
        started.map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(start("Till", place(2)).await, Err("device_place_unknown"));
    assert_eq!(start(" ", place(1)).await, Err("device_name_invalid"));
    assert_eq!(
        start(&"n".repeat(101), place(1)).await,
        Err("device_name_invalid")
    );
    for _ in 0..OPEN_PAIRINGS_MAX {
        assert_eq!(start("Till", place(1)).await, Ok(()));
    }
    assert_eq!(start("Till", place(1)).await, Err("device_pairings_too_many"));
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(start("Till", place(1)).await, Ok(()));
    world.store.arrange(&world.scope, |state| {
        for n in 0..u128::from(DEVICES_MAX) {
            let id = DeviceId::from_uuid(Uuid::from_u128(100 + n));
            let one = Device {
                id,
                ..device(DeviceState::Paired)
            };
            state.devices.insert(id, one);
        }
    });
    assert_eq!(start("Till", place(1)).await, Err("devices_too_many"));
}

#[tokio::test]
async fn a_device_that_is_paired_again_has_one_secret_and_never_gets_around_a_suspension() {
    let world = World::new();
    let (id, old) = world.active().await;
    let (first, second) = (
        world
            .devices
            .start_pairing_again(&world.scope, id)
            .await
            .expect("a code"),
        world
            .devices
            .start_pairing_again(&world.scope, id)
            .await
            .expect("a code"),
    );
    assert!(world.opens(&old).await, "until the code is claimed");
    let closed = world.devices.pair(&world.scope, first.code.expose_secret()).await;
    assert_eq!(
        closed.expect_err("a later code took its place").code(),
        "device_code_unknown"
    );
    let (device, new) = world
        .devices
        .pair(&world.scope, second.code.expose_secret())
        .await
        .expect("paired");
    assert_eq!(device.id, id);
    assert!(!world.opens(&old).await && world.opens(new.expose_secret()).await);

    world
        .devices
        .heartbeat(&world.scope, id, "1.0")
        .await
        .expect("heard");
    let third = world
        .devices
        .start_pairing_again(&world.scope, id)
        .await
        .expect("a code");
    world.devices.suspend(&world.scope, id).await.expect("suspended");
    let refused = world.devices.pair(&world.scope, third.code.expose_secret()).await;
    assert_eq!(refused.expect_err("suspended").code(), "device_code_unknown");
    let refused = world.devices.start_pairing_again(&world.scope, id).await;
    assert_eq!(refused.expect_err("suspended").code(), "device_suspended");
}

#[tokio::test]
async fn a_suspended_device_is_out_until_it_is_resumed_and_a_revoked_one_for_good() {
    let world = World::new();
    let (id, text) = world.active().await;
    for _ in 0..2 {
        world.devices.suspend(&world.scope, id).await.expect("suspended");
        assert!(!world.opens(&text).await);
    }
    world.devices.resume(&world.scope, id).await.expect("resumed");
    assert!(world.opens(&text).await);
    for _ in 0..2 {
        world.devices.revoke(&world.scope, id).await.expect("revoked");
        assert!(!world.opens(&text).await);
    }
    let refused = world
        .devices
        .resume(&world.scope, id)
        .await
        .expect_err("for good");
    assert_eq!(refused.code(), "device_revoked");
    let expected = [
        "device.pairing_started",
        "device.paired",
        "device.activated",
        "device.suspended",
        "device.resumed",
        "device.revoked",
    ];
    assert_eq!(world.kinds(), expected);
    let nobody = DeviceId::from_uuid(Uuid::from_u128(99));
    let refused = world
        .devices
        .suspend(&world.scope, nobody)
        .await
        .expect_err("none");
    assert_eq!(refused.code(), "device_not_found");
}

#[tokio::test]
async fn cashiers_sign_on_take_over_and_sign_off_and_each_is_told() {
    let world = World::new();
    let (id, _) = world.active().await;
    let sign_on = async |n, role| world.devices.sign_on(&world.scope, id, &member(n, role)).await;
    let refused = sign_on(1, Role::Viewer).await.expect_err("no cashier");
    assert_eq!(refused.code(), "device_cashier_not_here");
    for n in [1, 2] {
        let till = sign_on(n, Role::Cashier).await.expect("signed on");
        assert_eq!(till.shift(noon()).map(|shift| shift.cashier), Some(identity(n)));
    }
    for _ in 0..2 {
        let till = world
            .devices
            .sign_off(&world.scope, id)
            .await
            .expect("signed off");
        assert_eq!(till.shift(noon()), None);
    }
    let told: Vec<_> = world.store.of(&world.scope).events[3..]
        .iter()
        .map(|event| (event.kind, event.payload["cashier"].clone()))
        .collect();
    let (on, off) = ("device.cashier_signed_on", "device.cashier_signed_off");
    let [one, two] = [1, 2].map(|n| json!(identity(n)));
    assert_eq!(
        told,
        [(on, one.clone()), (off, one), (on, two.clone()), (off, two)]
    );
}

#[tokio::test]
async fn a_version_is_short_and_visible() {
    let world = World::new();
    let (id, _) = world.paired().await;
    for version in ["", "1.0 beta", "é", &"1".repeat(51)] {
        let refused = world.devices.heartbeat(&world.scope, id, version).await;
        assert_eq!(refused.expect_err(version).code(), "device_version_invalid");
    }
}
