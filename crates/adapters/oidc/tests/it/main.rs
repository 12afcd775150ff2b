//! Against issuers that nobody here wrote. Each test runs when its counterpart's address is in the environment, and
//! says so when it is not: `POSX_COUNTERPART_OIDC` is the issuer of oidc-provider, which is certified and set up like
//! Auth0; `POSX_COUNTERPART_COGNITO` is the base address of ministack.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

mod browser;
mod cognito;
mod oidc_provider;
mod user_pools;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posx_oidc::{AuthError, TokenError};

const REDIRECT_URI: &str = "http://127.0.0.1:1/cb";
/// PKCE's secret, and the digest of it that goes along with the request for a code.
const VERIFIER: &str = "0123456789abcdefghijklmnopqrstuvwxyz-._~ABCDEFG";

fn challenge() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

/// What was already said to be left out.
static SAID: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// The address without a slash at its end, or a line that says what was left out.
fn counterpart(variable: &'static str) -> Option<String> {
    let address = std::env::var_os(variable).and_then(|address| address.into_string().ok());
    if address.is_none() && SAID.lock().unwrap().insert(variable) {
        // Past the capture of tests that pass: what was left out is to be seen.
        let line = format!("left out: {variable} is not set\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    address.map(|address| address.trim_end_matches('/').to_owned())
}

fn reason<T>(verified: &Result<T, AuthError>) -> &'static str {
    match verified {
        Ok(_) => "taken",
        Err(error) => error.reason(),
    }
}

fn outcome<T>(granted: &Result<T, TokenError>) -> &'static str {
    match granted {
        Ok(_) => "granted",
        Err(TokenError::SignInAgain) => "sign in again",
        Err(TokenError::Refused(why)) => why,
        Err(TokenError::Unavailable(_)) => "unavailable",
        Err(TokenError::Unknown(_)) => "unknown",
    }
}

fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
