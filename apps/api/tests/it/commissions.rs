//! What an agent sees of a share when the order goes back.

use posx_worker::drain_site;
use serde_json::{Value, json};

use crate::objects::furnish;
use crate::world::{Call, Scene, api};

fn kwd(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "KWD" })
}

#[actix_web::test]
async fn an_agent_sees_what_a_refund_took_back_and_what_it_was_counted_from() {
    let scene = Scene::new().await;
    let (app, site) = (api(&scene).await, &scene.other);
    let objects = furnish(&scene, &app, site).await;
    let refund = Call::post(&format!("/api/v1/orders/{}/refunds", objects.order));
    let body = json!({ "amount": kwd("50.000"), "reason": "requested_by_customer" });
    let refund = refund.by(&objects.owner).at(site).key("part").json(&body);
    refund.send(&app).await.expect(201);
    drain_site(&scene.state.services, site.id).await.expect("drained");

    let path = format!("/api/v1/commissions/{}", objects.commission);
    let see = async |path: &str| {
        let call = Call::get(path).by(&objects.agent).at(site);
        call.send(&app).await.expect(200).json
    };
    let share = see(&path).await;
    assert_eq!(
        [
            &share["amount"],
            &share["reversed"],
            &share["left"],
            &share["state"]
        ],
        [&kwd("24.000"), &kwd("6.000"), &kwd("18.000"), &json!("held")]
    );
    let adjustments = see(&format!("{path}/adjustments?limit=1")).await;
    let step = &adjustments["items"][0];
    assert_eq!(
        [
            &step["number"],
            &step["kind"],
            &step["amount"],
            &step["returned"],
            &step["total"]
        ],
        [
            &json!(1),
            &json!("reversal"),
            &kwd("6.000"),
            &kwd("50.000"),
            &kwd("200.000")
        ]
    );
    assert_eq!(adjustments["next"], Value::Null);
    let explained = see(&format!("{path}/explain")).await;
    assert_eq!(
        (&explained["agrees"], &explained["adjustments"][0]),
        (&json!(true), step)
    );
}
