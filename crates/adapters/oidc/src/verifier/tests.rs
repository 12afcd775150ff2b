use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use jsonwebtoken::{EncodingKey, Header};
use posx_kernel::ManualClock;
use posx_keyset::{Algorithm, FetchError};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://login.example/";
const API: &str = "https://api.example";
const NOW: i64 = 1_767_225_600;

/// Signed by another implementation than the one that verifies.
struct Signer {
    key: EncodingKey,
    n: String,
    e: String,
}

static OURS: LazyLock<Signer> = LazyLock::new(Signer::generate);
static OTHER: LazyLock<Signer> = LazyLock::new(Signer::generate);

impl Signer {
    fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(&*der)
        );
        let public = pair.public_key();
        Self {
            key: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
            n: URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
            e: URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        json!({"kty": "RSA", "use": "sig", "kid": kid, "n": self.n, "e": self.e})
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }
}

fn header() -> Header {
    Header {
        kid: Some("k1".into()),
        ..Header::new(jsonwebtoken::Algorithm::RS256)
    }
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "user|1", "aud": [API, "https://login.example/userinfo"], "iat": NOW - 10,
        "exp": NOW + 600, "azp": "web", "scope": "openid orders:write", "permissions": ["tiers:edit"], "jti": "t1",
        "sid": "s1", "auth_time": NOW - 20,
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// Any header at all; signed with RS256 by `signer` whatever the header says.
fn raw_token(signer: &Signer, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", b64(&header.to_string()), b64(&claims.to_string()));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &signer.key, jsonwebtoken::Algorithm::RS256).unwrap();
    format!("{message}.{signature}")
}

fn b64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[derive(Default)]
struct FakeIssuer {
    keys: Mutex<Option<Vec<Value>>>,
    fetches: AtomicUsize,
}

#[async_trait]
impl FetchKeys for FakeIssuer {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let keys = self.keys.lock().unwrap().clone().ok_or(FetchError::Status(503))?;
        Ok(json!({ "keys": keys }).to_string().into_bytes())
    }
}

impl FakeIssuer {
    fn publish(&self, keys: Vec<Value>) {
        *self.keys.lock().unwrap() = Some(keys);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

struct World {
    issuer: Arc<FakeIssuer>,
    clock: Arc<ManualClock>,
    verifier: Verifier,
}

fn world_of(config: IssuerConfig) -> World {
    let issuer = Arc::new(FakeIssuer::default());
    issuer.publish(vec![OURS.jwk("k1")]);
    let clock = Arc::new(ManualClock::stopped_at(DateTime::from_timestamp(NOW, 0).unwrap()));
    let verifier =
        Verifier::with_key_sources(vec![(config, Arc::clone(&issuer) as _)], Arc::clone(&clock) as _);
    World {
        issuer,
        clock,
        verifier: verifier.unwrap(),
    }
}

fn config() -> IssuerConfig {
    IssuerConfig::new(ISSUER, API)
}

fn world() -> World {
    world_of(config())
}

impl World {
    async fn reason(&self, token: &str) -> &'static str {
        match self.verifier.verify(token).await {
            Ok(_) => "taken",
            Err(error) => error.reason(),
        }
    }

    async fn reason_for_claims(&self, claims: &Value) -> &'static str {
        self.reason(&OURS.sign(&header(), claims)).await
    }
}

mod auth0;
mod claims;
mod cognito;
mod id_token;
mod keys;
mod second_factor;

#[tokio::test]
async fn a_good_token_tells_who_and_what() {
    let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    let token = world()
        .verifier
        .verify(&OURS.sign(&header(), &claims()))
        .await
        .unwrap();
    let expected = VerifiedToken {
        issuer: ISSUER.into(),
        subject: "user|1".into(),
        client: Some("web".into()),
        scopes: ["openid", "orders:write"].map(String::from).into(),
        permissions: ["tiers:edit"].map(String::from).into(),
        organization: None,
        token_id: Some("t1".into()),
        session_id: Some("s1".into()),
        issued_at: Some(at(NOW - 10)),
        expires_at: at(NOW + 600),
        authenticated_at: Some(at(NOW - 20)),
        methods: BTreeSet::new(),
        context: None,
        second_factor: false,
    };
    assert_eq!(token, expected);
}

