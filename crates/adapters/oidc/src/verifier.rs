mod id_token;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::join_all;
use posx_kernel::{Clock, Timestamp};
use posx_keyset::{FetchKeys, KeySet, KeySetHealth};

use crate::claims::{Claims, Holder, NumericDate};
use crate::config::{ConfigError, IssuerConfig, SecondFactorClaims};
use crate::error::{AuthError, Reason};
use crate::http::HttpKeys;
use crate::token::Token;

pub use id_token::{IdTokenWish, IdentifiedSignIn};

/// A misconfigured client asks often, and so may anybody.
const HINT_EVERY_S: i64 = 600;

/// Checks access tokens of the configured issuers. Shared by all requests; each issuer has a key set of its own.
pub struct Verifier {
    issuers: Vec<Issuer>,
    clock: Arc<dyn Clock>,
    /// When the log was last told of an opaque token, in seconds since 1970.
    hinted_at_s: AtomicI64,
}

struct Issuer {
    config: IssuerConfig,
    keys: KeySet,
}

/// Whom a token that passed speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    Person(VerifiedToken),
    Service(ServiceToken),
}

/// A person's token that passed. Whether the person is still welcome (revocation by `token_id` or `session_id`, a
/// disabled identity) and what they may do at a site is the caller's to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    pub issuer: String,
    /// Unique only together with the issuer.
    pub subject: String,
    pub client: Option<String>,
    pub scopes: BTreeSet<String>,
    /// Empty if the token has none: that means none, not all.
    pub permissions: BTreeSet<String>,
    /// Auth0's organisation that the person signed in to. Membership is not decided by it.
    pub organization: Option<String>,
    pub token_id: Option<String>,
    pub session_id: Option<String>,
    pub issued_at: Option<Timestamp>,
    /// Without leeway.
    pub expires_at: Timestamp,
    /// When the person last proved who they are, if the issuer says so.
    pub authenticated_at: Option<Timestamp>,
    /// `amr`: how they did.
    pub methods: BTreeSet<String>,
    /// `acr`: to what standard.
    pub context: Option<String>,
    /// Whether one of these two vouches for a second factor, as the issuer is configured.
    pub second_factor: bool,
}

/// A machine's token that passed, given for its client's own credentials. It has no subject: nothing that is kept for
/// people can be looked up or made by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceToken {
    pub issuer: String,
    /// Unique only together with the issuer.
    pub client: String,
    pub scopes: BTreeSet<String>,
    /// Empty if the token has none: that means none, not all.
    pub permissions: BTreeSet<String>,
    pub organization: Option<String>,
    pub token_id: Option<String>,
    pub issued_at: Option<Timestamp>,
    /// Without leeway.
    pub expires_at: Timestamp,
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
            hinted_at_s: AtomicI64::new(i64::MIN),
        })
    }

    /// Lets in people only. `token` is what follows `Bearer `.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, AuthError> {
        match self.verify_caller(token).await? {
            Verified::Person(token) => Ok(token),
            Verified::Service(_) => Err(Reason::ServiceCaller.into()),
        }
    }

    /// For where services may call as well.
    pub async fn verify_caller(&self, token: &str) -> Result<Verified, AuthError> {
        let token = Token::parse(token).inspect_err(|reason| self.hint_at_opaque_tokens(*reason))?;
        let issuer = self.issuer(&token.claimed_issuer()?)?;
        issuer.config.profile.check_type(token.typ)?;
        issuer.check_signature(&token).await?;
        Ok(issuer.accept(Claims::parse(&token.payload)?, self.clock.now())?)
    }

    /// With which claims the issuer of these identities vouches for a second factor: what a client may ask it for.
    pub fn second_factor_claims(&self, identity_issuer: &str) -> Option<&SecondFactorClaims> {
        let mut issuers = self.issuers.iter().map(|issuer| &issuer.config);
        let found = issuers.find(|config| config.identity_issuer == identity_issuer)?;
        Some(&found.second_factor)
    }

    /// For readiness: fetches what is missing or old, then tells how the keys of each issuer are. Of an issuer's other
    /// names only those are asked that a token has used.
    pub async fn health(&self) -> Vec<KeySetHealth> {
        let used = self.issuers.iter().filter(|issuer| issuer.is_in_use());
        join_all(used.map(|issuer| issuer.keys.refresh_if_due())).await;
        let mut health: Vec<KeySetHealth> = Vec::with_capacity(self.issuers.len());
        for issuer in &self.issuers {
            let keys = KeySetHealth {
                name: issuer.config.identity_issuer.clone(),
                ..issuer.keys.health()
            };
            match health.iter_mut().find(|other| other.name == keys.name) {
                // Its tokens come under one of its names: keys for that one are enough.
                Some(other) if other.usable => {}
                Some(other) => *other = keys,
                None => health.push(keys),
            }
        }
        health
    }

    fn hint_at_opaque_tokens(&self, reason: Reason) {
        let now = self.clock.now().timestamp();
        let last = self.hinted_at_s.load(Ordering::Relaxed);
        if reason == Reason::OpaqueToken
            && !(0..HINT_EVERY_S).contains(&now.saturating_sub(last))
            && self
                .hinted_at_s
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            tracing::warn!(
                "a client sends opaque or encrypted tokens: it must ask the issuer for this API's audience (Auth0: the \
                 parameter `audience`)"
            );
        }
    }

    fn issuer(&self, name: &str) -> Result<&Issuer, Reason> {
        self.issuers
            .iter()
            .find(|issuer| issuer.config.issuer == name)
            .ok_or(Reason::UnknownIssuer)
    }
}

