//! Sending e-mail: the port.

use std::fmt;

use async_trait::async_trait;

use crate::EmailAddress;

/// One message in plain text. Its body may carry a token and its address is personal data: `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: EmailAddress,
    /// Whatever it holds, it stays one header.
    pub subject: String,
    pub body: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").finish_non_exhaustive()
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailOutcome {
    Accepted,
    /// For good: this address takes no message.
    Refused,
}

/// Whether the message went out is not known; it may be sent again.
#[derive(Debug, thiserror::Error)]
#[error("the mail server cannot be reached, or did not answer")]
pub struct MailerError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    async fn send(&self, mail: &Mail) -> Result<MailOutcome, MailerError>;
}
