//! A site's own account: given, used before the settings', never shown.

use posx_kernel::Clock as _;
use posx_runtime::{PaymentProvider, StripeAccountSettings};
use posx_stripe::StripeError;
use posx_tenancy::{Role, Site};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::objects::{signed_by, stripe_event};
use crate::world::{Call, Person, Scene, api};

const PATH: &str = "/api/v1/provider-accounts/stripe";
const KEY: &str = "sk_test_GiVeNbYtHeSiTe1234";
const WEBHOOK_SECRET: &str = "whsec_GiVeNbYtHeSiTe5678";

fn give(person: &Person, site: &Site, body: &Value) -> Call {
    Call::put(PATH).by(person).at(site).json(body)
}

fn good() -> Value {
    json!({ "secret_key": KEY, "webhook_secrets": [WEBHOOK_SECRET] })
}

#[actix_web::test]
async fn a_key_goes_in_and_only_its_last_four_characters_come_out() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let list = || Call::get("/api/v1/provider-accounts").by(&owner).at(&scene.site);
    assert_eq!(list().send(&app).await.expect(200).json["items"], json!([]));
    let given = give(&owner, &scene.site, &good()).send(&app).await.expect(200);
    assert_eq!(given.json["provider"], "stripe");
    assert_eq!(given.json["mode"], "test");
    assert_eq!(given.json["secret_key_last4"], "1234");
    assert_eq!(given.json["webhook_secrets"], 1);
    assert!(given.text("/updated_by").starts_with("idn_"));
    let listed = list().send(&app).await.expect(200);
    assert_eq!(listed.json["items"], json!([given.json]));
    let trail = Call::get("/api/v1/audit-trail")
        .by(&owner)
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
    let told = String::from_utf8_lossy(&trail.bytes).into_owned();
    assert!(
        told.contains("provider_account.changed") && told.contains("1234"),
        "{told}"
    );
    for answer in [&given, &listed, &trail] {
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(!text.contains("GiVeN"), "{text}");
    }
    let elsewhere = scene.member(&scene.other, Role::Owner).await;
    let theirs = Call::get("/api/v1/provider-accounts")
        .by(&elsewhere)
        .at(&scene.other);
    assert_eq!(theirs.send(&app).await.expect(200).json["items"], json!([]));
}

#[actix_web::test]
async fn an_account_is_removed_once_and_may_be_given_again() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Admin).await;
    let remove = || Call::new("DELETE", PATH).by(&owner).at(&scene.site);
    remove()
        .send(&app)
        .await
        .refused(404, "provider_account_not_found");
    give(&owner, &scene.site, &good()).send(&app).await.expect(200);
    remove().send(&app).await.expect(204);
    remove()
        .send(&app)
        .await
        .refused(404, "provider_account_not_found");
    give(&owner, &scene.site, &good()).send(&app).await.expect(200);
    let trail = Call::get("/api/v1/audit-trail")
        .by(&owner)
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
    assert!(String::from_utf8_lossy(&trail.bytes).contains("provider_account.removed"));
}

#[actix_web::test]
async fn what_cannot_be_a_key_is_refused_and_never_told_back() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    for (key, secrets, code, field) in [
        (
            "pk_test_GiVeN0123456789",
            json!([WEBHOOK_SECRET]),
            "provider_key_invalid",
            "secret_key",
        ),
        (
            "sk_test_GiVeN 123456789",
            json!([WEBHOOK_SECRET]),
            "provider_key_invalid",
            "secret_key",
        ),
        (
            "sk_live_GiVeN0123456789",
            json!([WEBHOOK_SECRET]),
            "provider_key_mode",
            "secret_key",
        ),
        (
            KEY,
            json!([WEBHOOK_SECRET, "whsec_GiVeN"]),
            "provider_webhook_secret_invalid",
            "webhook_secrets/1",
        ),
        (
            KEY,
            json!([WEBHOOK_SECRET, WEBHOOK_SECRET, WEBHOOK_SECRET]),
            "provider_webhook_secrets_too_many",
            "webhook_secrets",
        ),
        (KEY, json!(WEBHOOK_SECRET), "field_invalid", "webhook_secrets"),
    ] {
        let body = json!({ "secret_key": key, "webhook_secrets": secrets });
        let answer = give(&owner, &scene.site, &body).send(&app).await;
        assert!(
            !String::from_utf8_lossy(&answer.bytes).contains("GiVeN"),
            "{:?}",
            answer.json
        );
        assert_eq!(answer.field(), field);
        answer.refused(422, code);
    }
    let list = Call::get("/api/v1/provider-accounts").by(&owner).at(&scene.site);
    assert_eq!(list.send(&app).await.expect(200).json["items"], json!([]));
}

