use chrono::TimeDelta;
use posx_keyset::Algorithm;

use crate::profile::Profile;

/// One issuer whose access tokens our API takes. Compared exactly: a trailing slash, another case or another host name
/// is another issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    pub(crate) issuer: String,
    /// The issuer that identities are kept under: its own name, unless it goes by several.
    pub(crate) identity_issuer: String,
    pub(crate) profile: Profile,
    /// Only Cognito can do without.
    pub(crate) audience: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) keys: KeyLocation,
    pub(crate) client_ids: Option<Vec<String>>,
    pub(crate) takes_missing_kid: bool,
    pub(crate) leeway: TimeDelta,
    pub(crate) second_factor: SecondFactorClaims,
}

/// With which claims an issuer vouches for a second factor: one of these methods (`amr`, RFC 8176), or one of these contexts
/// (`acr`). Empty: with none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecondFactorClaims {
    pub methods: Vec<String>,
    pub contexts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyLocation {
    /// `jwks_uri` of `{issuer}/.well-known/openid-configuration`.
    Discovery,
    Url(String),
}

/// A configuration that must stop the start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("no token issuer is configured")]
    NoIssuer,
    #[error("token issuer {issuer}: {problem}")]
    Issuer { issuer: String, problem: &'static str },
    #[error("the HTTP client for token issuer {issuer} cannot be made")]
    Client {
        issuer: String,
        #[source]
        source: reqwest::Error,
    },
}

impl IssuerConfig {
    pub const LEEWAY_SECONDS_MAX: u8 = 60;

    /// RS256, keys by discovery, any client, a kid required, 30 seconds of leeway. For Auth0 and Cognito see
    /// [`auth0`](Self::auth0) and [`cognito`](Self::cognito).
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self::with_profile(issuer.into(), Some(audience.into()), Profile::Any)
    }

    pub(crate) fn with_profile(issuer: String, audience: Option<String>, profile: Profile) -> Self {
        Self {
            identity_issuer: issuer.clone(),
            issuer,
            profile,
            audience,
            organization: None,
            algorithms: vec![Algorithm::Rs256],
            keys: KeyLocation::Discovery,
            client_ids: None,
            takes_missing_kid: false,
            leeway: TimeDelta::seconds(30),
            second_factor: SecondFactorClaims::default(),
        }
    }

    /// What `aud` must contain; Cognito's tokens have one for a bound resource only, and then it must be this.
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self {
            audience: Some(audience.into()),
            ..self
        }
    }

    #[must_use]
    pub fn algorithms(self, algorithms: impl Into<Vec<Algorithm>>) -> Self {
        Self {
            algorithms: algorithms.into(),
            ..self
        }
    }

    /// The key set's own address, for an issuer without discovery. https, or http on this machine.
    #[must_use]
    pub fn jwks_url(self, url: impl Into<String>) -> Self {
        Self {
            keys: KeyLocation::Url(url.into()),
            ..self
        }
    }

    /// Only tokens given to these clients (`client_id` or `azp`).
    #[must_use]
    pub fn client_ids<S: Into<String>>(self, clients: impl IntoIterator<Item = S>) -> Self {
        Self {
            client_ids: Some(clients.into_iter().map(Into::into).collect()),
            ..self
        }
    }

    /// Takes a token that names no key, as long as the issuer has exactly one.
    #[must_use]
    pub fn take_missing_kid(self) -> Self {
        Self {
            takes_missing_kid: true,
            ..self
        }
    }

    /// How far the issuer's clock may be from ours; checked by the verifier against [`Self::LEEWAY_SECONDS_MAX`].
    #[must_use]
    pub fn leeway_seconds(self, seconds: u8) -> Self {
        Self {
            leeway: TimeDelta::seconds(i64::from(seconds)),
            ..self
        }
    }

    /// Which claims vouch for a second factor; without this, none does.
    #[must_use]
    pub fn second_factor(self, second_factor: SecondFactorClaims) -> Self {
        Self {
            second_factor,
            ..self
        }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer that its identities are kept under.
    pub fn identity_issuer(&self) -> &str {
        &self.identity_issuer
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let is_bad_name = |name: &String| name.is_empty() || name.contains(char::is_whitespace);
        let problem = if is_bad_name(&self.issuer) {
            "its name is empty or has white space"
        } else if self.audience.as_ref().is_some_and(is_bad_name) {
            "its audience is empty or has white space"
        } else if self.audience.is_none() && self.profile != Profile::Cognito {
            "it has no audience, which only Cognito's tokens can do without"
        } else if self.organization.as_ref().is_some_and(is_bad_name) {
            "its organisation is empty or has white space"
        } else if self.algorithms.is_empty() {
            "it may use no algorithm"
        } else if self
            .client_ids
            .as_ref()
            .is_some_and(|ids| ids.is_empty() || ids.iter().any(is_bad_name))
        {
            "its list of clients is empty or has an empty name"
        } else if self.leeway > TimeDelta::seconds(i64::from(Self::LEEWAY_SECONDS_MAX)) {
            "its leeway is more than 60 seconds"
        } else {
            return Ok(());
        };
        Err(self.problem(problem))
    }

    pub(crate) fn problem(&self, problem: &'static str) -> ConfigError {
        ConfigError::Issuer {
            issuer: self.issuer.clone(),
            problem,
        }
    }
}
