//! Signs as Stripe does, for this crate's tests. The sandbox has a signer of its own, so that one mistake is not made
//! on both sides.

use aws_lc_rs::hmac;
use secrecy::SecretString;

use super::SigningSecret;

pub(crate) const SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

pub(crate) fn secret(text: &str) -> SigningSecret {
    SigningSecret::new(&SecretString::from(text)).unwrap()
}

pub(crate) fn v1(body: &[u8], timestamp: i64, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut signing = hmac::Context::with_key(&key);
    signing.update(timestamp.to_string().as_bytes());
    signing.update(b".");
    signing.update(body);
    hex::encode(signing.sign())
}

pub(crate) fn sign(body: &[u8], timestamp: i64, secret: &str) -> String {
    format!("t={timestamp},v1={}", v1(body, timestamp, secret))
}
