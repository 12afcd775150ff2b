//! The claims of a token whose signature holds, and the rules for them.

use chrono::{DateTime, TimeDelta};
use posx_kernel::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::config::IssuerConfig;
use crate::error::Reason;

/// As OpenID Connect bounds a subject.
const SUBJECT_BYTES_MAX: usize = 255;
/// The year 9999: anything later is a mistake in units.
const SECONDS_MAX: f64 = 253_402_300_799.0;

#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    pub(crate) sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    pub(crate) iat: Option<NumericDate>,
    pub(crate) auth_time: Option<NumericDate>,
    pub(crate) jti: Option<String>,
    pub(crate) sid: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) permissions: Option<Vec<String>>,
    azp: Option<String>,
    client_id: Option<String>,
    // Only an ID token has these (OpenID Connect Core, 3.1.3.6 and 3.3.2.11).
    nonce: Option<Value>,
    at_hash: Option<Value>,
    c_hash: Option<Value>,
    s_hash: Option<Value>,
}

/// One audience or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
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

    /// Subject and expiry of a token that passes every rule of its issuer.
    pub(crate) fn check(&self, issuer: &IssuerConfig, now: Timestamp) -> Result<(String, Timestamp), Reason> {
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
        if !self.is_for(&issuer.audience) {
            return Err(Reason::WrongAudience);
        }
        if let Some(allowed) = &issuer.client_ids
            && !self
                .client()?
                .is_some_and(|client| allowed.iter().any(|id| id == client))
        {
            return Err(Reason::WrongClient);
        }
        match &self.sub {
            Some(subject) if is_usable_subject(subject) => Ok((subject.clone(), expires_at)),
            _ => Err(Reason::NoSubject),
        }
    }

    /// RFC 9068 says `client_id`, OpenID Connect says `azp`; a token that says both means one client.
    pub(crate) fn client(&self) -> Result<Option<&str>, Reason> {
        match (self.client_id.as_deref(), self.azp.as_deref()) {
            (Some(client), Some(party)) if client != party => Err(Reason::WrongClient),
            (client, party) => Ok(client.or(party)),
        }
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

    fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(Audience::One(one)) => one == audience,
            Some(Audience::Many(many)) => many.iter().any(|one| one == audience),
            None => false,
        }
    }
}

/// Becomes part of a key in the database and of log lines.
fn is_usable_subject(subject: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) && !subject.chars().any(char::is_control)
}
