//! An identity provider of one page: a token endpoint that checks a code as RFC 6749 and 7636 say, and its keys.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::web::{Data, Form};
use actix_web::{App, HttpResponse, HttpServer, web};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use posx_issuer::TokenIssuer;
use posx_runtime::{IssuerSettings, SessionProviderSettings, Settings};
use serde_json::{Value, json};

use crate::world::AUDIENCE;

pub const CLIENT: &str = "console";
pub const REDIRECT_URI: &str = "https://console.posx.test/callback";
/// What the page made up, and kept.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    url: String,
    key: KeyPair,
    jwks: String,
    kid: String,
    /// By code; each is good once.
    grants: Mutex<HashMap<String, Value>>,
}

impl Provider {
    /// On a free port, until the test ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("its form");
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let keys = TokenIssuer::new(&url, AUDIENCE, &pem.into()).expect("an issuer");
        let jwks = keys.jwks().to_owned();
        let set: Value = serde_json::from_str(&jwks).expect("JSON");
        let provider = Self(Arc::new(Inner {
            url,
            key,
            jwks,
            kid: set["keys"][0]["kid"].as_str().expect("a kid").to_owned(),
            grants: Mutex::default(),
        }));
        let state = provider.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(state.clone()))
                .route("/token", web::post().to(token))
                .route("/keys", web::get().to(keys_of))
        });
        let server = server
            .workers(1)
            .disable_signals()
            .listen(listener)
            .expect("a listener");
        actix_web::rt::spawn(server.run());
        provider
    }

    pub fn url(&self) -> &str {
        &self.0.url
    }

    pub fn configure(&self, settings: &mut Settings) {
        settings.issuers.push(IssuerSettings {
            issuer: self.url().to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks_url: Some(format!("{}/keys", self.url())),
        });
        let sessions = settings.sessions.as_mut().expect("sessions");
        sessions.providers.push(SessionProviderSettings {
            issuer: self.url().to_owned(),
            token_url: format!("{}/token", self.url()),
            client_id: CLIENT.to_owned(),
            client_secret: None,
            redirect_uris: vec![REDIRECT_URI.to_owned()],
        });
    }

    /// The claims of an access token that somebody sends by themselves, or a page gets.
    pub fn access(&self, subject: &str, now: i64) -> Value {
        json!({
            "iss": self.url(), "sub": subject, "aud": AUDIENCE, "client_id": CLIENT, "jti": "j-1", "iat": now,
            "exp": now + 3600,
        })
    }

    pub fn id_token(&self, subject: &str, nonce: &str, now: i64) -> Value {
        json!({
            "iss": self.url(), "sub": subject, "aud": CLIENT, "iat": now, "exp": now + 3600, "nonce": nonce,
            "auth_time": now - 60, "amr": ["pwd", "otp"],
        })
    }

    /// A person signed in and came back with this code.
    pub fn grant(&self, code: &str, access: &Value, id_token: Option<&Value>) {
        let mut grant = granted(&self.sign("at+jwt", access));
        if let Some(id_token) = id_token {
            grant["id_token"] = self.sign("JWT", id_token).into();
        }
        self.keep(code, grant);
    }

    /// As if this one were its own.
    pub fn grant_token(&self, code: &str, access_token: &str) {
        self.keep(code, granted(access_token));
    }

    fn keep(&self, code: &str, grant: Value) {
        let mut grants = self.0.grants.lock().expect("grants");
        grants.insert(code.to_owned(), grant);
    }

    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        let header = json!({ "alg": "RS256", "typ": typ, "kid": self.0.kid });
        let segment = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", segment(&header), segment(claims));
        let mut signature = vec![0; self.0.key.public_modulus_len()];
        let signed = self.0.key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        );
        signed.expect("signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn granted(access_token: &str) -> Value {
    json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": "the provider's own",
    })
}

async fn keys_of(provider: Data<Provider>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(provider.0.jwks.clone())
}

/// The page asked for the code with the digest of [`VERIFIER`].
async fn token(provider: Data<Provider>, form: Form<HashMap<String, String>>) -> HttpResponse {
    let said = |name: &str| form.get(name).map_or("", String::as_str);
    let challenge = |verifier: &str| digest(&SHA256, verifier.as_bytes()).as_ref().to_vec();
    let fits = said("grant_type") == "authorization_code"
        && said("client_id") == CLIENT
        && said("redirect_uri") == REDIRECT_URI
        && challenge(said("code_verifier")) == challenge(VERIFIER);
    let grant = provider.0.grants.lock().expect("grants").remove(said("code"));
    match grant.filter(|_| fits) {
        Some(grant) => HttpResponse::Ok().json(grant),
        None => HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" })),
    }
}
