//! What Auth0's two forms of access tokens have, and nothing else is taken for them.

use super::*;

fn auth0() -> IssuerConfig {
    IssuerConfig::auth0("login.example", API).unwrap()
}

/// In the form of RFC 9068.
fn rfc9068_claims() -> Value {
    let mut claims = claims_with("client_id", json!("web"));
    claims.as_object_mut().unwrap().remove("azp");
    claims
}

fn typed(typ: &str, claims: &Value) -> String {
    raw_token(&OURS, &json!({"alg": "RS256", "kid": "k1", "typ": typ}), claims)
}

fn without(name: &str, mut claims: Value) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// By client credentials.
fn machine() -> Value {
    let mut claims = claims_with("sub", json!("web@clients"));
    claims["gty"] = json!("client-credentials");
    claims
}

#[tokio::test]
async fn j14_the_issuer_has_a_trailing_slash_and_a_custom_domain_is_another_issuer() {
    assert_eq!(auth0().issuer(), "https://login.example/");
    let world = world_of(auth0());
    assert_eq!(world.reason_for_claims(&claims()).await, "taken");
    for issuer in [
        "https://login.example",
        "https://login.example//",
        "https://shop.example/",
    ] {
        let claims = claims_with("iss", json!(issuer));
        assert_eq!(
            world.reason_for_claims(&claims).await,
            "unknown_issuer",
            "{issuer}"
        );
    }
    for domain in [
        "",
        "https://login.example",
        "https://login.example/",
        "login.example/",
        "login.example/path",
        "user@login.example",
        "login.example?",
        "Login.example",
        "login example",
        "login.example:443",
    ] {
        assert!(IssuerConfig::auth0(domain, API).is_err(), "{domain}");
    }
}

#[tokio::test]
async fn j15_the_audience_is_an_array_with_our_api_in_it() {
    let world = world_of(auth0());
    for (aud, reason) in [
        (json!([API, "https://login.example/userinfo"]), "taken"),
        (json!(["https://login.example/userinfo", API]), "taken"),
        (json!(API), "taken"),
        (json!(["https://login.example/userinfo"]), "wrong_audience"),
        (
            json!([format!("{API}/"), format!("{API}.evil.example")]),
            "wrong_audience",
        ),
        (json!(null), "wrong_audience"),
    ] {
        assert_eq!(
            world.reason_for_claims(&claims_with("aud", aud.clone())).await,
            reason,
            "{aud}"
        );
    }
}

#[tokio::test]
async fn j15_both_forms_are_taken_each_by_the_issuer_that_is_pinned_to_it() {
    let (own, rfc9068, any) = (world_of(auth0()), world_of(auth0().rfc9068()), world());
    let (own_token, rfc9068_token) = (typed("JWT", &claims()), typed("at+jwt", &rfc9068_claims()));
    for (world, of_own, of_rfc9068) in [
        (own, "taken", "wrong_type"),
        (rfc9068, "wrong_type", "taken"),
        (any, "taken", "taken"),
    ] {
        assert_eq!(world.reason(&own_token).await, of_own);
        assert_eq!(world.reason(&rfc9068_token).await, of_rfc9068);
    }
}

#[tokio::test]
async fn j15_a_form_is_more_than_its_type() {
    let own = world_of(auth0());
    let both = claims_with("client_id", json!("web"));
    for claims in [rfc9068_claims(), without("azp", claims()), both] {
        assert_eq!(
            own.reason(&typed("JWT", &claims)).await,
            "wrong_profile",
            "{claims}"
        );
    }
    let untyped = raw_token(&OURS, &json!({"alg": "RS256", "kid": "k1"}), &claims());
    assert_eq!(own.reason(&untyped).await, "wrong_type");
    let rfc9068 = world_of(auth0().rfc9068());
    for name in ["client_id", "jti", "iat"] {
        let claims = without(name, rfc9068_claims());
        assert_eq!(
            rfc9068.reason(&typed("at+jwt", &claims)).await,
            "wrong_profile",
            "{name}"
        );
    }
}

#[tokio::test]
async fn j15_each_form_names_its_client_and_clients_may_be_pinned() {
    let person = |verified| match verified {
        Verified::Person(token) => token,
        Verified::Service(_) => unreachable!("a person's token"),
    };
    let own = world_of(auth0().client_ids(["web"]));
    let token = own
        .verifier
        .verify_caller(&typed("JWT", &claims()))
        .await
        .unwrap();
    assert_eq!(person(token).client.as_deref(), Some("web"));
    let rfc9068 = world_of(auth0().rfc9068().client_ids(["web"]));
    let token = rfc9068
        .verifier
        .verify_caller(&typed("at+jwt", &rfc9068_claims()))
        .await
        .unwrap();
    assert_eq!(person(token).client.as_deref(), Some("web"));
    let other = claims_with("azp", json!("other"));
    assert_eq!(own.reason(&typed("JWT", &other)).await, "wrong_client");
}

