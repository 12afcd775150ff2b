use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use chrono::{DateTime, TimeDelta};
use posx_kernel::ManualClock;
use posx_keyset::FetchError;
use proptest::prelude::*;
use serde_json::json;

use super::{vector, *};
use crate::status::TransactionStatus;

const BODY: &[u8] = br#"{"id":"e-1","eventType":"transaction.created","createdAt":1767225600000}"#;

static OURS: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn jwk(pair: &RsaKeyPair, kid: &str) -> Value {
    let public = pair.public_key();
    let n = b64(public.modulus().big_endian_without_leading_zero());
    let e = b64(public.exponent().big_endian_without_leading_zero());
    json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS512", "n": n, "e": e})
}

fn sign_with(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, header: &Value, body: &[u8]) -> String {
    let header = b64(header.to_string());
    let mut signature = vec![0; pair.public_modulus_len()];
    let message = format!("{header}.{}", b64(body));
    pair.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .unwrap();
    format!("{header}..{}", b64(signature))
}

fn sign(body: &[u8], kid: &str) -> String {
    sign_with(
        &OURS,
        &RSA_PKCS1_SHA512,
        &json!({"alg": "RS512", "kid": kid}),
        body,
    )
}

#[derive(Default)]
struct FakeKeyServer {
    /// `None`: cannot be reached.
    document: Mutex<Option<String>>,
    fetches: AtomicUsize,
}

#[async_trait]
impl FetchKeys for FakeKeyServer {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        self.document
            .lock()
            .unwrap()
            .clone()
            .map(String::into_bytes)
            .ok_or(FetchError::Status(502))
    }
}

struct World {
    server: Arc<FakeKeyServer>,
    clock: Arc<ManualClock>,
    verifier: WebhookVerifier,
}

fn world_of(document: String) -> World {
    let server = Arc::new(FakeKeyServer {
        document: Mutex::new(Some(document)),
        ..FakeKeyServer::default()
    });
    let clock = Arc::new(ManualClock::stopped_at(
        DateTime::from_timestamp(1_767_225_600, 0).unwrap(),
    ));
    let verifier = WebhookVerifier::new(Arc::clone(&server) as _, Arc::clone(&clock) as _);
    World {
        server,
        clock,
        verifier,
    }
}

fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn world() -> World {
    world_of(key_set(&[jwk(&OURS, "k1")]))
}

