//! `POST /chat/completions`.

use std::collections::VecDeque;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Json, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures::stream;
use serde_json::{Value, json};

use super::answer::{Answer, Request};
use super::{LanguageModels, ModelsCall};
use crate::line::Fault;

/// Images are sent within the body.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
const CALL: ModelsCall = ModelsCall::Completion;

pub(crate) fn router(models: LanguageModels) -> Router {
    Router::new()
        .route("/chat/completions", post(complete))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(models)
}

async fn complete(
    State(models): State<LanguageModels>,
    request: Result<Json<Request>, JsonRejection>,
) -> Response {
    let line = &models.inner.line;
    if !line.arrive(CALL) {
        return refusal(503, "server_error", "service_unavailable");
    }
    line.wait().await;
    let fault = line.next_fault(CALL);
    match &fault {
        Some(Fault::ServerError) => return refusal(500, "server_error", "internal_error"),
        Some(Fault::RateLimit) => {
            let limited = refusal(429, "requests", "rate_limit_exceeded");
            return ([(header::RETRY_AFTER, "1")], limited).into_response();
        }
        // As OpenAI says it: not a limit that passes.
        Some(Fault::Refuse { code }) if code == "insufficient_quota" => return refusal(429, code, code),
        Some(Fault::Refuse { code }) => return refusal(400, "invalid_request_error", code),
        Some(Fault::GatewayTimeout) => return StatusCode::GATEWAY_TIMEOUT.into_response(),
        Some(Fault::LoseAnswer) | None => {}
    }
    let Ok(Json(request)) = request else {
        return refusal(400, "invalid_request_error", "invalid_body");
    };
    let answer = request.answer();
    tokio::time::sleep(answer.wait).await;
    let id = format!("chatcmpl-{}", models.inner.env.uuid().simple());
    if request.stream {
        streamed(&id, &request.model, &answer, fault.is_some())
    } else {
        whole(&id, &request.model, &answer)
    }
}

fn refusal(status: u16, kind: &str, code: &str) -> Response {
    let body =
        json!({ "error": { "message": "The sandbox refuses.", "type": kind, "param": null, "code": code } });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

fn whole(id: &str, model: &str, answer: &Answer) -> Response {
    let text: String = answer
        .deltas
        .iter()
        .filter_map(|delta| delta["content"].as_str())
        .collect();
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": answer.finish });
    Json(json!({ "id": id, "object": "chat.completion", "model": model, "choices": [choice], "usage": answer.usage }))
        .into_response()
}

/// One event for each word, the usage in one of its own behind the end, then `[DONE]`.
fn streamed(id: &str, model: &str, answer: &Answer, breaks_off: bool) -> Response {
    let chunk = |choices: Value, usage: &Value| {
        let chunk = json!({ "id": id, "object": "chat.completion.chunk", "model": model, "choices": choices, "usage": usage });
        event(&chunk.to_string())
    };
    let delta =
        |delta: &Value, finish: Value| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    let nothing = Value::Null;
    let role = chunk(
        delta(&json!({ "role": "assistant", "content": "" }), Value::Null),
        &nothing,
    );
    let words = answer
        .deltas
        .iter()
        .map(|word| chunk(delta(word, Value::Null), &nothing));
    let mut events: VecDeque<_> = [role].into_iter().chain(words).map(Ok).collect();
    if breaks_off {
        events.truncate(events.len().div_ceil(2));
        events.push_back(Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)));
    } else {
        events.push_back(Ok(chunk(delta(&json!({}), json!(answer.finish)), &nothing)));
        if let Some(usage) = &answer.usage {
            events.push_back(Ok(chunk(json!([]), usage)));
        }
        events.push_back(Ok(event("[DONE]")));
    }
    // Each is sent by itself.
    let body = stream::unfold(events, |mut events| async {
        let next = events.pop_front()?;
        tokio::task::yield_now().await;
        Some((next, events))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(body),
    )
        .into_response()
}

fn event(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}
