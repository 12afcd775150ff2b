use super::*;

#[tokio::test]
async fn j03_a_token_expires_and_must_say_when() {
    let world = world();
    for (exp, reason) in [
        (json!(null), "no_expiry"),
        (json!(NOW - 30), "expired"),
        (json!(NOW - 29), "taken"),
        (json!(1_767_226_000.75), "taken"),
        (json!("soon"), "malformed_claims"),
        (json!(-1), "malformed_claims"),
        (json!(u64::MAX), "malformed_claims"),
        (json!(1e300), "malformed_claims"),
    ] {
        assert_eq!(
            world.reason_for_claims(&claims_with("exp", exp.clone())).await,
            reason,
            "{exp}"
        );
    }
    let token = OURS.sign(&header(), &claims());
    assert_eq!(world.reason(&token).await, "taken");
    world.clock.advance(TimeDelta::seconds(630));
    assert_eq!(world.reason(&token).await, "expired");
}

#[tokio::test]
async fn j03_a_token_from_the_future_is_refused() {
    let world = world();
    for (name, reason) in [("nbf", "not_yet_valid"), ("iat", "issued_in_the_future")] {
        assert_eq!(
            world.reason_for_claims(&claims_with(name, json!(NOW + 30))).await,
            "taken"
        );
        assert_eq!(
            world.reason_for_claims(&claims_with(name, json!(NOW + 31))).await,
            reason
        );
        assert_eq!(
            world.reason_for_claims(&claims_with(name, json!(null))).await,
            "taken"
        );
    }
}

#[tokio::test]
async fn j03_the_leeway_is_at_most_60_seconds() {
    let edge = world_of(config().leeway_seconds(60));
    assert_eq!(
        edge.reason_for_claims(&claims_with("exp", json!(NOW - 59))).await,
        "taken"
    );
    assert!(matches!(
        config().leeway_seconds(61).check(),
        Err(ConfigError::Issuer { .. })
    ));
}

#[tokio::test]
async fn j09_a_token_without_a_usable_subject_is_refused() {
    for sub in [json!(null), json!(""), json!("a\u{0}b"), json!("s".repeat(256))] {
        assert_eq!(
            world().reason_for_claims(&claims_with("sub", sub)).await,
            "no_subject"
        );
    }
}

#[tokio::test]
async fn j10_an_id_token_is_refused() {
    for name in ["nonce", "at_hash", "c_hash", "s_hash"] {
        assert_eq!(
            world().reason_for_claims(&claims_with(name, json!("x"))).await,
            "id_token"
        );
    }
    assert_eq!(
        world().reason_for_claims(&claims_with("aud", json!("web"))).await,
        "wrong_audience"
    );
}

#[tokio::test]
async fn j12_an_error_shows_nothing_of_the_token() {
    let error = world()
        .verifier
        .verify(&OTHER.sign(&header(), &claims()))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the token is not valid");
    assert_eq!(format!("{error:?}"), "Invalid(BadSignature)");
}

#[tokio::test]
async fn j15_the_audience_must_contain_our_api() {
    for (aud, reason) in [
        (json!(API), "taken"),
        (json!([API]), "taken"),
        (json!(["https://api.example/"]), "wrong_audience"),
        (json!([]), "wrong_audience"),
        (json!(null), "wrong_audience"),
        (json!(7), "malformed_claims"),
    ] {
        assert_eq!(
            world().reason_for_claims(&claims_with("aud", aud.clone())).await,
            reason,
            "{aud}"
        );
    }
}

#[tokio::test]
async fn j15_clients_may_be_pinned_by_azp_or_client_id() {
    let pinned = || world_of(config().client_ids(["web", "app"]));
    assert_eq!(pinned().reason_for_claims(&claims()).await, "taken");
    assert_eq!(
        pinned()
            .reason_for_claims(&claims_with("azp", json!("other")))
            .await,
        "wrong_client"
    );
    assert_eq!(
        pinned().reason_for_claims(&claims_with("azp", json!(null))).await,
        "wrong_client"
    );
    let mut rfc9068 = claims_with("azp", json!(null));
    rfc9068["client_id"] = json!("app");
    assert_eq!(pinned().reason_for_claims(&rfc9068).await, "taken");
    assert_eq!(
        world()
            .reason_for_claims(&claims_with("client_id", json!("app")))
            .await,
        "wrong_client"
    );
}

#[tokio::test]
async fn j17_missing_permissions_are_none() {
    let mut bare = claims();
    for name in ["permissions", "scope", "azp", "jti", "sid", "auth_time", "iat"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    let token = world()
        .verifier
        .verify(&OURS.sign(&header(), &bare))
        .await
        .unwrap();
    assert!(token.permissions.is_empty() && token.scopes.is_empty());
    assert_eq!(
        world()
            .reason_for_claims(&claims_with("permissions", json!("all")))
            .await,
        "malformed_claims"
    );
}

#[tokio::test]
async fn a_claim_that_is_given_twice_is_refused() {
    let head = b64(r#"{"alg":"RS256","kid":"k1"}"#);
    let payload = b64(&format!(
        r#"{{"iss":"{ISSUER}","sub":"a","sub":"b","aud":"{API}","exp":{}}}"#,
        NOW + 60
    ));
    let message = format!("{head}.{payload}");
    let algorithm = jsonwebtoken::Algorithm::RS256;
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &OURS.key, algorithm).unwrap();
    assert_eq!(
        world().reason(&format!("{message}.{signature}")).await,
        "malformed_claims"
    );
}
