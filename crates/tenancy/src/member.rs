//! Memberships as staff manage them: who belongs to a site, with which role, and where.

mod error;
mod ports;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use posx_kernel::{Begin, Clock, Event, IdentityId, PartyId, PlaceId, SiteScope, Timestamp, changes};
use serde::Serialize;
use serde_json::json;

pub use error::MemberError;
pub use ports::{MemberFilter, MemberQueries, MemberView, MembershipRefusal, MembershipRepository};

use crate::named::named;
use crate::{Capability, Directory, Rank, Role, SiteError, TenancyTx};

/// To how many places one membership may be narrowed.
pub const PLACES_MAX: usize = 100;

named! {
    MemberState {
        Active = "active",
        /// Out until somebody enables it; joining does not help.
        Disabled = "disabled",
        /// The membership is over; the party and its money history stay. Who was removed may join again as a buyer.
        Removed = "removed",
    }
}

/// An identity's membership in any state. [`Member`](crate::Member) is the active one, as each request asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub identity: IdentityId,
    pub party: PartyId,
    pub role: Role,
    pub state: MemberState,
    /// Empty: the whole site.
    pub places: BTreeSet<PlaceId>,
    pub version: i32,
}

/// What staff decide about a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberTerms {
    pub role: Role,
    /// Empty: the whole site.
    pub places: BTreeSet<PlaceId>,
}

impl MemberTerms {
    pub fn check(&self) -> Result<(), MemberError> {
        match () {
            () if self.role.rank() == Rank::Owner && !self.places.is_empty() => {
                Err(MemberError::OwnerNarrowed)
            }
            () if self.places.len() > PLACES_MAX => Err(MemberError::TooManyPlaces),
            () => Ok(()),
        }
    }
}

impl Membership {
    /// An owner has the whole site, whatever else is stored.
    fn is_everywhere(&self) -> bool {
        self.role.rank() == Rank::Owner || self.places.is_empty()
    }

    /// Whether all of `places` (the whole site when empty) is within this membership's reach.
    fn covers(&self, places: &BTreeSet<PlaceId>) -> bool {
        self.is_everywhere() || !places.is_empty() && places.is_subset(&self.places)
    }

    /// The right as it is now: what let the request in may be a minute old.
    pub fn must_manage(&self) -> Result<(), MemberError> {
        let capability = Capability::MembersManage;
        match self.state {
            MemberState::Active if self.role.may(capability) => Ok(()),
            MemberState::Active => Err(SiteError::NotAllowed(capability.as_str()).into()),
            MemberState::Disabled | MemberState::Removed => Err(SiteError::NotAMember.into()),
        }
    }

    /// Nobody acts on themselves. Owners act on everyone else, the others on who is strictly below them; one who is narrowed
    /// to places only on who is narrowed to some of these.
    pub fn may_touch(&self, other: &Self) -> Result<(), MemberError> {
        self.must_manage()?;
        let (mine, theirs) = (self.role.rank(), other.role.rank());
        match () {
            () if self.identity == other.identity => Err(MemberError::Itself),
            () if theirs > mine || theirs == mine && mine != Rank::Owner => Err(MemberError::Outranks),
            () if !self.covers(&other.places) => Err(MemberError::BeyondPlaces),
            () => Ok(()),
        }
    }

    /// Up to one's own rank, and within one's own places.
    pub fn may_grant(&self, terms: &MemberTerms) -> Result<(), MemberError> {
        self.must_manage()?;
        match () {
            () if terms.role.rank() > self.role.rank() => Err(MemberError::AboveRank),
            () if !self.covers(&terms.places) => Err(MemberError::BeyondPlaces),
            () => Ok(()),
        }
    }

    /// The fields that an event shows: ids and names, never personal data.
    fn facts(&self) -> impl Serialize + use<> {
        #[derive(Serialize)]
        struct Facts {
            role: Role,
            state: MemberState,
            places: BTreeSet<PlaceId>,
        }
        Facts {
            role: self.role,
            state: self.state,
            places: self.places.clone(),
        }
    }

    /// What happened to it since `before`.
    pub(crate) fn event(&self, kind: &'static str, before: &Self, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.party.as_uuid(),
            payload: json!({ "identity": self.identity, "changes": changes(&before.facts(), &self.facts()) }),
            at,
        }
    }
}

/// Use cases of staff.
#[derive(Clone)]
pub struct Members {
    db: Arc<dyn Begin<dyn TenancyTx>>,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").finish_non_exhaustive()
    }
}

impl Members {
    /// `directory` is told of each change, so that this process forgets what it knew at once.
    pub fn new(
        db: Arc<dyn Begin<dyn TenancyTx>>,
        directory: Arc<dyn Directory>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { db, directory, clock }
    }

    /// `seen` is the version that was edited: another one stored is [`MemberError::Stale`].
    pub async fn change(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        member: IdentityId,
        seen: i32,
        terms: MemberTerms,
    ) -> Result<(), MemberError> {
        terms.check()?;
        self.act(scope, by, member, |actor, target| {
            if target.version != seen {
                return Err(MemberError::Stale);
            }
            if target.state == MemberState::Removed {
                return Err(MemberError::Removed);
            }
            actor.may_grant(&terms)?;
            let kind = if target.role == terms.role {
                "member.places_changed"
            } else {
                "member.role_changed"
            };
            target.role = terms.role;
            target.places = terms.places;
            Ok(kind)
        })
        .await
    }

    /// Out, at once here and within a minute everywhere.
    pub async fn disable(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        member: IdentityId,
    ) -> Result<(), MemberError> {
        self.set_state(scope, by, member, MemberState::Disabled, "member.disabled")
            .await
    }

    /// In again, with the role and the places from before.
    pub async fn enable(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        member: IdentityId,
    ) -> Result<(), MemberError> {
        self.set_state(scope, by, member, MemberState::Active, "member.enabled")
            .await
    }

    /// Ends the membership, whether it is disabled or not.
    pub async fn remove(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        member: IdentityId,
    ) -> Result<(), MemberError> {
        self.set_state(scope, by, member, MemberState::Removed, "member.removed")
            .await
    }

    /// A state that it has already is no change. What is removed comes back by joining or by an invitation only.
    async fn set_state(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        member: IdentityId,
        state: MemberState,
        kind: &'static str,
    ) -> Result<(), MemberError> {
        self.act(scope, by, member, |_, target| {
            if target.state == MemberState::Removed && state != MemberState::Removed {
                return Err(MemberError::Removed);
            }
            target.state = state;
            Ok(kind)
        })
        .await
    }

    async fn act(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        member: IdentityId,
        change: impl FnOnce(&Membership, &mut Membership) -> Result<&'static str, MemberError> + Send,
    ) -> Result<(), MemberError> {
        let mut tx = self.db.begin(scope).await?;
        let locked = tx.memberships().lock(&[by, member]).await?;
        let of = |identity| locked.iter().find(|one| one.identity == identity);
        let actor = of(by).ok_or(SiteError::NotAMember)?;
        let before = of(member).ok_or(MemberError::NotFound)?;
        actor.may_touch(before)?;
        let mut after = before.clone();
        let kind = change(actor, &mut after)?;
        if after == *before {
            return Ok(());
        }
        after.version += 1;
        tx.memberships().save(&after).await??;
        let event = after.event(kind, before, self.clock.now());
        tx.outbox().append(event).await?;
        tx.commit().await?;
        self.directory.forget_member(scope.site(), member).await;
        Ok(())
    }
}
