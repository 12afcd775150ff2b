//! Members, places and invitations in memory. A transaction works on a copy and puts it back when it commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use posx_kernel::{
    Begin, Event, Idempotency, IdempotentTx, IdentityId, InvitationId, Outbox, PartyId, PlaceId,
    RememberedAnswers, SiteId, SiteScope, StoreError, Timestamp, Transaction,
};

use crate::{
    Invitation, InvitationRefusal, InvitationRepository, InvitationState, InvitationsTx, Member,
    MemberRepository, MemberState, Membership, MembershipRefusal, MembershipRepository, NewMember, Place,
    PlaceRepository, PlacesTx, ReferralCode, Role, Room, TenancyTx, TokenHash,
};

/// What one site's tables hold.
#[derive(Debug, Clone, Default)]
pub struct PeopleState {
    pub members: BTreeMap<IdentityId, (Membership, ReferralCode)>,
    pub places: BTreeMap<PlaceId, Place>,
    pub invitations: BTreeMap<InvitationId, Invitation>,
    pub events: Vec<Event>,
    pub answers: RememberedAnswers,
}

/// Sites, each apart. Concurrent transactions do not exist in it: the last commit wins.
#[derive(Debug, Clone, Default)]
pub struct PeopleStore(Arc<Mutex<BTreeMap<SiteId, PeopleState>>>);

struct PeopleTx {
    store: PeopleStore,
    site: SiteId,
    state: PeopleState,
}

impl PeopleStore {
    pub fn of(&self, scope: &SiteScope) -> PeopleState {
        let sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites.get(&scope.site()).cloned().unwrap_or_default()
    }

    pub fn arrange(&self, scope: &SiteScope, change: impl FnOnce(&mut PeopleState)) {
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(sites.entry(scope.site()).or_default());
    }

    fn open(&self, scope: &SiteScope) -> Box<PeopleTx> {
        Box::new(PeopleTx {
            store: self.clone(),
            site: scope.site(),
            state: self.of(scope),
        })
    }
}

macro_rules! begins {
    ($($tx:path),+) => {$(
        #[async_trait]
        impl Begin<dyn $tx> for PeopleStore {
            async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn $tx>, StoreError> {
                Ok(self.open(scope))
            }
        }
    )+};
}

begins!(TenancyTx, PlacesTx, InvitationsTx);

#[async_trait]
impl Transaction for PeopleTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { store, site, state } = *self;
        let mut sites = store.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites.insert(site, state);
        Ok(())
    }
}

impl IdempotentTx for PeopleTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        &mut self.state.answers
    }
}

impl TenancyTx for PeopleTx {
    fn members(&mut self) -> &mut dyn MemberRepository {
        &mut self.state
    }
    fn memberships(&mut self) -> &mut dyn MembershipRepository {
        &mut self.state
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        &mut self.state
    }
}

impl PlacesTx for PeopleTx {
    fn places(&mut self) -> &mut dyn PlaceRepository {
        &mut self.state
    }
}

impl InvitationsTx for PeopleTx {
    fn invitations(&mut self) -> &mut dyn InvitationRepository {
        &mut self.state
    }
}

impl PeopleState {
    fn has_places(&self, places: &BTreeSet<PlaceId>) -> bool {
        places.iter().all(|place| self.places.contains_key(place))
    }
}

#[async_trait]
impl Outbox for PeopleState {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.events.push(event);
        Ok(())
    }
}

#[async_trait]
impl MemberRepository for PeopleState {
    async fn find(&mut self, identity: IdentityId) -> Result<Option<Member>, StoreError> {
        let found = self.members.get(&identity);
        let active = found.filter(|(membership, _)| membership.state == MemberState::Active);
        Ok(active.map(|(membership, code)| Member {
            identity,
            party: membership.party,
            role: membership.role,
            places: membership.places.clone(),
            referral_code: code.clone(),
        }))
    }

    async fn party_by_code(&mut self, code: &ReferralCode) -> Result<Option<PartyId>, StoreError> {
        let found = self.members.values().find(|(_, other)| other == code);
        Ok(found.map(|(membership, _)| membership.party))
    }

