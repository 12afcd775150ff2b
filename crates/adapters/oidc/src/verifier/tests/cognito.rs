//! Cognito's tokens: `token_use` and `client_id` say what others say by `typ` and `aud`.

use super::*;

const POOL: &str = "eu-west-1_Ab12Cd34E";
const POOL_ISSUER: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd34E";
const REPLICATED_ISSUER: &str = "https://issuer.cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd34E";
const APP: &str = "1h57kf5cpq17m0eml12EXAMPLE";
const SUBJECT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

fn access() -> Value {
    json!({
        "iss": POOL_ISSUER, "sub": SUBJECT, "token_use": "access", "client_id": APP, "username": "ada",
        "scope": "openid orders/write", "cognito:groups": ["admins", "orders:refund"], "version": 2,
        "auth_time": NOW - 20, "iat": NOW - 10, "exp": NOW + 600, "jti": "t1", "origin_jti": "o1", "event_id": "e1",
    })
}

fn id() -> Value {
    json!({
        "iss": POOL_ISSUER, "sub": SUBJECT, "token_use": "id", "aud": APP, "cognito:username": "ada",
        "cognito:groups": ["admins"], "email": "ada@shop.example", "email_verified": true,
        "auth_time": NOW - 20, "iat": NOW - 10, "exp": NOW + 600, "jti": "t2", "origin_jti": "o1", "event_id": "e1",
    })
}

