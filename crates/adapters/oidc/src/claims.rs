//! The claims of a token whose signature holds, and the rules for them.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta};
use posx_kernel::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::config::IssuerConfig;
use crate::error::Reason;
use crate::profile::Profile;

/// As OpenID Connect bounds a subject.
const SUBJECT_BYTES_MAX: usize = 255;
/// Auth0: the subject of a token by client credentials is the client with this.
const SERVICE_SUBJECT_SUFFIX: &str = "@clients";
const SERVICE_GRANT: &str = "client-credentials";
/// The year 9999: anything later is a mistake in units.
const SECONDS_MAX: f64 = 253_402_300_799.0;

#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    pub(crate) iat: Option<NumericDate>,
    pub(crate) auth_time: Option<NumericDate>,
    /// How the person signed in (RFC 8176), and to what standard. Only an issuer's configuration makes more of it than text;
    /// what is no text counts as absent.
    amr: Option<Value>,
    acr: Option<Value>,
    pub(crate) jti: Option<String>,
    pub(crate) sid: Option<String>,
    scope: Option<String>,
    pub(crate) permissions: Option<Vec<String>>,
    pub(crate) azp: Option<String>,
    pub(crate) client_id: Option<String>,
    /// Auth0: the grant that the token came by.
    gty: Option<OneOrMany>,
    /// Auth0: the organisation that the person signed in to.
    pub(crate) org_id: Option<String>,
    /// Cognito: `access` or `id`.
    pub(crate) token_use: Option<String>,
    /// Cognito: of a person only, and not their subject.
    username: Option<String>,
    /// Cognito: what all tokens of one sign-in share, and what revocation goes by.
    pub(crate) origin_jti: Option<String>,
    // Only an ID token has these (OpenID Connect Core, 3.1.3.6 and 3.3.2.11).
    nonce: Option<Value>,
    at_hash: Option<Value>,
    c_hash: Option<Value>,
    s_hash: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

/// Whom a token speaks for.
pub(crate) enum Holder {
    Person { subject: String },
    Service { client: String },
}

/// Seconds since 1970; a fraction is allowed and cut off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct NumericDate(pub(crate) Timestamp);

impl TryFrom<f64> for NumericDate {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            return Err("a date outside of the years 1970 to 9999");
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was just checked; the fraction is cut on purpose"
        )]
        let whole = seconds as i64;
        DateTime::from_timestamp(whole, 0).map(Self).ok_or("no date")
    }
}

impl Claims {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Reason> {
        serde_json::from_slice(payload).map_err(|_| Reason::MalformedClaims)
    }

    /// Holder and expiry of a token that passes every rule of its issuer.
    pub(crate) fn check(&self, issuer: &IssuerConfig, now: Timestamp) -> Result<(Holder, Timestamp), Reason> {
        if self.iss != issuer.issuer {
            return Err(Reason::UnknownIssuer);
        }
        let expires_at = self.check_times(now, issuer.leeway)?;
        if [&self.nonce, &self.at_hash, &self.c_hash, &self.s_hash]
            .into_iter()
            .any(Option::is_some)
        {
            return Err(Reason::IdToken);
        }
        issuer.profile.check_claims(self)?;
        if !self.is_for(issuer) {
            return Err(Reason::WrongAudience);
        }
        let client = self.client()?;
        if let Some(allowed) = &issuer.client_ids
            && !client.is_some_and(|client| allowed.iter().any(|id| id == client))
        {
            return Err(Reason::WrongClient);
        }
        if issuer.organization.is_some() && self.org_id != issuer.organization {
            return Err(Reason::WrongOrganization);
        }
        Ok((self.holder(issuer.profile, client)?, expires_at))
    }

    /// One sign of a service is enough: a service that passes for a person is worse than the reverse.
    fn holder(&self, profile: Profile, client: Option<&str>) -> Result<Holder, Reason> {
        let subject = self.sub.as_ref().filter(|subject| is_usable_subject(subject));
        let subject = subject.ok_or(Reason::NoSubject)?;
        let auth0_client = subject.strip_suffix(SERVICE_SUBJECT_SUFFIX);
        let is_service = auth0_client.is_some()
            || self.gty.as_ref().is_some_and(|grants| grants.contains(SERVICE_GRANT))
            // RFC 9068 section 2.2: without a resource owner the subject is the client.
            || client == Some(subject)
            || (profile == Profile::Cognito && self.username.is_none());
        if !is_service {
            return Ok(Holder::Person {
                subject: subject.clone(),
            });
        }
        let client = client.filter(|client| auth0_client.is_none_or(|named| named == *client));
        Ok(Holder::Service {
            client: client.ok_or(Reason::WrongClient)?.to_owned(),
        })
    }

    /// RFC 9068 says `client_id`, OpenID Connect says `azp`; a token that says both means one client.
    pub(crate) fn client(&self) -> Result<Option<&str>, Reason> {
        match (self.client_id.as_deref(), self.azp.as_deref()) {
            (Some(client), Some(party)) if client != party => Err(Reason::WrongClient),
            (client, party) => Ok(client.or(party)),
        }
    }

    pub(crate) fn scopes(&self) -> BTreeSet<String> {
        let scope = self.scope.as_deref().unwrap_or_default();
        scope.split_ascii_whitespace().map(ToOwned::to_owned).collect()
    }

    pub(crate) fn methods(&self) -> BTreeSet<String> {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        match &self.amr {
            Some(Value::Array(methods)) => methods.iter().filter_map(text).collect(),
            Some(one) => text(one).into_iter().collect(),
            None => BTreeSet::new(),
        }
    }

    pub(crate) fn context(&self) -> Option<&str> {
        self.acr.as_ref()?.as_str()
    }

    fn check_times(&self, now: Timestamp, leeway: TimeDelta) -> Result<Timestamp, Reason> {
        let NumericDate(expires_at) = self.exp.ok_or(Reason::NoExpiry)?;
        if now >= expires_at + leeway {
            return Err(Reason::Expired);
        }
        let is_ahead = |date: Option<NumericDate>| date.is_some_and(|NumericDate(date)| date > now + leeway);
        if is_ahead(self.nbf) {
            return Err(Reason::NotYetValid);
        }
        if is_ahead(self.iat) {
            return Err(Reason::IssuedInTheFuture);
        }
        Ok(expires_at)
    }

    fn is_for(&self, issuer: &IssuerConfig) -> bool {
        match (&self.aud, &issuer.audience) {
            (Some(named), Some(ours)) => named.contains(ours),
            (None, _) => issuer.profile == Profile::Cognito,
            (Some(_), None) => false,
        }
    }
}

/// Becomes part of a key in the database and of log lines.
fn is_usable_subject(subject: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) && !subject.chars().any(char::is_control)
}