#[actix_web::test]
async fn without_a_shared_endpoint_an_account_brings_a_webhook_secret() {
    let scene = Scene::with(|settings| settings.payments.webhook_secrets = Vec::new()).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let without = give(&owner, &scene.site, &json!({ "secret_key": KEY }))
        .send(&app)
        .await;
    without.refused(422, "provider_webhook_secrets_missing");
    give(&owner, &scene.site, &good()).send(&app).await.expect(200);
}

#[actix_web::test]
async fn only_owner_and_admin_may() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    for role in [
        Role::Manager,
        Role::Viewer,
        Role::Member,
        Role::Cashier,
        Role::Agent,
    ] {
        let person = scene.member(&scene.site, role).await;
        give(&person, &scene.site, &good())
            .send(&app)
            .await
            .refused(403, "capability_missing");
    }
}

#[actix_web::test]
async fn a_sites_own_webhook_secret_signs_for_its_endpoint_alone_from_the_next_delivery_on() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let deliver = async |site: &Site| {
        let body = stripe_event("evt_own_1", "payment_intent.succeeded", "pi_of_nobody");
        let signature = signed_by(WEBHOOK_SECRET, &body, scene.clock.now().timestamp());
        let call = Call::post(&format!("/webhooks/stripe/{}", site.code.as_str()));
        let call = call
            .header("stripe-signature", &signature)
            .raw("application/json", body);
        call.send(&app).await.status
    };
    assert_eq!(deliver(&scene.site).await, 404, "there is no such endpoint yet");
    give(&owner, &scene.site, &good()).send(&app).await.expect(200);
    assert_eq!(deliver(&scene.site).await, 200);
    assert_eq!(deliver(&scene.other).await, 404);
    let replaced = json!({ "secret_key": KEY, "webhook_secrets": ["whsec_of_another_endpoint"] });
    give(&owner, &scene.site, &replaced).send(&app).await.expect(200);
    assert_eq!(deliver(&scene.site).await, 400);
}

#[actix_web::test]
async fn the_account_that_a_site_gave_wins_over_the_settings_until_it_is_removed() {
    let scene = Scene::new().await;
    let (site, scope) = (
        &scene.site,
        posx_kernel::SiteScope::of_verified_request(scene.site.id),
    );
    let mut settings = scene.settings.clone();
    settings.payments.provider = PaymentProvider::Stripe;
    // Nobody listens there, and nobody is asked.
    settings.payments.base_url = "http://127.0.0.1:9".to_owned();
    settings.payments.secret_key = None;
    settings.payments.accounts = vec![StripeAccountSettings {
        site: site.code.as_str().to_owned(),
        secret_key: SecretString::from("sk_test_oFtHeSeTtInGs0123"),
        webhook_secrets: vec![SecretString::from("whsec_oFtHeSeTtInGs0123")],
    }];
    let services = posx_runtime::Services::connect(&settings, scene.clock.clone())
        .await
        .unwrap();
    let accounts = services.stripe.as_ref().unwrap();
    let secrets = async || services.stripe_endpoint_of(site).await.unwrap().len();
    assert_eq!(secrets().await, 1);
    accounts.of(site.id).await.unwrap();
    // Without webhook secrets: its events come to the shared endpoint, whatever the settings say of the site's.
    let own = SecretString::from(KEY);
    services
        .provider_accounts
        .give_stripe(&scope, &own, &[])
        .await
        .unwrap();
    assert_eq!(secrets().await, 0);
    accounts.of(site.id).await.unwrap();
    assert!(matches!(
        accounts.of(scene.other.id).await,
        Err(StripeError::NoKey(_))
    ));
    services.provider_accounts.remove_stripe(&scope).await.unwrap();
    assert_eq!(secrets().await, 1);
    // Another process, with a master key that cannot open it, does not take the settings' account instead.
    services
        .provider_accounts
        .give_stripe(&scope, &own, &[])
        .await
        .unwrap();
    settings.secrets.master_keys = vec!["other:q8xUW9nDzXyHXb+1v2wqkyV6A8mCk0rYlRj5pPZ3dHs=".into()];
    let blind = posx_runtime::Services::connect(&settings, scene.clock.clone())
        .await
        .unwrap();
    let outcome = blind.stripe.as_ref().unwrap().of(site.id).await;
    assert!(
        matches!(outcome, Err(StripeError::KeyUnavailable(_))),
        "{outcome:?}"
    );
}
