use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512,
};
use proptest::prelude::*;
use serde_json::json;

use super::testing::{b64, document, rsa_jwk, rsa_signature};
use super::*;
use crate::VerifyError;

fn parse_values(keys: &[Value]) -> Vec<VerifyingKey> {
    parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn with(name: &str, value: Value) -> Value {
    let mut jwk = rsa_jwk("k");
    jwk[name] = value;
    jwk
}

fn ec_jwk(algorithm: &'static EcdsaSigningAlgorithm, crv: &str) -> (EcdsaKeyPair, Value) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    let jwk = json!({"kty": "EC", "crv": crv, "kid": crv, "x": b64(x), "y": b64(y)});
    (pair, jwk)
}

#[test]
fn j01_a_key_verifies_with_each_algorithm_of_its_type_and_no_other() {
    let keys = parse_values(&[rsa_jwk("rsa")]);
    let schemes: [(Algorithm, &'static dyn aws_lc_rs::signature::RsaEncoding); 6] = [
        (Algorithm::Rs256, &RSA_PKCS1_SHA256),
        (Algorithm::Rs384, &RSA_PKCS1_SHA384),
        (Algorithm::Rs512, &RSA_PKCS1_SHA512),
        (Algorithm::Ps256, &RSA_PSS_SHA256),
        (Algorithm::Ps384, &RSA_PSS_SHA384),
        (Algorithm::Ps512, &RSA_PSS_SHA512),
    ];
    for (signed_with, encoding) in schemes {
        let signature = rsa_signature(encoding, b"message");
        for algorithm in Algorithm::ALL {
            let expected = match algorithm {
                _ if algorithm == signed_with => Ok(()),
                Algorithm::Es256 | Algorithm::Es384 => Err(VerifyError::KeyDoesNotFit),
                _ => Err(VerifyError::BadSignature),
            };
            assert_eq!(
                keys[0].verify(algorithm, b"message", &signature),
                expected,
                "{signed_with:?} {algorithm:?}"
            );
        }
    }
}

#[test]
fn j01_an_elliptic_key_fits_the_algorithm_of_its_curve_only() {
    for (algorithm, signing, crv) in [
        (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
    ] {
        let (pair, jwk) = ec_jwk(signing, crv);
        let keys = parse_values(&[jwk]);
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        for other in Algorithm::ALL {
            let expected = if other == algorithm {
                Ok(())
            } else {
                Err(VerifyError::KeyDoesNotFit)
            };
            assert_eq!(keys[0].verify(other, b"message", signature.as_ref()), expected);
        }
        let other_message = keys[0].verify(algorithm, b"massage", signature.as_ref());
        assert_eq!(other_message, Err(VerifyError::BadSignature));
    }
}

#[test]
fn j01_a_key_reserved_for_one_algorithm_serves_no_other() {
    let keys = parse_values(&[with("alg", json!("RS512"))]);
    let signature = rsa_signature(&RSA_PKCS1_SHA256, b"message");
    assert_eq!(
        keys[0].verify(Algorithm::Rs256, b"message", &signature),
        Err(VerifyError::KeyDoesNotFit)
    );
}

#[test]
fn j01_none_and_hmac_have_no_name() {
    for name in [
        "none", "None", "", "HS256", "HS384", "HS512", "rs256", "RS1", "EdDSA",
    ] {
        assert_eq!(Algorithm::from_name(name), None, "{name}");
    }
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
    }
}

#[test]
fn j08_a_key_that_cannot_be_used_is_left_out_and_the_others_stay() {
    let (_, mut off_curve) = ec_jwk(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    off_curve["y"] = off_curve["x"].clone();
    let short = aws_lc_rs::signature::RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let short = short.public_key().modulus().big_endian_without_leading_zero()[..128].to_vec();
    let unusable = [
        json!("not an object"),
        json!({"kid": "k"}),
        json!({"kty": "oct", "kid": "k", "k": b64(b"shared secret")}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64([7; 32])}),
        off_curve,
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("HS256")),
        with("alg", json!("RSA-OAEP")),
        with("n", json!("AQAB")),
        with("n", json!(b64(short))),
        with("n", json!("====")),
        with("e", json!("")),
        with("e", json!("AA")),
        with("e", json!("Ag")),
        with("e", json!("AQ")),
        with("e", json!(b64([1; 5]))),
        with("n", json!(null)),
        with("d", json!("AQAB")),
        with("kid", json!("")),
        with("kid", json!("k".repeat(257))),
        with("kid", json!(7)),
    ];
    for jwk in unusable {
        let keys = parse_values(&[jwk.clone(), rsa_jwk("good")]);
        assert_eq!(keys.len(), 1, "{jwk}");
        assert_eq!(keys[0].kid(), Some("good"));
    }
}

#[test]
fn j01_a_key_needs_no_use_no_alg_and_no_kid() {
    let mut bare = rsa_jwk("k");
    for name in ["use", "kid"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    let keys = parse_values(&[bare, with("key_ops", json!(["verify"]))]);
    assert_eq!(
        keys.iter().map(VerifyingKey::kid).collect::<Vec<_>>(),
        [None, Some("k")]
    );
}

#[test]
fn a_leading_zero_in_the_modulus_is_forgiven() {
    let n = URL_SAFE_NO_PAD
        .decode(rsa_jwk("k")["n"].as_str().unwrap())
        .unwrap();
    let keys = parse_values(&[with("n", json!(b64([&[0], &n[..]].concat())))]);
    let signature = rsa_signature(&RSA_PKCS1_SHA256, b"message");
    keys[0].verify(Algorithm::Rs256, b"message", &signature).unwrap();
}

#[test]
fn of_two_keys_with_one_kid_the_first_counts() {
    let keys = parse_values(&[with("alg", json!("RS256")), with("alg", json!("RS512"))]);
    assert_eq!((keys.len(), keys[0].algorithm), (1, Some(Algorithm::Rs256)));
}

#[test]
fn j08_size_and_number_of_keys_are_capped() {
    let kids = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(parse(&document(&kids(KEYS_MAX))).unwrap().len(), KEYS_MAX);
    assert!(matches!(
        parse(&document(&kids(KEYS_MAX + 1))),
        Err(DocumentError::TooManyKeys)
    ));
    let mut large = document(&kids(1));
    large.resize(SET_BYTES_MAX + 1, b' ');
    assert!(matches!(parse(&large), Err(DocumentError::TooLarge)));
    large.pop();
    assert_eq!(parse(&large).unwrap().len(), 1);
}

#[test]
fn a_document_without_keys_is_no_key_set_and_an_empty_one_is() {
    for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        assert!(
            matches!(parse(document.as_bytes()), Err(DocumentError::Shape(_))),
            "{document}"
        );
    }
    assert!(parse(br#"{"keys":[]}"#).unwrap().is_empty());
}

#[test]
fn a_key_prints_its_name_and_not_its_numbers() {
    let shown = format!("{:?}", parse_values(&[rsa_jwk("k")]));
    assert_eq!(shown, r#"[VerifyingKey { kid: Some("k"), algorithm: None, .. }]"#);
}

proptest! {
    #[test]
    fn any_document_gets_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,40}") {
        prop_assert!(parse(&bytes).is_err());
        let odd = json!({"keys": [{"kty": text, "kid": text, "n": text, "e": text, "crv": text, "x": text, "y": text}]});
        prop_assert!(parse(odd.to_string().as_bytes()).unwrap().is_empty());
    }
}
