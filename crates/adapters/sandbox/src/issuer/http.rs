//! Discovery, key set, and a token endpoint that asks for no password: sandbox only.

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::routing::{get, post};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::json;

use super::{Issuer, IssuerCall, TokenRequest};
use crate::line::{Answer, Fault};

const LIFETIME_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;

pub(crate) fn router(issuer: Issuer) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/token", post(token))
        .with_state(issuer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    subject: String,
    audience: String,
    lifetime_seconds: Option<u32>,
    /// Separated by spaces.
    scope: Option<String>,
    email: Option<String>,
    /// Separated by spaces; with a second factor if absent.
    amr: Option<String>,
}

async fn discovery(State(issuer): State<Issuer>) -> Answer {
    let url = issuer.url();
    let document = json!({
        "issuer": url,
        "jwks_uri": format!("{url}.well-known/jwks.json"),
        "token_endpoint": format!("{url}token"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    let made = || Answer::Json(200, document);
    issuer.answer(IssuerCall::Discovery, made).await
}

async fn jwks(State(issuer): State<Issuer>) -> Answer {
    let made = || Answer::Json(200, issuer.inner.keys.document());
    issuer.answer(IssuerCall::KeySet, made).await
}

async fn token(State(issuer): State<Issuer>, form: Result<Form<TokenForm>, FormRejection>) -> Answer {
    issuer.answer(IssuerCall::Token, || issue(&issuer, form)).await
}

fn issue(issuer: &Issuer, form: Result<Form<TokenForm>, FormRejection>) -> Answer {
    let request = form
        .map_err(|rejection| rejection.body_text())
        .and_then(|Form(form)| form.checked());
    let request = match request {
        Ok(request) => request,
        Err(problem) => {
            let body = json!({ "error": "invalid_request", "error_description": problem });
            return Answer::Json(400, body);
        }
    };
    match issuer.token(&request) {
        Ok(token) => {
            let body = json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": request.lifetime.num_seconds(),
                "scope": request.scopes.join(" "),
            });
            Answer::Json(200, body)
        }
        Err(error) => {
            tracing::error!(%error, "no token could be made");
            refused(500, "server_error")
        }
    }
}

fn refused(status: u16, code: &str) -> Answer {
    Answer::Json(status, json!({ "error": code }))
}

impl Issuer {
    /// What the caller sees, with all that is wrong on the line.
    async fn answer(&self, call: IssuerCall, make: impl FnOnce() -> Answer) -> Answer {
        if !self.inner.line.arrive(call) {
            return refused(503, "temporarily_unavailable");
        }
        self.inner.line.wait().await;
        match self.inner.line.next_fault(call) {
            Some(Fault::Refuse { code }) => refused(400, &code),
            Some(Fault::ServerError) => refused(500, "server_error"),
            Some(Fault::RateLimit) => refused(429, "slow_down"),
            fault => make().through(fault.as_ref()),
        }
    }
}

impl TokenForm {
    fn checked(self) -> Result<TokenRequest, String> {
        if self.subject.is_empty() || self.audience.is_empty() {
            return Err("subject and audience must not be empty".to_owned());
        }
        let mut request = TokenRequest::new(self.subject, self.audience);
        if let Some(seconds) = self.lifetime_seconds {
            if !(1..=LIFETIME_SECONDS_MAX).contains(&seconds) {
                return Err(format!("lifetime_seconds is from 1 to {LIFETIME_SECONDS_MAX}"));
            }
            request.lifetime = TimeDelta::seconds(i64::from(seconds));
        }
        let scope = self.scope.unwrap_or_default();
        request.scopes = scope.split_ascii_whitespace().map(str::to_owned).collect();
        request.email = self.email;
        if let Some(methods) = self.amr {
            request.methods = methods.split_ascii_whitespace().map(str::to_owned).collect();
        }
        Ok(request)
    }
}
