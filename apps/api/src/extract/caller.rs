//! Who calls: a bearer token that holds.

use actix_web::HttpRequest;
use actix_web::http::header;
use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::{IdentityId, SessionId, Timestamp};
use posx_oidc::{AuthError, Verified, VerifiedToken};
use posx_tenancy::{SignInFacts, SignInKey};

use super::SiteContext;
use super::site::site_of;
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::{Api, ApiState};

/// A verified identity. What it may do at a site is [`Allowed`](super::Allowed)'s question.
#[derive(Debug, Clone)]
pub struct Caller {
    pub identity: IdentityId,
    pub sign_in: SignIn,
    /// That the token is of, if it is one of a browser's.
    pub session: Option<SessionId>,
}

/// How and when the person behind a token signed in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// As identities are kept under.
    pub issuer: String,
    /// What tokens of one sign-in share: the session's id, else the token's, else its hash. No secret.
    pub key: String,
    pub authenticated_at: Option<Timestamp>,
    /// Whether the issuer vouches for a second factor, then.
    pub second_factor: bool,
}

impl SignIn {
    /// What a proof of a second factor is kept under.
    pub fn proof_key(&self) -> SignInKey {
        SignInKey::of(&self.key)
    }

    fn of(verified: VerifiedToken, token: &str) -> Self {
        let key = verified.session_id.or(verified.token_id);
        Self {
            issuer: verified.issuer,
            key: key.unwrap_or_else(|| hex::encode(digest(&SHA256, token.as_bytes()))),
            authenticated_at: verified.authenticated_at,
            second_factor: verified.second_factor,
        }
    }

    /// As it was when the session was opened: tokens of ours are not asked what their issuer vouched for.
    fn of_session(session: SessionId, facts: SignInFacts) -> Self {
        Self {
            issuer: facts.issuer,
            key: session.to_string(),
            authenticated_at: facts.authenticated_at,
            second_factor: facts.second_factor,
        }
    }
}

impl Caller {
    /// With the site of the request: both are counted, together, before anything is asked of the site.
    pub(super) async fn at_site(req: &HttpRequest, api: &ApiState) -> Result<(Self, SiteContext), ApiError> {
        let caller = Self::authenticated(req, api).await?;
        let context = SiteContext::of(req, api).await;
        limit::count_caller(req, api, &caller.identity.to_string(), site_of(&context)).await?;
        Ok((caller, context?))
    }

    /// For what is a person's own and no site's.
    pub(super) async fn anywhere(req: &HttpRequest, api: &ApiState) -> Result<Self, ApiError> {
        let caller = Self::authenticated(req, api).await?;
        limit::count_caller(req, api, &caller.identity.to_string(), None).await?;
        Ok(caller)
    }

    async fn authenticated(req: &HttpRequest, api: &ApiState) -> Result<Self, ApiError> {
        match authenticate(req, api).await {
            Ok(caller) => Ok(caller),
            Err(refused) => {
                // Guessing tokens counts like any call without one.
                limit::count_address(req, api, None).await?;
                Err(refused)
            }
        }
    }

    /// Whether the request tries to say who it is from.
    pub(super) fn is_claimed(req: &HttpRequest) -> bool {
        req.headers().contains_key(header::AUTHORIZATION)
    }
}

/// The state that the server put there; a server without it does not start.
pub(super) fn api_of(req: &HttpRequest) -> &ApiState {
    req.app_data::<Api>()
        .expect("every server of this crate is made with its state")
}

async fn authenticate(req: &HttpRequest, api: &ApiState) -> Result<Caller, ApiError> {
    let token = bearer(req)?;
    let verified = api.verifier.verify_caller(token).await.map_err(refused)?;
    let Verified::Person(person) = verified else {
        return Err(EdgeError::ServiceCaller.into());
    };
    if let Some(named) = session_of(api, &person) {
        return of_session(api, named, &person).await;
    }
    let identity = api.directory.identity(&person.issuer, &person.subject).await?;
    Ok(Caller {
        identity,
        sign_in: SignIn::of(person, token),
        session: None,
    })
}

/// A token of ours that names a session; other issuers have sessions of their own.
fn session_of<'a>(api: &ApiState, token: &'a VerifiedToken) -> Option<&'a str> {
    let issuer = api.wallet_issuer.as_ref()?;
    token
        .session_id
        .as_deref()
        .filter(|_| token.issuer == issuer.issuer())
}

/// The session says who it is, as long as it goes on (J13).
async fn of_session(api: &ApiState, named: &str, token: &VerifiedToken) -> Result<Caller, ApiError> {
    let over = || EdgeError::Unauthenticated {
        token_sent: true,
        cause: Some("its session is over".into()),
    };
    let session: SessionId = named.parse().map_err(|_| over())?;
    let facts = api.sessions.sign_in(session).await?.ok_or_else(over)?;
    if facts.identity.to_string() != token.subject {
        return Err(over().into());
    }
    Ok(Caller {
        identity: facts.identity,
        sign_in: SignIn::of_session(session, facts),
        session: Some(session),
    })
}

pub(super) fn refused(error: AuthError) -> EdgeError {
    match error {
        AuthError::Invalid(reason) => {
            metrics::counter!("posx_tokens_refused_total", "reason" => reason.code()).increment(1);
            EdgeError::Unauthenticated {
                token_sent: true,
                cause: Some(Box::new(error)),
            }
        }
        AuthError::KeysUnavailable(_) => EdgeError::KeysUnavailable(Box::new(error)),
    }
}

/// RFC 6750 section 2.1; one header, one token.
pub(super) fn bearer(req: &HttpRequest) -> Result<&str, EdgeError> {
    let mut values = req.headers().get_all(header::AUTHORIZATION);
    let value = values.next();
    let token = value
        .filter(|_| values.next().is_none())
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    token.ok_or(EdgeError::Unauthenticated {
        token_sent: value.is_some(),
        cause: None,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_token_comes_alone_and_as_a_bearer_token() {
        let one = |value: &str| {
            let req = TestRequest::default()
                .append_header(("authorization", value))
                .to_http_request();
            bearer(&req).map(ToOwned::to_owned).ok()
        };
        assert_eq!(one("Bearer abc"), Some("abc".to_owned()));
        assert_eq!(one("bearer abc"), Some("abc".to_owned()));
        assert_eq!(one("Basic abc"), None);
        assert_eq!(one("Bearer"), None);
        let two = TestRequest::default()
            .append_header(("authorization", "Bearer abc"))
            .append_header(("authorization", "Bearer def"))
            .to_http_request();
        assert!(matches!(
            bearer(&two),
            Err(EdgeError::Unauthenticated { token_sent: true, .. })
        ));
        let none = TestRequest::default().to_http_request();
        assert!(matches!(
            bearer(&none),
            Err(EdgeError::Unauthenticated {
                token_sent: false,
                ..
            })
        ));
    }
}
