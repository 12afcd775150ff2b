//! How often one may ask: by address, by caller, by site.

use std::time::{Duration, Instant};

use posx_runtime::{RateLimits, RedisSettings};
use posx_tenancy::Role;
use secrecy::SecretString;
use serde_json::json;

use crate::world::{Call, Person, Scene, api};

async fn scene(limits: RateLimits) -> Scene {
    Scene::with(|settings| {
        settings.server.rate_limits = limits;
        settings.server.trusted_proxies = 1;
    })
    .await
}

const GENEROUS: RateLimits = RateLimits::all(1_000_000);

#[actix_web::test]
async fn who_asks_too_often_waits() {
    let limits = RateLimits {
        public_per_minute: 3,
        caller_per_minute: 2,
        writes_per_minute: 1,
        webhooks_per_minute: 1,
        ..RateLimits::all(1_000_000)
    };
    let scene = Scene::with(|settings| settings.server.rate_limits = limits).await;
    let app = api(&scene).await;
    let site = || Call::get("/api/v1/sites/current").at(&scene.site);
    let first = site().send(&app).await.expect(200);
    assert_eq!(first.header("ratelimit"), "\"public\";r=2");
    assert_eq!(first.header("ratelimit-policy"), "\"public\";q=3;w=60");
    site().send(&app).await.expect(200);
    site().send(&app).await.expect(200);
    let refused = site().send(&app).await;
    assert!(
        refused
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| (1..=60).contains(&seconds))
    );
    assert!(refused.header("ratelimit").starts_with("\"public\";r=0;t="));
    refused.refused(429, "rate_limited");
    // A caller is counted for themselves, and a change apart from a read.
    let caller = scene.stranger();
    let me = || Call::get("/api/v1/me").at(&scene.site).by(&caller);
    let join = || {
        Call::post("/api/v1/me")
            .at(&scene.site)
            .by(&caller)
            .json(&json!({}))
    };
    join().send(&app).await.expect(201);
    join().send(&app).await.refused(429, "rate_limited");
    me().send(&app).await.expect(200);
    me().send(&app).await.expect(200);
    me().send(&app).await.refused(429, "rate_limited");
    // Bad tokens count by address, which is used up.
    let nobody = Person {
        token: "x".to_owned(),
        subject: String::new(),
    };
    Call::get("/api/v1/me")
        .at(&scene.site)
        .by(&nobody)
        .send(&app)
        .await
        .refused(429, "rate_limited");
    Call::post("/webhooks/stripe")
        .raw("application/json", "{}")
        .send(&app)
        .await
        .refused(400, "webhook_signature_invalid");
    Call::post("/webhooks/stripe")
        .raw("application/json", "{}")
        .send(&app)
        .await
        .refused(429, "rate_limited");
}

#[actix_web::test]
async fn a_flood_for_one_site_is_refused_before_the_database_and_leaves_the_other_alone() {
    // A burst of five.
    let scene = scene(RateLimits {
        site_per_minute: 50,
        ..GENEROUS
    })
    .await;
    let app = api(&scene).await;
    let (here, there) = (
        scene.member(&scene.site, Role::Viewer).await,
        scene.member(&scene.other, Role::Viewer).await,
    );
    let orders = || Call::get("/api/v1/orders?all=true").by(&here).at(&scene.site);
    let first = orders().send(&app).await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), "\"site\";q=5;w=6");
    assert_eq!(first.header("ratelimit"), "\"site\";r=4");
    for _ in 0..4 {
        orders().send(&app).await.expect(200);
    }
    let refused = orders().send(&app).await;
    assert!(refused.header("ratelimit").starts_with("\"site\";r=0;t="));
    assert_eq!(refused.header("retry-after"), "2");
    refused.refused(429, "rate_limited");
    // The site's visitors are the site's calls too.
    let visit = Call::get("/api/v1/sites/current").at(&scene.site);
    visit.send(&app).await.refused(429, "rate_limited");
    let other = Call::get("/api/v1/orders?all=true").by(&there).at(&scene.other);
    other.send(&app).await.expect(200);
    // Nothing of the refused ones came as far as the database: without it the answer is the same.
    scene.state.services.close().await;
    orders().send(&app).await.refused(429, "rate_limited");
}

