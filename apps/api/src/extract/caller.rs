//! Who calls: a bearer token that holds.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use posx_kernel::IdentityId;
use posx_oidc::{AuthError, Verified};

use super::Extracting;
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::{Api, ApiState};

/// A verified identity. What it may do at a site is [`Allowed`](super::Allowed)'s question.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub identity: IdentityId,
}

impl Caller {
    pub(super) async fn of(req: &HttpRequest, api: &ApiState) -> Result<Self, ApiError> {
        match authenticate(req, api).await {
            Ok(caller) => {
                limit::count_caller(req, api, caller.identity).await?;
                Ok(caller)
            }
            Err(refused) => {
                // Guessing tokens counts like any call without one.
                limit::count_address(req, api).await?;
                Err(refused)
            }
        }
    }

    /// Whether the request tries to say who it is from.
    pub(super) fn is_claimed(req: &HttpRequest) -> bool {
        req.headers().contains_key(header::AUTHORIZATION)
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { Self::of(&req, api_of(&req)).await })
    }
}

/// The state that the server put there; a server without it does not start.
pub(super) fn api_of(req: &HttpRequest) -> &ApiState {
    req.app_data::<Api>()
        .expect("every server of this crate is made with its state")
}

async fn authenticate(req: &HttpRequest, api: &ApiState) -> Result<Caller, ApiError> {
    let token = bearer(req)?;
    let verified = api
        .verifier
        .verify_caller(token)
        .await
        .map_err(|error| match error {
            AuthError::Invalid(reason) => {
                metrics::counter!("posx_tokens_refused_total", "reason" => reason.code()).increment(1);
                EdgeError::Unauthenticated {
                    token_sent: true,
                    cause: Some(Box::new(error)),
                }
            }
            AuthError::KeysUnavailable(_) => EdgeError::KeysUnavailable(Box::new(error)),
        })?;
    let Verified::Person(token) = verified else {
        return Err(EdgeError::ServiceCaller.into());
    };
    let identity = api.directory.identity(&token.issuer, &token.subject).await?;
    Ok(Caller { identity })
}

/// RFC 6750 section 2.1; one header, one token.
fn bearer(req: &HttpRequest) -> Result<&str, EdgeError> {
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
