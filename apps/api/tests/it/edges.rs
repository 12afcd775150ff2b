//! What stands around every answer: ids, headers, limits, documents.

use std::net::TcpListener;

use posx_runtime::RateLimits;
use posx_sandbox::{Flaw, TokenRequest};
use serde_json::json;

use crate::world::{AUDIENCE, Call, Person, Scene, api};

#[actix_web::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let sent = Call::get("/nothing")
        .header("x-request-id", "mine-1")
        .send(&app)
        .await;
    assert_eq!(sent.header("x-request-id"), "mine-1");
    assert_eq!(sent.json["instance"], "urn:request:mine-1");
    for bad in ["", "two words", &"x".repeat(129)] {
        let made = Call::get("/health").header("x-request-id", bad).send(&app).await;
        assert_eq!(made.header("x-request-id").len(), 32, "{bad}");
    }
}

#[actix_web::test]
async fn every_answer_of_the_api_may_not_be_kept_run_or_guessed_at() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    for path in ["/health", "/nothing", "/api/v1/sites/current"] {
        let answer = Call::get(path).send(&app).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'"),
            "{path}"
        );
    }
}

#[actix_web::test]
async fn an_answer_is_packed_for_one_who_can_unpack_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let packed = Call::get("/openapi.json")
        .header("accept-encoding", "gzip")
        .send(&app)
        .await
        .expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(&packed.bytes[..2], [0x1f, 0x8b]);
}

#[actix_web::test]
async fn the_page_and_its_document_come_from_the_binary() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let page = Call::get("/docs/").send(&app).await.expect(200);
    let html = String::from_utf8_lossy(&page.bytes).into_owned();
    assert!(html.contains("swagger-ui"));
    assert!(
        !html.contains("//unpkg") && !html.contains("https://"),
        "nothing is loaded from elsewhere"
    );
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'self'")
    );
    let script = Call::get("/docs/swagger-ui-bundle.js")
        .send(&app)
        .await
        .expect(200);
    assert!(script.bytes.len() > 100_000);
    let document = Call::get("/openapi.json").send(&app).await.expect(200);
    let derived: serde_json::Value = serde_json::from_str(&posx_api::openapi()).expect("JSON");
    assert_eq!(document.json, derived);
    assert_eq!(document.json["openapi"], "3.1.0");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let text = posx_api::openapi();
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let references = text
        .split("\"$ref\": \"#")
        .skip(1)
        .filter_map(|after| after.split('"').next());
    for reference in references {
        assert!(
            document.pointer(reference).is_some(),
            "{reference} is not in the document"
        );
    }
}

#[actix_web::test]
async fn who_asks_too_often_waits() {
    let limits = RateLimits {
        public_per_minute: 3,
        caller_per_minute: 2,
        writes_per_minute: 1,
        webhooks_per_minute: 1,
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
async fn a_token_with_any_flaw_is_refused_without_a_reason() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    for flaw in Flaw::ALL {
        let request = TokenRequest::new("somebody", AUDIENCE);
        let token = scene.world.issuer().bad_token(&request, flaw).expect("a token");
        let person = Person {
            token,
            subject: String::new(),
        };
        let answer = Call::get("/api/v1/me")
            .at(&scene.site)
            .by(&person)
            .send(&app)
            .await;
        assert_eq!(answer.json.get("detail"), None, "{flaw:?}");
        answer.refused(401, "unauthenticated");
    }
}

#[actix_web::test]
async fn when_the_issuer_is_away_nobody_is_called_a_liar() {
    let scene =
        Scene::with(|settings| settings.issuers[0].jwks_url = Some("http://127.0.0.1:9/keys".to_owned()))
            .await;
    let app = api(&scene).await;
    let person = scene.stranger();
    Call::get("/api/v1/me")
        .at(&scene.site)
        .by(&person)
        .send(&app)
        .await
        .refused(503, "keys_unavailable");
    let ready = Call::get("/ready").send(&app).await.expect(503);
    assert!(
        ready.json["checks"]
            .as_array()
            .is_some_and(|checks| checks.iter().any(|check| check["status"] == "ok"))
    );
}

#[actix_web::test]
async fn a_request_that_takes_too_long_is_given_up() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let keys = format!("http://{}/keys", silent.local_addr().expect("an address"));
    let scene = Scene::with(|settings| {
        settings.server.request_timeout_s = 1;
        settings.issuers[0].jwks_url = Some(keys);
    });
    let scene = scene.await;
    let app = api(&scene).await;
    let call = Call::get("/api/v1/me").at(&scene.site).by(&scene.stranger());
    let answer = call.header("x-request-id", "slow-1").send(&app).await;
    assert_eq!(answer.json["instance"], "urn:request:slow-1");
    assert_eq!(
        (answer.header("retry-after"), answer.header("x-request-id")),
        ("2", "slow-1")
    );
    answer.refused(503, "request_timed_out");
}

#[test]
fn the_error_list_has_a_line_for_each_code() {
    let list = posx_api::errors_markdown();
    for row in posx_api::error_catalogue() {
        let line = format!("| `{}` | {} | {} |\n", row.code, row.status, row.meaning);
        assert!(list.contains(&line), "{line}");
    }
}

#[actix_web::test]
async fn j18_a_machines_token_is_no_person_and_gets_no_identity() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let request = TokenRequest::new("posx-sandbox@clients", AUDIENCE);
    let machine = Person {
        token: scene.world.issuer().token(&request).expect("a token"),
        subject: String::new(),
    };
    for path in ["/api/v1/me", "/api/v1/orders", "/api/v1/tiers"] {
        let call = Call::get(path).by(&machine).at(&scene.site);
        call.send(&app).await.refused(403, "service_caller_refused");
    }
}

#[actix_web::test]
async fn j11_what_a_token_claims_gives_no_right_at_a_site() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let subject = scene.stranger().subject;
    let request = TokenRequest {
        scopes: ["admin", "tiers:manage", "orders:read"]
            .map(str::to_owned)
            .to_vec(),
        ..TokenRequest::new(&subject, AUDIENCE)
    };
    let boaster = Person {
        token: scene.world.issuer().token(&request).expect("a token"),
        subject,
    };
    let orders = Call::get("/api/v1/orders?all=true").by(&boaster).at(&scene.site);
    orders.send(&app).await.refused(403, "not_a_member");
    let join = Call::post("/api/v1/me")
        .by(&boaster)
        .at(&scene.site)
        .json(&json!({}));
    join.send(&app).await.expect(201);
    let orders = Call::get("/api/v1/orders?all=true").by(&boaster).at(&scene.site);
    orders.send(&app).await.refused(403, "capability_missing");
}
