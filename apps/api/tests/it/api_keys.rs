//! Keys over HTTP: shown once, refused alike, never a person.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::TimeDelta;
use posx_runtime::RateLimits;
use posx_tenancy::{Capability, Role, Site, is_for_keys};
use serde_json::{Value, json};

use crate::coverage::operations;
use crate::objects::furnish;
use crate::world::{Answer, Call, Person, Scene, api};

/// A program with a key or a device with its token calls as a person does: by a bearer token.
pub fn machine(token: &str) -> Person {
    Person {
        token: token.to_owned(),
        subject: String::new(),
    }
}

/// What makes answers look different to who is refused, without what is different each time.
pub fn looks(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .filter(|(name, _)| !["x-request-id", "ratelimit", "content-length"].contains(&name.as_str()))
        .collect();
    headers.sort();
    let mut body = answer.json.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("instance");
    }
    (answer.status, headers, body)
}

/// The same text with another secret digit, and a checksum that is right or wrong by chance: an unknown one either way.
pub fn forged(text: &str) -> String {
    let digit = if &text[20..21] == "0" { "1" } else { "0" };
    format!("{}{digit}{}", &text[..20], &text[21..])
}

/// A key of the site: its id, and a caller with its text.
pub async fn made<S, B>(app: &S, site: &Site, owner: &Person, scopes: &[&str]) -> (String, Person)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    static MADE: AtomicU32 = AtomicU32::new(0);
    let label = format!("key-{}", MADE.fetch_add(1, Ordering::Relaxed));
    let answer = Call::post("/api/v1/api-keys")
        .by(owner)
        .at(site)
        .key(&label)
        .json(&json!({ "name": "Books", "scopes": scopes }))
        .send(app)
        .await
        .expect(201);
    (answer.text("/id"), machine(&answer.text("/secret")))
}

#[actix_web::test]
async fn a_keys_secret_is_shown_once_and_a_repeated_request_shows_the_key_without_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let create = || {
        let body = json!({ "name": "Books", "scopes": ["orders:read"], "lifetime_days": 30 });
        Call::post("/api/v1/api-keys")
            .by(&owner)
            .at(&scene.site)
            .key("k")
            .json(&body)
    };
    let first = create().send(&app).await.expect(201);
    let (id, secret) = (first.text("/id"), first.text("/secret"));
    assert!(secret.starts_with("psk_"));
    assert_eq!(first.json["state"], "live");
    let again = create().send(&app).await.expect(201);
    assert_eq!((again.text("/id"), again.json.get("secret")), (id.clone(), None));
    assert_eq!(again.header("idempotent-replayed"), "true");
    for path in ["/api/v1/api-keys".to_owned(), format!("/api/v1/api-keys/{id}")] {
        let shown = Call::get(&path)
            .by(&owner)
            .at(&scene.site)
            .send(&app)
            .await
            .expect(200);
        let text = String::from_utf8_lossy(&shown.bytes).into_owned();
        assert!(
            text.contains(&id) && !text.contains("secret") && !text.contains(&secret[17..]),
            "{text}"
        );
    }
}

#[actix_web::test]
async fn a_key_does_what_its_scopes_say_for_the_whole_site() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let (_, key) = made(
        &app,
        &scene.site,
        &objects.owner,
        &["orders:read", "tiers:manage"],
    )
    .await;
    let get = |path: &str| Call::get(path).by(&key).at(&scene.site);
    // Nothing is its own: it sees everybody's without asking for all.
    let orders = get("/api/v1/orders").send(&app).await.expect(200);
    let mut ids = orders.json["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| &one["id"]);
    assert!(ids.any(|id| *id == objects.order.as_str()), "{}", orders.json);
    get(&format!("/api/v1/orders/{}", objects.order))
        .send(&app)
        .await
        .expect(200);
    get("/api/v1/ledger/accounts")
        .send(&app)
        .await
        .refused(403, "capability_missing");
    let tiers = get(&format!("/api/v1/tiers/{}", objects.tier))
        .send(&app)
        .await
        .expect(200);
    assert!(tiers.json.get("stock").is_some(), "as staff see them");
    // An order is a person's.
    let order = json!({ "lines": [{ "tier_id": objects.tier, "quantity": 1 }] });
    let place = Call::post("/api/v1/orders")
        .by(&key)
        .at(&scene.site)
        .key("o")
        .json(&order);
    place.send(&app).await.refused(403, "capability_missing");
    get("/api/v1/me").send(&app).await.refused(401, "unauthenticated");
}

