//! What an issuer says of how someone signed in counts as its configuration says.

use super::*;
use crate::SecondFactorClaims;

fn vouching(methods: &[&str], contexts: &[&str]) -> World {
    let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
    world_of(config().second_factor(SecondFactorClaims {
        methods: owned(methods),
        contexts: owned(contexts),
    }))
}

async fn taken(world: &World, name: &str, value: Value) -> VerifiedToken {
    let token = OURS.sign(&header(), &claims_with(name, value));
    world.verifier.verify(&token).await.unwrap()
}

#[tokio::test]
async fn an_issuer_vouches_with_the_claims_it_is_configured_for_and_no_other() {
    let world = vouching(&["mfa", "hwk"], &["urn:gold"]);
    for (name, value, vouched) in [
        ("amr", json!(["pwd", "mfa"]), true),
        ("amr", json!(["hwk"]), true),
        ("amr", json!("mfa"), true),
        ("amr", json!(["pwd"]), false),
        ("amr", json!(["MFA"]), false),
        ("amr", json!([]), false),
        ("amr", json!(null), false),
        ("acr", json!("urn:gold"), true),
        ("acr", json!("urn:silver"), false),
        // A context is no method.
        ("acr", json!("mfa"), false),
        ("amr", json!(["urn:gold"]), false),
    ] {
        assert_eq!(
            taken(&world, name, value.clone()).await.second_factor,
            vouched,
            "{name} {value}"
        );
    }
    let claims = world.verifier.second_factor_claims(ISSUER).unwrap();
    assert_eq!(claims.contexts, ["urn:gold"]);
    assert_eq!(
        world.verifier.second_factor_claims("https://other.example/"),
        None
    );
}

#[tokio::test]
async fn without_configuration_no_claim_vouches() {
    let token = taken(&world(), "amr", json!(["mfa", "otp"])).await;
    assert!(!token.second_factor);
    assert_eq!(token.methods, ["mfa", "otp"].map(String::from).into());
    let token = taken(&world(), "acr", json!("urn:gold")).await;
    assert!(!token.second_factor);
    assert_eq!(token.context.as_deref(), Some("urn:gold"));
}

#[tokio::test]
async fn what_is_no_text_in_these_claims_is_absent_and_the_token_stays_good() {
    let world = vouching(&["mfa"], &["1"]);
    for (name, value) in [
        ("amr", json!([1, { "mfa": true }, ["mfa"]])),
        ("amr", json!({ "mfa": true })),
        ("amr", json!(true)),
        ("acr", json!(1)),
        ("acr", json!(["1"])),
    ] {
        let token = taken(&world, name, value.clone()).await;
        assert!(!token.second_factor, "{name} {value}");
    }
}
