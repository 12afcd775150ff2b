//! oidc-provider: access tokens in the form of RFC 9068, PKCE, rotation of refresh tokens and of keys.

use std::fs::File;
use std::io;
use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{Clock, ManualClock, SystemClock};
use posx_oidc::{IssuerConfig, TokenClient, Verified, Verifier};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::browser::{Browser, client};
use crate::{REDIRECT_URI, VERIFIER, challenge, counterpart, outcome, reason};

const API: &str = "https://api.shop";
const APP: &str = "app";
const APP_SECRET: &str = "app-secret";

/// Where the issuer is, and a turn at it. A rotation makes it forget what it has granted, so whoever rotates is there
/// alone; by a file's lock, because tests may be processes. It keeps every key: one that was rotated more than 31 times
/// has more of them than a set may have, and is to be started anew.
fn issuer(lock: fn(&File) -> io::Result<()>) -> Option<(String, File)> {
    let issuer = counterpart("POSX_COUNTERPART_OIDC")?;
    let turn = File::create(concat!(env!("CARGO_TARGET_TMPDIR"), "/oidc-provider.lock")).unwrap();
    lock(&turn).unwrap();
    Some((issuer, turn))
}

fn config(issuer: &str) -> IssuerConfig {
    IssuerConfig::new(issuer, API).rfc9068().client_ids([APP])
}

fn verifier(config: IssuerConfig) -> Verifier {
    Verifier::new(vec![config], Arc::new(SystemClock)).unwrap()
}

fn tokens(issuer: &str, secret: &str) -> TokenClient {
    let address = |path: &str| format!("{issuer}/{path}");
    TokenClient::new(
        &address("token"),
        Some(&address("token/revocation")),
        APP,
        Some(secret.into()),
    )
    .unwrap()
}

async fn sign_in(issuer: &str) -> SecretString {
    let query = [
        ("client_id", APP),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid offline_access read:orders"),
        ("prompt", "consent"),
        ("code_challenge", &challenge()),
        ("code_challenge_method", "S256"),
    ];
    let url = Url::parse_with_params(&format!("{issuer}/auth"), query).unwrap();
    let fill = |page: &str| -> &'static [(&'static str, &'static str)] {
        if page.contains("value=\"login\"") {
            &[("prompt", "login"), ("login", "u1"), ("password", "any")]
        } else {
            &[("prompt", "consent")]
        }
    };
    Browser::new().sign_in(url, fill).await.into()
}

/// A raw grant, for what [`TokenClient`] has no use for.
async fn grant(issuer: &str, form: &[(&str, &str)]) -> Value {
    let request = client()
        .post(format!("{issuer}/token"))
        .basic_auth(APP, Some(APP_SECRET));
    let body = request.form(form).send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn j15_a_person_who_signed_in_has_a_token_of_the_rfc_9068_form() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let code = sign_in(&issuer).await;
    let granted = tokens(&issuer, APP_SECRET)
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.into())
        .await
        .unwrap();
    assert!(granted.refresh_token.is_some());
    let token = granted.access_token.expose_secret();
    let person = verifier(config(&issuer)).verify(token).await.unwrap();
    assert_eq!(
        (person.issuer.as_str(), person.subject.as_str()),
        (issuer.as_str(), "u1")
    );
    assert_eq!(person.client.as_deref(), Some(APP));
    assert_eq!(person.scopes, ["read:orders".to_owned()].into());
    assert!(person.permissions.is_empty() && person.token_id.is_some());

    for (config, expected) in [
        (
            IssuerConfig::new(&issuer, "https://another.api"),
            "wrong_audience",
        ),
        (config(&issuer).client_ids(["another"]), "wrong_client"),
        (config(&issuer).organization("org_1"), "wrong_organization"),
        (IssuerConfig::new(format!("{issuer}/"), API), "unknown_issuer"),
    ] {
        assert_eq!(reason(&verifier(config).verify(token).await), expected);
    }
}

#[tokio::test]
async fn j08_keys_come_by_discovery_of_the_issuer_under_its_exact_name() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let slash = format!("{issuer}/");
    let (exact, other) = (verifier(config(&issuer)), verifier(config(&slash)));
    let exact = exact.health().await;
    assert!(exact[0].usable && exact[0].keys >= 1, "{exact:?}");
    // Its document says another name than was configured.
    assert!(!other.health().await[0].usable);
}

#[tokio::test]
async fn j10_an_id_token_is_not_taken() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let code = sign_in(&issuer).await;
    let granted = grant(
        &issuer,
        &[
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ],
    )
    .await;
    let token = granted["id_token"]
        .as_str()
        .unwrap_or_else(|| panic!("no ID token in {granted}"));
    let pinned = verifier(config(&issuer)).verify(token).await;
    assert_eq!(reason(&pinned), "wrong_type");
    let any = verifier(IssuerConfig::new(&issuer, API)).verify(token).await;
    assert_eq!(reason(&any), "wrong_audience");
}