#[actix_web::test]
async fn who_makes_names_of_sites_up_is_stopped_before_the_database() {
    let scene = scene(RateLimits {
        public_per_minute: 3,
        ..GENEROUS
    })
    .await;
    let app = api(&scene).await;
    let member = scene.member(&scene.site, Role::Viewer).await;
    let orders = || Call::get("/api/v1/orders?all=true").by(&member).at(&scene.site);
    orders().send(&app).await.expect(200);
    let named =
        |number: u32| Call::get("/api/v1/sites/current").header("x-site-code", &format!("GUESS{number}"));
    for number in 0..2 {
        named(number).send(&app).await.refused(404, "site_unknown");
    }
    named(2).send(&app).await.refused(429, "rate_limited");
    scene.state.services.close().await;
    named(3).send(&app).await.refused(429, "rate_limited");
    let host = Call::get("/api/v1/sites/current").header("host", "guess.example");
    host.send(&app).await.refused(429, "rate_limited");
}

#[actix_web::test]
async fn a_client_is_its_address_as_our_own_proxy_saw_it() {
    let scene = scene(RateLimits {
        public_per_minute: 1,
        ..GENEROUS
    })
    .await;
    let app = api(&scene).await;
    let from = |forwarded: &str| {
        Call::get("/api/v1/sites/current")
            .at(&scene.site)
            .header("x-forwarded-for", forwarded)
    };
    from("2001:db8:1:2::1").send(&app).await.expect(200);
    let neighbour = from("2001:db8:1:2:ffff::9").send(&app).await;
    neighbour.refused(429, "rate_limited");
    from("2001:db8:1:3::1").send(&app).await.expect(200);
    from("198.51.100.7").send(&app).await.expect(200);
    // What stands before our proxy's word anybody may have written.
    from("203.0.113.1, 198.51.100.7")
        .send(&app)
        .await
        .refused(429, "rate_limited");
}

#[actix_web::test]
async fn signing_in_is_counted_by_address_in_a_class_of_its_own() {
    let scene = scene(RateLimits {
        auth_per_minute: 3,
        ..GENEROUS
    })
    .await;
    let app = api(&scene).await;
    let try_from = |address: &str| {
        Call::post("/api/v1/sign-in/wallet")
            .at(&scene.site)
            .header("x-forwarded-for", address)
            .json(&json!({}))
            .send(&app)
    };
    for _ in 0..3 {
        try_from("198.51.100.7").await.refused(422, "field_invalid");
    }
    let refused = try_from("198.51.100.7").await;
    assert_eq!(refused.header("ratelimit-policy"), "\"auth\";q=3;w=60");
    refused.refused(429, "rate_limited");
    try_from("198.51.100.8").await.refused(422, "field_invalid");
}

#[actix_web::test]
async fn without_redis_the_limits_hold_in_the_process_and_readiness_says_so() {
    let scene = Scene::with(|settings| {
        settings.server.rate_limits.public_per_minute = 2;
        settings.redis = Some(RedisSettings {
            url: SecretString::from("unix:///nowhere/at/all".to_owned()),
        });
    })
    .await;
    let app = api(&scene).await;
    let site = || Call::get("/api/v1/sites/current").at(&scene.site);
    let began = Instant::now();
    site().send(&app).await.expect(200);
    site().send(&app).await.expect(200);
    site().send(&app).await.refused(429, "rate_limited");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let ready = Call::get("/ready").send(&app).await;
    let checks = ready.json["checks"].as_array().expect("checks");
    assert!(checks.contains(&json!({ "name": "redis", "status": "failed" })));
}