#[actix_web::test]
async fn j12_each_route_lets_a_key_in_by_its_scopes_or_says_that_it_is_for_people() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let theirs = furnish(&scene, &app, &scene.other).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let scopes: Vec<_> = Capability::ALL
        .iter()
        .filter(|one| is_for_keys(**one))
        .map(|one| one.as_str())
        .collect();
    let ((_, full), (_, bare)) = (
        made(&app, &scene.site, &owner, &scopes).await,
        made(&app, &scene.site, &owner, &["ledger:read"]).await,
    );
    let mut let_in = 0;
    for operation in operations()
        .iter()
        .filter(|one| one.is_in_a_site() && one.needs_capability())
    {
        let named: Vec<_> = operation.access.split(" | ").collect();
        for (key, held) in [(&full, &scopes[..]), (&bare, &["ledger:read"])] {
            let answer = operation.bare(&theirs).at(&scene.site).by(key).send(&app).await;
            if named.iter().any(|one| held.contains(one)) {
                let refused =
                    ["capability_missing", "unauthenticated", "not_a_member"].contains(&answer.code());
                assert!(!refused && answer.status < 500, "{operation:?}: {}", answer.json);
                let_in += 1;
            } else {
                answer.refused(403, "capability_missing");
            }
        }
        // Devices' own routes are no key's.
        assert_ne!(operation.access, "device");
    }
    assert!(let_in > 15, "{let_in} routes let a key in");
    for operation in operations().iter().filter(|one| one.access == "device") {
        let answer = operation.bare(&theirs).at(&scene.site).by(&full).send(&app).await;
        answer.refused(403, "device_needed");
        let answer = operation
            .bare(&theirs)
            .at(&scene.site)
            .by(&owner)
            .send(&app)
            .await;
        answer.refused(403, "device_needed");
    }
}

#[actix_web::test]
async fn j12_whatever_is_wrong_with_a_key_the_refusal_looks_the_same() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let elsewhere = scene.member(&scene.other, Role::Owner).await;
    let (id, revoked) = made(&app, &scene.site, &owner, &["orders:read"]).await;
    let (_, expired) = made(&app, &scene.site, &owner, &["ledger:read"]).await;
    let (_, foreign) = made(&app, &scene.other, &elsewhere, &["orders:read"]).await;
    let list = |key: &Person| Call::get("/api/v1/orders").by(key).at(&scene.site);
    list(&revoked).send(&app).await.expect(200);
    let revoke = Call::post(&format!("/api/v1/api-keys/{id}/revoke"))
        .by(&owner)
        .at(&scene.site);
    assert_eq!(revoke.send(&app).await.expect(200).json["state"], "revoked");
    let cases = [
        revoked.token.clone(),
        foreign.token,
        forged(&expired.token),
        expired.token.to_uppercase().replace("PSK_", "psk_"),
        "psk_".to_owned(),
        "psk_0".to_owned(),
        format!("{}0", expired.token),
    ];
    let mut seen = Vec::new();
    for token in cases {
        let answer = list(&machine(&token)).send(&app).await;
        answer.refused(401, "unauthenticated");
        seen.push(looks(&answer));
    }
    scene.clock.advance(TimeDelta::days(90));
    let answer = list(&expired).send(&app).await;
    answer.refused(401, "unauthenticated");
    seen.push(looks(&answer));
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    assert_eq!(seen[0].2.get("detail"), None);
}