fn machine() -> Value {
    json!({
        "iss": POOL_ISSUER, "sub": APP, "token_use": "access", "client_id": APP, "scope": "orders/write", "version": 2,
        "auth_time": NOW - 10, "iat": NOW - 10, "exp": NOW + 600, "jti": "t3",
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// As Cognito writes its header: no `typ`.
fn sign(claims: &Value) -> String {
    raw_token(&OURS, &json!({"alg": "RS256", "kid": "k1"}), claims)
}

/// The pool by both of its issuers, each with a place of its own for its keys.
fn pool_of(configs: [IssuerConfig; 2]) -> (World, Arc<FakeIssuer>) {
    let [issuer, replicated] = [0, 1].map(|_| {
        let issuer = FakeIssuer::default();
        issuer.publish(vec![OURS.jwk("k1")]);
        Arc::new(issuer)
    });
    let clock = Arc::new(ManualClock::stopped_at(DateTime::from_timestamp(NOW, 0).unwrap()));
    let sources = [Arc::clone(&issuer) as _, Arc::clone(&replicated) as _];
    let sources = configs.into_iter().zip(sources).collect();
    let verifier = Verifier::with_key_sources(sources, Arc::clone(&clock) as _).unwrap();
    (
        World {
            issuer,
            clock,
            verifier,
        },
        replicated,
    )
}

fn pool() -> World {
    pool_of(IssuerConfig::cognito(POOL, [APP]).unwrap()).0
}

async fn reason(claims: &Value) -> &'static str {
    pool().reason(&sign(claims)).await
}

#[tokio::test]
async fn j19_both_issuers_of_a_pool_mean_the_same_identity() {
    let configs = IssuerConfig::cognito(POOL, [APP]).unwrap();
    assert_eq!(
        configs.each_ref().map(IssuerConfig::issuer),
        [POOL_ISSUER, REPLICATED_ISSUER]
    );
    let (world, replicated) = pool_of(configs);
    let one = world.verifier.verify(&sign(&access())).await.unwrap();
    assert_eq!(replicated.fetches(), 0);
    let other = with(access(), "iss", json!(REPLICATED_ISSUER));
    let other = world.verifier.verify(&sign(&other)).await.unwrap();
    assert_eq!(one, other);
    assert_eq!(
        (one.issuer.as_str(), one.subject.as_str()),
        (POOL_ISSUER, SUBJECT)
    );
    assert_eq!((world.issuer.fetches(), replicated.fetches()), (1, 1));
}

#[tokio::test]
async fn j19_an_issuer_matches_as_a_whole_string() {
    for issuer in [
        format!("{POOL_ISSUER}/"),
        format!("{POOL_ISSUER}X"),
        POOL_ISSUER.replace("eu-west-1_", "EU-WEST-1_"),
        POOL_ISSUER.replace("eu-west-1.", "us-east-1."),
        format!("https://evil.example/?{POOL_ISSUER}"),
        POOL_ISSUER.replace("amazonaws.com", "amazonaws.com.evil.example"),
        POOL_ISSUER.replace("https://", "https://evil."),
    ] {
        let claims = with(access(), "iss", json!(issuer));
        assert_eq!(reason(&claims).await, "unknown_issuer", "{issuer}");
    }
}

#[tokio::test]
async fn j19_keys_of_one_name_are_enough_for_readiness() {
    let (world, replicated) = pool_of(IssuerConfig::cognito(POOL, [APP]).unwrap());
    *replicated.keys.lock().unwrap() = None;
    let health = world.verifier.health().await;
    assert_eq!(health.len(), 1);
    assert!(health[0].usable && health[0].name == POOL_ISSUER);
    // A pool that is not replicated has nothing at its second address: nobody asks there unbidden.
    assert_eq!(replicated.fetches(), 0);
    let other = with(access(), "iss", json!(REPLICATED_ISSUER));
    assert_eq!(world.reason(&sign(&other)).await, "keys_unavailable");
    assert!(world.verifier.health().await[0].usable);
}

#[test]
fn j19_a_pool_is_named_by_its_id() {
    for id in [
        "",
        "eu-west-1",
        "eu-west-1_",
        "_Ab12",
        "eu-west-1_Ab_12",
        "eu.evil.example/eu-west-1_Ab12",
        "eu-west-1_Ab12/",
        "EU-west-1_Ab12",
        POOL_ISSUER,
    ] {
        assert!(IssuerConfig::cognito(id, [APP]).is_err(), "{id}");
    }
    let clock = Arc::new(ManualClock::default());
    let nobody = IssuerConfig::cognito::<String>(POOL, []).unwrap();
    assert!(Verifier::new(nobody.into(), Arc::clone(&clock) as _).is_err());
    // Another form needs an audience.
    let reshaped = IssuerConfig::cognito(POOL, [APP])
        .unwrap()
        .map(IssuerConfig::rfc9068);
    assert!(Verifier::new(reshaped.into(), clock).is_err());
}

#[tokio::test]
async fn j20_an_access_token_of_an_allowed_app_is_taken() {
    let at = |seconds| DateTime::from_timestamp(seconds, 0);
    let token = pool().verifier.verify(&sign(&access())).await.unwrap();
    let expected = VerifiedToken {
        issuer: POOL_ISSUER.into(),
        subject: SUBJECT.into(),
        client: Some(APP.into()),
        scopes: ["openid", "orders/write"].map(String::from).into(),
        permissions: BTreeSet::new(),
        organization: None,
        token_id: Some("t1".into()),
        session_id: Some("o1".into()),
        issued_at: at(NOW - 10),
        expires_at: at(NOW + 600).unwrap(),
        authenticated_at: at(NOW - 20),
        methods: BTreeSet::new(),
        context: None,
        second_factor: false,
    };
    assert_eq!(token, expected);
}

#[tokio::test]
async fn j20_an_id_token_is_no_access_token() {
    assert_eq!(reason(&id()).await, "id_token");
}

#[tokio::test]
async fn j20_an_id_token_with_a_client_id_is_no_access_token() {
    assert_eq!(reason(&with(id(), "client_id", json!(APP))).await, "id_token");
}

#[tokio::test]
async fn j20_an_access_token_of_another_app_is_refused() {
    assert_eq!(
        reason(&with(access(), "client_id", json!("another"))).await,
        "wrong_client"
    );
}

#[tokio::test]
async fn j20_an_audience_does_not_stand_in_for_the_client_id() {
    let claims = with(without(access(), "client_id"), "aud", json!(APP));
    assert_eq!(reason(&claims).await, "wrong_profile");
    let claims = with(without(access(), "client_id"), "azp", json!(APP));
    assert_eq!(reason(&claims).await, "wrong_profile");
}

#[tokio::test]
async fn j20_an_allowed_audience_does_not_excuse_another_client() {
    let claims = with(with(access(), "client_id", json!("another")), "aud", json!(APP));
    assert_ne!(reason(&claims).await, "taken");
}

#[tokio::test]
async fn j20_any_other_token_use_is_refused() {
    for token_use in [
        json!("refresh"),
        json!("Access"),
        json!("access "),
        json!(""),
        json!(null),
    ] {
        let claims = with(access(), "token_use", token_use.clone());
        assert_eq!(reason(&claims).await, "wrong_token_use", "{token_use}");
    }
    assert_eq!(reason(&without(access(), "token_use")).await, "wrong_token_use");
    for token_use in [json!(["access"]), json!(true)] {
        let claims = with(access(), "token_use", token_use);
        assert_eq!(reason(&claims).await, "malformed_claims");
    }
}

#[tokio::test]
async fn j20_an_audience_is_checked_where_there_is_one() {
    let resource = "https://api.example";
    let bound = || {
        let configs = IssuerConfig::cognito(POOL, [APP]).unwrap();
        pool_of(configs.map(|config| config.audience(resource))).0
    };
    for (aud, at_bound, at_unbound) in [
        (json!(resource), "taken", "wrong_audience"),
        (json!([resource]), "taken", "wrong_audience"),
        (json!("https://other.example"), "wrong_audience", "wrong_audience"),
        (json!(APP), "wrong_audience", "wrong_audience"),
        (json!(null), "taken", "taken"),
    ] {
        let token = sign(&with(access(), "aud", aud.clone()));
        assert_eq!(bound().reason(&token).await, at_bound, "{aud}");
        assert_eq!(pool().reason(&token).await, at_unbound, "{aud}");
    }
}

#[tokio::test]
async fn j20_a_token_of_another_provider_is_no_cognito_token() {
    assert_eq!(
        reason(&with(claims(), "iss", json!(POOL_ISSUER))).await,
        "wrong_token_use"
    );
}

#[tokio::test]
async fn j21_an_access_token_needs_no_type() {
    assert_eq!(reason(&access()).await, "taken");
    let typed = raw_token(
        &OURS,
        &json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}),
        &access(),
    );
    assert_eq!(pool().reason(&typed).await, "taken");
    // And a type does not make an access token of anything.
    let typed = raw_token(
        &OURS,
        &json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}),
        &id(),
    );
    assert_eq!(pool().reason(&typed).await, "id_token");
}

