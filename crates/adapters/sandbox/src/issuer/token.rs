use aws_lc_rs::hmac;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::env::Env;
use crate::keys::{Algorithm, KeyError, SigningKey, segment};

/// The client that sandbox tokens are given to.
pub(super) const CLIENT: &str = "posx-sandbox";

/// Who the token is for, and where it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    pub subject: String,
    pub audience: String,
    pub lifetime: TimeDelta,
    pub scopes: Vec<String>,
    /// Said to be verified.
    pub email: Option<String>,
    /// How the person is said to have signed in just now (`amr`, RFC 8176).
    pub methods: Vec<String>,
    /// To what standard (`acr`).
    pub context: Option<String>,
}

impl TokenRequest {
    /// For an hour, without scopes or e-mail; signed in with a second factor.
    pub fn new(subject: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            audience: audience.into(),
            lifetime: TimeDelta::hours(1),
            scopes: Vec::new(),
            email: None,
            methods: vec!["pwd".to_owned(), "mfa".to_owned()],
            context: None,
        }
    }
}

/// The one thing that is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Issued two lifetimes ago, and so past by one: at least by an hour.
    Expired,
    /// Issued an hour from now.
    NotYetValid,
    WrongAudience,
    /// This issuer's name without its trailing slash.
    WrongIssuer,
    /// A kid that no key set has ever had.
    UnknownKey,
    /// No `kid` at all.
    NoKeyId,
    /// `alg: none`, and no signature.
    AlgorithmNone,
    /// `alg: HS256`, with the public key as the secret.
    HmacWithPublicKey,
    /// The claims are not those that were signed.
    Tampered,
    NoSubject,
}

impl Flaw {
    pub const ALL: [Self; 10] = [
        Self::Expired,
        Self::NotYetValid,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::UnknownKey,
        Self::NoKeyId,
        Self::AlgorithmNone,
        Self::HmacWithPublicKey,
        Self::Tampered,
        Self::NoSubject,
    ];
}

pub(super) fn issue(
    env: &Env,
    issuer: &str,
    key: &SigningKey,
    request: &TokenRequest,
) -> Result<String, KeyError> {
    sign(&header(key), &claims(env, issuer, request), key)
}

pub(super) fn spoil(
    env: &Env,
    issuer: &str,
    key: &SigningKey,
    request: &TokenRequest,
    flaw: Flaw,
) -> Result<String, KeyError> {
    let (mut header, mut claims) = (header(key), claims(env, issuer, request));
    match flaw {
        Flaw::Expired => shift(&mut claims, -(request.lifetime + past(request.lifetime))),
        Flaw::NotYetValid => shift(&mut claims, TimeDelta::hours(1)),
        Flaw::WrongAudience => claims["aud"] = "https://another-api.example".into(),
        Flaw::WrongIssuer => claims["iss"] = issuer.trim_end_matches('/').into(),
        Flaw::UnknownKey => header["kid"] = "never-was".into(),
        Flaw::NoKeyId => remove(&mut header, "kid"),
        Flaw::NoSubject => remove(&mut claims, "sub"),
        Flaw::AlgorithmNone => {
            header["alg"] = "none".into();
            return Ok(format!("{}.", message(&header, &claims)));
        }
        Flaw::HmacWithPublicKey => {
            header["alg"] = "HS256".into();
            let message = message(&header, &claims);
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public_pem()?.as_bytes());
            let signature = segment(hmac::sign(&secret, message.as_bytes()));
            return Ok(format!("{message}.{signature}"));
        }
        Flaw::Tampered => {
            let signed = sign(&header, &claims, key)?;
            claims["sub"] = format!("{}-another", request.subject).into();
            let signature = signed.rsplit('.').next().unwrap_or_default();
            return Ok(format!("{}.{signature}", message(&header, &claims)));
        }
    }
    sign(&header, &claims, key)
}

fn past(lifetime: TimeDelta) -> TimeDelta {
    lifetime.max(TimeDelta::hours(1))
}

fn header(key: &SigningKey) -> Value {
    json!({ "alg": "RS256", "typ": "at+jwt", "kid": key.kid })
}

fn claims(env: &Env, issuer: &str, request: &TokenRequest) -> Value {
    let now = env.now();
    let mut claims = json!({
        "iss": issuer,
        "sub": request.subject,
        "aud": request.audience,
        "iat": now.timestamp(),
        "exp": (now + request.lifetime).timestamp(),
        "auth_time": now.timestamp(),
        "jti": env.uuid(),
        "client_id": CLIENT,
    });
    if !request.scopes.is_empty() {
        claims["scope"] = request.scopes.join(" ").into();
    }
    if !request.methods.is_empty() {
        claims["amr"] = request.methods.as_slice().into();
    }
    if let Some(context) = &request.context {
        claims["acr"] = context.as_str().into();
    }
    if let Some(email) = &request.email {
        claims["email"] = email.as_str().into();
        claims["email_verified"] = true.into();
    }
    claims
}

fn shift(claims: &mut Value, by: TimeDelta) {
    for name in ["iat", "exp", "auth_time"] {
        if let Some(at) = claims[name].as_i64() {
            claims[name] = (at + by.num_seconds()).into();
        }
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", segment(header.to_string()), segment(claims.to_string()))
}

fn sign(header: &Value, claims: &Value, key: &SigningKey) -> Result<String, KeyError> {
    let message = message(header, claims);
    let signature = key.sign(Algorithm::Rs256, message.as_bytes())?;
    Ok(format!("{message}.{}", segment(signature)))
}
