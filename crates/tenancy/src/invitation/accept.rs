//! Accepting: whoever holds the token becomes what the invitation says, once.

use posx_kernel::{Event, IdentityId, PartyId, SiteScope, Timestamp};
use serde_json::json;

use super::{
    Invitation, InvitationError, InvitationState, InvitationToken, Invitations, InvitationsTx, happened,
    widened,
};
use crate::join::CODE_TRIES;
use crate::{Member, MemberError, MemberState, MemberTerms, Membership, NewMember, ReferralCode, Site};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub member: Member,
    /// False: the same identity accepted it before, and nothing changed.
    pub new: bool,
}

impl Invitations {
    /// Gives `identity` the role, if whoever invited may still grant it. A member with a lower role is raised; with a higher
    /// one, they keep it and the invitation is used up.
    pub async fn accept(
        &self,
        scope: &SiteScope,
        site: &Site,
        identity: IdentityId,
        token: &str,
    ) -> Result<Accepted, InvitationError> {
        let token = InvitationToken::parse(token).ok_or(InvitationError::NotFound)?;
        for _ in 0..CODE_TRIES {
            if let Some(accepted) = self.accept_once(scope, site, identity, &token).await? {
                self.directory.forget_member(site.id, identity).await;
                return Ok(accepted);
            }
        }
        Err(InvitationError::NoFreeCode)
    }

    /// `None`: the identity joined in the meantime, or the random referral code is taken; nothing is stored.
    async fn accept_once(
        &self,
        scope: &SiteScope,
        site: &Site,
        identity: IdentityId,
        token: &InvitationToken,
    ) -> Result<Option<Accepted>, InvitationError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let found = tx.invitations().lock_by_token(&token.hash()).await?;
        let mut invitation = found.ok_or(InvitationError::NotFound)?;
        if invitation.accepted_by == Some(identity) {
            let member = member_in_tx(tx.as_mut(), identity).await?;
            return Ok(Some(Accepted { member, new: false }));
        }
        invitation.finish(InvitationState::Accepted, now)?;
        invitation.accepted_by = Some(identity);
        if invitation.invited_by == identity {
            return Err(MemberError::Itself.into());
        }
        let locked = tx.memberships().lock(&[invitation.invited_by, identity]).await?;
        let of = |wanted| locked.iter().find(|one| one.identity == wanted);
        let inviter = of(invitation.invited_by).ok_or(InvitationError::InviterLost)?;
        inviter
            .may_grant(&invitation.terms)
            .map_err(|_| InvitationError::InviterLost)?;
        let is_member = match of(identity) {
            Some(before) => {
                change_in_tx(tx.as_mut(), before, &invitation.terms, now).await?;
                true
            }
            None => {
                self.join_in_tx(tx.as_mut(), site, identity, &invitation, now)
                    .await?
            }
        };
        if !is_member {
            return Ok(None);
        }
        tx.invitations().save(&invitation).await?;
        let payload = json!({ "identity": identity, "role": invitation.terms.role });
        tx.outbox()
            .append(happened("invitation.accepted", invitation.id, payload, now))
            .await?;
        let member = member_in_tx(tx.as_mut(), identity).await?;
        tx.commit().await?;
        Ok(Some(Accepted { member, new: true }))
    }

    /// False: nothing was stored, and the whole is tried again.
    async fn join_in_tx(
        &self,
        tx: &mut dyn InvitationsTx,
        site: &Site,
        identity: IdentityId,
        invitation: &Invitation,
        now: Timestamp,
    ) -> Result<bool, InvitationError> {
        let terms = &invitation.terms;
        let new = NewMember {
            identity,
            party: PartyId::from_uuid(self.ids.uuid(now)),
            role: terms.role,
            referral_code: ReferralCode::random(&site.code, self.randomness.as_ref()),
            claimed_referrer: None,
            at: now,
        };
        if !tx.members().insert(&new).await? {
            return Ok(false);
        }
        if !terms.places.is_empty() {
            let narrowed = Membership {
                identity,
                party: new.party,
                role: terms.role,
                state: MemberState::Active,
                places: terms.places.clone(),
                version: 1,
            };
            tx.memberships()
                .save(&narrowed)
                .await?
                .map_err(MemberError::from)?;
        }
        let payload =
            json!({ "identity": identity, "role": terms.role, "places": terms.places, "referrer": null });
        let joined = Event {
            kind: "member.joined",
            subject: new.party.as_uuid(),
            payload,
            at: now,
        };
        tx.outbox().append(joined).await?;
        Ok(true)
    }
}

/// What an invitation makes of who is, or was, a member. Never less than before.
fn raised(before: &Membership, terms: &MemberTerms) -> (MemberTerms, &'static str) {
    let (old, new) = (before.role.rank(), terms.role.rank());
    match before.state {
        MemberState::Removed => (terms.clone(), "member.rejoined"),
        _ if new < old => {
            let kept = MemberTerms {
                role: before.role,
                places: before.places.clone(),
            };
            (kept, "member.role_changed")
        }
        _ if before.role == terms.role => {
            let places = widened(&before.places, &terms.places);
            let role = before.role;
            (MemberTerms { role, places }, "member.places_changed")
        }
        // Roles of one rank have no order: what staff said last holds.
        _ => (terms.clone(), "member.role_changed"),
    }
}

async fn change_in_tx(
    tx: &mut dyn InvitationsTx,
    before: &Membership,
    terms: &MemberTerms,
    now: Timestamp,
) -> Result<(), InvitationError> {
    if before.state == MemberState::Disabled {
        return Err(InvitationError::Disabled);
    }
    let (terms, kind) = raised(before, terms);
    let mut after = Membership {
        role: terms.role,
        places: terms.places,
        state: MemberState::Active,
        ..before.clone()
    };
    if after != *before {
        after.version += 1;
        tx.memberships().save(&after).await?.map_err(MemberError::from)?;
        tx.outbox().append(after.event(kind, before, now)).await?;
    }
    Ok(())
}

async fn member_in_tx(tx: &mut dyn InvitationsTx, identity: IdentityId) -> Result<Member, InvitationError> {
    let member = tx.members().find(identity).await?;
    // Accepted before, and disabled or removed since.
    member.ok_or(InvitationError::Used)
}