    async fn insert(&mut self, new: &NewMember) -> Result<bool, StoreError> {
        if self.members.contains_key(&new.identity) || self.party_by_code(&new.referral_code).await?.is_some()
        {
            return Ok(false);
        }
        let membership = Membership {
            identity: new.identity,
            party: new.party,
            role: new.role,
            state: MemberState::Active,
            places: BTreeSet::new(),
            version: 1,
        };
        self.members
            .insert(new.identity, (membership, new.referral_code.clone()));
        Ok(true)
    }
}

#[async_trait]
impl MembershipRepository for PeopleState {
    async fn lock(&mut self, identities: &[IdentityId]) -> Result<Vec<Membership>, StoreError> {
        let wanted: BTreeSet<_> = identities.iter().collect();
        let found = wanted
            .into_iter()
            .filter_map(|identity| self.members.get(identity));
        Ok(found.map(|(membership, _)| membership.clone()).collect())
    }

    async fn save(&mut self, membership: &Membership) -> Result<Result<(), MembershipRefusal>, StoreError> {
        let is_owner = |one: &Membership| one.role == Role::Owner && one.state == MemberState::Active;
        let another = self
            .members
            .values()
            .any(|(one, _)| one.identity != membership.identity && is_owner(one));
        let was_owner = self
            .members
            .get(&membership.identity)
            .is_some_and(|(old, _)| is_owner(old));
        if was_owner && !is_owner(membership) && !another {
            return Ok(Err(MembershipRefusal::LastOwner));
        }
        if !self.has_places(&membership.places) {
            return Ok(Err(MembershipRefusal::NoSuchPlace));
        }
        match self.members.get_mut(&membership.identity) {
            Some((stored, _)) => {
                *stored = membership.clone();
                Ok(Ok(()))
            }
            None => Err(StoreError::broken("a membership that is not there was saved")),
        }
    }
}

#[async_trait]
impl PlaceRepository for PeopleState {
    async fn find(&mut self, id: PlaceId) -> Result<Option<Place>, StoreError> {
        Ok(self.places.get(&id).cloned())
    }

    async fn insert(&mut self, place: &Place) -> Result<bool, StoreError> {
        if self.places.values().any(|other| other.code == place.code) {
            return Ok(false);
        }
        self.places.insert(place.id, place.clone());
        Ok(true)
    }

    async fn save(&mut self, place: &Place, seen: i32) -> Result<bool, StoreError> {
        match self.places.get_mut(&place.id) {
            Some(stored) if stored.version == seen => {
                *stored = place.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl InvitationRepository for PeopleState {
    async fn make_room(&mut self, now: Timestamp) -> Result<Room, StoreError> {
        let mut room = Room {
            expired: Vec::new(),
            pending: 0,
        };
        for invitation in self.invitations.values_mut() {
            match (invitation.state, invitation.state_at(now)) {
                (InvitationState::Pending, InvitationState::Expired) => {
                    invitation.state = InvitationState::Expired;
                    invitation.finished_at = Some(invitation.expires_at);
                    room.expired.push(invitation.id);
                }
                (InvitationState::Pending, _) => room.pending += 1,
                _ => {}
            }
        }
        Ok(room)
    }

    async fn insert(&mut self, invitation: &Invitation) -> Result<Result<(), InvitationRefusal>, StoreError> {
        let email = |one: &Invitation| one.email.as_str().to_lowercase();
        let same =
            |other: &Invitation| other.state == InvitationState::Pending && email(other) == email(invitation);
        if self.invitations.values().any(same) {
            return Ok(Err(InvitationRefusal::Pending));
        }
        if !self.has_places(&invitation.terms.places) {
            return Ok(Err(InvitationRefusal::NoSuchPlace));
        }
        self.invitations.insert(invitation.id, invitation.clone());
        Ok(Ok(()))
    }

    async fn lock(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        Ok(self.invitations.get(&id).cloned())
    }

    async fn lock_by_token(&mut self, token: &TokenHash) -> Result<Option<Invitation>, StoreError> {
        let found = self.invitations.values().find(|one| one.token == Some(*token));
        Ok(found.cloned())
    }

    async fn save(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        self.invitations.insert(invitation.id, invitation.clone());
        Ok(())
    }
}
