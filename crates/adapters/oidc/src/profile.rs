//! What Auth0 and Cognito do differently, as configuration of an issuer and as rules for its tokens.

use reqwest::Url;

use crate::claims::Claims;
use crate::config::{ConfigError, IssuerConfig, KeyLocation};
use crate::error::Reason;
use crate::token::TokenType;

/// Which of the forms in use an issuer's access tokens have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Any form whose claims hold.
    Any,
    /// Auth0's own: `typ` JWT, and `azp` names the client.
    Auth0,
    /// RFC 9068: `typ` at+jwt, and `client_id`, `jti` and `iat` are there.
    Rfc9068,
    /// `token_use` says what the token is, `client_id` names the app client, `aud` is there for a bound resource only.
    Cognito,
}

impl IssuerConfig {
    /// An Auth0 tenant, or its custom domain: `domain` is the host name alone, and the issuer is that host with the
    /// trailing slash that Auth0 puts there. Tokens have Auth0's own form; say [`rfc9068`](Self::rfc9068) if the API is
    /// set to that one.
    pub fn auth0(domain: &str, audience: impl Into<String>) -> Result<Self, ConfigError> {
        let issuer = format!("https://{domain}/");
        if Url::parse(&issuer).is_ok_and(|url| url.as_str() == issuer && url.host_str() == Some(domain)) {
            Ok(Self::with_profile(issuer, Some(audience.into()), Profile::Auth0))
        } else {
            Err(ConfigError::Issuer {
                issuer,
                problem: "its domain is not a host name alone, in lower case",
            })
        }
    }

    /// A Cognito user pool and the app clients whose tokens are taken. A pool goes by two issuers, the second one while
    /// it is replicated to several regions; each has an address of its own for its keys, and both mean the same
    /// identities.
    pub fn cognito<S: Into<String>>(
        pool_id: &str,
        clients: impl IntoIterator<Item = S>,
    ) -> Result<[Self; 2], ConfigError> {
        let region = region_of(pool_id).ok_or_else(|| ConfigError::Issuer {
            issuer: pool_id.to_owned(),
            problem: "it is not the id of a Cognito user pool, as in eu-west-1_Ab12Cd34E",
        })?;
        let clients: Vec<String> = clients.into_iter().map(Into::into).collect();
        let pool = format!("https://cognito-idp.{region}.amazonaws.com/{pool_id}");
        let replicated = format!("https://issuer.cognito-idp.{region}.amazonaws.com/{pool_id}");
        Ok([pool.clone(), replicated].map(|issuer| Self {
            identity_issuer: pool.clone(),
            keys: KeyLocation::Url(format!("{issuer}/.well-known/jwks.json")),
            client_ids: Some(clients.clone()),
            ..Self::with_profile(issuer, None, Profile::Cognito)
        }))
    }

    /// Takes tokens in the form of RFC 9068 and in no other.
    #[must_use]
    pub fn rfc9068(self) -> Self {
        Self {
            profile: Profile::Rfc9068,
            ..self
        }
    }

    /// Takes only tokens that Auth0 gave for this organisation (`org_id`): the issuer is bound to it.
    #[must_use]
    pub fn organization(self, id: impl Into<String>) -> Self {
        Self {
            organization: Some(id.into()),
            ..self
        }
    }
}

/// A pool's id begins with its region.
fn region_of(pool_id: &str) -> Option<&str> {
    let (region, name) = pool_id.split_once('_')?;
    let is_region = region
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_region && is_name && !region.is_empty() && !name.is_empty()).then_some(region)
}

impl Profile {
    pub(crate) fn check_type(self, typ: TokenType) -> Result<(), Reason> {
        let fits = match self {
            Self::Any | Self::Cognito => true,
            Self::Auth0 => typ == TokenType::Jwt,
            Self::Rfc9068 => typ == TokenType::AccessToken,
        };
        if fits { Ok(()) } else { Err(Reason::WrongType) }
    }

    /// What this form has and the others lack.
    pub(crate) fn check_claims(self, claims: &Claims) -> Result<(), Reason> {
        let fits = match self {
            Self::Any => true,
            Self::Auth0 => claims.azp.is_some() && claims.client_id.is_none(),
            Self::Rfc9068 => claims.client_id.is_some() && claims.jti.is_some() && claims.iat.is_some(),
            Self::Cognito => match claims.token_use.as_deref() {
                Some("access") => claims.client_id.is_some(),
                Some("id") => return Err(Reason::IdToken),
                _ => return Err(Reason::WrongTokenUse),
            },
        };
        if fits { Ok(()) } else { Err(Reason::WrongProfile) }
    }
}
