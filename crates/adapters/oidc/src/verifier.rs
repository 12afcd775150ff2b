use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use posx_kernel::{Clock, Timestamp};
use posx_keyset::{FetchKeys, KeySet, KeySetHealth};

use crate::claims::{Claims, NumericDate};
use crate::config::{ConfigError, IssuerConfig};
use crate::error::{AuthError, Reason};
use crate::http::HttpKeys;
use crate::token::Token;

/// Checks access tokens of the configured issuers. Shared by all requests; each issuer has a key set of its own.
pub struct Verifier {
    issuers: Vec<Issuer>,
    clock: Arc<dyn Clock>,
}

struct Issuer {
    config: IssuerConfig,
    keys: KeySet,
}

/// A token that passed. Whether its subject is still welcome (revocation by `token_id` or `session_id`, a disabled
/// identity) and what it may do at a site is the caller's to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    pub issuer: String,
    /// Unique only together with the issuer.
    pub subject: String,
    pub client: Option<String>,
    pub scopes: BTreeSet<String>,
    /// Empty if the token has none: that means none, not all.
    pub permissions: BTreeSet<String>,
    pub token_id: Option<String>,
    pub session_id: Option<String>,
    pub issued_at: Option<Timestamp>,
    /// Without leeway.
    pub expires_at: Timestamp,
    /// When the person last proved who they are, if the issuer says so.
    pub authenticated_at: Option<Timestamp>,
}

impl Verifier {
    /// Fetches nothing yet: a start does not depend on the issuers.
    pub fn new(issuers: Vec<IssuerConfig>, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let mut with_keys = Vec::with_capacity(issuers.len());
        for config in issuers {
            let keys: Arc<dyn FetchKeys> = Arc::new(HttpKeys::for_issuer(&config)?);
            with_keys.push((config, keys));
        }
        Self::with_key_sources(with_keys, clock)
    }

    /// With another way to the keys than HTTP.
    pub fn with_key_sources(
        issuers: Vec<(IssuerConfig, Arc<dyn FetchKeys>)>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        if issuers.is_empty() {
            return Err(ConfigError::NoIssuer);
        }
        let mut known: Vec<Issuer> = Vec::with_capacity(issuers.len());
        for (config, source) in issuers {
            config.check()?;
            if known.iter().any(|other| other.config.issuer == config.issuer) {
                return Err(config.problem("it is configured twice"));
            }
            let keys = KeySet::new(config.issuer.clone(), source, Arc::clone(&clock));
            known.push(Issuer { config, keys });
        }
        Ok(Self {
            issuers: known,
            clock,
        })
    }

    /// `token` is what follows `Bearer `.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, AuthError> {
        let token = Token::parse(token)?;
        let issuer = self.issuer(&token.claimed_issuer()?)?;
        if !issuer.config.algorithms.contains(&token.algorithm) {
            return Err(Reason::AlgorithmNotAllowed.into());
        }
        let key = match &token.kid {
            Some(kid) => issuer.keys.key(kid).await?,
            None if issuer.config.takes_missing_kid => issuer.keys.only_key().await?,
            None => return Err(Reason::NoKeyId.into()),
        };
        key.verify(token.algorithm, token.message, &token.signature)
            .map_err(|_| Reason::BadSignature)?;
        Ok(issuer.accept(&Claims::parse(&token.payload)?, self.clock.now())?)
    }

    /// For readiness: fetches what is missing or old, then tells how each key set is.
    pub async fn health(&self) -> Vec<KeySetHealth> {
        let mut health = Vec::with_capacity(self.issuers.len());
        for issuer in &self.issuers {
            issuer.keys.refresh_if_due().await;
            health.push(issuer.keys.health());
        }
        health
    }

    fn issuer(&self, name: &str) -> Result<&Issuer, Reason> {
        self.issuers
            .iter()
            .find(|issuer| issuer.config.issuer == name)
            .ok_or(Reason::UnknownIssuer)
    }
}

impl Issuer {
    fn accept(&self, claims: &Claims, now: Timestamp) -> Result<VerifiedToken, Reason> {
        let (subject, expires_at) = claims.check(&self.config, now)?;
        let instant = |date: Option<NumericDate>| date.map(|NumericDate(instant)| instant);
        Ok(VerifiedToken {
            issuer: self.config.issuer.clone(),
            subject,
            client: claims.client()?.map(ToOwned::to_owned),
            scopes: claims
                .scope
                .iter()
                .flat_map(|scope| scope.split_ascii_whitespace())
                .map(ToOwned::to_owned)
                .collect(),
            permissions: claims.permissions.iter().flatten().cloned().collect(),
            token_id: claims.jti.clone(),
            session_id: claims.sid.clone(),
            issued_at: instant(claims.iat),
            expires_at,
            authenticated_at: instant(claims.auth_time),
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.issuers.iter().map(|issuer| &issuer.config))
            .finish()
    }
}

#[cfg(test)]
mod tests;
