//! Key pairs made once for the tests of this crate, and documents with their public halves.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaEncoding, RsaKeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn rsa_jwk(kid: &str) -> Value {
    let public = RSA.public_key();
    let n = public.modulus().big_endian_without_leading_zero();
    let e = public.exponent().big_endian_without_leading_zero();
    json!({"kty": "RSA", "use": "sig", "kid": kid, "n": b64(n), "e": b64(e)})
}

pub(crate) fn rsa_signature(encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; RSA.public_modulus_len()];
    RSA.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    signature
}

/// One document with the same RSA key under each kid.
pub(crate) fn document(kids: &[String]) -> Vec<u8> {
    let keys: Vec<Value> = kids.iter().map(|kid| rsa_jwk(kid)).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}
