//! Invitations: a role at the site for whoever holds the token that was sent to an address.

mod accept;
mod error;
mod message;
mod ports;
mod send;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{
    Begin, Clock, Event, IdempotentCall, IdentityId, Ids, InvitationId, Made, PlaceId, Randomness, SiteScope,
    Timestamp, made_before_in_tx, remember_in_tx,
};
use serde_json::{Value, json};

pub use accept::Accepted;
pub use error::InvitationError;
pub use message::{InvitationLink, InvitationLinkError};
pub use ports::{
    InvitationQueries, InvitationRefusal, InvitationRepository, InvitationView, InvitationsTx, Room,
};
pub use send::Sending;
pub use token::{InvitationToken, TokenHash};

use crate::named::named;
use crate::{Directory, EmailAddress, Mailer, MemberTerms, Membership, SiteError};

/// How long a token can be used after the invitation was made or sent again.
pub const INVITATION_DAYS: i64 = 7;
/// Of one site at a time.
pub const PENDING_MAX: u32 = 200;
/// How often one invitation is sent.
pub const SENDINGS_MAX: u8 = 10;

named! {
    InvitationState {
        Pending = "pending",
        Accepted = "accepted",
        Expired = "expired",
        Revoked = "revoked",
    }
}

named! {
    /// What became of the message that was asked for last.
    #[schema(as = InvitationDelivery)]
    Delivery {
        Waiting = "waiting",
        Sent = "sent",
        /// For good: the address takes no message.
        Refused = "refused",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    pub email: EmailAddress,
    pub terms: MemberTerms,
    /// As stored: one that is pending and past its time is [`Invitation::state_at`] expired.
    pub state: InvitationState,
    /// Of the token that was sent last; none before the first try, and none between asking again and the next try.
    pub token: Option<TokenHash>,
    /// Counts from 1 the messages that were asked for.
    pub sending: u8,
    pub delivery: Delivery,
    pub invited_by: IdentityId,
    pub accepted_by: Option<IdentityId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it stopped being pending.
    pub finished_at: Option<Timestamp>,
}

impl Invitation {
    pub fn state_at(&self, now: Timestamp) -> InvitationState {
        if self.state == InvitationState::Pending && self.expires_at <= now {
            InvitationState::Expired
        } else {
            self.state
        }
    }

    /// Only a pending one can still be sent, revoked or accepted.
    fn must_be_pending(&self, now: Timestamp) -> Result<(), InvitationError> {
        match self.state_at(now) {
            InvitationState::Pending => Ok(()),
            InvitationState::Accepted => Err(InvitationError::Used),
            InvitationState::Expired => Err(InvitationError::Expired),
            InvitationState::Revoked => Err(InvitationError::Revoked),
        }
    }

    /// The old token is dead at once; the job that sends makes the new one. An expired invitation is not revived: its
    /// address may have been invited anew.
    fn ask_again(&mut self, now: Timestamp) -> Result<(), InvitationError> {
        self.must_be_pending(now)?;
        if self.sending >= SENDINGS_MAX {
            return Err(InvitationError::SentTooOften);
        }
        self.sending += 1;
        self.token = None;
        self.delivery = Delivery::Waiting;
        self.expires_at = now + TimeDelta::days(INVITATION_DAYS);
        Ok(())
    }

    fn finish(&mut self, state: InvitationState, now: Timestamp) -> Result<(), InvitationError> {
        self.must_be_pending(now)?;
        self.state = state;
        self.finished_at = Some(now);
        Ok(())
    }
}

fn happened(kind: &'static str, id: InvitationId, payload: Value, at: Timestamp) -> Event {
    Event {
        kind,
        subject: id.as_uuid(),
        payload,
        at,
    }
}

/// How invitations reach people.
#[derive(Debug, Clone)]
pub struct InvitationMail {
    pub mailer: Arc<dyn Mailer>,
    pub link: InvitationLink,
}

/// Use cases of invitations.
#[derive(Clone)]
pub struct Invitations {
    db: Arc<dyn Begin<dyn InvitationsTx>>,
    directory: Arc<dyn Directory>,
    mail: Option<InvitationMail>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for Invitations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitations").finish_non_exhaustive()
    }
}

