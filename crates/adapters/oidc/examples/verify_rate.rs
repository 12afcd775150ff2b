//! How many access tokens one core verifies in a second with a warm key set: RS256 with 2048 bits, the whole way of a
//! token from text to claims. Run it in release: `cargo run --release -p posx-oidc --example verify_rate`.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use posx_kernel::{Clock, SystemClock};
use posx_keyset::FetchError;
use posx_oidc::{FetchKeys, IssuerConfig, Verifier};
use serde_json::json;

const ISSUER: &str = "https://login.example/";
const API: &str = "https://api.example";
const MEASURED_FOR: Duration = Duration::from_secs(3);
/// Between two looks at the clock.
const BATCH: u32 = 500;

struct OneKey(Vec<u8>);

#[async_trait]
impl FetchKeys for OneKey {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        Ok(self.0.clone())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pair = KeyPair::generate(KeySize::Rsa2048)?;
    let (n, e) = (
        pair.public_key().modulus().big_endian_without_leading_zero(),
        pair.public_key().exponent().big_endian_without_leading_zero(),
    );
    let clock = Arc::new(SystemClock);
    let token = token(&pair, clock.now().timestamp())?;
    let keys = json!({"keys": [{
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1",
        "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e),
    }]});
    let source = Arc::new(OneKey(keys.to_string().into_bytes()));
    let verifier = Verifier::with_key_sources(vec![(IssuerConfig::new(ISSUER, API), source)], clock)?;

    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(verifier.verify(&token))?;
    let tokens = rate(|| runtime.block_on(verifier.verify(&token)).is_ok())?;

    // What the library does when it is given nothing but a ready key, a message and a signature.
    let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?;
    let (message, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let signatures = rate(|| key.verify_sig(message.as_bytes(), &signature).is_ok())?;

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "tokens per second on one core:                   {tokens:>8.0}"
    )?;
    writeln!(
        out,
        "bare RS256 signatures per second, the upper bound: {signatures:>6.0}"
    )?;
    Ok(())
}

fn token(pair: &KeyPair, now: i64) -> Result<String, Box<dyn Error>> {
    let der: Pkcs8V1Der<'_> = pair.as_der()?;
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(&*der)
    );
    let header = Header {
        kid: Some("k1".into()),
        ..Header::new(jsonwebtoken::Algorithm::RS256)
    };
    let claims = json!({
        "iss": ISSUER, "sub": "auth0|65f2c0d1a9b8e7f6c5d4e3f2", "aud": [API, "https://login.example/userinfo"],
        "iat": now, "exp": now + 3_600, "azp": "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z",
        "scope": "openid profile email offline_access", "permissions": ["orders:read", "orders:write", "tiers:edit"],
    });
    Ok(jsonwebtoken::encode(
        &header,
        &claims,
        &EncodingKey::from_rsa_pem(pem.as_bytes())?,
    )?)
}

fn rate(mut once: impl FnMut() -> bool) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut done = 0_u32;
    while begun.elapsed() < MEASURED_FOR {
        for _ in 0..BATCH {
            if !once() {
                return Err("a good token was refused".into());
            }
        }
        done += BATCH;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}
