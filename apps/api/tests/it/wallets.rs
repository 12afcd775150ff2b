//! Wallets that are proven, and signing in with one.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use k256::ecdsa::SigningKey;
use posx_kernel::{Clock as _, Timestamp};
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::objects::{WALLET, buy, furnish};
use crate::world::{Answer, Call, Person, Scene, api};

/// A key, and its address as ethers says it (see the vectors of `posx-ethereum`).
pub struct Wallet(&'static str, &'static str);

pub const ONE: Wallet = Wallet(
    "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
    "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23",
);
pub const TWO: Wallet = Wallet(
    "0123456789012345678901234567890123456789012345678901234567890123",
    "0x14791697260E4c9A71f18484C9f997B308e59325",
);

impl Wallet {
    /// As `personal_sign` gives it.
    fn sign(&self, message: &str) -> String {
        let key = hex::decode(self.0).expect("hexadecimal");
        let key = SigningKey::from_slice(&key).expect("a key");
        let hash = posx_ethereum::personal_message_hash(message);
        let (signature, recovery) = key.sign_prehash_recoverable(&hash);
        format!(
            "0x{}{:02x}",
            hex::encode(signature.to_bytes()),
            recovery.to_byte() + 27
        )
    }

    pub fn proof(&self, message: &str) -> Value {
        json!({ "message": message, "signature": self.sign(message) })
    }
}

pub trait Server:
    Service<actix_http::Request, Response = ServiceResponse<<Self as Server>::Body>, Error = Error>
{
    type Body: MessageBody;
}

impl<S, B: MessageBody> Server for S
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
{
    type Body = B;
}

async fn message_to_bind(app: &impl Server, site: &Site, who: &Person, wallet: &Wallet) -> String {
    let asked = Call::post("/api/v1/me/wallet-challenges").by(who).at(site);
    let asked = asked
        .json(&json!({ "address": wallet.1, "chain_id": 137 }))
        .send(app)
        .await;
    asked.expect(201).text("/message")
}

async fn bind(app: &impl Server, site: &Site, who: &Person, body: &Value) -> Answer {
    let call = Call::put("/api/v1/me/wallets/EVM").by(who).at(site);
    call.json(body).send(app).await
}

pub async fn message_to_sign_in(app: &impl Server, site: &Site, wallet: &Wallet) -> String {
    let asked = Call::post("/api/v1/sign-in/wallet-challenges").at(site);
    let asked = asked.json(&json!({ "address": wallet.1 })).send(app).await;
    asked.expect(201).text("/message")
}

pub async fn sign_in(app: &impl Server, site: &Site, body: &Value) -> Answer {
    Call::post("/api/v1/sign-in/wallet")
        .at(site)
        .json(body)
        .send(app)
        .await
}

pub fn holder_of(answer: &Answer) -> Person {
    Person {
        token: answer.text("/access_token"),
        subject: String::new(),
    }
}

fn instant(answer: &Answer, pointer: &str) -> Timestamp {
    answer.text(pointer).parse().expect("an instant")
}

#[actix_web::test]
async fn a_wallet_is_bound_by_its_signature_once_and_only_for_who_asked() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let (alice, bob) = (
        scene.member(site, Role::Member).await,
        scene.member(site, Role::Member).await,
    );
    let message = message_to_bind(&app, site, &alice, &ONE).await;
    let proof = ONE.proof(&message);
    bind(&app, site, &bob, &proof)
        .await
        .refused(422, "wallet_nonce_unknown");
    sign_in(&app, site, &proof)
        .await
        .refused(422, "wallet_nonce_unknown");
    let forged = json!({ "message": message, "signature": TWO.sign(&message) });
    let refused = bind(&app, site, &alice, &forged).await;
    refused.refused(422, "wallet_signature_invalid");
    assert_eq!(refused.field(), "signature");
    let tampered = message.replace(ONE.1, TWO.1);
    let tampered = json!({ "message": tampered, "signature": ONE.sign(&message) });
    bind(&app, site, &alice, &tampered)
        .await
        .refused(422, "wallet_signature_invalid");
    let contract = json!({ "message": message, "signature": "0x0102" });
    bind(&app, site, &alice, &contract)
        .await
        .refused(422, "wallet_contract_unsupported");

    let bound = bind(&app, site, &alice, &proof).await.expect(200);
    assert_eq!(bound.text("/address"), ONE.1);
    assert_eq!(bound.text("/proven_at"), bound.text("/bound_at"));
    assert_eq!(
        bound.json.get("usable_from"),
        None,
        "the first one waits for nothing"
    );
    bind(&app, site, &alice, &proof)
        .await
        .refused(422, "wallet_nonce_unknown");
    // Proven and held: bob cannot have it, typed or signed.
    let message = message_to_bind(&app, site, &bob, &ONE).await;
    bind(&app, site, &bob, &ONE.proof(&message))
        .await
        .refused(409, "wallet_taken");
    bind(&app, site, &bob, &json!({ "address": ONE.1 }))
        .await
        .refused(409, "wallet_taken");
    // A proven wallet yields to a proven one only.
    let typed = bind(&app, site, &alice, &json!({ "address": TWO.1 })).await;
    typed.refused(409, "wallet_proof_required");
    assert_eq!(typed.field(), "address");
    let message = message_to_bind(&app, site, &alice, &TWO).await;
    let replaced = bind(&app, site, &alice, &TWO.proof(&message)).await.expect(200);
    assert_eq!(
        instant(&replaced, "/usable_from"),
        instant(&replaced, "/bound_at") + Duration::hours(24)
    );
}

