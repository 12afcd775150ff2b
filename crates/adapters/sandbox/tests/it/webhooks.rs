//! Deliveries, as their receiver sees them, with signatures checked by other means than they were made.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posx_allocations::custody::Custody as _;
use posx_orders::gateway::{Intent, PaymentGateway as _};
use posx_sandbox::{DeliveryPlan, Notice, OldKeys, Outcome, RefundStatus, World, WorldConfig};
use serde_json::{Value, json};

use crate::support::{Stage, WITHIN, http, start_of_time};

const CREATED: &str = "payment_intent.created";
const PROCESSING: &str = "payment_intent.processing";
const SUCCEEDED: &str = "payment_intent.succeeded";
const UPDATED: &str = "transaction.status.updated";

/// RFC 2104, by hand.
fn hmac_sha256(secret: &[u8], message: &[u8]) -> String {
    let block = |pad: u8| {
        let mut block = [pad; 64];
        block
            .iter_mut()
            .zip(secret)
            .for_each(|(byte, secret)| *byte ^= secret);
        block
    };
    assert!(secret.len() <= 64);
    let inner = digest(&SHA256, &[&block(0x36), message].concat());
    hex::encode(digest(&SHA256, &[&block(0x5c), inner.as_ref()].concat()))
}

async fn paid(stage: &Stage) -> Intent {
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    stage
        .world
        .payments()
        .confirm(&intent.id.0, "pm_card_visa")
        .unwrap();
    stage.webhooks_settle().await;
    intent
}

#[tokio::test]
async fn s19_each_delivery_is_signed_over_its_raw_bytes_with_every_live_secret() {
    let stage = Stage::set().await;
    let secrets = vec![
        stage.world.secrets().stripe_webhook[0].clone(),
        "whsec_the_next_one".to_owned(),
    ];
    stage.world.payments().set_webhook_secrets(secrets.clone());
    stage.days_pass(2);
    let intent = paid(&stage).await;
    for (headers, body) in stage.receiver.raw() {
        let header = headers["stripe-signature"].to_str().unwrap();
        let time = start_of_time().timestamp() + 2 * 24 * 60 * 60;
        let message = [format!("{time}.").as_bytes(), &body].concat();
        let signatures: Vec<String> = secrets
            .iter()
            .map(|secret| format!(",v1={}", hmac_sha256(secret.as_bytes(), &message)))
            .collect();
        assert_eq!(header, format!("t={time}{}", signatures.concat()));
        assert_eq!(headers["content-type"], "application/json");
    }
    let event = stage.receiver.bodies().pop().unwrap();
    assert!(event["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(event["object"], "event");
    assert_eq!(event["type"], SUCCEEDED);
    assert_eq!(event["api_version"], posx_sandbox::STRIPE_API_VERSION);
    assert_eq!(event["livemode"], false);
    assert_eq!(event["data"]["object"]["id"], intent.id.0);
    assert_eq!(event["data"]["object"]["amount_received"], 2_500);
}

#[tokio::test]
async fn events_tell_what_happened_in_order_each_as_it_was_then() {
    let stage = Stage::set().await;
    let intent = paid(&stage).await;
    assert_eq!(stage.receiver.kinds(), [CREATED, PROCESSING, SUCCEEDED]);
    let statuses: Vec<Value> = stage
        .receiver
        .bodies()
        .iter()
        .map(|event| event["data"]["object"]["status"].clone())
        .collect();
    assert_eq!(statuses, ["requires_payment_method", "processing", "succeeded"]);

    let refund = stage
        .gateway
        .create_refund(&stage.refund_of(&intent.id, 100))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    stage
        .world
        .payments()
        .settle_refund(&refund.id, RefundStatus::Failed)
        .unwrap();
    let declined = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    stage
        .world
        .payments()
        .confirm(&declined.id.0, "pm_card_chargeDeclined")
        .unwrap_err();
    stage.webhooks_settle().await;
    stage
        .gateway
        .cancel_intent(stage.site(), &declined.id)
        .await
        .unwrap();
    stage.webhooks_settle().await;
    assert_eq!(
        stage.receiver.kinds()[3..],
        [
            "refund.created",
            "refund.failed",
            CREATED,
            "payment_intent.payment_failed",
            "payment_intent.canceled"
        ]
    );
}

#[tokio::test]
async fn a_replayed_answer_makes_no_second_event() {
    let stage = Stage::set().await;
    let wish = stage.wish(2_500, "USD");
    for _ in 0..3 {
        stage.gateway.create_intent(&wish).await.unwrap();
    }
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds(), [CREATED]);
}

#[tokio::test]
async fn s25_a_plan_delivers_everything_twice_and_late_and_processing_last() {
    let stage = Stage::set().await;
    let plan = DeliveryPlan {
        copies: 2,
        delay: Duration::from_millis(200),
        last: vec![PROCESSING.to_owned()],
        ..DeliveryPlan::default()
    };
    stage.world.payments().webhooks().plan(plan);
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    assert_eq!(stage.receiver.kinds(), [""; 0]);
    stage.webhooks_settle().await;
    stage
        .world
        .payments()
        .confirm(&intent.id.0, "pm_card_visa")
        .unwrap();
    stage.webhooks_settle().await;
    assert_eq!(
        stage.receiver.kinds(),
        [CREATED, CREATED, SUCCEEDED, SUCCEEDED, PROCESSING, PROCESSING]
    );
    let ids: Vec<Value> = stage
        .receiver
        .bodies()
        .iter()
        .map(|event| event["id"].clone())
        .collect();
    assert_eq!((&ids[0], &ids[2], &ids[4]), (&ids[1], &ids[3], &ids[5]));
}

#[tokio::test]
async fn s26_held_events_are_released_in_any_order() {
    let stage = Stage::set().await;
    let webhooks = stage.world.payments().webhooks();
    webhooks.hold();
    paid(&stage).await;
    let kinds = |notices: &[Notice]| {
        notices
            .iter()
            .map(|notice| notice.kind.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&webhooks.held()), [CREATED, PROCESSING, SUCCEEDED]);
    assert_eq!(stage.receiver.kinds(), [""; 0]);
    webhooks.release(|mut held| {
        held.reverse();
        held.pop();
        held
    });
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds(), [SUCCEEDED, PROCESSING]);
    assert_eq!(webhooks.held(), []);
    assert_eq!(kinds(&webhooks.notices()), [CREATED, PROCESSING, SUCCEEDED]);
}

