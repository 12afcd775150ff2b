//! What the panel refuses, and how it says so.

use reqwest::Method;
use serde_json::json;

use super::Remote;
use crate::support::Stage;

/// A call, the field that is at fault, and a body.
const BAD_FIELDS: &str = r#"
POST /payments/faults call {"call":"create","fault":"lose_answer"}
POST /payments/faults call {"call":"submit","fault":"lose_answer"}
POST /payments/faults call {"fault":"lose_answer"}
POST /payments/faults fault {"call":"confirm","fault":"explode"}
POST /payments/faults fault.refuse {"call":"confirm","fault":{"refuse":""}}
POST /payments/faults fault.refuse {"call":"confirm","fault":{"refuse":"A B"}}
POST /payments/faults fault.refuse {"call":"confirm","fault":{"refuse":5}}
POST /custodian/faults fault.refuse {"call":"submit","fault":{"refuse":"x"}}
POST /payments/faults times {"call":"confirm","fault":"lose_answer","times":0}
POST /payments/faults times {"call":"confirm","fault":"lose_answer","times":1001}
POST /payments/faults time {"call":"confirm","fault":"lose_answer","time":1}
PUT /issuer/line down {"down":"yes"}
PUT /issuer/line latency_ms {"latency_ms":60001}
PUT /issuer/line latency {"latency":1}
PUT /payments/deliveries copies {"copies":0}
PUT /payments/deliveries copies {"copies":101}
PUT /payments/deliveries delay_ms {"delay_ms":600001}
PUT /payments/deliveries delay_ms {"delay_ms":-1}
PUT /payments/deliveries last {"last":["payment_intent.paid"]}
PUT /custodian/deliveries dropped {"dropped":["payment_intent.created"]}
POST /payments/hold for_s {"for_s":5}
POST /payments/release order {"order":"random"}
POST /payments/release order {}
POST /payments/declines cards {"cards":1001}
POST /payments/intents/pi_1/confirm payment_method {"payment_method":"pm_gold"}
POST /payments/intents/pi_1/receive amount_minor {"amount_minor":0}
POST /payments/refunds/re_1/settle status {"status":"lost"}
POST /custodian/ends transfers {"end":"failed","transfers":0}
POST /custodian/transfers/alc_1-1/end end {"end":"completed"}
PUT /custodian/drive drive.automatic_ms {"drive":{"automatic_ms":0}}
POST /issuer/keys/rotate old {"old":"lost"}
POST /custodian/keys/rotate keep {"old":"kept","keep":1}
POST /repair all {"all":true}
"#;

/// A call, the answer's status and code, and a body.
const BAD_CALLS: &str = r#"
POST /payments/declines 400 json_malformed cards=1
POST /payments/declines 400 json_malformed [1]
POST /payments/declines 400 json_malformed {"cards":1
PUT /payments/declines 404 not_found {"cards":1}
POST /bank/faults 404 not_found {}
PUT /issuer/deliveries 404 not_found {}
POST /payments/notices/evt_1/resend 404 not_found {}
POST /payments/intents/pi_1/settle 404 not_found {"succeeded":true}
POST /payments/intents/pi_1/confirm 404 not_found {"payment_method":"pm_card_visa"}
POST /payments/refunds/re_1/settle 404 not_found {"status":"failed"}
POST /custodian/transfers/alc_1-1/advance 404 not_found {}
"#;

#[tokio::test]
async fn what_is_not_known_or_beyond_its_limits_is_refused_by_its_name_and_changes_nothing() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let before = remote.state().await;
    for line in BAD_FIELDS.trim().lines() {
        let [method, path, field, body] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let refused = remote.refused(method.parse().unwrap(), path, body).await;
        let expected = (400, "field_invalid".to_owned(), Some(field.to_owned()));
        assert_eq!(refused, expected, "{line}");
    }
    for line in BAD_CALLS.trim().lines() {
        let [method, path, status, code, body] = line.splitn(5, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let refused = remote.refused(method.parse().unwrap(), path, body).await;
        let expected = (status.parse().unwrap(), code.to_owned(), None);
        assert_eq!(refused, expected, "{line}");
    }
    let long = format!("{{\"cards\":{}1}}", " ".repeat(70_000));
    let refused = remote.refused(Method::POST, "/payments/declines", &long).await;
    assert_eq!(refused.1, "json_malformed");
    assert_eq!(remote.state().await, before);
}

#[tokio::test]
async fn no_more_faults_and_ends_are_planned_than_allowed() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    for (path, many, one_more, field) in [
        (
            "/payments/faults",
            json!({ "call": "confirm", "fault": "lose_answer", "times": 1_000 }),
            r#"{"call":"confirm","fault":"lose_answer"}"#,
            "times",
        ),
        (
            "/custodian/ends",
            json!({ "end": "blocked", "transfers": 1_000 }),
            r#"{"end":"blocked","transfers":1}"#,
            "transfers",
        ),
    ] {
        remote.post(path, many).await;
        let refused = remote.refused(Method::POST, path, one_more).await;
        assert_eq!(refused.2.as_deref(), Some(field));
    }
    let shown = remote.state().await;
    for planned in ["/payments/line/faults/confirm", "/custodian/ends"] {
        let planned = shown.pointer(planned).unwrap().as_array().unwrap();
        assert_eq!(planned.len(), 1_000);
    }
}