impl World {
    async fn reason(&self, body: &[u8], header: &str) -> &'static str {
        match self.verifier.verify(body, header).await {
            Ok(_) => "taken",
            Err(error) => error.reason(),
        }
    }

    fn publish(&self, keys: &[Value]) {
        *self.server.document.lock().unwrap() = Some(key_set(keys));
    }

    fn fetches(&self) -> usize {
        self.server.fetches.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn f19_a_delivery_signed_by_another_implementation_is_taken() {
    let world = world_of(vector::KEY_SET.into());
    let delivery = world
        .verifier
        .verify(vector::BODY.as_bytes(), vector::SIGNATURE)
        .await
        .unwrap();
    let event = delivery.event().unwrap();
    assert_eq!(event.id, "0b5a3c1e-7d0f-4a1b-9c55-2f6f1f6f9a01");
    let transaction = event.transaction.unwrap();
    assert_eq!(transaction.status, TransactionStatus::Confirming);
    assert_eq!(transaction.external_tx_id.as_deref(), Some("alloc-0001/1"));
    assert_eq!(world.verifier.health().await.keys, 2);
    assert_eq!(
        world
            .reason(&vector::BODY.as_bytes()[1..], vector::SIGNATURE)
            .await,
        "bad_signature"
    );
}

#[tokio::test]
async fn f19_the_raw_bytes_are_what_is_signed() {
    let header = sign(br#"{ "id" : "e-1" }"#, "k1");
    assert_eq!(world().reason(br#"{ "id" : "e-1" }"#, &header).await, "taken");
    assert_eq!(world().reason(br#"{"id":"e-1"}"#, &header).await, "bad_signature");
    assert_eq!(world().reason(b"", &sign(b"", "k1")).await, "taken");
    assert_eq!(
        world().reason(&[0, 255, 254], &sign(&[0, 255, 254], "k1")).await,
        "taken"
    );
}

#[tokio::test]
async fn f19_only_rs512_is_taken() {
    let world = world();
    for alg in ["RS256", "RS384", "PS512", "HS512", "none", "rs512", ""] {
        let header = sign_with(&OURS, &RSA_PKCS1_SHA512, &json!({"alg": alg, "kid": "k1"}), BODY);
        assert_eq!(world.reason(BODY, &header).await, "wrong_algorithm", "{alg}");
    }
    let weaker = sign_with(
        &OURS,
        &RSA_PKCS1_SHA256,
        &json!({"alg": "RS512", "kid": "k1"}),
        BODY,
    );
    assert_eq!(world.reason(BODY, &weaker).await, "bad_signature");
}

#[tokio::test]
async fn f19_a_payload_between_the_dots_is_refused() {
    let world = world();
    let attached = sign(BODY, "k1").replace("..", &format!(".{}.", b64(BODY)));
    for header in [
        attached.as_str(),
        "",
        "..",
        "a",
        "a.b",
        "a..b.c",
        "e30..!",
        "e30=..AAAA",
        "....",
        "e30...AAAA",
    ] {
        let reason = world.reason(BODY, header).await;
        assert!(
            ["not_detached", "malformed_header"].contains(&reason),
            "{header}: {reason}"
        );
    }
    assert_eq!(world.fetches(), 0);
}

#[tokio::test]
async fn f19_a_header_that_brings_a_key_or_an_extension_is_refused() {
    let world = world();
    for member in ["jku", "jwk", "x5u", "x5c", "crit", "b64"] {
        for value in [json!("https://attacker.example"), json!(null), json!([])] {
            let header = json!({"alg": "RS512", "kid": "k1", member: value});
            let header = sign_with(&OURS, &RSA_PKCS1_SHA512, &header, BODY);
            assert_eq!(world.reason(BODY, &header).await, "forbidden_header", "{member}");
        }
    }
    assert_eq!(world.fetches(), 0);
}

#[tokio::test]
async fn f19_a_header_needs_a_kid_and_has_each_member_once() {
    let world = world();
    let none = sign_with(&OURS, &RSA_PKCS1_SHA512, &json!({"alg": "RS512"}), BODY);
    assert_eq!(world.reason(BODY, &none).await, "no_key_id");
    let twice = format!("{}..AAAA", b64(r#"{"alg":"RS512","kid":"k1","kid":"k2"}"#));
    assert_eq!(world.reason(BODY, &twice).await, "malformed_header");
    let typed = sign_with(
        &OURS,
        &RSA_PKCS1_SHA512,
        &json!({"alg": "RS512", "kid": "k1", "typ": "JWT"}),
        BODY,
    );
    assert_eq!(world.reason(BODY, &typed).await, "taken");
}

#[tokio::test]
async fn f19_a_header_without_end_is_refused() {
    assert_eq!(world().reason(BODY, &"a".repeat(4_097)).await, "header_too_large");
}

#[tokio::test]
async fn f19_a_key_of_another_use_signs_nothing() {
    let mut encryption = jwk(&OURS, "k1");
    encryption["use"] = json!("enc");
    assert_eq!(
        world_of(key_set(&[encryption]))
            .reason(BODY, &sign(BODY, "k1"))
            .await,
        "unknown_key"
    );
    let mut other = jwk(&OURS, "k1");
    other["alg"] = json!("RS256");
    assert_eq!(
        world_of(key_set(&[other])).reason(BODY, &sign(BODY, "k1")).await,
        "bad_signature"
    );
}

#[tokio::test]
async fn f20_a_signature_of_the_first_version_is_refused() {
    let world = world_of(vector::KEY_SET.into());
    let reason = world
        .reason(vector::BODY.as_bytes(), vector::FIRST_VERSION_SIGNATURE)
        .await;
    assert_eq!(reason, "not_detached");
}

#[tokio::test]
async fn f21_an_unknown_kid_refreshes_once_per_cool_down() {
    let world = world();
    assert_eq!(world.reason(BODY, &sign(BODY, "k1")).await, "taken");
    world.clock.advance(TimeDelta::seconds(30));
    for (kid, reason) in [
        ("x1", "unknown_key"),
        ("x2", "key_unasked"),
        ("x3", "key_unasked"),
    ] {
        assert_eq!(world.reason(BODY, &sign(BODY, kid)).await, reason);
    }
    assert_eq!(world.fetches(), 2);
    world.publish(&[jwk(&OURS, "k1"), jwk(&OURS, "k2")]);
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(world.reason(BODY, &sign(BODY, "k2")).await, "taken");
}

#[tokio::test]
async fn f21_a_key_server_that_is_away_is_not_the_deliverys_fault() {
    let world = world();
    *world.server.document.lock().unwrap() = None;
    let error = world.verifier.verify(BODY, &sign(BODY, "k1")).await.unwrap_err();
    assert_eq!(error, WebhookError::KeysUnavailable(KeyError::Unavailable));
    assert_eq!(error.to_string(), "the delivery cannot be checked now");
    assert!(!world.verifier.health().await.usable);
    world.publish(&[jwk(&OURS, "k1")]);
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(world.reason(BODY, &sign(BODY, "k1")).await, "taken");
}

#[tokio::test]
async fn f21_a_key_that_is_new_during_the_cool_down_is_waited_for_and_not_refused() {
    let world = world();
    assert_eq!(world.reason(BODY, &sign(BODY, "k1")).await, "taken");
    world.publish(&[jwk(&OURS, "k1"), jwk(&OURS, "k2")]);
    world.clock.advance(TimeDelta::seconds(5));
    let early = world.verifier.verify(BODY, &sign(BODY, "k2")).await.unwrap_err();
    assert_eq!(
        early,
        WebhookError::KeysUnavailable(KeyError::Unasked),
        "503: 400 would be final"
    );
    assert_eq!(world.fetches(), 1);
    world.clock.advance(TimeDelta::seconds(25));
    assert_eq!(world.reason(BODY, &sign(BODY, "k2")).await, "taken");
}

#[tokio::test]
async fn f21_a_key_that_was_asked_about_too_early_is_waited_for_as_well() {
    let world = world();
    assert_eq!(world.reason(BODY, &sign(BODY, "k2")).await, "unknown_key");
    world.publish(&[jwk(&OURS, "k1"), jwk(&OURS, "k2")]);
    for _ in 0..9 {
        world.clock.advance(TimeDelta::seconds(31));
        assert_eq!(world.reason(BODY, &sign(BODY, "k2")).await, "key_unasked");
    }
    world.clock.advance(TimeDelta::seconds(31));
    assert_eq!(world.reason(BODY, &sign(BODY, "k2")).await, "taken");
}

#[tokio::test]
async fn p32_the_signature_of_another_key_is_refused() {
    let header = sign_with(
        &OTHER,
        &RSA_PKCS1_SHA512,
        &json!({"alg": "RS512", "kid": "k1"}),
        BODY,
    );
    assert_eq!(world().reason(BODY, &header).await, "bad_signature");
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn flipped(bytes: &[u8], place: prop::sample::Index, mask: u8) -> Vec<u8> {
    let mut other = bytes.to_vec();
    other[place.index(bytes.len())] ^= mask;
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p32_one_flipped_byte_of_the_body_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..200), place: prop::sample::Index, mask in 1u8..,
    ) {
        let header = sign(&body, "k1");
        prop_assert_eq!(blocking(world().reason(&body, &header)), "taken");
        prop_assert_eq!(blocking(world().reason(&flipped(&body, place, mask), &header)), "bad_signature");
    }

    #[test]
    fn p32_one_flipped_byte_of_the_header_is_refused(place: prop::sample::Index, mask in 1u8..128) {
        let header = String::from_utf8(flipped(sign(BODY, "k1").as_bytes(), place, mask)).unwrap();
        prop_assert_ne!(blocking(world().reason(BODY, &header)), "taken");
    }

    #[test]
    fn any_header_gets_an_answer(text in ".{0,100}", head in ".{0,60}") {
        prop_assert_ne!(blocking(world().reason(BODY, &text)), "taken");
        let detached = format!("{}..{}", b64(&head), b64(&text));
        prop_assert_ne!(blocking(world().reason(BODY, &detached)), "taken");
    }
}
