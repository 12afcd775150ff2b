//! What every store of members, places and invitations must do, checked through its ports.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{Begin, IdentityId, Ids as _, InvitationId, PlaceId, SeededIds, SiteScope, Timestamp};

use crate::{
    Delivery, EmailAddress, Invitation, InvitationRefusal, InvitationState, InvitationToken, InvitationsTx,
    MemberState, MemberTerms, Membership, MembershipRefusal, Place, PlaceState, PlacesTx, Role,
};

/// What the caller has put into the store.
#[derive(Debug)]
pub struct PeopleGiven {
    pub scope: SiteScope,
    /// Another site, without people.
    pub elsewhere: SiteScope,
    /// The site's only owner.
    pub owner: IdentityId,
    /// A buyer of the site.
    pub buyer: IdentityId,
    pub now: Timestamp,
}

/// The store behind each of its transactions.
#[derive(Clone)]
pub struct PeopleStores {
    pub places: Arc<dyn Begin<dyn PlacesTx>>,
    pub invitations: Arc<dyn Begin<dyn InvitationsTx>>,
}

impl std::fmt::Debug for PeopleStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeopleStores").finish_non_exhaustive()
    }
}

/// Runs on a store without places and invitations. Leaves it changed.
pub async fn people_contract(stores: PeopleStores, given: &PeopleGiven) {
    let suite = Suite {
        stores,
        given,
        ids: SeededIds::new(31),
    };
    let [north, south] = suite.a_place_is_unique_by_code_and_saved_in_its_version().await;
    suite
        .a_membership_is_read_back_as_it_was_saved(north, south)
        .await;
    suite.the_last_owner_stays_and_a_place_exists().await;
    suite.an_invitation_is_read_back_as_it_was_saved(north).await;
    suite.one_invitation_per_address_is_pending().await;
    suite.what_is_past_its_time_makes_room().await;
}

struct Suite<'a> {
    stores: PeopleStores,
    given: &'a PeopleGiven,
    ids: SeededIds,
}

