//! Promo codes over HTTP, for staff and for buyers.

use serde_json::{Value, json};

use crate::objects::{WALLET, furnish};
use crate::world::{Call, Scene, api};

#[actix_web::test]
async fn a_code_is_made_edited_switched_off_and_never_gone() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let staff = |call: Call| call.at(&scene.other).by(&objects.owner);
    let body = json!({
        "code": " spring-25 ", "discount": { "amount": { "amount": "2.500", "currency": "KWD" } },
        "bonus": { "asset_id": objects.asset, "tokens": "500", "tokens_max": "5000" },
        "valid_from": "2020-01-01T00:00:00Z", "uses_max": 100, "tier_ids": [objects.tier],
    });
    let create = || staff(Call::post("/api/v1/promo-codes")).key("spring").json(&body);
    let made = create().send(&app).await.expect(201);
    assert_eq!(
        (
            &made.json["code"],
            &made.json["kind"],
            &made.json["uses_per_buyer"]
        ),
        (&json!("SPRING-25"), &json!("combo"), &json!(1))
    );
    let path = made.header("location").to_owned();
    assert_eq!(create().send(&app).await.expect(201).json["id"], made.json["id"]);
    let again = staff(Call::post("/api/v1/promo-codes")).key("other").json(&body);
    let taken = again.send(&app).await;
    assert_eq!(taken.field(), "code");
    taken.refused(409, "promo_code_taken");

    let edit = |etag: &str| {
        let terms = json!({ "discount": { "rate": "0.25" }, "uses_per_buyer": null });
        staff(Call::put(&path)).header("if-match", etag).json(&terms)
    };
    let edited = edit(made.header("etag")).send(&app).await.expect(200);
    assert_eq!(
        (
            &edited.json["kind"],
            edited.json.get("uses_per_buyer"),
            edited.json.get("bonus")
        ),
        (&json!("percentage"), None, None)
    );
    edit(made.header("etag"))
        .send(&app)
        .await
        .refused(412, "version_stale");
    let off = staff(Call::post(&format!("{path}/deactivate"))).header("if-match", edited.header("etag"));
    assert_eq!(off.send(&app).await.expect(200).json["active"], false);
    let listed = |query: &str| staff(Call::get(&format!("/api/v1/promo-codes{query}")));
    let inactive = listed("?active=false").send(&app).await.expect(200);
    assert_eq!(inactive.json["items"][0]["id"], made.json["id"]);
    let first = listed("?limit=1").send(&app).await.expect(200);
    let next = listed(&format!("?limit=1&after={}", first.text("/next")))
        .send(&app)
        .await
        .expect(200);
    assert_ne!(first.json["items"][0]["id"], next.json["items"][0]["id"]);
}

#[actix_web::test]
async fn what_staff_cannot_mean_is_refused_with_its_field() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let tell = async |body: Value| {
        let call = Call::post("/api/v1/promo-codes")
            .at(&scene.other)
            .by(&objects.owner);
        let answer = call
            .key(&body.to_string().replace(' ', "_"))
            .json(&body)
            .send(&app)
            .await;
        (answer.status, answer.code().to_owned(), answer.field().to_owned())
    };
    let refused = |code: &str, field: &str| (422, code.to_owned(), field.to_owned());
    let ten = json!({ "rate": "0.1" });
    for (body, code, field) in [
        (
            json!({ "code": "no blanks", "discount": ten }),
            "promo_code_invalid",
            "code",
        ),
        (
            json!({ "code": "NOTHING" }),
            "promo_code_gives_nothing",
            "discount",
        ),
        (
            json!({ "code": "ZERO", "discount": { "rate": "0" } }),
            "promo_code_rate_invalid",
            "discount",
        ),
        (
            json!({ "code": "USD", "discount": { "amount": { "amount": "1.00", "currency": "USD" } } }),
            "currency_mismatch",
            "discount",
        ),
        (
            json!({ "code": "FINE", "discount": { "amount": { "amount": "1.005", "currency": "KWD" } } }),
            "price_not_chargeable",
            "discount",
        ),
        (
            json!({ "code": "TIER", "discount": ten, "tier_ids": [format!("tier_{:032x}", 1)] }),
            "tier_not_found",
            "tier_ids/0",
        ),
        (
            json!({ "code": "ASSET", "bonus": { "asset_id": format!("asset_{:032x}", 1), "tokens": "1" } }),
            "chain_asset_not_found",
            "bonus",
        ),
    ] {
        assert_eq!(tell(body).await, refused(code, field));
    }
    assert_eq!(
        tell(json!({ "code": "MUCH", "discount": { "rate": "1.5" } }))
            .await
            .0,
        422
    );
    assert_eq!(
        tell(json!({ "code": "FLOAT", "discount": { "rate": 0.5 } }))
            .await
            .0,
        422
    );
}

