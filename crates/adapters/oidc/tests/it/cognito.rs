//! ministack's user pools: its tokens name the issuer of AWS, and its keys are at its own address.

use std::sync::Arc;

use posx_kernel::SystemClock;
use posx_oidc::{IssuerConfig, TokenClient, Verified, Verifier};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::user_pools::{App, Pool};
use crate::{REDIRECT_URI, VERIFIER, counterpart, kid, outcome, reason};

fn base() -> Option<String> {
    counterpart("POSX_COUNTERPART_COGNITO")
}

fn verifier(pool: &Pool, apps: &[&App]) -> Verifier {
    let ids = apps.iter().map(|app| app.id.as_str());
    let configs = IssuerConfig::cognito(&pool.id, ids).unwrap();
    let configs = configs.map(|config| config.jwks_url(pool.keys_url()));
    Verifier::new(configs.into(), Arc::new(SystemClock)).unwrap()
}

fn tokens(pool: &Pool, secret: &str) -> TokenClient {
    let [token, revocation] = ["oauth2/token", "oauth2/revoke"].map(|path| pool.address(path));
    TokenClient::new(&token, Some(&revocation), &pool.app.id, Some(secret.into())).unwrap()
}

/// Both tokens of a person's sign-in.
async fn sign_in(pool: &Pool, app: &App) -> [String; 2] {
    let code = pool.sign_in(app).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let granted = pool.grant(app, &form).await;
    ["access_token", "id_token"].map(|name| text(&granted, name))
}

fn text(granted: &Value, name: &str) -> String {
    granted[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {granted}"))
        .to_owned()
}

#[tokio::test]
async fn j20_a_persons_access_token_is_taken_and_the_id_token_beside_it_is_not() {
    let Some(base) = base() else { return };
    let pool = Pool::new(&base).await;
    let [access, id] = sign_in(&pool, &pool.app).await;
    let verifier = verifier(&pool, &[&pool.app]);
    let person = verifier.verify(&access).await.unwrap();
    assert_eq!(
        person.issuer,
        format!("https://cognito-idp.us-east-1.amazonaws.com/{}", pool.id)
    );
    assert_eq!(person.client.as_deref(), Some(pool.app.id.as_str()));
    assert_eq!(person.scopes, ["openid".to_owned()].into());
    assert!(person.token_id.is_some() && person.session_id.is_some() && person.authenticated_at.is_some());
    assert_eq!(reason(&verifier.verify(&id).await), "id_token");
}

#[tokio::test]
async fn j20_a_token_of_an_app_that_is_not_listed_is_refused() {
    let Some(base) = base() else { return };
    let pool = Pool::new(&base).await;
    let other = pool.new_app().await;
    let [access, _] = sign_in(&pool, &other).await;
    let ours = verifier(&pool, &[&pool.app]);
    assert_eq!(reason(&ours.verify(&access).await), "wrong_client");
    let both = verifier(&pool, &[&pool.app, &other]);
    assert_eq!(reason(&both.verify(&access).await), "taken");
}

#[tokio::test]
async fn j22_a_pool_signs_access_and_id_tokens_with_two_keys() {
    let Some(base) = base() else { return };
    let pool = Pool::new(&base).await;
    let [access, id] = sign_in(&pool, &pool.app).await;
    assert_ne!(kid(&access), kid(&id));
    let verifier = verifier(&pool, &[&pool.app]);
    assert_eq!(verifier.health().await[0].keys, 2);
}

#[tokio::test]
async fn j23_groups_give_nothing_and_a_token_outlives_the_sign_out() {
    let Some(base) = base() else { return };
    let pool = Pool::new(&base).await;
    let [access, _] = sign_in(&pool, &pool.app).await;
    let verifier = verifier(&pool, &[&pool.app]);
    let person = verifier.verify(&access).await.unwrap();
    assert!(person.permissions.is_empty());
    assert_ne!(person.subject, "ada");
    pool.sign_everybody_out().await;
    assert_eq!(verifier.verify(&access).await, Ok(person));
}

#[tokio::test]
async fn j24_a_pool_that_is_not_configured_is_no_issuer() {
    let Some(base) = base() else { return };
    let (here, there) = (Pool::new(&base).await, Pool::new(&base).await);
    let [access, _] = sign_in(&there, &there.app).await;
    let verifier = verifier(&here, &[&here.app, &there.app]);
    assert_eq!(reason(&verifier.verify(&access).await), "unknown_issuer");
}

#[tokio::test]
async fn j18_a_pools_machine_is_a_service_and_no_person() {
    let Some(base) = base() else { return };
    let pool = Pool::new(&base).await;
    let machine = pool.new_machine().await;
    let form = [("grant_type", "client_credentials"), ("scope", "orders/read")];
    let token = text(&pool.grant(&machine, &form).await, "access_token");
    let verifier = verifier(&pool, &[&machine]);
    let Ok(Verified::Service(service)) = verifier.verify_caller(&token).await else {
        panic!("a service's token");
    };
    assert_eq!(service.client, machine.id);
    assert_eq!(service.scopes, ["orders/read".to_owned()].into());
    assert_eq!(reason(&verifier.verify(&token).await), "service_caller");
}

#[tokio::test]
async fn a_refresh_brings_a_new_access_token_and_keeps_the_refresh_token() {
    let Some(base) = base() else { return };
    let pool = Pool::new(&base).await;
    let client = tokens(&pool, &pool.app.secret);
    let code = pool.sign_in(&pool.app).await.into();
    let granted = client
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.into())
        .await
        .unwrap();
    let refresh_token = granted.refresh_token.unwrap();
    for _ in 0..2 {
        let again = client.refresh(&refresh_token).await.unwrap();
        assert!(again.refresh_token.is_none());
        assert_ne!(
            again.access_token.expose_secret(),
            granted.access_token.expose_secret()
        );
        let token = again.access_token.expose_secret();
        assert_eq!(
            reason(&verifier(&pool, &[&pool.app]).verify(token).await),
            "taken"
        );
    }
    pool.sign_everybody_out().await;
    assert_eq!(outcome(&client.refresh(&refresh_token).await), "sign in again");
}

#[tokio::test]
async fn a_code_is_good_once_and_only_with_its_verifier_and_the_clients_secret() {
    let Some(base) = base() else { return };
    let pool = Pool::new(&base).await;
    let client = tokens(&pool, &pool.app.secret);
    let code: SecretString = pool.sign_in(&pool.app).await.into();
    let impostor = tokens(&pool, "another-secret");
    let refused = impostor
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.into())
        .await;
    assert_eq!(outcome(&refused), "invalid_client");
    let wrong = client
        .exchange_code(&code, REDIRECT_URI, &VERIFIER.replace('0', "9").into())
        .await;
    assert_eq!(outcome(&wrong), "sign in again");
    for expected in ["granted", "sign in again"] {
        let granted = client.exchange_code(&code, REDIRECT_URI, &VERIFIER.into()).await;
        assert_eq!(outcome(&granted), expected);
    }
}