#[tokio::test]
async fn j16_an_opaque_token_leaves_a_hint_in_the_log_and_does_not_flood_it() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = world_of(auth0());
    // What Auth0 gives: a short name, or what is encrypted for its own userinfo address.
    for token in ["v2.local", "a.b.c.d", "", "é"] {
        world.reason(token).await;
    }
    let hints = || {
        String::from_utf8(log.0.lock().unwrap().clone())
            .unwrap()
            .matches("`audience`")
            .count()
    };
    let opaque = ["Ft2aZ4Qp0bXr1dJ9", "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn"];
    for token in opaque.into_iter().cycle().take(20) {
        assert_eq!(world.reason(token).await, "opaque_token");
    }
    assert_eq!(hints(), 1);
    world.clock.advance(TimeDelta::minutes(10));
    world.reason(opaque[0]).await;
    assert_eq!(hints(), 2);
    assert!(
        !String::from_utf8(log.0.lock().unwrap().clone())
            .unwrap()
            .contains(opaque[0])
    );
}

#[tokio::test]
async fn j17_permissions_are_those_of_the_token_and_missing_ones_are_none() {
    let world = world_of(auth0());
    let permissions = |claims: Value| {
        let token = typed("JWT", &claims);
        let verifier = &world.verifier;
        async move { verifier.verify(&token).await.unwrap().permissions }
    };
    assert_eq!(permissions(claims()).await, ["tiers:edit".to_owned()].into());
    assert!(permissions(without("permissions", claims())).await.is_empty());
    assert!(
        permissions(claims_with("permissions", json!([])))
            .await
            .is_empty()
    );
    // A scope is what the client may ask for, and no permission of the person.
    assert!(
        permissions(claims_with("permissions", json!(null)))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn j17_an_issuer_that_is_bound_to_an_organisation_takes_no_other() {
    let bound = world_of(auth0().organization("org_1"));
    for (org_id, reason) in [
        (json!("org_1"), "taken"),
        (json!("org_2"), "wrong_organization"),
        (json!("ORG_1"), "wrong_organization"),
        (json!(""), "wrong_organization"),
        (json!(null), "wrong_organization"),
        (json!(["org_1"]), "malformed_claims"),
    ] {
        let claims = claims_with("org_id", org_id.clone());
        assert_eq!(bound.reason_for_claims(&claims).await, reason, "{org_id}");
    }
    assert_eq!(bound.reason_for_claims(&machine()).await, "wrong_organization");
    let unbound = world_of(auth0());
    let token = unbound
        .verifier
        .verify(&typed("JWT", &claims_with("org_id", json!("org_2"))))
        .await
        .unwrap();
    assert_eq!(token.organization.as_deref(), Some("org_2"));
}

#[tokio::test]
async fn j18_a_machine_is_a_service_and_never_a_person() {
    let world = world_of(auth0());
    let token = typed("JWT", &machine());
    let expected = ServiceToken {
        issuer: ISSUER.into(),
        client: "web".into(),
        scopes: ["openid", "orders:write"].map(String::from).into(),
        permissions: ["tiers:edit".to_owned()].into(),
        organization: None,
        token_id: Some("t1".into()),
        issued_at: DateTime::from_timestamp(NOW - 10, 0),
        expires_at: DateTime::from_timestamp(NOW + 600, 0).unwrap(),
    };
    assert_eq!(
        world.verifier.verify_caller(&token).await,
        Ok(Verified::Service(expected))
    );
    assert_eq!(world.reason(&token).await, "service_caller");
}

#[tokio::test]
async fn j18_one_sign_of_a_machine_is_enough() {
    let world = world_of(auth0());
    for (name, value) in [
        ("sub", json!("web@clients")),
        ("gty", json!("client-credentials")),
        ("gty", json!(["client-credentials", "refresh_token"])),
        ("sub", json!("web")),
    ] {
        let token = typed("JWT", &claims_with(name, value.clone()));
        let verified = world.verifier.verify_caller(&token).await.unwrap();
        assert!(matches!(verified, Verified::Service(_)), "{name} {value}");
    }
    let rfc9068 = {
        let mut claims = rfc9068_claims();
        claims["sub"] = json!("web@clients");
        claims
    };
    let verifier = world_of(auth0().rfc9068()).verifier;
    let machine = verifier.verify_caller(&typed("at+jwt", &rfc9068)).await;
    assert!(matches!(machine, Ok(Verified::Service(_))));
    assert_eq!(
        world
            .reason_for_claims(&claims_with("gty", json!("password")))
            .await,
        "taken"
    );
}

#[tokio::test]
async fn j18_a_machines_subject_names_the_client_of_its_token() {
    let world = world_of(auth0());
    for sub in ["other@clients", "auth0|web@clients", "@clients"] {
        let reason = world.reason_for_claims(&claims_with("sub", json!(sub))).await;
        assert_eq!(reason, "wrong_client", "{sub}");
    }
    let pinned = world_of(auth0().client_ids(["app"]));
    assert_eq!(pinned.reason_for_claims(&machine()).await, "wrong_client");
    // Without a client nobody knows which service it is.
    let nameless = without("azp", machine());
    assert_eq!(super::world().reason_for_claims(&nameless).await, "wrong_client");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
