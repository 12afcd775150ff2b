use std::error::Error;
use std::fmt;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::http;

/// The client's side of an issuer's token endpoint (RFC 6749, 7009 and 7636): it exchanges codes, refreshes and revokes.
/// Tokens that it brings are not verified: the access token goes through [`Verifier`](crate::Verifier) like any other.
pub struct TokenClient {
    http: Client,
    token_url: Url,
    revocation_url: Option<Url>,
    id: String,
    secret: Option<SecretString>,
}

/// What a grant brought.
#[derive(Debug)]
pub struct GrantedTokens {
    pub access_token: SecretString,
    /// After a refresh, `None` says that the issuer does not rotate (Cognito's default): the old one goes on.
    pub refresh_token: Option<SecretString>,
    /// With a code, where OpenID Connect was asked for (scope `openid`).
    pub id_token: Option<SecretString>,
}

type Cause = Box<dyn Error + Send + Sync>;

/// Never shows a code or a token, nor what the issuer says of it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// `invalid_grant`: spent, expired, revoked, or another client's. Final: the person signs in again.
    #[error("the issuer does not take the code or token any more")]
    SignInAgain,
    /// Final, and no person can help it by signing in: this client's configuration is wrong.
    #[error("the issuer refuses this client: {0}")]
    Refused(&'static str),
    /// Nothing was done: ask again later.
    #[error("the issuer cannot be asked now")]
    Unavailable(#[source] Cause),
    /// It may have been done: a code may be spent, and a rotated refresh token may be lost. A refresh may be asked again
    /// at once, within the issuer's overlap; later it looks like reuse, and reuse ends the whole family.
    #[error("the issuer's answer is lost")]
    Unknown(#[source] Cause),
}

#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is not what a grant has")]
    Shape,
}

#[derive(Deserialize)]
struct Grant {
    access_token: SecretString,
    token_type: String,
    refresh_token: Option<SecretString>,
    id_token: Option<SecretString>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl TokenClient {
    /// `domain` is the tenant's host name, or its custom one. A secret is sent as Basic: the application's
    /// authentication method must be that, or none for a public client.
    pub fn auth0(
        domain: &str,
        id: impl Into<String>,
        secret: Option<SecretString>,
    ) -> Result<Self, ConfigError> {
        let [token, revocation] = ["token", "revoke"].map(|end| format!("https://{domain}/oauth/{end}"));
        Self::new(&token, Some(&revocation), id, secret)
    }

    /// `domain` is the host name of the pool's managed login, not the issuer's.
    pub fn cognito(
        domain: &str,
        id: impl Into<String>,
        secret: Option<SecretString>,
    ) -> Result<Self, ConfigError> {
        let [token, revocation] = ["token", "revoke"].map(|end| format!("https://{domain}/oauth2/{end}"));
        Self::new(&token, Some(&revocation), id, secret)
    }

    /// For any other issuer. Addresses are https, or http on this machine. Without a secret the client is public; who
    /// keeps no refresh token needs no address to revoke one at.
    pub fn new(
        token_url: &str,
        revocation_url: Option<&str>,
        id: impl Into<String>,
        secret: Option<SecretString>,
    ) -> Result<Self, ConfigError> {
        let address = |url: &str| {
            http::allowed(url).ok_or_else(|| ConfigError::Issuer {
                issuer: url.to_owned(),
                problem: "the address of its tokens is not https",
            })
        };
        let token_url = address(token_url)?;
        let http = http::client(&token_url).map_err(|source| ConfigError::Client {
            issuer: token_url.to_string(),
            source,
        })?;
        Ok(Self {
            http,
            revocation_url: revocation_url.map(address).transpose()?,
            token_url,
            id: id.into(),
            secret,
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// `verifier` is PKCE's: the secret whose digest went along when the code was asked for.
    pub async fn exchange_code(
        &self,
        code: &SecretString,
        redirect_uri: &str,
        verifier: &SecretString,
    ) -> Result<GrantedTokens, TokenError> {
        self.grant(&[
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose_secret()),
        ])
        .await
    }

    /// One at a time for a session: two refreshes with one token are reuse where the issuer rotates.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<GrantedTokens, TokenError> {
        self.grant(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ])
        .await
    }

    /// Ends the refresh token and what can still be had with it. Access tokens that are out go on until they expire.
    /// May be repeated; a token that is not known any more is no error.
    pub async fn revoke(&self, refresh_token: &SecretString) -> Result<(), TokenError> {
        let form = [
            ("token", refresh_token.expose_secret()),
            ("token_type_hint", "refresh_token"),
        ];
        let url = self.revocation_url.as_ref();
        let url = url.ok_or(TokenError::Refused("without an address to revoke at"))?;
        self.post(url, &form).await.map(drop)
    }

    async fn grant(&self, form: &[(&str, &str)]) -> Result<GrantedTokens, TokenError> {
        let response = self.post(&self.token_url, form).await?;
        let body = http::read(response).await.map_err(unknown)?;
        let grant: Grant = serde_json::from_slice(&body).map_err(|_| unknown(AnswerError::Shape))?;
        if !grant.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Refused("it grants no bearer token"));
        }
        Ok(GrantedTokens {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token,
            id_token: grant.id_token,
        })
    }

    async fn post(&self, url: &Url, form: &[(&str, &str)]) -> Result<Response, TokenError> {
        let mut form = form.to_vec();
        form.push(("client_id", &self.id));
        let request = self.authenticate(self.http.post(url.clone())).form(&form);
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                TokenError::Unavailable(error.into())
            } else {
                unknown(error)
            }
        })?;
        if response.status() == StatusCode::OK {
            Ok(response)
        } else {
            Err(refusal(response).await)
        }
    }

    /// RFC 6749 section 2.3.1: both are form-encoded before they are joined.
    fn authenticate(&self, request: RequestBuilder) -> RequestBuilder {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        match &self.secret {
            Some(secret) => request.basic_auth(encoded(&self.id), Some(encoded(secret.expose_secret()))),
            None => request,
        }
    }
}

/// Auth0 says `invalid_grant` with 403, others with 400: the name decides, the status only where there is none.
async fn refusal(response: Response) -> TokenError {
    let status = response.status();
    let lost = AnswerError::Status(status.as_u16());
    if status == StatusCode::TOO_MANY_REQUESTS {
        return TokenError::Unavailable(lost.into());
    }
    if status.is_server_error() || status.is_success() || status == StatusCode::REQUEST_TIMEOUT {
        return unknown(lost);
    }
    let body = http::read(response).await.unwrap_or_default();
    let Ok(Refusal { error }) = serde_json::from_slice(&body) else {
        return TokenError::Refused("without an OAuth error; is the address right?");
    };
    TokenError::Refused(match error.as_str() {
        "invalid_grant" => return TokenError::SignInAgain,
        "server_error" | "temporarily_unavailable" => return unknown(lost),
        "invalid_client" => "invalid_client",
        "invalid_request" => "invalid_request",
        "invalid_scope" => "invalid_scope",
        "unauthorized_client" => "unauthorized_client",
        "unsupported_grant_type" => "unsupported_grant_type",
        _ => "an error of no standard name",
    })
}

fn unknown(cause: impl Into<Cause>) -> TokenError {
    TokenError::Unknown(cause.into())
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClient")
            .field("token_url", &self.token_url.as_str())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
