//! The list "What bad input gets" of the issue, line by line.

use serde_json::{Value, json};

use crate::objects::{WALLET, furnish};
use crate::world::{Call, Scene, api};

const TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";

#[actix_web::test]
async fn a_wrong_order_gets_a_stable_code_and_the_field() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let elsewhere = furnish(&scene, &app, &scene.other).await;
    let hidden = json!({
        "name": "Hidden", "asset_id": objects.asset, "list_price": { "amount": "1", "currency": "USD" },
        "tokens_per_unit": "1", "supply": 10, "active": false,
    });
    let create = |key| {
        Call::post("/api/v1/tiers")
            .by(&objects.owner)
            .at(&scene.site)
            .key(key)
    };
    let hidden = create("hidden")
        .json(&hidden)
        .send(&app)
        .await
        .expect(201)
        .text("/id");
    let rare = json!({
        "name": "Rare", "asset_id": objects.asset, "list_price": { "amount": "1", "currency": "USD" },
        "tokens_per_unit": "1", "supply": 2,
    });
    let rare = create("rare")
        .json(&rare)
        .send(&app)
        .await
        .expect(201)
        .text("/id");

    let line = |tier: &str, quantity: Value| json!({ "lines": [{ "tier_id": tier, "quantity": quantity }] });
    let gold = &objects.tier;
    let with = |extra: Value| {
        let mut body = line(gold, json!(1));
        body.as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        body
    };
    let cases = [
        (
            "unknown tier",
            line(&elsewhere.tier, json!(1)),
            422,
            "tier_not_found",
            "lines/0/tier_id",
        ),
        (
            "no id at all",
            line("tier_1", json!(1)),
            422,
            "field_invalid",
            "lines/0/tier_id",
        ),
        (
            "inactive tier",
            line(&hidden, json!(1)),
            422,
            "tier_inactive",
            "lines/0/tier_id",
        ),
        (
            "sold out",
            line(&rare, json!(3)),
            409,
            "tier_sold_out",
            "lines/0/quantity",
        ),
        (
            "over the limit",
            line(gold, json!(11)),
            422,
            "order_limit_exceeded",
            "lines/0/quantity",
        ),
        (
            "zero",
            line(gold, json!(0)),
            422,
            "quantity_invalid",
            "lines/0/quantity",
        ),
        (
            "negative",
            line(gold, json!(-1)),
            422,
            "quantity_invalid",
            "lines/0/quantity",
        ),
        (
            "a fraction",
            line(gold, json!(1.5)),
            422,
            "field_invalid",
            "lines/0/quantity",
        ),
        (
            "huge",
            line(gold, json!(9_000_000_000_000_000_000_i64)),
            422,
            "quantity_invalid",
            "lines/0/quantity",
        ),
        (
            "no lines",
            json!({ "lines": [] }),
            422,
            "order_lines_missing",
            "lines",
        ),
        (
            "unknown field",
            with(json!({ "discount": 1 })),
            422,
            "field_unknown",
            "discount",
        ),
        (
            "another currency",
            with(json!({ "currency": "KWD" })),
            422,
            "currency_mismatch",
            "currency",
        ),
        (
            "no currency",
            with(json!({ "currency": "XXQ" })),
            422,
            "field_invalid",
            "currency",
        ),
        (
            "bad checksum",
            with(json!({ "wallet_address": WALLET.replace("5aA", "5AA") })),
            422,
            "wallet_checksum_invalid",
            "wallet_address",
        ),
        (
            "wrong chain",
            with(json!({ "wallet_address": TRON })),
            422,
            "wallet_chain_mismatch",
            "wallet_address",
        ),
        (
            "no wallet",
            with(json!({})),
            422,
            "wallet_missing",
            "wallet_address",
        ),
        (
            "NUL",
            with(json!({ "referral_code": "a\u{0}" })),
            422,
            "field_invalid",
            "",
        ),
    ];
    for (what, body, status, code, field) in cases {
        let call = Call::post("/api/v1/orders")
            .by(&objects.buyer)
            .at(&scene.site)
            .key(&what.replace(' ', "-"));
        let answer = call.json(&body).send(&app).await;
        assert_eq!(
            (answer.status, answer.code(), answer.field()),
            (status, code, field),
            "{what}: {}",
            answer.json
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[actix_web::test]
async fn money_is_never_a_float_and_prices_are_the_sites() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let tier = |price: Value| json!({ "name": "T", "asset_id": objects.asset, "list_price": price, "tokens_per_unit": "1", "supply": 1 });
    let cases = [
        (
            tier(json!({ "amount": 12.5, "currency": "USD" })),
            "field_invalid",
            "list_price/amount",
        ),
        (tier(json!(12.5)), "field_invalid", "list_price"),
        (
            tier(json!({ "amount": "12.555", "currency": "USD" })),
            "field_invalid",
            "list_price",
        ),
        (
            tier(json!({ "amount": "12.500", "currency": "KWD" })),
            "currency_mismatch",
            "list_price",
        ),
    ];
    for (body, code, field) in cases {
        let answer = Call::post("/api/v1/tiers")
            .by(&objects.owner)
            .at(&scene.site)
            .key("bad")
            .json(&body)
            .send(&app)
            .await;
        assert_eq!(
            (answer.status, answer.code(), answer.field()),
            (422, code, field),
            "{body}: {}",
            answer.json
        );
    }
    let far = json!({ "price": { "amount": "1", "currency": "USD" }, "from": "-4800-01-01T00:00:00Z", "until": "+200000-01-01T00:00:00Z" });
    let mut body = tier(json!({ "amount": "10", "currency": "USD" }));
    body["promotion"] = far;
    let answer = Call::post("/api/v1/tiers")
        .by(&objects.owner)
        .at(&scene.site)
        .key("bad")
        .json(&body)
        .send(&app)
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (422, "field_invalid"),
        "{}",
        answer.json
    );
}

