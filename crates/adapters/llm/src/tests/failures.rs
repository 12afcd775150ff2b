//! What a provider's refusals and silences mean.

use chrono::TimeDelta;

use super::*;

const KIND: ProviderKind = ProviderKind::OpenAi;
const PROMPT: &str = "the-prompt-that-nobody-logs";

type Wanted = fn(&ModelError) -> bool;

async fn refused(sent: Sent) -> ModelError {
    let mut call = call();
    call.messages = vec![Message::User(vec![Part::Text(PROMPT.to_owned())])];
    let (_, outcome) = ask(KIND, &call, sent).await;
    let error = outcome.map(|_| ()).unwrap_err();
    assert_shows_nothing(&error);
    error
}

fn assert_shows_nothing(error: &ModelError) {
    let mut shown = format!("{error:?} {error}");
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        shown = format!("{shown} {cause} {cause:?}");
        next = cause.source();
    }
    assert!(!shown.contains(KEY) && !shown.contains(PROMPT), "{shown}");
}

fn body(kind: &str, code: &Value, message: &str) -> Value {
    json!({ "error": { "message": format!("{message} {PROMPT}"), "type": kind, "param": null, "code": code } })
}

fn of_accounts_and_limits() -> Vec<(u16, Value, Wanted)> {
    let none = Value::Null;
    vec![
        (
            401,
            body(
                "invalid_request_error",
                &json!("invalid_api_key"),
                "Incorrect API key",
            ),
            |error| matches!(error, ModelError::NotAuthorized),
        ),
        (403, body("permission_error", &none, "No"), |error| {
            matches!(error, ModelError::NotAuthorized)
        }),
        (402, body("billing_error", &none, "Pay"), |error| {
            matches!(error, ModelError::OutOfCredit)
        }),
        (
            429,
            body(
                "insufficient_quota",
                &json!("insufficient_quota"),
                "You exceeded your current quota",
            ),
            |error| matches!(error, ModelError::OutOfCredit),
        ),
        (
            429,
            body("requests", &json!("rate_limit_exceeded"), "Rate limit"),
            |error| matches!(error, ModelError::RateLimited { retry_after: None }),
        ),
        (
            400,
            body(
                "invalid_request_error",
                &none,
                "Your credit balance is too low to access the API",
            ),
            |error| matches!(error, ModelError::OutOfCredit),
        ),
    ]
}

fn of_what_was_asked() -> Vec<(u16, Value, Wanted)> {
    let none = Value::Null;
    vec![
        (
            404,
            body(
                "invalid_request_error",
                &json!("model_not_found"),
                "No such model",
            ),
            |error| matches!(error, ModelError::UnknownModel),
        ),
        (
            400,
            body(
                "invalid_request_error",
                &json!("context_length_exceeded"),
                "Too long",
            ),
            |error| matches!(error, ModelError::TooLong),
        ),
        (
            400,
            body(
                "invalid_request_error",
                &none,
                "prompt is too long: 210000 tokens > 200000 maximum",
            ),
            |error| matches!(error, ModelError::TooLong),
        ),
        (
            400,
            body(
                "BadRequestError",
                &json!(400),
                "This model's maximum context length is 4096 tokens",
            ),
            |error| matches!(error, ModelError::TooLong),
        ),
        (413, body("request_too_large", &none, "Too large"), |error| {
            matches!(error, ModelError::TooLong)
        }),
        (500, body("server_error", &none, "Oops"), |error| {
            matches!(error, ModelError::Unavailable(_))
        }),
        (503, json!("no JSON object"), |error| {
            matches!(error, ModelError::Unavailable(_))
        }),
        (529, body("overloaded_error", &none, "Overloaded"), |error| {
            matches!(error, ModelError::Unavailable(_))
        }),
        // A 4xx, though of time: 429, 5xx and the transport alone are tried again.
        (408, json!({}), |error| {
            matches!(error, ModelError::Refused { code } if code == "http_408") && !error.may_pass()
        }),
        (
            400,
            body("invalid_request_error", &json!("invalid_value"), "Bad"),
            |error| matches!(error, ModelError::Refused { code } if code == "invalid_value"),
        ),
        (
            302,
            json!({}),
            |error| matches!(error, ModelError::Refused { code } if code == "http_302"),
        ),
    ]
}

#[tokio::test]
async fn each_refusal_is_known_by_its_status_and_its_code() {
    for (status, body, wanted) in of_accounts_and_limits().into_iter().chain(of_what_was_asked()) {
        let error = refused(Sent::refusal(status, &body)).await;
        assert!(wanted(&error), "{status} {body}: {error:?}");
    }
}

#[tokio::test]
async fn a_code_that_is_a_sentence_is_not_shown() {
    let error = refused(Sent::refusal(
        400,
        &body("a sentence", &json!(format!("about {PROMPT}")), ""),
    ))
    .await;
    assert!(matches!(error, ModelError::Refused { code } if code == "http_400"));
}

