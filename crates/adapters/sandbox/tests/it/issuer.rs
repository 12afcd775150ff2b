//! The issuer's tokens, verified with another implementation than the one that signs.

use std::sync::Arc;

use chrono::TimeDelta;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use posx_kernel::SystemClock;
use posx_sandbox::{Flaw, OldKeys, TokenRequest, World, WorldConfig, WorldError};
use serde_json::Value;

use crate::support::http;

const API: &str = "https://api.posx.example";

async fn world() -> World {
    World::start(WorldConfig::new(Arc::new(SystemClock)))
        .await
        .unwrap()
}

async fn fetch(url: &str) -> Value {
    http().get(url).send().await.unwrap().json().await.unwrap()
}

/// As a resource server does: discovery, key set, key by kid, signature, claims.
async fn verified(world: &World, token: &str) -> Option<Value> {
    let issuer = world.issuer().url();
    let discovery = fetch(&format!("{issuer}.well-known/openid-configuration")).await;
    assert_eq!(discovery["issuer"], issuer);
    let jwks = fetch(discovery["jwks_uri"].as_str().unwrap()).await;
    let jwks: JwkSet = serde_json::from_value(jwks).unwrap();
    let header = jsonwebtoken::decode_header(token).ok()?;
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let key = DecodingKey::from_jwk(jwks.find(&header.kid?)?).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[API]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &rules).ok()?.claims;
    let is_future = claims["iat"].as_i64()? > jsonwebtoken::get_current_timestamp().cast_signed() + 60;
    (!is_future).then_some(claims)
}

#[tokio::test]
async fn a_token_is_an_access_token_that_the_served_key_set_verifies() {
    let world = world().await;
    assert!(world.issuer().url().starts_with("http://127.0.0.1:"));
    assert!(world.issuer().url().ends_with("/issuer/"));
    let request = TokenRequest {
        lifetime: TimeDelta::minutes(5),
        scopes: vec!["orders:read".to_owned(), "orders:write".to_owned()],
        email: Some("carol@example.com".to_owned()),
        ..TokenRequest::new("carol", API)
    };
    let claims = verified(&world, &world.issuer().token(&request).unwrap())
        .await
        .unwrap();
    assert_eq!(claims["sub"], "carol");
    assert_eq!(claims["scope"], "orders:read orders:write");
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["amr"], serde_json::json!(["pwd", "mfa"]));
    assert_eq!(claims["auth_time"], claims["iat"]);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        300
    );
    let again = verified(&world, &world.issuer().token(&request).unwrap())
        .await
        .unwrap();
    assert_ne!(claims["jti"], again["jti"]);
}

#[tokio::test]
async fn j01_j03_every_flawed_token_is_refused() {
    let world = world().await;
    let request = TokenRequest::new("carol", API);
    for flaw in Flaw::ALL {
        let token = world.issuer().bad_token(&request, flaw).unwrap();
        assert_eq!(token.split('.').count(), 3, "{flaw:?}");
        assert_eq!(verified(&world, &token).await, None, "{flaw:?}");
    }
}

#[tokio::test]
async fn j07_a_rotation_keeps_old_tokens_only_as_long_as_their_key_is_served() {
    let world = world().await;
    let request = TokenRequest::new("carol", API);
    let first = world.issuer().token(&request).unwrap();
    world.issuer().rotate(OldKeys::Keep).await.unwrap();
    let second = world.issuer().token(&request).unwrap();
    assert!(verified(&world, &first).await.is_some());
    assert!(verified(&world, &second).await.is_some());
    world.issuer().rotate(OldKeys::Drop).await.unwrap();
    assert!(verified(&world, &first).await.is_none());
    assert!(verified(&world, &second).await.is_none());
    let third = world.issuer().token(&request).unwrap();
    assert!(verified(&world, &third).await.is_some());
}

#[tokio::test]
async fn a_command_line_gets_a_token_over_http() {
    let world = world().await;
    let url = format!("{}token", world.issuer().url());
    let post = async |form: &[(&str, &str)]| {
        let answer = http().post(&url).form(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let good = [
        ("subject", "dave"),
        ("audience", API),
        ("lifetime_seconds", "120"),
        ("scope", "a b"),
    ];
    let (status, body) = post(&good).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&"Bearer".into(), &120.into())
    );
    let claims = verified(&world, body["access_token"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(claims["sub"], "dave");
    for bad in [
        &[("subject", "dave")] as &[(&str, &str)],
        &[("subject", ""), ("audience", API)],
        &[("subject", "dave"), ("audience", API), ("lifetime_seconds", "0")],
        &[("subject", "dave"), ("audience", API), ("grant", "x")],
        &[],
    ] {
        let (status, body) = post(bad).await;
        assert_eq!(
            (status, &body["error"]),
            (400, &"invalid_request".into()),
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn a_world_is_on_this_machine_only_and_prints_no_secret() {
    let mut config = WorldConfig::new(Arc::new(SystemClock));
    let secrets = config.secrets.clone();
    let printed = format!("{config:?}");
    assert!(!printed.contains(&secrets.stripe_secret_key) && !printed.contains(&secrets.stripe_webhook[0]));
    config.bind = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(World::start(config).await, Err(WorldError::NotLocal(_))));
    let world = world().await;
    let gateway =
        posx_sandbox::SandboxGateway::new(&world.stripe_url(), &world.secrets().stripe_secret_key).unwrap();
    assert!(!format!("{world:?} {gateway:?}").contains("sk_test_"));
}

#[tokio::test]
async fn a_stopped_world_frees_its_port() {
    let first = world().await;
    let bind = first.issuer().url().split('/').nth(2).unwrap().parse().unwrap();
    first.stop().await;
    let config = WorldConfig {
        bind,
        ..WorldConfig::new(Arc::new(SystemClock))
    };
    World::start(config).await.unwrap();
}
