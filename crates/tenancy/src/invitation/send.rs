//! Sending: what the job does that follows an invitation.

use posx_kernel::{InvitationId, SiteScope};
use serde_json::json;

use super::{
    Delivery, InvitationError, InvitationMail, InvitationState, InvitationToken, Invitations, happened,
    message,
};
use crate::{MailOutcome, Site};

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    Sent,
    /// The address takes no message.
    Refused,
    /// There was nothing to send any more: it was sent, asked for again, revoked, accepted, or its time was up.
    Superseded,
}

impl Invitations {
    /// Makes a token, keeps its hash, and sends it. Each try makes a new one, and the one of the try before is dead: whether
    /// that one went out is not known.
    pub async fn send(
        &self,
        scope: &SiteScope,
        site: &Site,
        id: InvitationId,
        sending: u8,
    ) -> Result<Sending, InvitationError> {
        let InvitationMail { mailer, link } = self.mail.as_ref().ok_or(InvitationError::MailOff)?;
        let token = InvitationToken::random(self.randomness.as_ref());
        let mut tx = self.db.begin(scope).await?;
        let found = tx.invitations().lock(id).await?;
        let mut invitation = found.ok_or(InvitationError::NotFound)?;
        let is_pending = invitation.state_at(self.clock.now()) == InvitationState::Pending;
        if !is_pending || invitation.sending != sending || invitation.delivery != Delivery::Waiting {
            return Ok(Sending::Superseded);
        }
        invitation.token = Some(token.hash());
        tx.invitations().save(&invitation).await?;
        tx.commit().await?;

        let mail = message::message(&invitation, site, link, &token);
        let outcome = mailer.send(&mail).await.map_err(InvitationError::Mail)?;

        let (delivery, kind, done) = match outcome {
            MailOutcome::Accepted => (Delivery::Sent, "invitation.sent", Sending::Sent),
            MailOutcome::Refused => (Delivery::Refused, "invitation.send_refused", Sending::Refused),
        };
        let mut tx = self.db.begin(scope).await?;
        let found = tx.invitations().lock(id).await?;
        let mut invitation = found.ok_or(InvitationError::NotFound)?;
        // Someone else's try, or an acceptance, may have come in between.
        if invitation.token == Some(token.hash()) {
            invitation.delivery = delivery;
            tx.invitations().save(&invitation).await?;
            let event = happened(kind, id, json!({ "sending": sending }), self.clock.now());
            tx.outbox().append(event).await?;
            tx.commit().await?;
        }
        Ok(done)
    }
}
