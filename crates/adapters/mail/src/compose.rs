//! From our message to RFC 5322.

use std::sync::Arc;
use std::time::SystemTime;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use posx_kernel::{Clock, Ids};
use posx_tenancy::{Mail, MailerError};
use uuid::Uuid;

/// Who our messages are from, and what dates and numbers them.
#[derive(Debug, Clone)]
pub struct Sender {
    from: Mailbox,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an e-mail address, with or without a name: POSX <no-reply@posx.example>")]
pub struct SenderError;

impl Sender {
    /// `from` as in `POSX <no-reply@posx.example>`.
    pub fn new(from: &str, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Result<Self, SenderError> {
        let from = mailbox(from)?;
        Ok(Self { from, clock, ids })
    }

    /// Whether [`Sender::new`] would take it.
    pub fn check(from: &str) -> Result<(), SenderError> {
        mailbox(from).map(drop)
    }

    /// The message under an id of its own.
    pub(crate) fn compose(&self, mail: &Mail) -> Result<(Uuid, Message), MailerError> {
        let now = self.clock.now();
        let id = self.ids.uuid(now);
        let to = mail.to.as_str().parse().map_err(|_| unusable("the address"))?;
        let message_id = format!("<{}@{}>", id.simple(), self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(one_line(&mail.subject))
            .date(SystemTime::from(now))
            .message_id(Some(message_id))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone());
        Ok((id, message.map_err(|_| unusable("the message"))?))
    }
}

fn mailbox(text: &str) -> Result<Mailbox, SenderError> {
    if text.chars().any(char::is_control) {
        return Err(SenderError);
    }
    text.parse().map_err(|_| SenderError)
}

/// A site's name may hold anything.
fn one_line(subject: &str) -> String {
    subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Without the library's own words: they may quote the address.
fn unusable(what: &'static str) -> MailerError {
    MailerError(format!("{what} cannot be written as RFC 5322 wants it").into())
}
