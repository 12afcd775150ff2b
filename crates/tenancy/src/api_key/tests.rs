//! The use cases on storage in memory.

use std::collections::BTreeSet;

use posx_kernel::{ManualClock, PageRequest, PartyId, PlaceId, Refusal as _, SeededIds, SiteId};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::*;
use crate::testing::MachineStore;
use crate::{ReferralCode, Role, SiteCode};

struct World {
    store: MachineStore,
    keys: ApiKeys,
    clock: Arc<ManualClock>,
    scope: SiteScope,
}

fn member(role: Role) -> Member {
    let site = SiteCode::new("NA").expect("a code");
    Member {
        identity: IdentityId::from_uuid(Uuid::from_u128(1)),
        party: PartyId::from_uuid(Uuid::from_u128(2)),
        role,
        places: BTreeSet::new(),
        referral_code: ReferralCode::random(&site, &SeededIds::new(1)),
    }
}

fn wish(scopes: &[&str]) -> NewApiKey {
    NewApiKey {
        name: " Books ".to_owned(),
        scopes: scopes.iter().map(|name| (*name).to_owned()).collect(),
        lifetime_days: None,
    }
}

fn rotation(overlap_days: u16) -> RotateApiKey {
    RotateApiKey {
        overlap_days,
        lifetime_days: None,
    }
}

impl World {
    fn new() -> Self {
        let store = MachineStore::default();
        let clock = Arc::new(ManualClock::stopped_at(
            "2026-06-01T12:00:00Z".parse().expect("an instant"),
        ));
        let (db, ids) = (Arc::new(store.clone()), Arc::new(SeededIds::new(9)));
        let keys = ApiKeys::new(db.clone(), db, clock.clone(), ids.clone(), ids);
        Self {
            store,
            keys,
            clock,
            scope: SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(7))),
        }
    }

    async fn made(&self, scopes: &[&str]) -> (ApiKeyId, String) {
        let made = self
            .keys
            .create(&self.scope, &member(Role::Owner), &wish(scopes), None)
            .await;
        let (made, secret) = made.expect("a key");
        (made.id, secret.expect("a secret").expose_secret().to_owned())
    }

    async fn opens(&self, text: &str) -> bool {
        let found = self.keys.verify(&self.scope, text).await;
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
async fn a_key_does_what_its_scopes_say_until_it_expires_and_its_text_is_kept_nowhere() {
    let world = World::new();
    let (id, text) = world.made(&["orders:read", "ledger:read", "orders:read"]).await;
    let found = world
        .keys
        .verify(&world.scope, &text)
        .await
        .expect("an answer")
        .expect("it holds");
    assert_eq!((found.key.id, found.key.name.as_str()), (id, "Books"));
    assert_eq!(found.key.scopes, [Capability::OrdersRead, Capability::LedgerRead]);
    let may: Vec<_> = Capability::ALL
        .iter()
        .filter(|one| found.key.may(**one))
        .collect();
    assert_eq!(may, [&Capability::OrdersRead, &Capability::LedgerRead]);
    let kept = format!("{:?}", world.store.of(&world.scope));
    assert!(!kept.contains(&text[17..]) && kept.contains(&text[4..16]));

    world
        .clock
        .advance(TimeDelta::days(90) - TimeDelta::microseconds(1));
    assert!(world.opens(&text).await);
    world.clock.advance(TimeDelta::microseconds(1));
    assert!(!world.opens(&text).await, "90 days are over");
    assert_eq!(world.kinds(), ["api_key.created"]);
}

#[tokio::test]
async fn at_another_site_a_key_is_unknown() {
    let world = World::new();
    let (_, text) = world.made(&["orders:read"]).await;
    let elsewhere = SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(8)));
    assert!(
        world
            .keys
            .verify(&elsewhere, &text)
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(world.opens(&text).await);
}

#[test]
fn what_asks_for_a_second_factor_or_is_done_for_oneself_is_never_a_keys() {
    for capability in Capability::ALL {
        let alone = matches!(capability, Capability::Buy | Capability::DevicesOperate);
        let expected = capability.proof() == Proof::SignedIn && !alone;
        assert_eq!(is_for_keys(*capability), expected, "{capability:?}");
    }
    let mut key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::nil()),
        name: String::new(),
        scopes: Capability::ALL.to_vec(),
        made_by: IdentityId::from_uuid(Uuid::nil()),
        created_at: chrono::DateTime::UNIX_EPOCH,
        expires_at: chrono::DateTime::UNIX_EPOCH,
        last_used_at: None,
        revoked_at: None,
    };
    // Whatever is stored: what keys may no longer have is out.
    assert!(
        !key.may(Capability::ApiKeysManage) && !key.may(Capability::Buy) && key.may(Capability::OrdersRead)
    );
    key.scopes.clear();
    assert!(!key.may(Capability::OrdersRead));
}