#[actix_web::test]
async fn a_key_means_one_request() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let body = |quantity: u32| json!({ "lines": [{ "tier_id": objects.tier, "quantity": quantity }], "wallet_address": WALLET });
    let order = || Call::post("/api/v1/orders").by(&objects.buyer).at(&scene.site);
    order()
        .json(&body(1))
        .send(&app)
        .await
        .refused(400, "idempotency_key_missing");
    order()
        .key("two words")
        .json(&body(1))
        .send(&app)
        .await
        .refused(400, "idempotency_key_invalid");
    let first = order().key("k").json(&body(1)).send(&app).await.expect(201);
    let again = order().key("k").json(&body(1)).send(&app).await.expect(201);
    assert_eq!(first.bytes, again.bytes, "the very bytes");
    assert_eq!(
        (
            first.header("idempotent-replayed"),
            again.header("idempotent-replayed")
        ),
        ("", "true")
    );
    order()
        .key("k")
        .json(&body(2))
        .send(&app)
        .await
        .refused(422, "idempotency_key_reused");
    // Another caller's key is another key.
    let agent = Call::post("/api/v1/orders")
        .by(&objects.agent)
        .at(&scene.site)
        .key("k")
        .json(&body(1));
    assert_ne!(agent.send(&app).await.expect(201).text("/id"), first.text("/id"));
    let checkout = format!("/api/v1/orders/{}/checkout", first.text("/id"));
    Call::post(&checkout)
        .by(&objects.buyer)
        .at(&scene.site)
        .send(&app)
        .await
        .refused(400, "idempotency_key_missing");
}

#[actix_web::test]
async fn p07_a_buyer_who_holds_the_tiers_limit_is_refused_by_line() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let one_each = json!({
        "name": "One each", "asset_id": objects.asset, "list_price": { "amount": "1", "currency": "USD" },
        "tokens_per_unit": "1", "supply": 10, "max_per_buyer": 1,
    });
    let create = Call::post("/api/v1/tiers").by(&objects.owner).at(&scene.site);
    let tier = create
        .key("one")
        .json(&one_each)
        .send(&app)
        .await
        .expect(201)
        .text("/id");
    let body = json!({ "lines": [{ "tier_id": tier, "quantity": 1 }], "wallet_address": WALLET });
    let order = |key| {
        Call::post("/api/v1/orders")
            .by(&objects.buyer)
            .at(&scene.site)
            .key(key)
    };
    order("one-1").json(&body).send(&app).await.expect(201);
    let second = order("one-2").json(&body).send(&app).await;
    second.refused(409, "buyer_limit_exceeded");
    assert_eq!(second.field(), "lines/0/quantity");
}