#[actix_web::test]
async fn p01_a_key_or_device_of_another_site_is_unknown_on_every_route() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let theirs = furnish(&scene, &app, &scene.other).await;
    for operation in operations()
        .iter()
        .filter(|one| one.is_in_a_site() && one.access != "public")
    {
        for machine in [&theirs.machines.key_text, &theirs.machines.device_text] {
            let caller = self::machine(machine);
            let answer = operation
                .bare(&theirs)
                .at(&scene.site)
                .by(&caller)
                .send(&app)
                .await;
            answer.refused(401, "unauthenticated");
        }
    }
}

#[actix_web::test]
async fn a_rotated_key_works_with_both_secrets_for_as_long_as_was_chosen() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let (id, old) = made(&app, &scene.site, &owner, &["orders:read"]).await;
    let rotate = |overlap: u16| {
        let call = Call::post(&format!("/api/v1/api-keys/{id}/rotate"))
            .by(&owner)
            .at(&scene.site);
        call.json(&json!({ "overlap_days": overlap }))
    };
    let list = |key: &Person| Call::get("/api/v1/orders").by(key).at(&scene.site);
    let new = machine(&rotate(1).send(&app).await.expect(200).text("/secret"));
    list(&old).send(&app).await.expect(200);
    list(&new).send(&app).await.expect(200);
    let last = machine(&rotate(0).send(&app).await.expect(200).text("/secret"));
    for gone in [&old, &new] {
        list(gone).send(&app).await.refused(401, "unauthenticated");
    }
    list(&last).send(&app).await.expect(200);
    rotate(8).send(&app).await.refused(422, "api_key_overlap_invalid");
}

#[actix_web::test]
async fn what_a_key_may_not_have_is_refused_at_its_place() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    for scope in [
        "orders:buy",
        "devices:operate",
        "api_keys:manage",
        "tier_supply:correct",
        "everything",
    ] {
        let body = json!({ "name": "Books", "scopes": ["orders:read", scope] });
        let call = Call::post("/api/v1/api-keys")
            .by(&owner)
            .at(&scene.site)
            .key("k")
            .json(&body);
        let refused = call.send(&app).await;
        assert_eq!(refused.field(), "scopes/1", "{scope}");
        refused.refused(422, "api_key_scope_invalid");
    }
    // The same request may be sent again: refusals are not remembered.
    made(&app, &scene.site, &owner, &["orders:read"]).await;
}

#[actix_web::test]
async fn each_key_has_a_limit_of_its_own() {
    let limits = RateLimits {
        caller_per_minute: 2,
        ..RateLimits::all(1_000_000)
    };
    let scene = Scene::with(|settings| settings.server.rate_limits = limits).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let (_, one) = made(&app, &scene.site, &owner, &["orders:read"]).await;
    let (_, other) = made(&app, &scene.site, &owner, &["ledger:read", "orders:read"]).await;
    let list = |key: &Person| Call::get("/api/v1/orders").by(key).at(&scene.site);
    list(&one).send(&app).await.expect(200);
    list(&one).send(&app).await.expect(200);
    list(&one).send(&app).await.refused(429, "rate_limited");
    list(&other).send(&app).await.expect(200);
}

#[actix_web::test]
async fn a_use_is_noted_at_most_once_a_minute_and_nobody_waits_for_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let (id, key) = made(&app, &scene.site, &owner, &["orders:read"]).await;
    let call = || Call::get("/api/v1/orders").by(&key).at(&scene.site);
    let noted = async |before: &Value| {
        for _ in 0..200 {
            let shown = Call::get(&format!("/api/v1/api-keys/{id}"))
                .by(&owner)
                .at(&scene.site);
            let last = shown.send(&app).await.expect(200).json["last_used_at"].clone();
            if last != *before {
                return last;
            }
            actix_web::rt::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no use was noted")
    };
    call().send(&app).await.expect(200);
    let first = noted(&Value::Null).await;
    scene.clock.advance(TimeDelta::seconds(90));
    call().send(&app).await.expect(200);
    let second = noted(&first).await;
    assert!(second.as_str() > first.as_str(), "{first} {second}");
}
