//! The payment provider's own HTTP: what a browser does, what a stranger gets, what JSON looks like.

use chrono::TimeDelta;
use posx_orders::gateway::PaymentGateway as _;
use posx_sandbox::{Fault, PaymentCall};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Stage, http, start_of_time};

type Form<'a> = &'a [(&'a str, &'a str)];

async fn call(
    stage: &Stage,
    method: Method,
    path: &str,
    key: Option<&str>,
    form: Form<'_>,
) -> (StatusCode, Value) {
    let url = format!("{}{path}", stage.world.stripe_url());
    let mut request = http().request(method, url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if !form.is_empty() {
        request = request.header("idempotency-key", "key-1").form(form);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_browser_confirms_with_the_client_secret_alone_and_sees_a_decline_as_402() {
    let stage = Stage::set().await;
    let intent = stage
        .gateway
        .create_intent(&stage.wish(12_500, "KWD"))
        .await
        .unwrap();
    let confirm = format!("/v1/payment_intents/{}/confirm", intent.id);
    let secret = ("client_secret", intent.client_secret.as_str());

    let wrong: Form<'_> = &[("client_secret", "guess"), ("payment_method", "pm_card_visa")];
    let (status, body) = call(&stage, Method::POST, &confirm, None, wrong).await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["param"], "client_secret");

    // Without a key of its own: each try is a new one.
    let client = http();
    let url = format!("{}{confirm}", stage.world.stripe_url());
    let declined = client.post(&url).form(&[
        secret,
        ("payment_method", "pm_card_chargeDeclinedInsufficientFunds"),
    ]);
    let declined = declined.send().await.unwrap();
    assert_eq!(declined.status(), 402);
    let body: Value = declined.json().await.unwrap();
    assert_eq!(body["error"]["type"], "card_error");
    assert_eq!(body["error"]["decline_code"], "insufficient_funds");
    assert_eq!(
        body["error"]["payment_intent"]["status"],
        "requires_payment_method"
    );

    let paid = client
        .post(&url)
        .form(&[secret, ("payment_method", "pm_card_visa")]);
    let body: Value = paid.send().await.unwrap().json().await.unwrap();
    assert_eq!(body["object"], "payment_intent");
    assert_eq!(body["status"], "succeeded");
    assert_eq!(body["amount_received"], 12_500);
    assert_eq!(body["currency"], "kwd");
    assert_eq!(body["created"], start_of_time().timestamp());
    assert_eq!(body["livemode"], false);
    assert_eq!(body["last_payment_error"], Value::Null);

    let retrieve = format!(
        "/v1/payment_intents/{}?client_secret={}",
        intent.id, intent.client_secret
    );
    let (status, body) = call(&stage, Method::GET, &retrieve, None, &[]).await;
    assert_eq!(
        (status.as_u16(), body["id"].as_str()),
        (200, Some(intent.id.0.as_str()))
    );
}

#[tokio::test]
async fn three_d_secure_is_completed_at_an_endpoint_of_its_own() {
    let stage = Stage::set().await;
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    let path = format!("{}/v1/payment_intents/{}", stage.world.stripe_url(), intent.id);
    let secret = ("client_secret", intent.client_secret.as_str());
    let post = async |action: &str, name: &str, value: &str| -> Value {
        let request = http().post(format!("{path}/{action}"));
        let answer = request.form(&[secret, (name, value)]).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let body = post("confirm", "payment_method", "pm_card_threeDSecure2Required").await;
    assert_eq!(body["status"], "requires_action");
    assert_eq!(body["next_action"]["type"], "use_stripe_sdk");
    assert_eq!(
        post("complete_action", "succeeded", "perhaps").await["error"]["param"],
        "succeeded"
    );
    assert_eq!(
        post("complete_action", "succeeded", "true").await["status"],
        "succeeded"
    );
    let late = post("complete_action", "succeeded", "true").await;
    assert_eq!(late["error"]["code"], "payment_intent_unexpected_state");
}

#[tokio::test]
async fn a_server_call_needs_the_secret_key_and_a_known_shape() {
    let stage = Stage::set().await;
    let key = stage.world.secrets().stripe_secret_key.clone();
    let create = "/v1/payment_intents";
    let good: Form<'_> = &[("amount", "1000"), ("currency", "usd")];
    for stranger in [None, Some("sk_test_guess")] {
        let (status, body) = call(&stage, Method::POST, create, stranger, good).await;
        assert_eq!(
            (status.as_u16(), &body["error"]["type"]),
            (401, &"invalid_request_error".into())
        );
    }
    let long = "x".repeat(501);
    for (form, code) in [
        (
            &[("amount", "10.00"), ("currency", "usd")] as Form<'_>,
            "parameter_invalid_integer",
        ),
        (
            &[("amount", "1000"), ("currency", "USD")],
            "parameter_invalid_string",
        ),
        (
            &[("amount", "1000"), ("currency", "xxx")],
            "parameter_invalid_string",
        ),
        (&[("amount", "1000")], "parameter_missing"),
        (
            &[("amount", "1000"), ("currency", "usd"), ("amuont", "1")],
            "parameter_unknown",
        ),
        (
            &[("amount", "1000"), ("currency", "usd"), ("metadata[a]", &long)],
            "parameter_invalid",
        ),
    ] {
        let (status, body) = call(&stage, Method::POST, create, Some(&key), form).await;
        assert_eq!(
            (status.as_u16(), &body["error"]["code"]),
            (400, &code.into()),
            "{form:?}"
        );
    }
    let (status, _) = call(&stage, Method::POST, create, Some(&key), good).await;
    assert_eq!(status, 200);
    assert_eq!(stage.world.payments().intents().len(), 1);
}

#[tokio::test]
async fn any_nonsense_gets_an_error_object() {
    let stage = Stage::set().await;
    let key = stage.world.secrets().stripe_secret_key.clone();
    for (method, path) in [
        (Method::GET, "/v1/nothing"),
        (Method::DELETE, "/v1/payment_intents"),
        (Method::POST, "/v1/payment_intents"),
        (Method::POST, "/v1/payment_intents/pi_1/cancel"),
        (Method::POST, "/v1/payment_intents/pi_%FF/confirm"),
        (Method::GET, "/v1/payment_intents/search?query=status:'succeeded'"),
        (Method::GET, "/v1/refunds?limit=0"),
        (Method::GET, "/v1/refunds?starting_after=re_nobody"),
        (Method::GET, "/v1/payment_intents/pi_1?amount=%"),
    ] {
        let (status, body) = call(&stage, method.clone(), path, Some(&key), &[]).await;
        assert!(status.is_client_error(), "{method} {path}: {status}");
        assert!(body["error"]["type"].is_string(), "{method} {path}: {body}");
    }
    let huge = http()
        .post(format!("{}/v1/payment_intents", stage.world.stripe_url()))
        .bearer_auth(&key)
        .form(&[("amount", "9".repeat(100_000))])
        .send()
        .await
        .unwrap();
    assert_eq!(huge.status(), 413);
}

#[tokio::test]
async fn intents_are_listed_newest_first_by_page_and_by_the_time_of_their_making() {
    let stage = Stage::set().await;
    let key = stage.world.secrets().stripe_secret_key.clone();
    let mut made = Vec::new();
    for _ in 0..3 {
        let wish = stage.wish(1_000, "USD");
        made.push(stage.gateway.create_intent(&wish).await.unwrap().id.0);
        stage.clock.advance(TimeDelta::minutes(1));
    }
    made.reverse();
    let list = async |query: String| {
        let path = format!("/v1/payment_intents?{query}");
        let (status, body) = call(&stage, Method::GET, &path, Some(&key), &[]).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["object"], "list");
        let ids = body["data"].as_array().unwrap().iter();
        let ids: Vec<_> = ids
            .map(|intent| intent["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, body["has_more"] == true)
    };
    assert_eq!(list(String::new()).await, (made.clone(), false));
    assert_eq!(list("limit=2".into()).await, (made[..2].to_vec(), true));
    let rest = format!("limit=2&starting_after={}", made[1]);
    assert_eq!(list(rest).await, (made[2..].to_vec(), false));

    let second = start_of_time().timestamp() + 60;
    for (filter, ids) in [
        (format!("created[gte]={second}"), &made[..2]),
        (format!("created[gt]={second}"), &made[..1]),
        (format!("created[lte]={second}"), &made[1..]),
        (format!("created[lt]={second}"), &made[2..]),
        (
            format!("created[gte]={second}&created[lte]={second}"),
            &made[1..2],
        ),
        (format!("created[gt]={second}&created[lt]={second}"), &made[..0]),
    ] {
        assert_eq!(list(filter.clone()).await, (ids.to_vec(), false), "{filter}");
    }
    for (query, status) in [
        ("limit=101", 400),
        ("created[gte]=soon", 400),
        ("customer_name=x", 400),
        ("starting_after=pi_nobody", 404),
    ] {
        let path = format!("/v1/payment_intents?{query}");
        let (answered, _) = call(&stage, Method::GET, &path, Some(&key), &[]).await;
        assert_eq!(answered, status, "{query}");
    }
    let (status, _) = call(&stage, Method::GET, "/v1/payment_intents", None, &[]).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn s02_an_answer_that_is_given_again_says_so() {
    let stage = Stage::set().await;
    let line = stage.world.payments().line();
    let url = format!("{}/v1/payment_intents", stage.world.stripe_url());
    let post = async |key: &str| {
        let request = http()
            .post(&url)
            .bearer_auth(&stage.world.secrets().stripe_secret_key)
            .header("idempotency-key", key)
            .form(&[("amount", "1000"), ("currency", "usd")]);
        let answer = request.send().await.unwrap();
        let replayed = answer
            .headers()
            .get("idempotent-replayed")
            .map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), replayed)
    };
    let again = Some("true".to_owned());
    assert_eq!(post("good").await, (200, None));
    assert_eq!(post("good").await, (200, again.clone()));
    line.inject(PaymentCall::CreateIntent, Fault::ServerError, 1);
    assert_eq!(post("bad").await, (500, None));
    assert_eq!(post("bad").await, (500, again));
    // Nothing is stored of what was refused before it began.
    let refuse = Fault::Refuse {
        code: "lock_timeout".into(),
    };
    line.inject(PaymentCall::CreateIntent, refuse, 1);
    assert_eq!(post("other").await, (400, None));
    assert_eq!(post("other").await, (200, None));
}
