use async_trait::async_trait;
use posx_kernel::InvitationId;
use posx_tenancy::{InvitationError, Site};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `invitation.created` and `invitation.resent`: makes a token and sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct SendInvitation {
    invitation: Uuid,
    /// Which of the messages that were asked for.
    sending: u8,
}

#[async_trait]
impl Task for SendInvitation {
    const NAME: &'static str = "send_invitation";
    const LANE: Lane = Lane::Providers;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let id = InvitationId::from_uuid(self.invitation);
        let (scope, services) = (work.scope()?, work.services);
        let site: Option<Site> = services.directory.site(scope.site()).await?;
        let site = site.ok_or(JobError::UnknownSite)?;
        let sent = services.invitations.send(scope, &site, id, self.sending).await;
        let sent = sent.map_err(|error| match error {
            // Another process may be configured to send, or this one tomorrow.
            InvitationError::MailOff => JobError::worth_a_retry(error),
            error => error.into(),
        })?;
        tracing::info!(invitation = %id, ?sent, "invitation sent");
        Ok(())
    }
}
