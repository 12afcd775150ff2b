//! An order over HTTP, from the preview to the cancelling.

use serde_json::json;

use crate::objects::{WALLET, furnish};
use crate::world::{Call, Scene, api};

#[actix_web::test]
async fn an_order_is_previewed_placed_read_and_cancelled() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let (site, buyer) = (&scene.other, &objects.buyer);
    let line = json!({ "tier_id": objects.tier, "quantity": 3 });
    let preview = Call::post("/api/v1/orders/preview")
        .by(buyer)
        .at(site)
        .json(&json!({ "lines": [line] }));
    let quote = preview.send(&app).await.expect(200);
    assert_eq!(
        quote.json["total"],
        json!({ "amount": "300.000", "currency": "KWD" })
    );

    let wallet = Call::put("/api/v1/me/wallets/EVM")
        .by(buyer)
        .at(site)
        .json(&json!({ "address": WALLET.to_lowercase() }));
    assert_eq!(
        wallet.send(&app).await.expect(200).json["address"],
        WALLET,
        "canonical"
    );
    let wallets = Call::get("/api/v1/me/wallets")
        .by(buyer)
        .at(site)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(wallets.json["items"][0]["family"], "EVM");

    let body = json!({ "lines": [line], "referral_code": "nobody", "currency": "KWD" });
    let placed = Call::post("/api/v1/orders")
        .by(buyer)
        .at(site)
        .key("bound")
        .json(&body)
        .send(&app)
        .await
        .expect(201);
    assert_eq!(
        (&placed.json["wallet_address"], &placed.json["referral"]),
        (&json!(WALLET), &json!("unknown"))
    );
    let path = placed.header("location").to_owned();
    assert_eq!(path, format!("/api/v1/orders/{}", placed.text("/id")));

    let read = Call::get(&path).by(buyer).at(site).send(&app).await.expect(200);
    assert_eq!(
        (&read.json["lifecycle"], &read.json["payment"]),
        (&json!("placed"), &json!("unpaid"))
    );
    let cancel = || Call::post(&format!("{path}/cancel")).by(buyer).at(site);
    assert_eq!(
        cancel().send(&app).await.expect(200).json["lifecycle"],
        "cancelled"
    );
    assert_eq!(
        cancel().send(&app).await.expect(200).json["lifecycle"],
        "cancelled"
    );
    let paid = Call::post(&format!("/api/v1/orders/{}/cancel", objects.order))
        .by(buyer)
        .at(site);
    paid.send(&app).await.refused(409, "order_not_placed");
}

#[actix_web::test]
async fn a_list_is_read_page_by_page() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    for n in 0..4 {
        let body = json!({ "lines": [{ "tier_id": objects.tier, "quantity": 1 }], "wallet_address": WALLET });
        let order = Call::post("/api/v1/orders")
            .by(&objects.buyer)
            .at(&scene.site)
            .key(&format!("p{n}"));
        order.json(&body).send(&app).await.expect(201);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/orders?limit=2{after}");
        let page = Call::get(&path)
            .by(&objects.buyer)
            .at(&scene.site)
            .send(&app)
            .await
            .expect(200);
        let items = page.json["items"].as_array().expect("items").clone();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["id"].to_string()));
        let Some(next) = page.json["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    let mut newest_first = seen.clone();
    newest_first.sort();
    newest_first.reverse();
    newest_first.dedup();
    assert_eq!((seen.len(), &seen), (5, &newest_first));
    let placed = Call::get("/api/v1/orders?lifecycle=placed")
        .by(&objects.buyer)
        .at(&scene.site);
    assert_eq!(
        placed.send(&app).await.expect(200).json["items"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
}

#[actix_web::test]
async fn one_who_joins_is_a_member_at_once_and_an_unknown_code_does_not_stop_them() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let person = scene.stranger();
    let me = || Call::get("/api/v1/me").by(&person).at(&scene.site);
    assert_eq!(me().send(&app).await.expect(200).json.get("membership"), None);
    Call::get("/api/v1/orders")
        .by(&person)
        .at(&scene.site)
        .send(&app)
        .await
        .refused(403, "not_a_member");
    let join = || {
        Call::post("/api/v1/me")
            .by(&person)
            .at(&scene.site)
            .json(&json!({ "referral_code": "??" }))
    };
    assert_eq!(join().send(&app).await.expect(201).json["referral"], "unknown");
    join().send(&app).await.expect(200);
    let joined = me().send(&app).await.expect(200);
    assert_eq!(
        joined.json["membership"]["capabilities"],
        json!(["orders:buy", "withdrawals:request"])
    );
    Call::get("/api/v1/orders")
        .by(&person)
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
    // A member here is nobody there.
    Call::get("/api/v1/orders")
        .by(&person)
        .at(&scene.other)
        .send(&app)
        .await
        .refused(403, "not_a_member");
}
