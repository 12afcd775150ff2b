//! Requests that are wrong before any rule is asked: no site, no such route, no JSON, too much of it; and no database.

use serde_json::json;

use crate::objects::{WALLET, furnish};
use crate::world::{Call, Scene, api};

#[actix_web::test]
async fn the_site_is_named_once_and_is_there() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = || Call::get("/api/v1/sites/current");
    site().send(&app).await.refused(400, "site_missing");
    site()
        .header("x-site-code", "NOWHERE")
        .send(&app)
        .await
        .refused(404, "site_unknown");
    site()
        .header("x-site-code", "no such code")
        .send(&app)
        .await
        .refused(404, "site_unknown");
    let by_host = site()
        .header("host", &scene.site.host_names[0])
        .send(&app)
        .await
        .expect(200);
    assert_eq!(by_host.json["code"], scene.site.code.as_str());
    let both = || site().header("host", &scene.site.host_names[0]);
    both().at(&scene.site).send(&app).await.expect(200);
    both()
        .at(&scene.other)
        .send(&app)
        .await
        .refused(400, "site_ambiguous");
    // A host that is no site's names none: the API's own name.
    site()
        .header("host", "api.posx.example")
        .send(&app)
        .await
        .refused(400, "site_missing");
    site()
        .header("host", "api.posx.example")
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
}

#[actix_web::test]
async fn a_body_has_a_size_a_type_and_a_form() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let preview = || {
        Call::post("/api/v1/orders/preview")
            .by(&objects.buyer)
            .at(&scene.site)
    };
    let json = "application/json";
    preview()
        .raw(json, " ".repeat(65_537))
        .send(&app)
        .await
        .refused(413, "body_too_large");
    preview()
        .raw("text/plain", "{}")
        .send(&app)
        .await
        .refused(415, "content_type_unsupported");
    preview()
        .send(&app)
        .await
        .refused(415, "content_type_unsupported");
    preview()
        .header("content-encoding", "gzip")
        .raw(json, "{}")
        .send(&app)
        .await
        .refused(415, "content_type_unsupported");
    preview()
        .raw(json, "{")
        .send(&app)
        .await
        .refused(400, "json_malformed");
    preview()
        .raw(json, &b"{\"lines\":\"\xff\"}"[..])
        .send(&app)
        .await
        .refused(400, "json_malformed");
    let deep = format!("{{\"lines\":{}", "[".repeat(60_000));
    let answer = preview().raw(json, deep).send(&app).await;
    assert!([400, 422].contains(&answer.status), "{}", answer.json);
    preview()
        .raw("application/json; charset=utf-8", "{}")
        .send(&app)
        .await
        .refused(422, "field_invalid");
}

#[actix_web::test]
async fn a_query_and_an_address_are_checked_too() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let get = |path: &str| Call::get(path).by(&objects.owner).at(&scene.site);
    for query in [
        "limit=x",
        "after=1",
        "lifecycle=lost",
        "nonsense=1",
        "all=maybe",
        "limit=-1",
    ] {
        get(&format!("/api/v1/orders?{query}"))
            .send(&app)
            .await
            .refused(400, "query_invalid");
    }
    get("/api/v1/ledger/entries?kind=a%00b")
        .send(&app)
        .await
        .refused(400, "query_invalid");
    get("/api/v1/orders/ord_1")
        .send(&app)
        .await
        .refused(404, "order_not_found");
    get(&format!("/api/v1/orders/{}", objects.tier))
        .send(&app)
        .await
        .refused(404, "order_not_found");
    get("/api/v1/nothing")
        .send(&app)
        .await
        .refused(404, "route_not_found");
    let wrong = Call::new("DELETE", "/api/v1/orders")
        .by(&objects.owner)
        .at(&scene.site)
        .send(&app)
        .await;
    assert_eq!(wrong.header("allow"), "GET, POST");
    wrong.refused(405, "method_not_allowed");
    let put = Call::put("/api/v1/me/wallets/MOON")
        .by(&objects.buyer)
        .at(&scene.site);
    put.json(&json!({ "address": WALLET }))
        .send(&app)
        .await
        .refused(404, "wallet_family_not_found");
    let put = Call::put("/api/v1/me/wallets/EVM")
        .by(&objects.buyer)
        .at(&scene.site);
    let bad = put.json(&json!({ "address": "0x1" })).send(&app).await;
    assert_eq!(
        (bad.status, bad.code(), bad.field()),
        (422, "wallet_address_invalid", "address")
    );
}

#[actix_web::test]
async fn with_the_database_down_the_answer_is_503_and_nothing_is_half_done() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    scene.state.services.close().await;
    let body = json!({ "lines": [{ "tier_id": objects.tier, "quantity": 1 }], "wallet_address": WALLET });
    let order = Call::post("/api/v1/orders")
        .by(&objects.buyer)
        .at(&scene.site)
        .key("down")
        .json(&body);
    let answer = order.send(&app).await;
    assert_eq!(answer.header("retry-after"), "2");
    assert_eq!(answer.json.get("detail"), None);
    answer.refused(503, "store_unavailable");
    let ready = Call::get("/ready").send(&app).await.expect(503);
    assert_eq!(
        ready.json["checks"][0],
        json!({ "name": "database", "status": "failed" })
    );
    Call::get("/health").send(&app).await.expect(200);
}