#[tokio::test]
async fn s29_a_refused_event_is_sent_again_until_it_is_taken_or_given_up() {
    let stage = Stage::set().await;
    stage.receiver.answer_with(&[500, 400, 200]);
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    let tries = |stage: &Stage| -> Vec<(u32, Outcome)> {
        let deliveries = stage.world.payments().webhooks().deliveries();
        deliveries
            .iter()
            .map(|delivery| (delivery.attempt, delivery.outcome))
            .collect()
    };
    let expected = [
        (1, Outcome::Answered(500)),
        (2, Outcome::Answered(400)),
        (3, Outcome::Answered(200)),
    ];
    assert_eq!(tries(&stage), expected);

    stage.receiver.answer_with(&[503; 4]);
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    assert_eq!(tries(&stage).len(), 3 + 4);
    let given_up = stage.world.payments().webhooks().notices().pop().unwrap();
    assert!(stage.world.payments().webhooks().resend(&given_up.id));
    assert!(!stage.world.payments().webhooks().resend("evt_nobody"));
    stage.webhooks_settle().await;
    assert_eq!(tries(&stage).last(), Some(&(1, Outcome::Answered(200))));
    assert_eq!(stage.receiver.raw().last().unwrap().1[..], given_up.body[..]);
}

#[tokio::test]
async fn a_dropped_kind_is_never_sent_and_stays_to_be_sent_again() {
    let stage = Stage::set().await;
    let webhooks = stage.world.payments().webhooks();
    webhooks.plan(DeliveryPlan {
        dropped: vec![SUCCEEDED.to_owned()],
        ..DeliveryPlan::default()
    });
    paid(&stage).await;
    assert_eq!(stage.receiver.kinds(), [CREATED, PROCESSING]);
    let dropped = webhooks
        .deliveries()
        .into_iter()
        .find(|delivery| delivery.outcome == Outcome::Dropped);
    assert!(webhooks.resend(&dropped.unwrap().notice));
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds().last().unwrap(), SUCCEEDED);
}