impl Suite<'_> {
    async fn begin(&self) -> Box<dyn InvitationsTx> {
        let begun = self.stores.invitations.begin(&self.given.scope);
        begun.await.expect("a transaction")
    }

    fn place(&self, code: &str) -> Place {
        Place {
            id: PlaceId::from_uuid(self.ids.uuid(self.given.now)),
            code: code.to_owned(),
            name: "North".to_owned(),
            time_zone: Some(chrono_tz::Asia::Kuwait),
            state: PlaceState::Active,
            version: 1,
            created_at: self.given.now,
        }
    }

    fn invitation(&self, email: &str, places: BTreeSet<PlaceId>) -> Invitation {
        let role = Role::Manager;
        Invitation {
            id: InvitationId::from_uuid(self.ids.uuid(self.given.now)),
            email: EmailAddress::parse(email).expect("an address"),
            terms: MemberTerms { role, places },
            state: InvitationState::Pending,
            token: None,
            sending: 1,
            delivery: Delivery::Waiting,
            invited_by: self.given.owner,
            accepted_by: None,
            created_at: self.given.now,
            expires_at: self.given.now + TimeDelta::days(7),
            finished_at: None,
        }
    }

    async fn insert(&self, invitation: &Invitation) -> Result<(), InvitationRefusal> {
        let mut tx = self.begin().await;
        let inserted = tx.invitations().insert(invitation).await.expect("an answer");
        if inserted.is_ok() {
            tx.commit().await.expect("committed");
        }
        inserted
    }

    async fn locked(&self, id: InvitationId) -> Option<Invitation> {
        self.begin().await.invitations().lock(id).await.expect("a read")
    }

    async fn membership(&self, identity: IdentityId) -> Membership {
        let mut tx = self.begin().await;
        let mut found = tx.memberships().lock(&[identity]).await.expect("a read");
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    async fn save(&self, membership: &Membership) -> Result<(), MembershipRefusal> {
        let mut tx = self.begin().await;
        let saved = tx.memberships().save(membership).await.expect("an answer");
        if saved.is_ok() {
            tx.commit().await.expect("committed");
        }
        saved
    }

    async fn a_place_is_unique_by_code_and_saved_in_its_version(&self) -> [PlaceId; 2] {
        let (north, south) = (self.place("NORTH"), self.place("SOUTH"));
        let mut tx = self
            .stores
            .places
            .begin(&self.given.scope)
            .await
            .expect("a transaction");
        for place in [&north, &south] {
            assert!(tx.places().insert(place).await.expect("stored"));
        }
        assert!(!tx.places().insert(&self.place("NORTH")).await.expect("an answer"));
        let closed = Place {
            name: "Further north".to_owned(),
            time_zone: None,
            state: PlaceState::Closed,
            version: 2,
            ..north.clone()
        };
        assert!(!tx.places().save(&closed, 2).await.expect("an answer"));
        assert_eq!(
            tx.places().find(north.id).await.expect("a read"),
            Some(north.clone())
        );
        assert!(tx.places().save(&closed, 1).await.expect("stored"));
        tx.commit().await.expect("committed");
        for (scope, found) in [(&self.given.scope, Some(closed)), (&self.given.elsewhere, None)] {
            let mut tx = self.stores.places.begin(scope).await.expect("a transaction");
            assert_eq!(tx.places().find(north.id).await.expect("a read"), found);
        }
        [north.id, south.id]
    }

    async fn a_membership_is_read_back_as_it_was_saved(&self, north: PlaceId, south: PlaceId) {
        let before = self.membership(self.given.buyer).await;
        assert_eq!(
            (before.role, before.state, before.version, before.places.len()),
            (Role::Member, MemberState::Active, 1, 0)
        );
        for (places, state) in [
            (BTreeSet::from([north, south]), MemberState::Active),
            (BTreeSet::from([south]), MemberState::Disabled),
            (BTreeSet::new(), MemberState::Removed),
            (BTreeSet::from([north]), MemberState::Active),
        ] {
            let mut wanted = self.membership(self.given.buyer).await;
            wanted.role = Role::Cashier;
            wanted.places = places.clone();
            wanted.state = state;
            wanted.version += 1;
            assert_eq!(self.save(&wanted).await, Ok(()));
            assert_eq!(self.membership(self.given.buyer).await, wanted);
            // Each request asks for the active one.
            let mut tx = self.begin().await;
            let member = tx.members().find(self.given.buyer).await.expect("a read");
            let active = (state == MemberState::Active).then_some((Role::Cashier, places));
            assert_eq!(member.map(|member| (member.role, member.places)), active);
        }
        let mut tx = self.begin().await;
        let wanted = [self.given.buyer, self.given.owner, self.given.buyer];
        let both = tx.memberships().lock(&wanted).await.expect("a read");
        assert_eq!(both.len(), 2, "each once");
        drop(tx);
        let elsewhere = self.stores.invitations.begin(&self.given.elsewhere).await;
        let mut tx = elsewhere.expect("a transaction");
        let none = tx.memberships().lock(&[self.given.buyer]).await.expect("a read");
        assert_eq!(none, []);
    }

    async fn the_last_owner_stays_and_a_place_exists(&self) {
        let owner = self.membership(self.given.owner).await;
        assert_eq!(owner.role, Role::Owner);
        for (role, state) in [
            (Role::Admin, MemberState::Active),
            (Role::Owner, MemberState::Disabled),
            (Role::Owner, MemberState::Removed),
        ] {
            let gone = Membership {
                role,
                state,
                ..owner.clone()
            };
            assert_eq!(self.save(&gone).await, Err(MembershipRefusal::LastOwner));
            assert_eq!(self.membership(self.given.owner).await, owner);
        }
        let buyer = self.membership(self.given.buyer).await;
        let lost = Membership {
            places: BTreeSet::from([self.place("NOWHERE").id]),
            ..buyer.clone()
        };
        assert_eq!(self.save(&lost).await, Err(MembershipRefusal::NoSuchPlace));
        assert_eq!(self.membership(self.given.buyer).await, buyer);
    }

    async fn an_invitation_is_read_back_as_it_was_saved(&self, north: PlaceId) {
        let invitation = self.invitation("Ann@Example.com", BTreeSet::from([north]));
        assert_eq!(self.insert(&invitation).await, Ok(()));
        assert_eq!(self.locked(invitation.id).await, Some(invitation.clone()));
        let token = InvitationToken::random(&self.ids);
        let accepted = Invitation {
            state: InvitationState::Accepted,
            token: Some(token.hash()),
            sending: 3,
            delivery: Delivery::Sent,
            accepted_by: Some(self.given.buyer),
            expires_at: self.given.now + TimeDelta::days(8),
            finished_at: Some(self.given.now + TimeDelta::days(1)),
            ..invitation.clone()
        };
        let mut tx = self.begin().await;
        tx.invitations().save(&accepted).await.expect("stored");
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let found = tx
            .invitations()
            .lock_by_token(&token.hash())
            .await
            .expect("a read");
        assert_eq!(found, Some(accepted));
        let other = InvitationToken::random(&self.ids).hash();
        assert_eq!(
            tx.invitations().lock_by_token(&other).await.expect("a read"),
            None
        );
        drop(tx);
        let elsewhere = self.stores.invitations.begin(&self.given.elsewhere).await;
        let mut tx = elsewhere.expect("a transaction");
        let foreign = tx
            .invitations()
            .lock_by_token(&token.hash())
            .await
            .expect("a read");
        assert_eq!(foreign, None);
    }

    async fn one_invitation_per_address_is_pending(&self) {
        // The one before to this address is accepted.
        let again = self.invitation("ann@example.com", BTreeSet::new());
        assert_eq!(self.insert(&again).await, Ok(()));
        let twice = self.invitation("ANN@example.COM", BTreeSet::new());
        assert_eq!(self.insert(&twice).await, Err(InvitationRefusal::Pending));
        let nowhere = BTreeSet::from([self.place("NOWHERE").id]);
        let lost = self.invitation("bob@example.com", nowhere);
        assert_eq!(self.insert(&lost).await, Err(InvitationRefusal::NoSuchPlace));
        assert_eq!(self.locked(lost.id).await, None);
    }

    async fn what_is_past_its_time_makes_room(&self) {
        let late = Invitation {
            expires_at: self.given.now + TimeDelta::days(1),
            ..self.invitation("cid@example.com", BTreeSet::new())
        };
        assert_eq!(self.insert(&late).await, Ok(()));
        let mut tx = self.begin().await;
        let room = tx.invitations().make_room(self.given.now).await.expect("a count");
        assert_eq!((room.expired, room.pending), (vec![], 2));
        let room = tx
            .invitations()
            .make_room(late.expires_at)
            .await
            .expect("a count");
        assert_eq!((room.expired, room.pending), (vec![late.id], 1));
        tx.commit().await.expect("committed");
        let stored = self.locked(late.id).await.expect("stored");
        assert_eq!(
            (stored.state, stored.finished_at),
            (InvitationState::Expired, Some(late.expires_at))
        );
    }
}