#[tokio::test]
async fn j22_a_pool_signs_with_two_keys() {
    let world = pool();
    world.issuer.publish(vec![OURS.jwk("access"), OTHER.jwk("id")]);
    let by = |signer: &Signer, kid: &str, claims: &Value| {
        raw_token(signer, &json!({"alg": "RS256", "kid": kid}), claims)
    };
    assert_eq!(world.reason(&by(&OURS, "access", &access())).await, "taken");
    // The other key is the pool's too: that it signs ID tokens is no rule.
    assert_eq!(world.reason(&by(&OTHER, "id", &access())).await, "taken");
    assert_eq!(world.reason(&by(&OTHER, "id", &id())).await, "id_token");
    assert_eq!(
        world.reason(&by(&OTHER, "access", &access())).await,
        "bad_signature"
    );
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn j23_groups_give_nothing_and_the_username_is_not_the_subject() {
    let world = pool();
    let with_groups = world.verifier.verify(&sign(&access())).await.unwrap();
    let bare = world
        .verifier
        .verify(&sign(&without(access(), "cognito:groups")))
        .await
        .unwrap();
    assert_eq!(with_groups, bare);
    let other_name = world
        .verifier
        .verify(&sign(&with(access(), "username", json!(APP))))
        .await
        .unwrap();
    assert_eq!(other_name.subject, SUBJECT);
}

#[tokio::test]
async fn j18_a_pools_machine_is_a_service() {
    let verified = pool().verifier.verify_caller(&sign(&machine())).await.unwrap();
    let Verified::Service(service) = verified else {
        unreachable!("it has no username")
    };
    assert_eq!(
        (service.issuer.as_str(), service.client.as_str()),
        (POOL_ISSUER, APP)
    );
    for claims in [
        machine(),
        with(machine(), "sub", json!(SUBJECT)),
        with(access(), "sub", json!(APP)),
    ] {
        assert_eq!(reason(&claims).await, "service_caller");
    }
}

#[tokio::test]
async fn j24_one_subject_in_two_pools_is_two_identities() {
    let other = POOL.replace("Ab12", "Zy98");
    let mut sources: Vec<(IssuerConfig, Arc<dyn FetchKeys>)> = Vec::new();
    for (id, signer) in [(POOL, &*OURS), (&other, &*OTHER)] {
        for config in IssuerConfig::cognito(id, [APP]).unwrap() {
            let issuer = FakeIssuer::default();
            issuer.publish(vec![signer.jwk("k1")]);
            sources.push((config, Arc::new(issuer)));
        }
    }
    let clock = ManualClock::stopped_at(DateTime::from_timestamp(NOW, 0).unwrap());
    let verifier = Verifier::with_key_sources(sources, Arc::new(clock)).unwrap();
    let elsewhere = with(access(), "iss", json!(POOL_ISSUER.replace("Ab12", "Zy98")));
    let by_other = |claims: &Value| raw_token(&OTHER, &json!({"alg": "RS256", "kid": "k1"}), claims);
    let here = verifier.verify(&sign(&access())).await.unwrap();
    let there = verifier.verify(&by_other(&elsewhere)).await.unwrap();
    assert_eq!(here.subject, there.subject);
    assert_ne!(here.issuer, there.issuer);
    // A pool cannot speak for another one, though the kid is the same.
    let crossed = verifier.verify(&by_other(&access())).await;
    assert_eq!(crossed, Err(AuthError::Invalid(Reason::BadSignature)));
    assert_eq!(verifier.health().await.len(), 2);
}
