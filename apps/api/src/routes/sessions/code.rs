//! A person who comes back from an identity provider with a code.

use posx_kernel::{Kind, Refusal};
use posx_oidc::{AuthError, GrantedTokens, IdTokenWish, IdentifiedSignIn, TokenError, VerifiedToken};
use posx_runtime::{CodeProvider, SessionGate};
use posx_tenancy::SignInFacts;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

/// What an identity provider sent back to the page, and what the page kept for it (RFC 7636).
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = AuthorizationCode)]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    issuer: String,
    #[schema(value_type = String)]
    code: SecretString,
    /// 43 to 128 characters.
    #[schema(value_type = String)]
    code_verifier: SecretString,
    /// The one that the code was asked for with.
    redirect_uri: String,
    /// The one that the code was asked for with, if any: the ID token is to name it.
    nonce: Option<String>,
}

/// Why a code opens no session.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    #[error("codes of this issuer are not exchanged here")]
    Issuer,
    #[error("pages of this address are not sent back to")]
    RedirectUri,
    #[error("a code verifier is 43 to 128 letters, digits and -._~")]
    Verifier,
    #[error("the identity provider does not take the code: sign in again")]
    Code(#[source] TokenError),
    #[error("the identity provider cannot be asked now")]
    Unavailable(#[source] TokenError),
    #[error("what the identity provider granted is no access token for this API: ask for its audience")]
    AccessToken(#[source] Option<AuthError>),
    #[error("the ID token is not the answer to this sign-in")]
    IdToken(#[source] Option<AuthError>),
}

impl Refusal for CodeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Issuer => "session_issuer_unknown",
            Self::RedirectUri => "session_redirect_uri_refused",
            Self::Verifier => "session_code_verifier_invalid",
            Self::Code(_) => "session_code_refused",
            Self::Unavailable(_) => "identity_provider_unavailable",
            Self::AccessToken(_) => "session_access_token_refused",
            Self::IdToken(_) => "session_id_token_refused",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable(_) => Kind::Unavailable,
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<std::borrow::Cow<'static, str>> {
        let field = match self {
            Self::Issuer => "issuer",
            Self::RedirectUri => "redirect_uri",
            Self::Verifier => "code_verifier",
            Self::Code(_) | Self::AccessToken(_) => "code",
            Self::IdToken(_) => "nonce",
            Self::Unavailable(_) => return None,
        };
        Some(format!("authorization_code/{field}").into())
    }
}

/// Of the provider's tokens nothing is kept: the access token says who it is, the ID token how they signed in, and a refresh
/// token is dropped unseen.
pub async fn sign_in(api: &Api, gate: &SessionGate, body: &CodeBody) -> Result<SignInFacts, ApiError> {
    let mut providers = gate.providers.iter();
    let provider = providers
        .find(|provider| provider.issuer == body.issuer)
        .ok_or(CodeError::Issuer)?;
    let granted = exchange(provider, body).await?;
    let person = person_of(api, provider, &granted).await?;
    let said = id_token_of(api, provider, body, &granted, &person).await?;
    let identity = api.directory.identity(&person.issuer, &person.subject).await?;
    let methods = person.methods.into_iter().collect();
    let own = IdentifiedSignIn {
        authenticated_at: person.authenticated_at,
        methods,
        context: person.context,
        second_factor: person.second_factor,
    };
    // Most access tokens say nothing of the sign-in; what an ID token says goes together and is not mixed with theirs.
    let sign_in = said.unwrap_or(own);
    Ok(SignInFacts {
        identity,
        issuer: person.issuer,
        authenticated_at: sign_in.authenticated_at,
        methods: sign_in.methods,
        context: sign_in.context,
        second_factor: sign_in.second_factor,
    })
}

async fn exchange(provider: &CodeProvider, body: &CodeBody) -> Result<GrantedTokens, CodeError> {
    if !provider.redirect_uris.contains(&body.redirect_uri) {
        return Err(CodeError::RedirectUri);
    }
    let verifier = body.code_verifier.expose_secret();
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
        return Err(CodeError::Verifier);
    }
    let granted = provider
        .client
        .exchange_code(&body.code, &body.redirect_uri, &body.code_verifier)
        .await;
    granted.map_err(|error| match error {
        TokenError::SignInAgain => CodeError::Code(error),
        // Ours to mend, and the same to who waits for it.
        TokenError::Refused(_) | TokenError::Unavailable(_) | TokenError::Unknown(_) => {
            CodeError::Unavailable(error)
        }
    })
}

/// The same person as if they had sent this token themselves.
async fn person_of(
    api: &Api,
    provider: &CodeProvider,
    granted: &GrantedTokens,
) -> Result<VerifiedToken, ApiError> {
    let verified = api.verifier.verify(granted.access_token.expose_secret()).await;
    let person = verified.map_err(|error| unusable(error, |error| CodeError::AccessToken(Some(error))))?;
    if person.issuer == provider.issuer {
        Ok(person)
    } else {
        Err(CodeError::AccessToken(None).into())
    }
}

async fn id_token_of(
    api: &Api,
    provider: &CodeProvider,
    body: &CodeBody,
    granted: &GrantedTokens,
    person: &VerifiedToken,
) -> Result<Option<IdentifiedSignIn>, ApiError> {
    let Some(id_token) = &granted.id_token else {
        return match body.nonce {
            Some(_) => Err(CodeError::IdToken(None).into()),
            None => Ok(None),
        };
    };
    let wish = IdTokenWish {
        issuer: &person.issuer,
        subject: &person.subject,
        client: provider.client.id(),
        nonce: body.nonce.as_deref(),
    };
    let said = api.verifier.verify_id_token(id_token.expose_secret(), wish).await;
    said.map(Some)
        .map_err(|error| unusable(error, |error| CodeError::IdToken(Some(error))))
}

fn unusable(error: AuthError, refused: impl FnOnce(AuthError) -> CodeError) -> ApiError {
    match error {
        AuthError::Invalid(_) => refused(error).into(),
        AuthError::KeysUnavailable(_) => EdgeError::KeysUnavailable(Box::new(error)).into(),
    }
}