#[actix_web::test]
async fn a_proof_is_of_an_evm_wallet_and_comes_whole() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let alice = scene.member(&scene.site, Role::Member).await;
    let message = message_to_bind(&app, &scene.site, &alice, &ONE).await;
    let tron = Call::put("/api/v1/me/wallets/TRON").by(&alice).at(&scene.site);
    tron.json(&ONE.proof(&message))
        .send(&app)
        .await
        .refused(422, "wallet_chain_mismatch");
    for part in [
        json!({}),
        json!({ "message": message }),
        json!({ "signature": "0x00" }),
        json!({ "address": ONE.1, "message": message, "signature": "0x00" }),
    ] {
        bind(&app, &scene.site, &alice, &part)
            .await
            .refused(422, "field_invalid");
    }
}

#[actix_web::test]
async fn what_goes_to_a_replaced_wallet_enters_no_batch_before_its_time() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let objects = furnish(&scene, &app, site).await;
    let buyer = scene.member(site, Role::Member).await;
    bind(&app, site, &buyer, &json!({ "address": ONE.1 }))
        .await
        .expect(200);
    let replaced = bind(&app, site, &buyer, &json!({ "address": WALLET }))
        .await
        .expect(200);
    let (order, _) = buy(&scene, &app, site, &buyer, &objects.tier).await;
    let list = format!("/api/v1/allocations?all=true&order={order}");
    let allocation = Call::get(&list)
        .by(&objects.owner)
        .at(site)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        allocation.text("/items/0/wallet_usable_from"),
        replaced.text("/usable_from")
    );
    let batch = Call::post("/api/v1/allocation-batches")
        .by(&objects.owner)
        .at(site)
        .key("early");
    let batch = batch.json(&json!({ "allocations": [allocation.text("/items/0/id")] }));
    let refused = batch.send(&app).await;
    refused.refused(409, "wallet_cooling_off");
    assert_eq!(refused.field(), "allocations/0");
}

#[actix_web::test]
async fn j09_who_signs_in_with_a_wallet_is_one_identity_and_a_member_after_joining() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let message = message_to_sign_in(&app, site, &ONE).await;
    let answer = sign_in(&app, site, &ONE.proof(&message)).await.expect(200);
    assert_eq!(
        (answer.text("/token_type"), answer.json["expires_in"].as_i64()),
        ("Bearer".to_owned(), Some(900))
    );
    let who = holder_of(&answer);
    let me = Call::get("/api/v1/me")
        .by(&who)
        .at(site)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(me.json.get("membership"), None, "a token gives no rights");
    Call::get("/api/v1/me/wallets")
        .by(&who)
        .at(site)
        .send(&app)
        .await
        .refused(403, "not_a_member");
    Call::post("/api/v1/me")
        .by(&who)
        .at(site)
        .json(&json!({}))
        .send(&app)
        .await
        .expect(201);
    // Replayed, or on another site: nothing.
    sign_in(&app, site, &ONE.proof(&message))
        .await
        .refused(422, "wallet_nonce_unknown");
    let elsewhere = message_to_sign_in(&app, &scene.other, &ONE).await;
    sign_in(&app, site, &ONE.proof(&elsewhere))
        .await
        .refused(422, "wallet_message_domain_mismatch");
    // Again, and another wallet.
    let message = message_to_sign_in(&app, site, &ONE).await;
    let again = holder_of(&sign_in(&app, site, &ONE.proof(&message)).await.expect(200));
    let same = Call::get("/api/v1/me")
        .by(&again)
        .at(site)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(same.json["identity_id"], me.json["identity_id"]);
    assert!(same.json.get("membership").is_some());
    let message = message_to_sign_in(&app, site, &TWO).await;
    let other = holder_of(&sign_in(&app, site, &TWO.proof(&message)).await.expect(200));
    let other = Call::get("/api/v1/me")
        .by(&other)
        .at(site)
        .send(&app)
        .await
        .expect(200);
    assert_ne!(other.json["identity_id"], me.json["identity_id"]);
}

