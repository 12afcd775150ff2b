//! SMTP.

use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use posx_tenancy::{Mail, MailOutcome, Mailer, MailerError};
use secrecy::{ExposeSecret as _, SecretString};

use crate::compose::Sender;

/// Of each command.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What a server says of a mailbox, for good (RFC 5321 section 4.2.3): not there, not local, not allowed. Other permanent
/// codes are about us: a password, a quota, a syntax.
const MAILBOX_REFUSED: [u16; 3] = [550, 551, 553];

#[derive(Debug, Clone)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    sender: Sender,
}

/// Never shows the address: a password is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpAddressError {
    #[error("it is not an smtps:// or smtp:// address")]
    Unreadable,
    #[error("it does not insist on TLS: smtps://… or smtp://…?tls=required")]
    Plain,
}

/// What went wrong, in our words.
#[derive(Debug, thiserror::Error)]
#[error("SMTP: {kind}{}", status.map(|status| format!(" ({status})")).unwrap_or_default())]
struct SmtpFault {
    kind: &'static str,
    status: Option<u16>,
}

impl SmtpMailer {
    /// `url` as in `smtps://user:password@host` (port 465) or `smtp://user:password@host?tls=required` (STARTTLS, port 587).
    /// Without TLS is for tests and a server on this machine.
    pub fn new(url: &SecretString, sender: Sender) -> Result<Self, SmtpAddressError> {
        let transport = transport(url)?;
        Ok(Self { transport, sender })
    }

    /// Connects as for a message (greeting, TLS, name and password) and sends none.
    pub async fn greet(url: &SecretString) -> Result<(), MailerError> {
        let failed = |error: smtp::Error| MailerError(Box::new(fault(&error)));
        let transport = transport(url).map_err(|error| MailerError(Box::new(error)))?;
        if transport.test_connection().await.map_err(failed)? {
            Ok(())
        } else {
            Err(MailerError(Box::new(SmtpFault {
                kind: "no readiness",
                status: None,
            })))
        }
    }

    /// Whether [`SmtpMailer::new`] would take it, and whether it insists on TLS.
    pub fn check(url: &SecretString) -> Result<(), SmtpAddressError> {
        let text = url.expose_secret();
        AsyncSmtpTransport::<Tokio1Executor>::from_url(text).map_err(|_| SmtpAddressError::Unreadable)?;
        let insists = text
            .split_once('?')
            .is_some_and(|(_, query)| query.split('&').any(|pair| pair == "tls=required"));
        if text.starts_with("smtps://") || insists {
            Ok(())
        } else {
            Err(SmtpAddressError::Plain)
        }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<MailOutcome, MailerError> {
        let (_, message) = self.sender.compose(mail)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(MailOutcome::Accepted),
            Err(error) if status(&error).is_some_and(|status| MAILBOX_REFUSED.contains(&status)) => {
                Ok(MailOutcome::Refused)
            }
            Err(error) => Err(MailerError(Box::new(fault(&error)))),
        }
    }
}

fn transport(url: &SecretString) -> Result<AsyncSmtpTransport<Tokio1Executor>, SmtpAddressError> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
    let builder = builder.map_err(|_| SmtpAddressError::Unreadable)?;
    Ok(builder.timeout(Some(TIMEOUT)).build())
}

fn status(error: &smtp::Error) -> Option<u16> {
    error.status().map(u16::from)
}

fn fault(error: &smtp::Error) -> SmtpFault {
    let kind = match () {
        () if error.is_timeout() => "no answer in time",
        () if error.is_tls() => "TLS failed",
        () if error.is_permanent() => "refused",
        () if error.is_transient() => "not now",
        () if error.is_response() => "an answer that cannot be read",
        () => "no connection",
    };
    SmtpFault {
        kind,
        status: status(error),
    }
}