#[tokio::test]
async fn events_wait_for_an_address_and_unreachable_ones_are_tried_again_at_the_new_one() {
    let stage = Stage::set().await;
    let world = World::start(WorldConfig::new(stage.clock.clone())).await.unwrap();
    let gateway =
        posx_sandbox::SandboxGateway::new(&world.stripe_url(), &world.secrets().stripe_secret_key).unwrap();
    let webhooks = world.payments().webhooks();
    gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    assert_eq!(webhooks.held().len(), 1);
    webhooks.deliver_to("http://127.0.0.1:9/nobody-listens-here");
    while webhooks.deliveries().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    webhooks.deliver_to(stage.receiver.url("/stripe"));
    assert!(webhooks.idle(WITHIN).await);
    assert_eq!(stage.receiver.kinds(), [CREATED]);
    assert_eq!(webhooks.deliveries()[0].outcome, Outcome::Unreachable);
    world.stop().await;
}

/// Verifies a delivery with the key set as it is served now, as RFC 7515 appendix F and RFC 7518 say.
async fn holds(stage: &Stage, header: &str, body: &[u8]) -> bool {
    let jwks: Value = http()
        .get(stage.world.fireblocks_jwks_url())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let [protected, "", signature] = header.split('.').collect::<Vec<_>>()[..] else {
        panic!("no detached JWS: {header}");
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let parsed: Value = serde_json::from_slice(&decode(protected)).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    let Some(key) = keys.iter().find(|key| key["kid"] == parsed["kid"]) else {
        return false;
    };
    assert_eq!(parsed, json!({ "alg": "RS512", "kid": key["kid"] }));
    assert_eq!(
        (&key["kty"], &key["use"], &key["alg"]),
        (&"RSA".into(), &"sig".into(), &"RS512".into())
    );
    let part = |name: &str| decode(key[name].as_str().unwrap());
    let public = RsaPublicKeyComponents {
        n: part("n"),
        e: part("e"),
    };
    let message = format!("{protected}.{}", URL_SAFE_NO_PAD.encode(body));
    public
        .verify(
            &RSA_PKCS1_2048_8192_SHA512,
            message.as_bytes(),
            &decode(signature),
        )
        .is_ok()
}

#[tokio::test]
async fn f19_a_custodians_delivery_bears_a_detached_jws_that_its_key_set_verifies() {
    let stage = Stage::set().await;
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    stage.webhooks_settle().await;
    stage.world.custodian().rotate_key(OldKeys::Keep).await.unwrap();
    stage.world.custodian().advance("alc_1-1").unwrap();
    stage.webhooks_settle().await;
    let raw = stage.receiver.raw();
    let header = |at: usize| raw[at].0["fireblocks-webhook-signature"].to_str().unwrap();
    assert!(holds(&stage, header(0), &raw[0].1).await);
    assert!(holds(&stage, header(1), &raw[1].1).await);
    assert!(!holds(&stage, header(0), &raw[1].1).await);
    stage.world.custodian().rotate_key(OldKeys::Drop).await.unwrap();
    assert!(!holds(&stage, header(1), &raw[1].1).await);
}

#[tokio::test]
async fn f21_a_client_error_is_final_for_the_custodian_but_408_429_and_503_are_not() {
    let stage = Stage::set().await;
    stage.receiver.answer_with(&[503, 429, 408, 200]);
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds().len(), 4);
    stage.receiver.answer_with(&[400]);
    stage.world.custodian().advance("alc_1-1").unwrap();
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds().len(), 5);
}

#[tokio::test]
async fn f23_a_custodians_events_come_doubled_and_in_reverse() {
    let stage = Stage::set().await;
    let webhooks = stage.world.custodian().webhooks();
    webhooks.hold();
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    stage.world.custodian().settle_all();
    webhooks.plan(DeliveryPlan {
        copies: 2,
        ..DeliveryPlan::default()
    });
    webhooks.release(|held| held.into_iter().rev().collect());
    stage.webhooks_settle().await;
    let seen: Vec<String> = stage
        .receiver
        .bodies()
        .iter()
        .step_by(2)
        .map(|event| event["data"]["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        seen,
        [
            "COMPLETED",
            "CONFIRMING",
            "BROADCASTING",
            "PENDING_SIGNATURE",
            "QUEUED",
            "SUBMITTED"
        ]
    );
    let kinds = stage.receiver.kinds();
    assert_eq!(kinds.len(), 12);
    assert_eq!(
        (kinds[0].as_str(), kinds[11].as_str()),
        (UPDATED, "transaction.created")
    );
}
