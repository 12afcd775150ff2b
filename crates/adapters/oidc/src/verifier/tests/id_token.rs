//! The ID token that comes with a code: whose it must be, and that it is no access token, nor the reverse.

use super::*;

const CLIENT: &str = "web";
const NONCE: &str = "n-1";

fn id_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "user|1", "aud": CLIENT, "iat": NOW - 10, "exp": NOW + 600, "nonce": NONCE,
        "auth_time": NOW - 20, "amr": ["pwd", "otp"], "acr": "loa2",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = id_claims();
    claims[name] = value;
    claims
}

fn wish() -> IdTokenWish<'static> {
    IdTokenWish {
        issuer: ISSUER,
        subject: "user|1",
        client: CLIENT,
        nonce: Some(NONCE),
    }
}

impl World {
    async fn id_reason(&self, token: &str, wish: IdTokenWish<'_>) -> &'static str {
        match self.verifier.verify_id_token(token, wish).await {
            Ok(_) => "taken",
            Err(error) => error.reason(),
        }
    }
}

#[tokio::test]
async fn an_id_token_says_how_and_when_the_person_signed_in() {
    let world = world();
    let token = OURS.sign(&header(), &id_claims());
    let sign_in = world.verifier.verify_id_token(&token, wish()).await.unwrap();
    assert_eq!(sign_in.authenticated_at, DateTime::from_timestamp(NOW - 20, 0));
    assert_eq!(sign_in.methods, ["otp", "pwd"]);
    assert_eq!(sign_in.context.as_deref(), Some("loa2"));
    assert!(!sign_in.second_factor, "no claim of this issuer vouches for one");
    let vouching = config().second_factor(crate::SecondFactorClaims {
        methods: vec!["otp".into()],
        contexts: Vec::new(),
    });
    let sign_in = world_of(vouching).verifier.verify_id_token(&token, wish()).await;
    assert!(sign_in.unwrap().second_factor);
}

#[tokio::test]
async fn an_id_token_is_the_answer_to_this_sign_in_of_this_person_at_this_client() {
    let world = world();
    for (claims, reason) in [
        (id_claims(), "taken"),
        (with("aud", json!([CLIENT])), "taken"),
        (with("azp", json!(CLIENT)), "taken"),
        (with("nonce", json!("n-2")), "other_sign_in"),
        (with("nonce", Value::Null), "other_sign_in"),
        (with("sub", json!("user|2")), "other_sign_in"),
        (with("aud", json!("another")), "wrong_audience"),
        (with("aud", json!(API)), "wrong_audience"),
        (with("aud", json!([CLIENT, "another"])), "wrong_audience"),
        (with("azp", json!("another")), "wrong_client"),
        (with("exp", json!(NOW - 31)), "expired"),
        (with("exp", Value::Null), "malformed_claims"),
        (with("iat", json!(NOW + 31)), "issued_in_the_future"),
        (with("iss", json!("https://other.example/")), "unknown_issuer"),
        (with("token_use", json!("access")), "wrong_token_use"),
    ] {
        let token = OURS.sign(&header(), &claims);
        assert_eq!(world.id_reason(&token, wish()).await, reason, "{claims}");
    }
    // Who asked for no nonce need not be answered with one, and may be.
    let unasked = IdTokenWish {
        nonce: None,
        ..wish()
    };
    let token = OURS.sign(&header(), &with("nonce", Value::Null));
    assert_eq!(world.id_reason(&token, unasked).await, "taken");
    let elsewhere = IdTokenWish {
        issuer: "https://other.example/",
        ..wish()
    };
    let token = OURS.sign(&header(), &id_claims());
    assert_eq!(world.id_reason(&token, elsewhere).await, "unknown_issuer");
}

#[tokio::test]
async fn j01_an_id_token_is_signed_by_the_issuers_key_as_configured() {
    let world = world();
    let forged = OTHER.sign(&header(), &id_claims());
    assert_eq!(world.id_reason(&forged, wish()).await, "bad_signature");
    let none = json!({"alg": "none", "kid": "k1"});
    let unsigned = format!("{}.{}.", b64(&none.to_string()), b64(&id_claims().to_string()));
    assert_eq!(world.id_reason(&unsigned, wish()).await, "algorithm_not_allowed");
}

#[tokio::test]
async fn j10_neither_token_passes_for_the_other() {
    let world = world();
    let id = OURS.sign(&header(), &id_claims());
    assert_eq!(world.reason(&id).await, "id_token");
    let mut to_api = id_claims();
    to_api["aud"] = json!(API);
    assert_eq!(world.reason_for_claims(&to_api).await, "id_token");
    let access = OURS.sign(&header(), &claims());
    assert_eq!(world.id_reason(&access, wish()).await, "wrong_audience");
    let typed = raw_token(
        &OURS,
        &json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}),
        &id_claims(),
    );
    assert_eq!(world.id_reason(&typed, wish()).await, "wrong_type");
}