#[tokio::test]
async fn nobody_gives_a_key_more_than_they_have_or_than_keys_may_have() {
    let world = World::new();
    for role in Role::ALL {
        let maker = member(*role);
        for capability in Capability::ALL {
            let outcome = world
                .keys
                .create(
                    &world.scope,
                    &maker,
                    &wish(&["orders:read", capability.as_str()]),
                    None,
                )
                .await;
            let may = |one: Capability| role.may(one) && is_for_keys(one);
            match outcome {
                Ok(_) => assert!(
                    may(*capability) && may(Capability::OrdersRead),
                    "{role:?} {capability:?}"
                ),
                Err(error) => {
                    let index = usize::from(may(Capability::OrdersRead));
                    assert!(!may(*capability) || index == 0, "{role:?} {capability:?}");
                    assert_eq!(error.code(), "api_key_scope_invalid");
                    assert_eq!(error.field().as_deref(), Some(format!("scopes/{index}").as_str()));
                }
            }
        }
    }
    let narrowed = Member {
        places: BTreeSet::from([PlaceId::from_uuid(Uuid::from_u128(3))]),
        ..member(Role::Admin)
    };
    let refused = world
        .keys
        .create(&world.scope, &narrowed, &wish(&["orders:read"]), None)
        .await;
    assert_eq!(
        refused.expect_err("a key would reach further").code(),
        "place_not_yours"
    );
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_refused_at_its_field() {
    let world = World::new();
    let base = wish(&["orders:read"]);
    let long = "n".repeat(NAME_CHARS_MAX + 1);
    let cases = [
        (
            NewApiKey {
                name: "  ".to_owned(),
                ..base.clone()
            },
            "api_key_name_invalid",
        ),
        (
            NewApiKey {
                name: long,
                ..base.clone()
            },
            "api_key_name_invalid",
        ),
        (
            NewApiKey {
                lifetime_days: Some(0),
                ..base.clone()
            },
            "api_key_lifetime_invalid",
        ),
        (
            NewApiKey {
                lifetime_days: Some(366),
                ..base.clone()
            },
            "api_key_lifetime_invalid",
        ),
        (wish(&[]), "api_key_scopes_missing"),
        (
            wish(&["orders:read", "orders:everything"]),
            "api_key_scope_invalid",
        ),
    ];
    for (wish, code) in cases {
        let refused = world
            .keys
            .create(&world.scope, &member(Role::Owner), &wish, None)
            .await;
        assert_eq!(refused.expect_err("refused").code(), code);
    }
    assert_eq!(world.kinds(), [""; 0]);
}

#[tokio::test]
async fn who_repeats_the_call_is_shown_no_secret_again() {
    let world = World::new();
    let call = |key: &str| IdempotentCall {
        actor: "idn_1".to_owned(),
        operation: "POST /api/v1/api-keys",
        key: key.to_owned(),
        fingerprint: [1; 32],
        at: world.clock.now(),
        review: posx_kernel::Review::NotNeeded,
    };
    let create = async |key: &str| {
        let made = world
            .keys
            .create(
                &world.scope,
                &member(Role::Owner),
                &wish(&["orders:read"]),
                Some(&call(key)),
            )
            .await;
        made.expect("an answer")
    };
    let (first, secret) = create("a").await;
    assert!(!first.replayed && secret.is_some());
    let (again, secret) = create("a").await;
    assert!(again.id == first.id && again.replayed && secret.is_none());
    assert_ne!(create("b").await.0.id, first.id);
    assert_eq!(world.kinds(), ["api_key.created"; 2]);
}

#[tokio::test]
async fn a_rotated_keys_old_secret_works_for_the_overlap_and_not_a_moment_longer() {
    let world = World::new();
    let (id, old) = world.made(&["orders:read"]).await;
    let owner = member(Role::Owner);
    world.clock.advance(TimeDelta::days(10));
    let new = world
        .keys
        .rotate(&world.scope, &owner, id, rotation(7))
        .await
        .expect("rotated");
    assert!(world.opens(&old).await && world.opens(new.expose_secret()).await);
    world.clock.advance(TimeDelta::days(7));
    assert!(!world.opens(&old).await && world.opens(new.expose_secret()).await);
    let last = world
        .keys
        .rotate(&world.scope, &owner, id, rotation(0))
        .await
        .expect("rotated");
    assert!(!world.opens(new.expose_secret()).await && world.opens(last.expose_secret()).await);
    // A new life of 90 days, counted from the last rotation.
    world
        .clock
        .advance(TimeDelta::days(90) - TimeDelta::microseconds(1));
    assert!(world.opens(last.expose_secret()).await);
    world.clock.advance(TimeDelta::microseconds(1));
    assert!(!world.opens(last.expose_secret()).await);
    let refused = world.keys.rotate(&world.scope, &owner, id, rotation(0)).await;
    assert_eq!(refused.expect_err("expired").code(), "api_key_not_live");
    assert_eq!(
        world.kinds(),
        ["api_key.created", "api_key.rotated", "api_key.rotated"]
    );
}

#[tokio::test]
async fn an_overlap_gives_no_secret_a_longer_life() {
    let world = World::new();
    let (id, old) = world.made(&["orders:read"]).await;
    world.clock.advance(TimeDelta::days(88));
    let rotated = world
        .keys
        .rotate(&world.scope, &member(Role::Owner), id, rotation(7))
        .await;
    let new = rotated.expect("rotated");
    world.clock.advance(TimeDelta::days(2));
    assert!(!world.opens(&old).await && world.opens(new.expose_secret()).await);
}

#[tokio::test]
async fn rotating_is_bounded_and_for_who_may_do_what_the_key_may() {
    let world = World::new();
    let (id, _) = world.made(&["members:manage"]).await;
    let rotate = async |role, wish| {
        world
            .keys
            .rotate(&world.scope, &member(role), id, wish)
            .await
            .map(|_| ())
    };
    assert_eq!(
        rotate(Role::Manager, rotation(0))
            .await
            .expect_err("beyond")
            .code(),
        "api_key_beyond_maker"
    );
    assert_eq!(
        rotate(Role::Owner, rotation(8))
            .await
            .expect_err("too long")
            .code(),
        "api_key_overlap_invalid"
    );
    for _ in 1..SECRETS_MAX {
        rotate(Role::Owner, rotation(7)).await.expect("rotated");
    }
    let refused = rotate(Role::Owner, rotation(7)).await.expect_err("too many");
    assert_eq!(refused.code(), "api_key_secrets_too_many");
    rotate(Role::Owner, rotation(0))
        .await
        .expect("without an overlap it goes");
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_with_any_secret_and_stays_revoked() {
    let world = World::new();
    let (id, old) = world.made(&["orders:read"]).await;
    let rotated = world
        .keys
        .rotate(&world.scope, &member(Role::Owner), id, rotation(7))
        .await;
    let new = rotated.expect("rotated");
    for _ in 0..2 {
        world.keys.revoke(&world.scope, id).await.expect("revoked");
        assert!(!world.opens(&old).await && !world.opens(new.expose_secret()).await);
    }
    let refused = world
        .keys
        .rotate(&world.scope, &member(Role::Owner), id, rotation(0))
        .await;
    assert_eq!(refused.expect_err("revoked").code(), "api_key_not_live");
    let nobody = ApiKeyId::from_uuid(Uuid::from_u128(99));
    assert_eq!(
        world
            .keys
            .revoke(&world.scope, nobody)
            .await
            .expect_err("none")
            .code(),
        "api_key_not_found"
    );
    assert_eq!(
        world.kinds(),
        ["api_key.created", "api_key.rotated", "api_key.revoked"]
    );
}

#[tokio::test]
async fn a_site_has_a_hundred_live_keys_and_revoked_ones_do_not_count() {
    let world = World::new();
    let mut last = None;
    for _ in 0..LIVE_KEYS_MAX {
        last = Some(world.made(&["orders:read"]).await.0);
    }
    let more = async || {
        let made = world
            .keys
            .create(&world.scope, &member(Role::Owner), &wish(&["orders:read"]), None)
            .await;
        made.map(|_| ())
    };
    assert_eq!(more().await.expect_err("full").code(), "api_keys_too_many");
    world
        .keys
        .revoke(&world.scope, last.expect("one"))
        .await
        .expect("revoked");
    more().await.expect("there is room again");
}

#[tokio::test]
async fn a_use_is_due_once_a_minute() {
    let world = World::new();
    let (id, text) = world.made(&["orders:read"]).await;
    let is_due = async || {
        let found = world.keys.verify(&world.scope, &text).await.expect("an answer");
        found.expect("it holds").use_is_due
    };
    assert!(is_due().await);
    world.keys.note_use(&world.scope, id).await.expect("noted");
    assert!(!is_due().await);
    world.clock.advance(TimeDelta::minutes(1));
    assert!(is_due().await);
    world.keys.note_use(&world.scope, id).await.expect("noted");
    let page = world
        .store
        .api_keys(&world.scope, PageRequest::new(None, None))
        .await
        .expect("a page");
    assert_eq!(page.items[0].last_used_at, Some(world.clock.now()));
}
