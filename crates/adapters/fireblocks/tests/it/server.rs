//! A server that notes every request and gives the answers that a test has laid out for it, one after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    /// Path and query.
    pub uri: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn key(&self) -> &str {
        self.header("idempotency-key").unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug, Clone)]
pub enum Reply {
    Json(u16, Value),
    Headed(u16, &'static str, &'static str),
    Raw(u16, Vec<u8>),
    /// The connection is cut.
    Cut,
    Late(Duration),
}

pub fn refused(status: u16, code: i64) -> Reply {
    Reply::Json(status, json!({ "message": "no", "code": code }))
}

pub fn key_spent() -> Reply {
    let message =
        "This operation doesn't support the usage of the same idempotency key after an internal error";
    Reply::Json(400, json!({ "message": message, "code": 4001 }))
}

#[derive(Clone)]
pub struct Server {
    address: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    replies: VecDeque<Reply>,
    seen: Vec<Seen>,
}

impl Server {
    pub async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner {
            replies: replies.into_iter().collect(),
            seen: Vec::new(),
        };
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            inner: Arc::new(Mutex::new(inner)),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner().seen.clone()
    }

    /// Methods and addresses.
    pub fn asked(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter()
            .map(|seen| format!("{} {}", seen.method, seen.uri))
            .collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, seen: Seen) -> Option<Reply> {
        let mut inner = self.inner();
        inner.seen.push(seen);
        inner.replies.pop_front()
    }
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let uri = uri.to_string();
    let status = |status| StatusCode::from_u16(status).unwrap();
    match server.next(Seen {
        method,
        uri,
        headers,
        body,
    }) {
        Some(Reply::Json(code, body)) => (status(code), axum::Json(body)).into_response(),
        Some(Reply::Headed(code, name, value)) => (status(code), [(name, value)]).into_response(),
        Some(Reply::Raw(code, body)) => (status(code), body).into_response(),
        Some(Reply::Cut) => {
            let cut = async { Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)) };
            let body = Body::from_stream(futures::stream::once(cut));
            ([("content-length", "1")], body).into_response()
        }
        Some(Reply::Late(late)) => {
            tokio::time::sleep(late).await;
            StatusCode::OK.into_response()
        }
        // A request that no test expects.
        None => StatusCode::IM_A_TEAPOT.into_response(),
    }
}
