//! Ranks over all pairs of roles, and the use cases on storage in memory.

use std::sync::Mutex;

use async_trait::async_trait;
use posx_kernel::{ManualClock, Refusal as _, SeededIds, SiteId, StoreError};
use uuid::Uuid;

use super::*;
use crate::testing::{PeopleGiven, PeopleState, PeopleStore, PeopleStores, people_contract};
use crate::{Member, Origin, ReferralCode, Site, SiteCode};

/// Which members' cache entries were dropped.
#[derive(Debug, Default)]
pub(crate) struct Told(pub Mutex<Vec<IdentityId>>);

#[async_trait]
impl Directory for Told {
    async fn site_by_code(&self, _: &SiteCode) -> Result<Option<Site>, StoreError> {
        Ok(None)
    }
    async fn site_by_host(&self, _: &str) -> Result<Option<Site>, StoreError> {
        Ok(None)
    }
    async fn site(&self, _: SiteId) -> Result<Option<Site>, StoreError> {
        Ok(None)
    }
    async fn knows_origin(&self, _: &Origin) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn identity(&self, _: &str, subject: &str) -> Result<IdentityId, StoreError> {
        Ok(identity(subject.len() as u128))
    }
    async fn member(&self, _: SiteId, _: IdentityId) -> Result<Option<Member>, StoreError> {
        Ok(None)
    }
    async fn forget_member(&self, _: SiteId, identity: IdentityId) {
        self.0.lock().expect("no panic").push(identity);
    }
}

pub(crate) fn identity(number: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn place(number: u128) -> PlaceId {
    PlaceId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn scope(number: u128) -> SiteScope {
    SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(number)))
}

pub(crate) fn member(number: u128, role: Role) -> Membership {
    Membership {
        identity: identity(number),
        party: PartyId::from_uuid(Uuid::from_u128(1_000 + number)),
        role,
        state: MemberState::Active,
        places: BTreeSet::new(),
        version: 1,
    }
}

pub(crate) fn add(state: &mut PeopleState, membership: Membership) {
    let code = SiteCode::new("NA").expect("a code");
    let ids = SeededIds::new(u64::try_from(membership.identity.as_uuid().as_u128()).unwrap_or(0));
    let code = ReferralCode::random(&code, &ids);
    state.members.insert(membership.identity, (membership, code));
}

struct Crowd {
    store: PeopleStore,
    members: Members,
    told: Arc<Told>,
    scope: SiteScope,
}

/// Nobody but these.
fn crowd(people: impl IntoIterator<Item = Membership>) -> Crowd {
    let (store, told, scope) = (PeopleStore::default(), Arc::new(Told::default()), scope(1));
    store.arrange(&scope, |state| {
        people.into_iter().for_each(|one| add(state, one));
        for number in 1..=3 {
            let code = format!("P{number}");
            let place = crate::Place {
                id: place(number),
                name: code.clone(),
                code,
                time_zone: None,
                state: crate::PlaceState::Active,
                version: 1,
                created_at: chrono::DateTime::UNIX_EPOCH,
            };
            state.places.insert(place.id, place);
        }
    });
    let members = Members::new(
        Arc::new(store.clone()),
        told.clone(),
        Arc::new(ManualClock::default()),
    );
    Crowd {
        store,
        members,
        told,
        scope,
    }
}

impl Crowd {
    fn stored(&self, number: u128) -> Membership {
        self.store.of(&self.scope).members[&identity(number)].0.clone()
    }

    async fn change(&self, by: u128, who: u128, role: Role, places: &[u128]) -> Result<(), MemberError> {
        let terms = MemberTerms {
            role,
            places: places.iter().copied().map(place).collect(),
        };
        let seen = self.stored(who).version;
        self.members
            .change(&self.scope, identity(by), identity(who), seen, terms)
            .await
    }

    async fn all_states(&self, by: u128, who: u128) -> Vec<Result<(), MemberError>> {
        let (by, who) = (identity(by), identity(who));
        vec![
            self.members.disable(&self.scope, by, who).await,
            self.members.enable(&self.scope, by, who).await,
            self.members.remove(&self.scope, by, who).await,
        ]
    }
}