#[tokio::test]
async fn the_wait_that_is_asked_for_is_read() {
    let limited = |name, value| {
        let sent =
            Sent::refusal(429, &body("requests", &json!("rate_limit_exceeded"), "Slow")).header(name, value);
        async move {
            match refused(sent).await {
                ModelError::RateLimited { retry_after } => retry_after,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(limited("retry-after", "7").await, Some(TimeDelta::seconds(7)));
    assert_eq!(
        limited("retry-after-ms", "1250").await,
        Some(TimeDelta::milliseconds(1_250))
    );
    let overloaded = Sent::refusal(503, &json!({})).header("retry-after", "2");
    assert!(matches!(
        refused(overloaded).await,
        ModelError::Overloaded { retry_after: wait } if wait == TimeDelta::seconds(2)
    ));
    for nonsense in ["soon", "-1", "1e30", "NaN", "Wed, 21 Oct 2026 07:28:00 GMT"] {
        assert_eq!(limited("retry-after", nonsense).await, None, "{nonsense}");
    }
}

#[tokio::test]
async fn silence_before_the_first_word_is_told_apart_from_silence_after_it() {
    let silent = Sent::text(200, ": ping\n\n").and(Piece::Wait(Duration::from_secs(5)));
    assert!(matches!(refused(silent).await, ModelError::TimedOut));
    let late = Sent {
        pieces: vec![Piece::Wait(Duration::from_secs(5))],
        ..Sent::text(200, "")
    };
    assert!(matches!(refused(late).await, ModelError::TimedOut));
    let word = json!({ "choices": [{ "delta": { "content": "Hal" } }] });
    let (_, outcome) = ask(
        KIND,
        &call(),
        Sent::events(&[word]).and(Piece::Wait(Duration::from_secs(5))),
    )
    .await;
    let (events, failed) = outcome.unwrap();
    assert_eq!(events, [ModelEvent::Text("Hal".to_owned())]);
    assert!(matches!(failed, Some(ModelError::Broken(_))));
}

#[tokio::test]
async fn a_stream_that_had_begun_is_not_tried_again_whenever_it_is_cut() {
    let ping = Sent::text(200, ": ping\n\n");
    let error = refused(ping.and(Piece::Wait(Duration::from_millis(100))).and(Piece::Cut)).await;
    assert!(
        matches!(error, ModelError::Broken(_)) && !error.may_pass(),
        "it may have been billed: {error:?}"
    );
    let word = json!({ "choices": [{ "delta": { "content": "Hal" } }] });
    let (_, outcome) = ask(
        KIND,
        &call(),
        Sent::events(std::slice::from_ref(&word))
            .and(Piece::Wait(Duration::from_millis(100)))
            .and(Piece::Cut),
    )
    .await;
    let (events, failed) = outcome.unwrap();
    assert_eq!(events.len(), 1);
    assert!(matches!(failed, Some(ModelError::Broken(_))));
    // It ends well, but not with its end.
    let (_, outcome) = ask(KIND, &call(), Sent::events(&[word]).done()).await;
    assert!(matches!(outcome.unwrap().1, Some(ModelError::Broken(_))));
}

#[tokio::test]
async fn an_answer_without_a_word_that_is_too_large_is_not_tried_again() {
    let comments = Piece::Bytes(format!(": {}\n\n", "x".repeat(1024 * 1024)));
    let sent = (0..33).fold(Sent::text(200, ""), |sent, _| sent.and(comments.clone()));
    let (_, base) = Provider::start([sent]).await;
    let patient = HttpModels::new(Patience::default()).unwrap();
    let opened = patient.open(&endpoint(KIND, &base), &call()).await;
    let error = opened.map(drop).unwrap_err();
    assert!(
        matches!(error, ModelError::Broken(_)) && !error.may_pass(),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_is_not_of_the_protocol_is_not_tried_again() {
    for sent in [
        "data: {\"choices\": 7}\n\n",
        "data: no JSON\n\n",
        "{\"choices\": []}",
        "",
    ] {
        let error = refused(Sent::text(200, sent)).await;
        assert!(
            matches!(error, ModelError::Broken(_)) && !error.may_pass(),
            "{sent}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_error_in_the_stream_is_known_by_its_code() {
    let quota = json!({ "error": { "code": "insufficient_quota", "message": PROMPT } });
    assert!(matches!(
        refused(Sent::events(&[quota])).await,
        ModelError::OutOfCredit
    ));
    let other = json!({ "error": { "type": "server_error", "message": PROMPT } });
    let other = refused(Sent::events(&[other])).await;
    assert!(
        matches!(other, ModelError::Broken(_)) && !other.may_pass(),
        "{other:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_an_odd_key_is_none() {
    let closed = endpoint(KIND, "http://127.0.0.1:9");
    let error = models().open(&closed, &call()).await.map(drop).unwrap_err();
    assert!(matches!(error, ModelError::Unavailable(_)), "{error:?}");
    assert_shows_nothing(&error);
    let odd = Endpoint {
        key: Some(SecretString::from("line\nbreak".to_owned())),
        ..closed
    };
    assert!(matches!(
        models().open(&odd, &call()).await.map(drop),
        Err(ModelError::NotAuthorized)
    ));
}

#[tokio::test]
async fn an_address_without_tls_is_not_called_as_a_remote_one() {
    // `https` to a server that speaks http: the connection fails, and nothing is sent in the clear.
    let (provider, base) = Provider::start([Sent::text(200, "")]).await;
    let tls = endpoint(KIND, &base.replace("http://", "https://"));
    let error = models().open(&tls, &call()).await.map(drop).unwrap_err();
    assert!(matches!(error, ModelError::Unavailable(_)), "{error:?}");
    assert!(provider.asked().is_empty());
}
