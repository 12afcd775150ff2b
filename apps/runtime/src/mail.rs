//! How invitations leave.

use std::sync::Arc;

use posx_kernel::{Clock, Ids};
use posx_mail::{FolderMailer, Sender, SmtpMailer};
use posx_tenancy::{InvitationLink, InvitationMail, Mailer};

use crate::{MailSettings, StartError};

/// `None`: nothing is configured, and nobody is invited.
pub(crate) fn invitations(
    settings: Option<&MailSettings>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<Option<InvitationMail>, StartError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let sender = Sender::new(&settings.from, clock, ids).map_err(unusable)?;
    let link = InvitationLink::new(&settings.invitation_link).map_err(unusable)?;
    let mailer: Arc<dyn Mailer> = match (&settings.smtp_url, &settings.folder) {
        (Some(url), _) => Arc::new(SmtpMailer::new(url, sender).map_err(unusable)?),
        (None, Some(folder)) => Arc::new(FolderMailer::new(folder.clone(), sender)),
        (None, None) => return Ok(None),
    };
    Ok(Some(InvitationMail { mailer, link }))
}

fn unusable<E: std::error::Error + Send + Sync + 'static>(error: E) -> StartError {
    StartError::Mail(Box::new(error))
}
