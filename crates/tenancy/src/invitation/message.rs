//! What an invitation says.

use chrono::{DateTime, Utc};
use url::{Host, Url};

use super::{Invitation, InvitationToken};
use crate::{Mail, Site};

const TOKEN: &str = "{token}";
const SITE: &str = "{site}";

/// The address of a page that accepts invitations, with `{token}` where the token goes and, if sites share the page,
/// `{site}` where the site's code goes. A token in the fragment (`#token={token}`) reaches no server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationLink(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationLinkError {
    #[error("it has {{token}} not exactly once")]
    Token,
    #[error("it is not an https:// address")]
    Address,
}

impl InvitationLink {
    /// http is for pages on this machine only.
    pub fn new(template: &str) -> Result<Self, InvitationLinkError> {
        if template.matches(TOKEN).count() != 1 {
            return Err(InvitationLinkError::Token);
        }
        let link = Self(template.to_owned());
        let url = Url::parse(&link.with("0", "SITE")).map_err(|_| InvitationLinkError::Address)?;
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let is_address = !template.contains(char::is_whitespace)
            && url.username().is_empty()
            && (url.scheme() == "https" || url.scheme() == "http" && here);
        if is_address {
            Ok(link)
        } else {
            Err(InvitationLinkError::Address)
        }
    }

    fn with(&self, token: &str, site: &str) -> String {
        self.0.replace(SITE, site).replace(TOKEN, token)
    }
}

pub(super) fn message(
    invitation: &Invitation,
    site: &Site,
    link: &InvitationLink,
    token: &InvitationToken,
) -> Mail {
    let link = link.with(token.reveal(), site.code.as_str());
    let until: DateTime<Utc> = invitation.expires_at;
    let (name, role) = (&site.name, invitation.terms.role.as_str());
    Mail {
        to: invitation.email.clone(),
        subject: format!("Invitation to {name}"),
        body: format!(
            "You are invited to {name}, as {role}.\n\n\
             To accept, open this address and sign in:\n\n{link}\n\n\
             It works once, until {until}. Whoever has it can use it: do not pass it on.\n\
             If you did not expect this message, do nothing.\n",
            until = until.format("%-d %B %Y, %H:%M UTC"),
        ),
    }
}
