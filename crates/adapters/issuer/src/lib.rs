//! Our own access tokens (RFC 9068), for people who sign in with a wallet and for sessions of browsers. The API checks them
//! as any other issuer's.
//!
//! Invariants:
//! * RS256 with a key of 2048 bits at least; the key set has its public half and nothing else.
//! * A token lives for 15 minutes, a session's for 10, and cannot be renewed: who signs or refreshes gets another.
//! * Neither the key nor a token is in any `Debug`.

use std::fmt;

use async_trait::async_trait;
use chrono::TimeDelta;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use posx_kernel::Timestamp;
use posx_keyset::{FetchError, FetchKeys};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

pub const TOKEN_MINUTES: i64 = 15;
pub const SESSION_TOKEN_MINUTES: i64 = 10;
/// Base64 of 256 bytes.
const MODULUS_CHARS_MIN: usize = 342;
/// RFC 9068 wants a client: ours is no program of its own.
const WALLET_CLIENT: &str = "wallet-sign-in";
const SESSION_CLIENT: &str = "session";

/// Signs tokens under one name and for one audience.
pub struct TokenIssuer {
    issuer: String,
    audience: String,
    key: EncodingKey,
    header: Header,
    jwks: String,
}

/// What somebody who signed in gets.
pub struct AccessToken {
    pub token: SecretString,
    pub expires_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("the key is not an RSA private key in PEM")]
    Key(#[source] jsonwebtoken::errors::Error),
    #[error("the key has fewer than 2048 bits")]
    Weak,
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// What a session's token says of it.
#[derive(Debug, Clone, Copy)]
pub struct SessionGrant<'a> {
    pub subject: &'a str,
    pub session: &'a str,
    pub authenticated_at: Option<Timestamp>,
    pub methods: &'a [String],
    pub context: Option<&'a str>,
    /// No token outlives its session.
    pub session_until: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'static str,
    jti: String,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    amr: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
}

impl TokenIssuer {
    pub fn new(issuer: &str, audience: &str, pem: &SecretString) -> Result<Self, IssuerError> {
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes()).map_err(IssuerError::Key)?;
        let mut public = Jwk::from_encoding_key(&key, Algorithm::RS256).map_err(IssuerError::Key)?;
        match &public.algorithm {
            AlgorithmParameters::RSA(rsa) if rsa.n.len() >= MODULUS_CHARS_MIN => {}
            _ => return Err(IssuerError::Weak),
        }
        // Named by what it is (RFC 7638): another key has another name without anyone choosing one.
        let kid = public
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(IssuerError::Key)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(kid),
            ..Header::new(Algorithm::RS256)
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            key,
            header,
            jwks: json!({ "keys": [public] }).to_string(),
        })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The key set document (RFC 7517).
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// For who signed with a wallet, just now.
    pub fn token(&self, subject: &str, id: Uuid, now: Timestamp) -> Result<AccessToken, IssuerError> {
        let expires_at = now + TimeDelta::minutes(TOKEN_MINUTES);
        let claims = Claims {
            auth_time: Some(now.timestamp()),
            ..self.claims(subject, WALLET_CLIENT, id, now, expires_at)
        };
        self.sign(&claims, expires_at)
    }

    pub fn session_token(
        &self,
        grant: SessionGrant<'_>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<AccessToken, IssuerError> {
        let expires_at = grant
            .session_until
            .min(now + TimeDelta::minutes(SESSION_TOKEN_MINUTES));
        let claims = Claims {
            auth_time: grant.authenticated_at.map(|at| at.timestamp()),
            sid: Some(grant.session),
            amr: grant.methods,
            acr: grant.context,
            ..self.claims(grant.subject, SESSION_CLIENT, id, now, expires_at)
        };
        self.sign(&claims, expires_at)
    }

    fn claims<'a>(
        &'a self,
        sub: &'a str,
        client_id: &'static str,
        id: Uuid,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Claims<'a> {
        Claims {
            iss: &self.issuer,
            sub,
            aud: &self.audience,
            client_id,
            jti: id.simple().to_string(),
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
            auth_time: None,
            sid: None,
            amr: &[],
            acr: None,
        }
    }

    fn sign(&self, claims: &Claims<'_>, expires_at: Timestamp) -> Result<AccessToken, IssuerError> {
        let token = jsonwebtoken::encode(&self.header, claims, &self.key).map_err(IssuerError::Sign)?;
        Ok(AccessToken {
            token: token.into(),
            expires_at,
        })
    }
}