fn code(result: Result<(), MemberError>) -> &'static str {
    result.map_or_else(|error| error.code(), |()| "done")
}

/// By hand, and not by the functions under test: whom each role may act on.
fn acts_on(role: Role) -> &'static [Role] {
    use Role::{Agent, Cashier, Manager, Member, Viewer};
    match role {
        Role::Owner => Role::ALL,
        Role::Admin => &[Manager, Member, Cashier, Agent, Viewer],
        _ => &[],
    }
}

/// …and which roles it may give.
fn gives(role: Role) -> &'static [Role] {
    use Role::{Admin, Agent, Cashier, Manager, Member, Viewer};
    match role {
        Role::Owner => Role::ALL,
        Role::Admin => &[Admin, Manager, Member, Cashier, Agent, Viewer],
        _ => &[],
    }
}

#[tokio::test]
async fn who_may_act_on_whom_and_give_what_holds_for_all_roles() {
    for &actor in Role::ALL {
        for &target in Role::ALL {
            for &given in Role::ALL {
                // A second owner, so that the last one is not in question.
                let crowd = crowd([member(1, actor), member(2, target), member(3, Role::Owner)]);
                let done = code(crowd.change(1, 2, given, &[]).await);
                let expected = match () {
                    () if gives(actor).is_empty() => "capability_missing",
                    () if !acts_on(actor).contains(&target) => "member_outranks_you",
                    () if !gives(actor).contains(&given) => "role_above_yours",
                    () => "done",
                };
                assert_eq!(done, expected, "{actor:?} makes {target:?} {given:?}");
                let after = crowd.stored(2);
                let changed = done == "done" && target != given;
                assert_eq!(after.role, if done == "done" { given } else { target });
                assert_eq!(after.version, 1 + i32::from(changed));
                assert_eq!(crowd.told.0.lock().expect("no panic").len(), usize::from(changed));
            }
            for done in crowd([member(1, actor), member(2, target), member(3, Role::Owner)])
                .all_states(1, 2)
                .await
            {
                assert_eq!(
                    done.is_ok(),
                    acts_on(actor).contains(&target),
                    "{actor:?} on {target:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn nobody_changes_themselves() {
    for &role in &[Role::Owner, Role::Admin] {
        let crowd = crowd([member(1, role), member(2, Role::Owner)]);
        assert_eq!(
            code(crowd.change(1, 1, Role::Viewer, &[]).await),
            "member_is_self"
        );
        for done in crowd.all_states(1, 1).await {
            assert_eq!(code(done), "member_is_self");
        }
        assert_eq!(crowd.stored(1), member(1, role));
    }
}

#[tokio::test]
async fn a_right_that_was_lost_meanwhile_does_not_count() {
    for (state, expected) in [
        (MemberState::Disabled, "not_a_member"),
        (MemberState::Removed, "not_a_member"),
    ] {
        let gone = Membership {
            state,
            ..member(1, Role::Owner)
        };
        let crowd = crowd([gone, member(2, Role::Member), member(3, Role::Owner)]);
        assert_eq!(code(crowd.change(1, 2, Role::Viewer, &[]).await), expected);
    }
    let crowd = crowd([member(1, Role::Owner)]);
    let terms = MemberTerms {
        role: Role::Viewer,
        places: BTreeSet::new(),
    };
    let (stranger, nobody) = (identity(8), identity(9));
    let by_stranger = crowd
        .members
        .change(&crowd.scope, stranger, identity(1), 1, terms.clone())
        .await;
    assert_eq!(code(by_stranger), "not_a_member");
    let on_nobody = crowd
        .members
        .change(&crowd.scope, identity(1), nobody, 1, terms)
        .await;
    assert_eq!(code(on_nobody), "member_not_found");
}

#[tokio::test]
async fn who_is_narrowed_to_places_reaches_no_further() {
    let at = |number, role, places: &[u128]| Membership {
        places: places.iter().copied().map(place).collect(),
        ..member(number, role)
    };
    let crowd = crowd([
        at(1, Role::Admin, &[1, 2]),
        at(2, Role::Cashier, &[1]),
        at(3, Role::Cashier, &[3]),
        at(4, Role::Cashier, &[]),
        // Stored narrowed by whatever way: an owner has the whole site.
        at(5, Role::Owner, &[1]),
    ]);
    assert_eq!(code(crowd.change(1, 2, Role::Manager, &[1, 2]).await), "done");
    assert_eq!(
        code(crowd.change(1, 2, Role::Manager, &[1, 3]).await),
        "places_beyond_yours"
    );
    assert_eq!(
        code(crowd.change(1, 2, Role::Manager, &[]).await),
        "places_beyond_yours"
    );
    assert_eq!(
        code(crowd.change(1, 3, Role::Cashier, &[1]).await),
        "places_beyond_yours"
    );
    assert_eq!(
        code(crowd.change(1, 4, Role::Cashier, &[1]).await),
        "places_beyond_yours"
    );
    assert_eq!(code(crowd.change(5, 4, Role::Cashier, &[3]).await), "done");
    assert_eq!(
        code(crowd.change(5, 3, Role::Owner, &[3]).await),
        "owner_places_invalid"
    );
    assert_eq!(
        code(crowd.change(5, 3, Role::Viewer, &[99]).await),
        "place_not_found"
    );
    let many: Vec<u128> = (1..=101).collect();
    assert_eq!(
        code(crowd.change(5, 3, Role::Viewer, &many).await),
        "places_too_many"
    );
}

#[tokio::test]
async fn a_removed_membership_is_over_and_a_disabled_one_comes_back() {
    let crowd = crowd([member(1, Role::Owner), member(2, Role::Manager)]);
    let (by, who) = (identity(1), identity(2));
    let enable = || crowd.members.enable(&crowd.scope, by, who);
    assert_eq!(code(crowd.members.disable(&crowd.scope, by, who).await), "done");
    // Again is no change, and no event.
    assert_eq!(code(crowd.members.disable(&crowd.scope, by, who).await), "done");
    assert_eq!(crowd.stored(2).state, MemberState::Disabled);
    assert_eq!(code(enable().await), "done");
    assert_eq!(crowd.stored(2).state, MemberState::Active);
    assert_eq!(code(crowd.members.remove(&crowd.scope, by, who).await), "done");
    assert_eq!(code(crowd.members.remove(&crowd.scope, by, who).await), "done");
    assert_eq!(code(enable().await), "member_removed");
    assert_eq!(
        code(crowd.members.disable(&crowd.scope, by, who).await),
        "member_removed"
    );
    assert_eq!(
        code(crowd.change(1, 2, Role::Viewer, &[]).await),
        "member_removed"
    );
    let events = crowd.store.of(&crowd.scope).events;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["member.disabled", "member.enabled", "member.removed"]);
    assert_eq!(
        events[0].payload,
        json!({ "identity": who, "changes": { "state": ["active", "disabled"] } })
    );
    assert_eq!(events[0].subject, crowd.stored(2).party.as_uuid());
    assert_eq!(*crowd.told.0.lock().expect("no panic"), [who, who, who]);
}

#[tokio::test]
async fn p08_a_stale_edit_changes_nothing() {
    let crowd = crowd([member(1, Role::Owner), member(2, Role::Manager)]);
    let terms = MemberTerms {
        role: Role::Viewer,
        places: BTreeSet::new(),
    };
    let stale = crowd
        .members
        .change(&crowd.scope, identity(1), identity(2), 7, terms);
    assert_eq!(code(stale.await), "version_stale");
    assert_eq!(crowd.stored(2).role, Role::Manager);
}

#[tokio::test]
async fn the_store_in_memory_passes_the_contract() {
    let store = PeopleStore::default();
    let given = PeopleGiven {
        scope: scope(1),
        elsewhere: scope(2),
        owner: identity(1),
        buyer: identity(2),
        now: "2026-06-01T12:00:00Z".parse().expect("an instant"),
    };
    store.arrange(&given.scope, |state| {
        add(state, member(1, Role::Owner));
        add(state, member(2, Role::Member));
    });
    let stores = PeopleStores {
        places: Arc::new(store.clone()),
        invitations: Arc::new(store),
    };
    people_contract(stores, &given).await;
}
