use super::*;
use crate::testing::{ok, serve};

#[tokio::test]
async fn j01_only_allowed_algorithms_are_taken() {
    let rs512 = Header {
        alg: jsonwebtoken::Algorithm::RS512,
        ..header()
    };
    let token = OURS.sign(&rs512, &claims());
    assert_eq!(world().reason(&token).await, "algorithm_not_allowed");
    let both = world_of(config().algorithms([Algorithm::Rs256, Algorithm::Rs512]));
    assert_eq!(both.reason(&token).await, "taken");
}

#[tokio::test]
async fn j01_none_and_hmac_with_the_public_key_are_refused() {
    let world = world();
    let payload = b64(&claims().to_string());
    for alg in ["none", "None", "NONE", ""] {
        let head = b64(&json!({"alg": alg, "kid": "k1"}).to_string());
        assert_eq!(
            world.reason(&format!("{head}.{payload}.")).await,
            "algorithm_not_allowed"
        );
    }
    let message = format!(
        "{}.{payload}",
        b64(&json!({"alg": "HS256", "kid": "k1"}).to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, OURS.n.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    assert_eq!(
        world.reason(&format!("{message}.{tag}")).await,
        "algorithm_not_allowed"
    );
}

#[tokio::test]
async fn j01_the_algorithm_of_the_header_must_be_the_one_that_signed() {
    let world = world_of(config().algorithms(Algorithm::ALL));
    for alg in ["RS384", "PS256", "ES256"] {
        let token = raw_token(&OURS, &json!({"alg": alg, "kid": "k1"}), &claims());
        assert_eq!(world.reason(&token).await, "bad_signature", "{alg}");
    }
}

#[tokio::test]
async fn j01_a_key_not_meant_for_signatures_is_no_key() {
    let world = world();
    let mut jwk = OURS.jwk("k1");
    jwk["use"] = json!("enc");
    world.issuer.publish(vec![jwk]);
    assert_eq!(world.reason_for_claims(&claims()).await, "unknown_key");
}

#[tokio::test]
async fn j01_a_critical_extension_is_refused() {
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("b64")] {
        let token = raw_token(
            &OURS,
            &json!({"alg": "RS256", "kid": "k1", "crit": crit}),
            &claims(),
        );
        assert_eq!(world().reason(&token).await, "critical_header");
    }
}

#[tokio::test]
async fn j02_the_keys_of_one_issuer_sign_for_no_other() {
    let sources: Vec<(IssuerConfig, Arc<dyn FetchKeys>)> =
        [(ISSUER, &*OURS), ("https://other.example/", &*OTHER)]
            .map(|(name, signer)| {
                let issuer = Arc::new(FakeIssuer::default());
                issuer.publish(vec![signer.jwk("k1")]);
                (IssuerConfig::new(name, API), issuer as _)
            })
            .into();
    let clock = ManualClock::stopped_at(DateTime::from_timestamp(NOW, 0).unwrap());
    let verifier = Verifier::with_key_sources(sources, Arc::new(clock)).unwrap();
    verifier.verify(&OURS.sign(&header(), &claims())).await.unwrap();
    let crossed = verifier.verify(&OTHER.sign(&header(), &claims())).await;
    assert_eq!(crossed, Err(AuthError::Invalid(Reason::BadSignature)));
}

#[tokio::test]
async fn j04_a_missing_kid_needs_a_single_key_and_permission() {
    let token = OURS.sign(
        &Header {
            kid: None,
            ..header()
        },
        &claims(),
    );
    assert_eq!(world().reason(&token).await, "no_key_id");
    let lenient = world_of(config().take_missing_kid());
    assert_eq!(lenient.reason(&token).await, "taken");
    let two = world_of(config().take_missing_kid());
    two.issuer.publish(vec![OURS.jwk("k1"), OTHER.jwk("k2")]);
    assert_eq!(two.reason(&token).await, "unknown_key");
}

#[tokio::test]
async fn j05_an_unknown_kid_refreshes_once_per_cool_down() {
    let world = world();
    assert_eq!(world.reason_for_claims(&claims()).await, "taken");
    world.clock.advance(TimeDelta::seconds(30));
    for kid in ["x1", "x2", "x3"] {
        let token = OTHER.sign(
            &Header {
                kid: Some(kid.into()),
                ..header()
            },
            &claims(),
        );
        assert_eq!(world.reason(&token).await, "unknown_key");
    }
    assert_eq!(world.issuer.fetches(), 2);
}

/// Over HTTP, so that what is counted is what an issuer sees.
#[tokio::test]
async fn j05_ten_thousand_unknown_kids_cause_one_fetch() {
    let document = json!({"keys": [OURS.jwk("k1")]}).to_string();
    let server = serve(move |_, _| ok(&document)).await;
    let clock = Arc::new(ManualClock::stopped_at(DateTime::from_timestamp(NOW, 0).unwrap()));
    let config = config().jwks_url(format!("{}/jwks", server.url));
    let verifier = Arc::new(Verifier::new(vec![config], Arc::clone(&clock) as _).unwrap());
    verifier.verify(&OURS.sign(&header(), &claims())).await.unwrap();
    assert_eq!(server.requests().len(), 1);
    clock.advance(TimeDelta::seconds(30));
    let forged = |n: usize| {
        let head = json!({"alg": "RS256", "kid": format!("forged-{n}")}).to_string();
        format!(
            "{}.{}.{}",
            b64(&head),
            b64(&claims().to_string()),
            b64("no signature")
        )
    };
    let storm: Vec<_> = (0..10_000)
        .map(|n| {
            let (verifier, token) = (Arc::clone(&verifier), forged(n));
            tokio::spawn(async move { verifier.verify(&token).await })
        })
        .collect();
    for refused in storm {
        assert_eq!(
            refused.await.unwrap(),
            Err(AuthError::Invalid(Reason::UnknownKey))
        );
    }
    assert_eq!(
        server.requests().len(),
        2,
        "one for the first token, one for the storm"
    );
    verifier.verify(&OURS.sign(&header(), &claims())).await.unwrap();
}

#[tokio::test]
async fn j06_an_issuer_that_never_answers_blocks_no_other() {
    struct Silent;
    #[async_trait]
    impl FetchKeys for Silent {
        async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
            std::future::pending().await
        }
    }
    let issuer = Arc::new(FakeIssuer::default());
    issuer.publish(vec![OURS.jwk("k1")]);
    let silent = IssuerConfig::new("https://silent.example/", API);
    let sources: Vec<(IssuerConfig, Arc<dyn FetchKeys>)> =
        vec![(silent, Arc::new(Silent)), (config(), Arc::clone(&issuer) as _)];
    let clock = ManualClock::stopped_at(DateTime::from_timestamp(NOW, 0).unwrap());
    let verifier = Arc::new(Verifier::with_key_sources(sources, Arc::new(clock)).unwrap());
    let lookup = tokio::spawn({
        let (verifier, claims) = (
            Arc::clone(&verifier),
            claims_with("iss", json!("https://silent.example/")),
        );
        async move { verifier.verify(&OURS.sign(&header(), &claims)).await }
    });
    let readiness = tokio::spawn({
        let verifier = Arc::clone(&verifier);
        async move { verifier.health().await }
    });
    // Readiness waits for the silent one, but has asked the other in the meantime.
    while issuer.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    verifier.verify(&OURS.sign(&header(), &claims())).await.unwrap();
    assert_eq!(issuer.fetches(), 1);
    assert!(!lookup.is_finished() && !readiness.is_finished());
    lookup.abort();
    readiness.abort();
}

