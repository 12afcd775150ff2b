//! What stands around every answer: ids, headers, limits, documents.

use std::collections::BTreeSet;
use std::net::TcpListener;

use posx_sandbox::{Flaw, TokenRequest};
use posx_tenancy::Role;
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
async fn no_answer_may_be_kept_run_framed_loaded_or_guessed_at() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let member = scene.member(&scene.site, Role::Member).await;
    let refused = ["/health", "/nothing", "/api/v1/sites/current", "/api/v1/me"].map(Call::get);
    let answered = [
        Call::get("/api/v1/me").by(&member).at(&scene.site),
        Call::new("DELETE", "/api/v1/orders").by(&member),
        Call::post("/webhooks/stripe").raw("application/json", "{}"),
    ];
    for call in refused.into_iter().chain(answered) {
        let answer = call.send(&app).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", ""),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {}", answer.status);
        }
        assert!(answer.header("permissions-policy").contains("camera=()"));
        let vary: Vec<_> = answer.headers.get_all("vary").collect();
        assert!(vary.iter().any(|value| *value == "Origin"), "{vary:?}");
    }
}

#[actix_web::test]
async fn behind_a_proxy_that_speaks_tls_browsers_are_told_to_insist_on_it() {
    let scene = Scene::with(|settings| settings.server.trusted_proxies = 1).await;
    let app = api(&scene).await;
    let said = |scheme: &str| Call::get("/nothing").header("x-forwarded-proto", scheme);
    let tls = said("https").send(&app).await;
    assert_eq!(
        tls.header("strict-transport-security"),
        "max-age=63072000; includeSubDomains"
    );
    let plain = said("http").send(&app).await;
    assert_eq!(plain.header("strict-transport-security"), "");
}

#[actix_web::test]
async fn a_host_that_is_neither_ours_nor_a_sites_is_not_served() {
    let scene =
        Scene::with(|settings| settings.server.allowed_hosts = vec!["api.posx.example".to_owned()]).await;
    let app = api(&scene).await;
    let current = |host: &str| {
        Call::get("/api/v1/sites/current")
            .at(&scene.site)
            .header("host", host)
    };
    current("api.posx.example").send(&app).await.expect(200);
    current("API.posx.example:8443").send(&app).await.expect(200);
    current(&scene.site.host_names[0]).send(&app).await.expect(200);
    for foreign in [
        "attacker.example",
        "127.0.0.1",
        "localhost",
        "api.posx.example.attacker.example",
    ] {
        current(foreign).send(&app).await.refused(421, "host_unknown");
    }
    let none = Call::get("/api/v1/sites/current").at(&scene.site);
    none.send(&app).await.refused(400, "host_invalid");
    // Machines ask by an address whether the process is well.
    let probe = Call::get("/health").header("host", "10.0.0.7:8080");
    probe.send(&app).await.expect(200);
}

#[actix_web::test]
async fn headers_have_a_size_and_a_number() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let large = Call::get("/api/v1/me").header("authorization", &format!("Bearer {}", "x".repeat(40_000)));
    large.send(&app).await.refused(431, "headers_too_large");
    let many = (0..70).fold(Call::get("/api/v1/me"), |call, number| {
        call.header(&format!("x-{number}"), "1")
    });
    many.send(&app).await.refused(431, "headers_too_large");
}

#[actix_web::test]
async fn when_too_many_requests_are_open_the_next_is_sent_away() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let keys = format!("http://{}/keys", silent.local_addr().expect("an address"));
    let scene = Scene::with(|settings| {
        settings.server.concurrency_max = 1;
        settings.server.request_timeout_s = 1;
        settings.issuers[0].jwks_url = Some(keys);
    });
    let scene = scene.await;
    let app = api(&scene).await;
    let person = scene.stranger();
    let open = Call::get("/api/v1/me").at(&scene.site).by(&person).send(&app);
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let busy = Call::get("/api/v1/sites/current")
            .at(&scene.site)
            .send(&app)
            .await;
        assert_eq!(busy.header("retry-after"), "2");
        busy.refused(503, "server_busy");
        Call::get("/health").send(&app).await.expect(200);
    };
    let (open, ()) = futures::join!(open, late);
    open.refused(503, "request_timed_out");
    // Its place is free again.
    Call::get("/api/v1/sites/current")
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
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
            .contains("script-src 'self';")
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
    let missing: BTreeSet<_> = references
        .filter(|reference| document.pointer(reference).is_none())
        .collect();
    assert!(missing.is_empty(), "not in the document: {missing:?}");
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