/// Our own server needs no HTTP to know its keys.
#[async_trait]
impl FetchKeys for TokenIssuer {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        Ok(self.jwks.clone().into_bytes())
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use posx_kernel::ManualClock;
    use posx_keyset::{Algorithm, KeySet};
    use serde_json::Value;

    use super::*;

    fn pem() -> SecretString {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("its form");
        let body = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n").into()
    }

    fn parts(token: &AccessToken) -> (String, Value, Value, Vec<u8>) {
        let parts: Vec<_> = token.token.expose_secret().split('.').collect();
        let bytes = |at: usize| URL_SAFE_NO_PAD.decode(parts[at]).expect("base64");
        let json = |at: usize| serde_json::from_slice(&bytes(at)).expect("JSON");
        (format!("{}.{}", parts[0], parts[1]), json(0), json(1), bytes(2))
    }

    #[tokio::test]
    async fn j02_a_token_of_ours_verifies_by_the_key_set_that_we_publish() {
        let now = "2026-03-01T12:00:00Z".parse().expect("an instant");
        let issuer = TokenIssuer::new("https://api.posx.test/", "posx", &pem()).expect("an issuer");
        let token = issuer
            .token("eip155:1:0xA", Uuid::from_u128(7), now)
            .expect("a token");
        let (message, header, claims, signature) = parts(&token);
        assert_eq!(
            (&header["alg"], &header["typ"]),
            (&json!("RS256"), &json!("at+jwt"))
        );
        assert_eq!(claims["exp"].as_i64(), Some(now.timestamp() + 15 * 60));
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!("https://api.posx.test/"), &json!("eip155:1:0xA"))
        );
        let shown = format!("{issuer:?} {token:?}");
        assert!(
            !shown.contains(token.token.expose_secret()) && !shown.contains("BEGIN"),
            "{shown}"
        );
        let set = KeySet::new(
            "ours".to_owned(),
            Arc::new(issuer),
            Arc::new(ManualClock::stopped_at(now)),
        );
        let key = set
            .key(header["kid"].as_str().expect("a kid"))
            .await
            .expect("published");
        assert!(
            key.verify(Algorithm::Rs256, message.as_bytes(), &signature)
                .is_ok()
        );
        let tampered = format!("{message}x");
        assert!(
            key.verify(Algorithm::Rs256, tampered.as_bytes(), &signature)
                .is_err()
        );
    }

    #[test]
    fn a_sessions_token_says_how_one_signed_in_and_does_not_outlive_the_session() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("an instant");
        let issuer = TokenIssuer::new("https://api.posx.test/", "posx", &pem()).expect("an issuer");
        let methods = ["pwd".to_owned(), "otp".to_owned()];
        let mut grant = SessionGrant {
            subject: "idn_1",
            session: "ses_1",
            authenticated_at: Some(now - TimeDelta::hours(1)),
            methods: &methods,
            context: Some("loa2"),
            session_until: now + TimeDelta::days(1),
        };
        let claims = |grant| {
            let token = issuer
                .session_token(grant, Uuid::from_u128(7), now)
                .expect("a token");
            parts(&token).2
        };
        let full = claims(grant);
        assert_eq!(
            (&full["sub"], &full["sid"], &full["acr"]),
            (&json!("idn_1"), &json!("ses_1"), &json!("loa2"))
        );
        assert_eq!(full["amr"], json!(["pwd", "otp"]));
        assert_eq!(full["auth_time"].as_i64(), Some(now.timestamp() - 3600));
        assert_eq!(full["exp"].as_i64(), Some(now.timestamp() + 10 * 60));
        (grant.authenticated_at, grant.methods, grant.context) = (None, &[], None);
        grant.session_until = now + TimeDelta::minutes(3);
        let bare = claims(grant);
        assert_eq!(bare["exp"].as_i64(), Some(now.timestamp() + 3 * 60));
        for absent in ["auth_time", "amr", "acr"] {
            assert_eq!(bare.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn the_key_set_has_no_private_half_and_a_bad_key_is_refused_without_being_shown() {
        let issuer = TokenIssuer::new("https://api.posx.test/", "posx", &pem()).expect("an issuer");
        let set: Value = serde_json::from_str(issuer.jwks()).expect("JSON");
        let mut members: Vec<_> = set["keys"][0].as_object().expect("a key").keys().collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        let error = TokenIssuer::new(
            "i",
            "a",
            &"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----".into(),
        );
        let error = error.expect_err("no key");
        assert!(!format!("{error:?} {error}").contains("c2VjcmV0"));
    }
}
