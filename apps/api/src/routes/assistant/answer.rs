//! An answer of the assistant, whole or while it is made.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures::{StreamExt as _, stream};
use posx_assistant::{ChatError, ChatEvent, ChatEvents, MessageView};
use posx_kernel::Severity;
use serde::Serialize;
use serde_json::json;

use crate::problem::{ApiError, ChatSession};

/// So long a client waits for a status: what is refused before is refused with its own.
const STATUS_WITHIN: Duration = Duration::from_secs(5);
/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    Events,
}

impl Form {
    pub fn of(request: &HttpRequest) -> Self {
        let accept = request.headers().get(header::ACCEPT);
        let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
        if accept
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("text/event-stream")
        {
            Self::Events
        } else {
            Self::Json
        }
    }
}

/// What a visitor gets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StorefrontAnswer {
    /// When one was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<ChatSession>,
    pub message: MessageView,
}

pub async fn whole(mut events: ChatEvents) -> Result<MessageView, ApiError> {
    while let Some(event) = events.next().await {
        if let ChatEvent::Done(view) = event? {
            return Ok(view);
        }
    }
    Err(ChatError::NoAnswer.into())
}

/// Begins with the first piece: until then a refusal has its own status.
pub async fn streamed(
    mut events: ChatEvents,
    session: Option<ChatSession>,
) -> Result<HttpResponse, ApiError> {
    let first = match tokio::time::timeout(STATUS_WITHIN, events.next()).await {
        Ok(first) => Some(first.ok_or(ChatError::NoAnswer)??),
        Err(_) => None,
    };
    let begun = session.map(|session| written("session", &session));
    let head = begun.into_iter().chain(first.as_ref().map(said));
    let rest = stream::unfold(Some(events), |left| async move {
        let mut events = left?;
        Some(match tokio::time::timeout(HEARTBEAT, events.next()).await {
            Err(_) => (Bytes::from_static(b": still there\n\n"), Some(events)),
            Ok(Some(Ok(event))) => (said(&event), Some(events)),
            Ok(Some(Err(error))) => (failed(&error.into()), None),
            Ok(None) => return None,
        })
    });
    let parts = stream::iter(head).chain(rest).map(Ok::<_, Infallible>);
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        // Neither is it packed here nor kept back by a proxy: each piece goes out as it comes.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("x-accel-buffering", "no"))
        .insert_header((header::VARY, "accept"))
        .streaming(parts))
}

fn said(event: &ChatEvent) -> Bytes {
    match event {
        ChatEvent::Text(text) => written("delta", &json!({ "text": text })),
        ChatEvent::Citation(citation) => written("citation", citation),
        ChatEvent::Done(view) => written("done", view),
    }
}

fn failed(error: &ApiError) -> Bytes {
    if error.severity() != Severity::Refusal {
        tracing::warn!(code = error.code(), error = %error.chain(), "an answer of the assistant broke off");
    }
    written(
        "error",
        &json!({ "code": error.code(), "status": error.status().as_u16() }),
    )
}

/// JSON has no line break of its own: one line of data.
fn written(event: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {event}\ndata: {data}\n\n").into()
}