#[tokio::test]
async fn j18_client_credentials_make_a_service_and_no_person() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let granted = grant(
        &issuer,
        &[("grant_type", "client_credentials"), ("scope", "read:orders")],
    )
    .await;
    let token = granted["access_token"].as_str().unwrap();
    let verifier = verifier(config(&issuer));
    let Ok(Verified::Service(service)) = verifier.verify_caller(token).await else {
        panic!("a service's token");
    };
    assert_eq!(
        (service.issuer.as_str(), service.client.as_str()),
        (issuer.as_str(), APP)
    );
    assert_eq!(service.scopes, ["read:orders".to_owned()].into());
    assert_eq!(reason(&verifier.verify(token).await), "service_caller");
}

#[tokio::test]
async fn a_code_is_good_once_and_only_with_its_verifier() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let client = tokens(&issuer, APP_SECRET);
    let code = sign_in(&issuer).await;
    let wrong = client
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.replace('0', "9").into())
        .await;
    assert_eq!(outcome(&wrong), "sign in again");
    let code = sign_in(&issuer).await;
    let first = client
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.into())
        .await
        .unwrap();
    let second = client.exchange_code(&code, REDIRECT_URI, &VERIFIER.into()).await;
    assert_eq!(outcome(&second), "sign in again");
    // What the first exchange brought goes with it.
    let after = client.refresh(&first.refresh_token.unwrap()).await;
    assert_eq!(outcome(&after), "sign in again");
}

#[tokio::test]
async fn a_refresh_rotates_and_the_reuse_of_an_old_token_ends_the_family() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let client = tokens(&issuer, APP_SECRET);
    let code = sign_in(&issuer).await;
    let first = client
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.into())
        .await
        .unwrap();
    let first = first.refresh_token.unwrap();
    let second = client.refresh(&first).await.unwrap();
    let person = verifier(config(&issuer))
        .verify(second.access_token.expose_secret())
        .await;
    assert_eq!(person.unwrap().subject, "u1");
    let second = second.refresh_token.unwrap();
    assert_ne!(first.expose_secret(), second.expose_secret());
    assert_eq!(outcome(&client.refresh(&first).await), "sign in again");
    assert_eq!(outcome(&client.refresh(&second).await), "sign in again");
}

#[tokio::test]
async fn a_revoked_refresh_token_is_over_and_may_be_revoked_again() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let client = tokens(&issuer, APP_SECRET);
    let code = sign_in(&issuer).await;
    let granted = client
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.into())
        .await
        .unwrap();
    let refresh_token = granted.refresh_token.unwrap();
    for _ in 0..2 {
        client.revoke(&refresh_token).await.unwrap();
        assert_eq!(outcome(&client.refresh(&refresh_token).await), "sign in again");
    }
    // The access token that is out is not: it goes on until it expires.
    let token = granted.access_token.expose_secret();
    assert_eq!(reason(&verifier(config(&issuer)).verify(token).await), "taken");
}

#[tokio::test]
async fn a_wrong_secret_is_the_configurations_fault() {
    let Some((issuer, _turn)) = issuer(File::lock_shared) else {
        return;
    };
    let client = tokens(&issuer, "another-secret");
    let token = SecretString::from("any");
    assert_eq!(outcome(&client.refresh(&token).await), "invalid_client");
    assert_eq!(outcome(&client.revoke(&token).await), "invalid_client");
}

#[tokio::test]
async fn j07_the_first_token_of_a_new_key_refreshes_the_set_and_the_old_one_stays_good() {
    let Some((issuer, _turn)) = issuer(File::lock) else {
        return;
    };
    let machine = [("grant_type", "client_credentials"), ("scope", "read:orders")];
    let token = async || {
        let granted = grant(&issuer, &machine).await;
        granted["access_token"].as_str().unwrap().to_owned()
    };
    let clock = Arc::new(ManualClock::stopped_at(SystemClock.now()));
    let old = token().await;
    let verifier = Verifier::new(vec![config(&issuer)], Arc::clone(&clock) as _).unwrap();
    verifier.verify_caller(&old).await.unwrap();

    client().post(format!("{issuer}/__rotate")).send().await.unwrap();
    let new = token().await;
    assert_ne!(crate::kid(&old), crate::kid(&new));
    // Within the cool-down of the first fetch nobody asks again.
    assert_eq!(reason(&verifier.verify_caller(&new).await), "unknown_key");
    clock.advance(TimeDelta::seconds(30));
    verifier.verify_caller(&new).await.unwrap();
    verifier.verify_caller(&old).await.unwrap();
}
