//! How e-mail leaves, and where its links lead.

use std::path::PathBuf;

use posx_mail::{Sender, SmtpAddressError, SmtpMailer};
use posx_tenancy::InvitationLink;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::reference::Secret;
use super::weakness::weakness_of_password;

/// Without this section nobody is invited.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// `smtps://user:password@host` or `smtp://user:password@host?tls=required`, with special characters percent-encoded.
    /// Either this or a folder.
    #[schemars(with = "Option<Secret>", extend("x-refused" = "no TLS, and a weak password"))]
    pub smtp_url: Option<SecretString>,
    /// Messages are written here as `.eml` files: for development and the demo.
    #[schemars(extend("x-refused" = "any: nobody would get them"))]
    pub folder: Option<PathBuf>,
    /// Who messages are from: `POSX <no-reply@posx.example>`.
    pub from: String,
    /// The page that accepts invitations, with `{token}` once and, if sites share it, `{site}` for the site's code; http only on
    /// this machine. Put the token behind `#`: what is there reaches no server's log.
    #[schemars(extend("x-refused" = "an address without https"))]
    pub invitation_link: String,
}

impl MailSettings {
    pub(super) fn check(&self, production: bool, problems: &mut Vec<String>) {
        let mut unless = |fine: bool, problem: String| {
            if !fine {
                problems.push(problem);
            }
        };
        unless(
            self.smtp_url.is_some() != self.folder.is_some(),
            "mail needs one of mail.smtp_url and mail.folder".into(),
        );
        unless(
            !(production && self.folder.is_some()),
            "mail.folder keeps messages from their readers, in production".into(),
        );
        match self.smtp_url.as_ref().map(SmtpMailer::check) {
            // A server on a developer's machine has no certificate.
            Some(Err(SmtpAddressError::Plain)) if !production => {}
            Some(Err(error)) => unless(false, format!("mail.smtp_url is not usable: {error}")),
            Some(Ok(())) | None => {}
        }
        let weakness = self
            .smtp_url
            .as_ref()
            .and_then(|url| weakness_of_password(url.expose_secret()));
        if let Some(weakness) = weakness.filter(|_| production) {
            unless(
                false,
                format!("the password in mail.smtp_url is weak: {weakness}"),
            );
        }
        if let Err(error) = Sender::check(&self.from) {
            unless(false, format!("mail.from is not usable: {error}"));
        }
        match InvitationLink::new(&self.invitation_link) {
            Err(error) => unless(false, format!("mail.invitation_link is not usable: {error}")),
            Ok(_) => unless(
                !production || self.invitation_link.starts_with("https://"),
                "mail.invitation_link is not an https:// address".into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> MailSettings {
        MailSettings {
            smtp_url: Some(SecretString::from(
                "smtps://posx:kT9-correct-horse@mail.test".to_owned(),
            )),
            folder: None,
            from: "POSX <no-reply@posx.test>".to_owned(),
            invitation_link: "https://app.posx.test/{site}/join#token={token}".to_owned(),
        }
    }

    fn problems(production: bool, change: impl FnOnce(&mut MailSettings)) -> Vec<String> {
        let (mut settings, mut problems) = (settings(), Vec::new());
        change(&mut settings);
        settings.check(production, &mut problems);
        problems
    }

    #[test]
    fn production_sends_over_tls_and_links_over_https() {
        assert_eq!(problems(true, |_| {}), Vec::<String>::new());
        let plain = |settings: &mut MailSettings| {
            settings.smtp_url = Some(SecretString::from("smtp://127.0.0.1:1025".to_owned()));
            settings.invitation_link = "http://localhost:5173/join#{token}".to_owned();
        };
        assert_eq!(problems(false, plain), Vec::<String>::new());
        assert_eq!(
            problems(true, plain),
            [
                "mail.smtp_url is not usable: it does not insist on TLS: smtps://… or smtp://…?tls=required",
                "mail.invitation_link is not an https:// address",
            ]
        );
        let folder = |settings: &mut MailSettings| {
            settings.smtp_url = None;
            settings.folder = Some("mail".into());
        };
        assert_eq!(problems(false, folder), Vec::<String>::new());
        assert_eq!(
            problems(true, folder),
            ["mail.folder keeps messages from their readers, in production"]
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_and_no_password_is_shown() {
        let found = problems(false, |settings| {
            settings.folder = Some("mail".into());
            settings.smtp_url = Some(SecretString::from("a-long-password@mail.test".to_owned()));
            settings.from = "POSX".to_owned();
            settings.invitation_link = "https://app.posx.test/join".to_owned();
        });
        assert_eq!(
            found,
            [
                "mail needs one of mail.smtp_url and mail.folder",
                "mail.smtp_url is not usable: it is not an smtps:// or smtp:// address",
                "mail.from is not usable: it is not an e-mail address, with or without a name: POSX <no-reply@posx.example>",
                "mail.invitation_link is not usable: it has {token} not exactly once",
            ]
        );
        assert!(!format!("{:?}", settings()).contains("correct-horse"));
    }
}
