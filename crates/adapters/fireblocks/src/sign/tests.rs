use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use posx_kernel::{ManualClock, SeededIds};
use serde_json::{Value, json};
use std::sync::LazyLock;

use super::*;

const API_KEY: &str = "0b5a3c1e-7d0f-4a1b-9c55-2f6f1f6f9a01";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

fn pem() -> SecretString {
    let der: Pkcs8V1Der<'_> = KEY.as_der().unwrap();
    let text = STANDARD.encode(&*der);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into()
}

fn signer_at(clock: &Arc<ManualClock>) -> RequestSigner {
    RequestSigner::new(API_KEY.into(), &pem(), clock.clone(), Arc::new(SeededIds::new(3))).unwrap()
}

fn clock() -> Arc<ManualClock> {
    let now = "2026-06-01T12:00:00.999999Z".parse().unwrap();
    Arc::new(ManualClock::stopped_at(now))
}

/// The claims of a header whose signature holds, by another implementation than the one that signed.
fn claims(header: &HeaderValue) -> Value {
    let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let public = KEY.public_key();
    let components = RsaPublicKeyComponents {
        n: public.modulus().big_endian_without_leading_zero(),
        e: public.exponent().big_endian_without_leading_zero(),
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    components
        .verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
        .unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let json = |part| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(json(header), json!({ "typ": "JWT", "alg": "RS256" }));
    json(claims)
}

#[test]
fn f01_a_request_is_signed_with_its_address_its_bytes_and_a_short_life() {
    let clock = clock();
    let signer = signer_at(&clock);
    let body = br#"{"amount":"1.5"}"#;
    let told = claims(&signer.authorization("/v1/transactions?a=b", body).unwrap());
    let nonce = told["nonce"].as_str().unwrap();
    let expected = json!({
        "uri": "/v1/transactions?a=b", "nonce": nonce, "iat": 1_780_315_200, "exp": 1_780_315_225,
        "sub": API_KEY, "bodyHash": hex::encode(digest(&SHA256, body)),
    });
    assert_eq!(told, expected);
    assert!(nonce.len() == 32 && told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap() < 30);
    assert_eq!(
        claims(&signer.authorization("/v1/vault", b"").unwrap())["bodyHash"],
        EMPTY
    );
}

#[test]
fn f01_no_two_signatures_share_a_nonce_and_each_tells_the_clock() {
    let clock = clock();
    let signer = signer_at(&clock);
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..20 {
        nonces.insert(claims(&signer.authorization("/", b"").unwrap())["nonce"].to_string());
    }
    assert_eq!(nonces.len(), 20);
    // A clock that is set back signs with the earlier time: whether that is taken, Fireblocks says.
    for seconds in [40, -100] {
        clock.advance(TimeDelta::seconds(seconds));
        let told = claims(&signer.authorization("/", b"").unwrap());
        assert_eq!(told["iat"], clock.now().timestamp());
    }
}

#[test]
fn f02_keys_do_not_print_and_wrong_ones_stop_the_start() {
    let signer = signer_at(&clock());
    let header = signer.authorization("/", b"").unwrap();
    let shown = format!("{signer:?} {header:?} {:?}", signer.api_key());
    assert!(!shown.contains(API_KEY) && !shown.contains("eyJ"), "{shown}");
    let made = |api_key: &str, private_key: SecretString| {
        RequestSigner::new(api_key.into(), &private_key, clock(), Arc::new(SeededIds::new(3))).map(|_| ())
    };
    for api_key in ["", "two words", "line\nend", "ключ"] {
        assert_eq!(made(api_key, pem()), Err(CredentialsError::ApiKey), "{api_key:?}");
    }
    let framed = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let pkcs1 = "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n";
    for private_key in ["", "secret", framed, pkcs1] {
        let refused = made(API_KEY, private_key.into());
        assert_eq!(refused, Err(CredentialsError::PrivateKey), "{private_key}");
        assert!(!format!("{refused:?}").contains("c2VjcmV0"));
    }
}