#[actix_web::test]
async fn p10_what_staff_make_under_a_key_is_made_once() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let supply = format!("/api/v1/tiers/{}/supply-corrections", objects.tier);
    let zero = json!({ "amount": "0", "currency": "USD" });
    let plan = |days: u8| {
        json!({ "name": "Twice", "hold_days": days,
            "levels": [{ "level": 1, "rate": "0.1", "minimum_sales": zero }] })
    };
    let tier = |name: &str| {
        json!({ "name": name, "asset_id": objects.asset, "list_price": { "amount": "1", "currency": "USD" },
            "tokens_per_unit": "1", "supply": 10 })
    };
    let asset = |symbol: &str| json!({ "chain": "POLYGON", "symbol": symbol, "decimals": 6, "provider_asset": "A", "vault": objects.vault });
    let correction = |quantity: i64| json!({ "quantity": quantity, "reason": "A second issue" });
    for (path, body, other) in [
        ("/api/v1/tiers", tier("Once"), tier("Other")),
        ("/api/v1/chain-assets", asset("ONCE"), asset("OTHER")),
        ("/api/v1/commission-plans", plan(1), plan(2)),
        (&supply, correction(5), correction(6)),
    ] {
        let post = || Call::post(path).by(&objects.owner).at(&scene.site);
        post()
            .json(&body)
            .send(&app)
            .await
            .refused(400, "idempotency_key_missing");
        let first = post().key("once").json(&body).send(&app).await.expect(201);
        let again = post().key("once").json(&body).send(&app).await.expect(201);
        assert_eq!(first.json, again.json, "{path}");
        assert_eq!(
            (
                first.header("idempotent-replayed"),
                again.header("idempotent-replayed")
            ),
            ("", "true"),
            "{path}"
        );
        post()
            .key("once")
            .json(&other)
            .send(&app)
            .await
            .refused(422, "idempotency_key_reused");
    }
    let tier = Call::get(&format!("/api/v1/tiers/{}", objects.tier))
        .by(&objects.owner)
        .at(&scene.site);
    let tier = tier.send(&app).await.expect(200);
    assert_eq!(tier.json["stock"]["supply"], 1005, "{}", tier.json);
}

#[actix_web::test]
async fn p10_one_key_at_the_same_time_is_one_order() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let body = json!({ "lines": [{ "tier_id": objects.tier, "quantity": 1 }], "wallet_address": WALLET });
    let order = || {
        Call::post("/api/v1/orders")
            .by(&objects.buyer)
            .at(&scene.site)
            .key("twins")
            .json(&body)
    };
    let (one, two) = futures::join!(order().send(&app), order().send(&app));
    let made: Vec<_> = [&one, &two]
        .into_iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|answer| answer.bytes == made[0].bytes));
    for refused in [one, two].into_iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "idempotency_key_in_progress");
    }
    let list = Call::get("/api/v1/orders")
        .by(&objects.buyer)
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        list.json["items"].as_array().map(Vec::len),
        Some(2),
        "the furnished one and this one"
    );
}

#[actix_web::test]
async fn p08_an_edit_names_the_version_that_it_saw() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let path = format!("/api/v1/tiers/{}", objects.tier);
    let body = json!({ "name": "Gold", "list_price": { "amount": "90", "currency": "USD" } });
    let edit = || Call::put(&path).by(&objects.owner).at(&scene.site).json(&body);
    edit().send(&app).await.refused(428, "if_match_missing");
    edit()
        .header("if-match", "*")
        .send(&app)
        .await
        .refused(400, "if_match_invalid");
    let seen = Call::get(&path).at(&scene.site).send(&app).await.expect(200);
    let version = seen.header("etag").to_owned();
    let edited = edit().header("if-match", &version).send(&app).await.expect(200);
    assert_eq!(
        (edited.header("etag"), &edited.json["list_price"]["amount"]),
        ("\"2\"", &json!("90.00"))
    );
    edit()
        .header("if-match", &version)
        .send(&app)
        .await
        .refused(412, "version_stale");
    let deactivate = format!("{path}/deactivate");
    let call = Call::post(&deactivate)
        .by(&objects.owner)
        .at(&scene.site)
        .header("if-match", "\"2\"");
    assert_eq!(call.send(&app).await.expect(200).json["active"], false);
    Call::get(&path)
        .at(&scene.site)
        .send(&app)
        .await
        .refused(404, "tier_not_found");
}