#[tokio::test]
async fn j02_the_size_is_limited_first() {
    assert_eq!(world().reason(&"a.".repeat(5_000)).await, "token_too_large");
    let token = OURS.sign(&header(), &claims_with("pad", json!("x".repeat(6_500))));
    assert_eq!(world().reason(&token).await, "token_too_large");
}

#[tokio::test]
async fn j16_an_opaque_or_encrypted_token_is_not_a_jwt() {
    for (token, reason) in [
        ("opaque", "opaque_token"),
        ("a.b.c.d.e", "opaque_token"),
        ("a.b", "not_a_jwt"),
        ("a.b.c.d", "not_a_jwt"),
        ("a.b.c.d.e.f", "not_a_jwt"),
        ("!.!.!", "not_a_jwt"),
        ("..", "malformed_header"),
        ("e30.e30.e30 ", "malformed_header"),
    ] {
        assert_eq!(world().reason(token).await, reason, "{token}");
    }
}

#[tokio::test]
async fn j02_the_issuer_matches_exactly_or_nobody_is_asked() {
    let world = world();
    for issuer in [
        "https://login.example",
        "https://LOGIN.example/",
        "http://login.example/",
        "https://login.example/ ",
    ] {
        assert_eq!(
            world.reason_for_claims(&claims_with("iss", json!(issuer))).await,
            "unknown_issuer"
        );
    }
    assert_eq!(
        world
            .reason_for_claims(&claims_with("iss", json!([ISSUER])))
            .await,
        "malformed_claims"
    );
    assert_eq!(world.issuer.fetches(), 0);
}

#[tokio::test]
async fn j02_no_claim_is_judged_before_the_signature() {
    let bad = json!({"iss": ISSUER, "exp": 1, "aud": "another", "nonce": "n"});
    assert_eq!(
        world().reason(&OTHER.sign(&header(), &bad)).await,
        "bad_signature"
    );
}

#[tokio::test]
async fn j10_only_the_types_of_an_access_token_are_taken() {
    for (typ, reason) in [
        (json!("JWT"), "taken"),
        (json!("jwt"), "taken"),
        (json!("at+jwt"), "taken"),
        (json!("application/at+jwt"), "taken"),
        (json!(null), "taken"),
        (json!("logout+jwt"), "wrong_type"),
        (json!("dpop+jwt"), "wrong_type"),
        (json!("id+jwt"), "wrong_type"),
        (json!(""), "wrong_type"),
        (json!(1), "malformed_header"),
    ] {
        let token = raw_token(
            &OURS,
            &json!({"alg": "RS256", "kid": "k1", "typ": typ}),
            &claims(),
        );
        assert_eq!(world().reason(&token).await, reason, "{typ}");
    }
}

#[test]
fn a_configuration_that_would_let_anything_in_stops_the_start() {
    let clock = || Arc::new(ManualClock::default()) as Arc<dyn Clock>;
    assert!(matches!(
        Verifier::new(vec![], clock()),
        Err(ConfigError::NoIssuer)
    ));
    for config in [
        IssuerConfig::new("", API),
        IssuerConfig::new(ISSUER, ""),
        config().algorithms([]),
        config().client_ids::<String>([]),
        config().client_ids([""]),
        config().leeway_seconds(61),
        config().jwks_url("http://login.example/jwks"),
    ] {
        assert!(matches!(
            Verifier::new(vec![config], clock()),
            Err(ConfigError::Issuer { .. })
        ));
    }
    let twice = Verifier::new(vec![config(), config()], clock()).unwrap_err();
    assert!(matches!(twice, ConfigError::Issuer { .. }), "{twice}");
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p32_one_flipped_byte_of_a_token_is_refused(place: prop::sample::Index, mask in 1u8..128) {
        let mut token = OURS.sign(&header(), &claims()).into_bytes();
        let place = place.index(token.len());
        token[place] ^= mask;
        let reason = blocking(world().reason(std::str::from_utf8(&token).unwrap()));
        prop_assert_ne!(reason, "taken");
    }

    #[test]
    fn any_text_gets_an_answer(text in ".{0,80}", head in ".{0,40}", payload in ".{0,40}") {
        prop_assert_ne!(blocking(world().reason(&text)), "taken");
        let token = format!("{}.{}.{}", b64(&head), b64(&payload), b64(&text));
        prop_assert_ne!(blocking(world().reason(&token)), "taken");
    }
}