#[actix_web::test]
async fn j03_a_token_for_a_wallet_lives_for_fifteen_minutes() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let message = message_to_sign_in(&app, &scene.site, &ONE).await;
    let answer = sign_in(&app, &scene.site, &ONE.proof(&message)).await.expect(200);
    let lives = instant(&answer, "/expires_at") - scene.clock.now();
    assert!(
        lives <= Duration::minutes(15) && lives > Duration::minutes(14),
        "{lives}"
    );
    let who = holder_of(&answer);
    scene.clock.advance(Duration::minutes(13));
    let get = || Call::get("/api/v1/me").by(&who).at(&scene.site);
    get().send(&app).await.expect(200);
    scene.clock.advance(Duration::minutes(3));
    get().send(&app).await.refused(401, "unauthenticated");
}

#[actix_web::test]
async fn j02_a_token_for_a_wallet_holds_by_the_published_keys_and_not_when_it_is_changed() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let message = message_to_sign_in(&app, &scene.site, &ONE).await;
    let answer = sign_in(&app, &scene.site, &ONE.proof(&message)).await.expect(200);
    let token = answer.text("/access_token");
    let parts: Vec<&str> = token.split('.').collect();
    let json_of = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
    };
    let (header, mut claims) = (json_of(parts[0]), json_of(parts[1]));
    assert_eq!(claims["sub"], format!("eip155:1:{}", ONE.1));
    let keys = Call::get("/.well-known/jwks.json").send(&app).await.expect(200);
    assert_eq!(keys.json["keys"][0]["kid"], header["kid"]);
    assert_eq!(keys.json["keys"][0].get("d"), None);
    claims["sub"] = format!("eip155:1:{}", TWO.1).into();
    let changed = URL_SAFE_NO_PAD.encode(claims.to_string());
    let changed = Person {
        token: format!("{}.{changed}.{}", parts[0], parts[2]),
        subject: String::new(),
    };
    let answer = Call::get("/api/v1/me")
        .by(&changed)
        .at(&scene.site)
        .send(&app)
        .await;
    answer.refused(401, "unauthenticated");
}

#[actix_web::test]
async fn where_signing_in_with_a_wallet_is_off_there_is_no_such_thing() {
    let scene = Scene::with(|settings| settings.wallets.sign_in = None).await;
    let app = api(&scene).await;
    let asked = Call::post("/api/v1/sign-in/wallet-challenges").at(&scene.site);
    let asked = asked.json(&json!({ "address": ONE.1 })).send(&app).await;
    asked.refused(404, "wallet_sign_in_off");
    sign_in(&app, &scene.site, &json!({}))
        .await
        .refused(404, "wallet_sign_in_off");
    Call::get("/.well-known/jwks.json")
        .send(&app)
        .await
        .refused(404, "wallet_sign_in_off");
}

#[actix_web::test]
async fn who_signs_wrong_again_and_again_waits_and_the_till_beside_does_not() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let message = message_to_sign_in(&app, &scene.site, &ONE).await;
    let wrong = json!({ "message": message, "signature": TWO.sign(&message) });
    for _ in 0..6 {
        sign_in(&app, &scene.site, &wrong)
            .await
            .refused(422, "wallet_signature_invalid");
    }
    let delayed = sign_in(&app, &scene.site, &ONE.proof(&message)).await;
    assert_eq!(delayed.header("retry-after"), "1");
    delayed.refused(429, "sign_in_delayed");
    // From the same address, at the same moment.
    let other = message_to_sign_in(&app, &scene.site, &TWO).await;
    sign_in(&app, &scene.site, &TWO.proof(&other)).await.expect(200);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    sign_in(&app, &scene.site, &ONE.proof(&message)).await.expect(200);
    // Who signed in right begins anew.
    let message = message_to_sign_in(&app, &scene.site, &ONE).await;
    let wrong = json!({ "message": message, "signature": TWO.sign(&message) });
    sign_in(&app, &scene.site, &wrong)
        .await
        .refused(422, "wallet_signature_invalid");
    sign_in(&app, &scene.site, &ONE.proof(&message)).await.expect(200);
}