impl Issuer {
    fn is_in_use(&self) -> bool {
        self.config.issuer == self.config.identity_issuer || self.keys.health().age.is_some()
    }

    async fn check_signature(&self, token: &Token<'_>) -> Result<(), AuthError> {
        if !self.config.algorithms.contains(&token.algorithm) {
            return Err(Reason::AlgorithmNotAllowed.into());
        }
        let key = match &token.kid {
            Some(kid) => self.keys.key(kid).await?,
            None if self.config.takes_missing_kid => self.keys.only_key().await?,
            None => return Err(Reason::NoKeyId.into()),
        };
        key.verify(token.algorithm, token.message, &token.signature)
            .map_err(|_| Reason::BadSignature)?;
        Ok(())
    }

    /// Whether these claims vouch for a second factor, as the issuer is configured.
    fn vouches(&self, methods: &BTreeSet<String>, context: Option<&str>) -> bool {
        let vouching = &self.config.second_factor;
        vouching.methods.iter().any(|method| methods.contains(method))
            || context.is_some_and(|context| vouching.contexts.iter().any(|one| one == context))
    }

    fn accept(&self, claims: Claims, now: Timestamp) -> Result<Verified, Reason> {
        let (holder, expires_at) = claims.check(&self.config, now)?;
        let client = claims.client()?.map(ToOwned::to_owned);
        let instant = |date: Option<NumericDate>| date.map(|NumericDate(instant)| instant);
        let issuer = self.config.identity_issuer.clone();
        let scopes = claims.scopes();
        let (methods, context) = (claims.methods(), claims.context().map(ToOwned::to_owned));
        let second_factor = self.vouches(&methods, context.as_deref());
        let permissions = claims.permissions.into_iter().flatten().collect();
        Ok(match holder {
            Holder::Person { subject } => Verified::Person(VerifiedToken {
                issuer,
                subject,
                client,
                scopes,
                permissions,
                organization: claims.org_id,
                token_id: claims.jti,
                session_id: claims.sid.or(claims.origin_jti),
                issued_at: instant(claims.iat),
                expires_at,
                authenticated_at: instant(claims.auth_time),
                methods,
                context,
                second_factor,
            }),
            Holder::Service { client } => Verified::Service(ServiceToken {
                issuer,
                client,
                scopes,
                permissions,
                organization: claims.org_id,
                token_id: claims.jti,
                issued_at: instant(claims.iat),
                expires_at,
            }),
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