#[actix_web::test]
async fn a_buyer_asks_previews_and_buys_with_a_code_and_staff_see_what_came_of_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let buyer = |path: &str| Call::post(path).at(&scene.other).by(&objects.buyer);
    let lines = json!([{ "tier_id": objects.tier, "quantity": 2 }]);
    let kwd = |amount: &str| json!({ "amount": amount, "currency": "KWD" });

    // The code that furnish made: ten per cent, once a buyer.
    let ask = async |code: &str| {
        let body = json!({ "code": code, "lines": lines });
        buyer("/api/v1/promo-code-validations")
            .json(&body)
            .send(&app)
            .await
            .expect(200)
    };
    let good = ask("gold10").await;
    assert_eq!(
        (&good.json["applied"], &good.json["discount"], &good.json["total"]),
        (&json!(true), &kwd("20.000"), &kwd("180.000"))
    );
    let bad = ask("silver10").await;
    assert_eq!(
        (&bad.json["reason"], &bad.json["total"]),
        (&json!("promo_code_not_found"), &kwd("200.000"))
    );
    let preview = buyer("/api/v1/orders/preview").json(&json!({ "lines": lines, "promo_code": "GOLD10" }));
    let preview = preview.send(&app).await.expect(200);
    assert_eq!(
        (&preview.json["total"], &preview.json["promo"]["applied"]),
        (&kwd("180.000"), &json!(true))
    );

    let order = |key: &str, code: &str, required: bool| {
        let body = json!({
            "lines": lines, "wallet_address": WALLET, "promo_code": code, "require_promo_code": required,
        });
        buyer("/api/v1/orders").key(key).json(&body)
    };
    let placed = order("one", "gold10", true).send(&app).await.expect(201);
    assert_eq!(
        (
            &placed.json["discount"],
            &placed.json["total"],
            &placed.json["promo"]["applied"]
        ),
        (&kwd("20.000"), &kwd("180.000"), &json!(true))
    );
    assert_eq!(placed.text("/promo_code_id"), objects.promo_code);
    let replayed = order("one", "gold10", true).send(&app).await.expect(201);
    assert_eq!(replayed.bytes, placed.bytes);
    let second = order("two", "gold10", true).send(&app).await;
    assert_eq!(second.field(), "promo_code");
    second.refused(409, "promo_code_buyer_limit");
    let nothing = json!({ "lines": lines, "wallet_address": WALLET, "require_promo_code": true });
    let none = buyer("/api/v1/orders").key("none").json(&nothing);
    none.send(&app).await.refused(422, "promo_code_not_found");
    let without = order("three", "gold10", false).send(&app).await.expect(201);
    assert_eq!(
        (&without.json["total"], &without.json["promo"]["reason"]),
        (&kwd("200.000"), &json!("promo_code_buyer_limit"))
    );

    let staff = async |what: &str| {
        let path = format!("/api/v1/promo-codes/{}{what}", objects.promo_code);
        Call::get(&path)
            .at(&scene.other)
            .by(&objects.owner)
            .send(&app)
            .await
            .expect(200)
    };
    let usages = staff("/usages").await;
    assert_eq!(usages.text("/items/0/order_id"), placed.text("/id"));
    assert_eq!(usages.json["items"][0]["state"], "used");
    assert_eq!(
        (
            staff("").await.json["used"].clone(),
            staff("/totals").await.json["used"].clone()
        ),
        (json!(1), json!(1))
    );
    let cancel = buyer(&format!("/api/v1/orders/{}/cancel", placed.text("/id")));
    cancel.send(&app).await.expect(200);
    assert_eq!(staff("/usages").await.json["items"][0]["state"], "released");
    assert_eq!(staff("").await.json["used"], 0);
    order("four", "gold10", true).send(&app).await.expect(201);
}