#[tokio::test]
async fn j07_a_rotation_takes_old_and_new_and_then_only_new() {
    let world = world();
    let new = OTHER.sign(
        &Header {
            kid: Some("k2".into()),
            ..header()
        },
        &claims_with("exp", json!(NOW + 9_000)),
    );
    let old = OURS.sign(&header(), &claims_with("exp", json!(NOW + 9_000)));
    assert_eq!(world.reason(&old).await, "taken");
    world.issuer.publish(vec![OURS.jwk("k1"), OTHER.jwk("k2")]);
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(
        (world.reason(&old).await, world.reason(&new).await),
        ("taken", "taken")
    );
    world.issuer.publish(vec![OTHER.jwk("k2")]);
    world.clock.advance(TimeDelta::minutes(15));
    assert_eq!(
        (world.reason(&old).await, world.reason(&new).await),
        ("unknown_key", "taken")
    );
}

#[tokio::test]
async fn j08_a_key_or_address_in_the_token_is_not_used() {
    let world = world();
    for name in ["jku", "x5u", "jwk", "x5c"] {
        let value = if name == "jwk" {
            OTHER.jwk("k1")
        } else {
            json!("https://attacker.example/jwks")
        };
        let header = json!({"alg": "RS256", "kid": "k1", name: value});
        assert_eq!(
            world.reason(&raw_token(&OTHER, &header, &claims())).await,
            "bad_signature"
        );
        assert_eq!(world.reason(&raw_token(&OURS, &header, &claims())).await, "taken");
    }
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn j12_fetch_trouble_is_not_the_tokens_fault() {
    let world = world();
    *world.issuer.keys.lock().unwrap() = None;
    let token = OURS.sign(&header(), &claims());
    let error = world.verifier.verify(&token).await.unwrap_err();
    assert_eq!(
        error,
        AuthError::KeysUnavailable(posx_keyset::KeyError::Unavailable)
    );
    assert_eq!(error.to_string(), "the token cannot be checked now");
    assert!(!world.verifier.health().await[0].usable);
}