impl Invitations {
    /// Without `mail` nobody is invited.
    pub fn new(
        db: Arc<dyn Begin<dyn InvitationsTx>>,
        directory: Arc<dyn Directory>,
        mail: Option<InvitationMail>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            directory,
            mail,
            clock,
            ids,
            randomness,
        }
    }

    /// The message goes out by a job that follows the event.
    pub async fn create(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        email: &str,
        terms: MemberTerms,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<InvitationId>, InvitationError> {
        let email = EmailAddress::parse(email).map_err(InvitationError::Email)?;
        terms.check()?;
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, InvitationError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        if self.mail.is_none() {
            return Err(InvitationError::MailOff);
        }
        let now = self.clock.now();
        // Locks invitations, so it comes before the membership's lock.
        let room = tx.invitations().make_room(now).await?;
        actor_in_tx(tx.as_mut(), by).await?.may_grant(&terms)?;
        for expired in room.expired {
            let event = happened("invitation.expired", expired, json!({}), now);
            tx.outbox().append(event).await?;
        }
        if room.pending >= PENDING_MAX {
            return Err(InvitationError::TooMany);
        }
        let invitation = Invitation {
            id: InvitationId::from_uuid(self.ids.uuid(now)),
            email,
            terms,
            state: InvitationState::Pending,
            token: None,
            sending: 1,
            delivery: Delivery::Waiting,
            invited_by: by,
            accepted_by: None,
            created_at: now,
            expires_at: now + TimeDelta::days(INVITATION_DAYS),
            finished_at: None,
        };
        tx.invitations().insert(&invitation).await??;
        let terms = &invitation.terms;
        let payload = json!({ "role": terms.role, "places": terms.places, "sending": invitation.sending });
        tx.outbox()
            .append(happened("invitation.created", invitation.id, payload, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &invitation.id).await?;
        tx.commit().await?;
        Ok(Made::now(invitation.id))
    }

    /// Sends a new token; the old one is dead with the commit of this call.
    pub async fn resend(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        id: InvitationId,
    ) -> Result<(), InvitationError> {
        if self.mail.is_none() {
            return Err(InvitationError::MailOff);
        }
        self.act(scope, by, id, |invitation, now| {
            invitation.ask_again(now)?;
            Ok(("invitation.resent", json!({ "sending": invitation.sending })))
        })
        .await
    }

    /// Revoking again changes nothing.
    pub async fn revoke(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        id: InvitationId,
    ) -> Result<(), InvitationError> {
        let done = self
            .act(scope, by, id, |invitation, now| {
                invitation.finish(InvitationState::Revoked, now)?;
                Ok(("invitation.revoked", json!({})))
            })
            .await;
        match done {
            Err(InvitationError::Revoked) => Ok(()),
            done => done,
        }
    }

    /// Who could make the invitation may act on it.
    async fn act(
        &self,
        scope: &SiteScope,
        by: IdentityId,
        id: InvitationId,
        change: impl FnOnce(&mut Invitation, Timestamp) -> Result<(&'static str, Value), InvitationError> + Send,
    ) -> Result<(), InvitationError> {
        let mut tx = self.db.begin(scope).await?;
        let found = tx.invitations().lock(id).await?;
        let mut invitation = found.ok_or(InvitationError::NotFound)?;
        actor_in_tx(tx.as_mut(), by).await?.may_grant(&invitation.terms)?;
        let now = self.clock.now();
        let (kind, payload) = change(&mut invitation, now)?;
        tx.invitations().save(&invitation).await?;
        tx.outbox().append(happened(kind, id, payload, now)).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// An invitation is locked before memberships, everywhere.
async fn actor_in_tx(tx: &mut dyn InvitationsTx, by: IdentityId) -> Result<Membership, InvitationError> {
    let actor = tx.memberships().lock(&[by]).await?.pop();
    Ok(actor.ok_or(SiteError::NotAMember)?)
}

/// Both together. Empty is the whole site.
fn widened(old: &BTreeSet<PlaceId>, new: &BTreeSet<PlaceId>) -> BTreeSet<PlaceId> {
    if old.is_empty() || new.is_empty() {
        BTreeSet::new()
    } else {
        old | new
    }
}
