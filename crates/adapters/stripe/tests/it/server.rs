//! A server in the shape of Stripe's API, for tests: it notes every request, gives the answers that a test has laid out
//! for it, and for the rest keeps a book of payments.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use posx_kernel::{Clock as _, ManualClock};
use serde_json::Value;

use crate::book::Book;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
    pub headers: HeaderMap,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }

    pub fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.query.iter().chain(&self.form);
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What the next request of a method gets instead of the book's answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Without an effect, and not stored under the key.
    Json(u16, Value),
    Headed(u16, Vec<(&'static str, &'static str)>, Value),
    Raw(u16, Vec<u8>),
    /// Without an effect; stored under the key, as Stripe stores a failure once the work has begun.
    Stored500,
    /// It takes effect, and what is stored is a failure all the same.
    Stored500AfterEffect,
    /// It takes effect, and the connection is cut.
    Lost,
    /// It takes effect, and the answer comes too late.
    Late(Duration),
}

struct Inner {
    book: Book,
    replies: Vec<(Method, VecDeque<Reply>)>,
    always: Option<Reply>,
    seen: Vec<Seen>,
}

#[derive(Clone)]
pub struct Server {
    address: String,
    pub clock: Arc<ManualClock>,
    inner: Arc<Mutex<Inner>>,
}

impl Server {
    pub async fn start() -> Self {
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        let inner = Inner {
            book: Book::default(),
            replies: vec![(Method::GET, VecDeque::new()), (Method::POST, VecDeque::new())],
            always: None,
            seen: Vec::new(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            clock: Arc::new(ManualClock::stopped_at(now)),
            inner: Arc::new(Mutex::new(inner)),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request of this method gets it; several wait in line.
    pub fn reply(&self, method: &Method, reply: Reply) {
        let mut inner = self.inner();
        let line = inner.replies.iter_mut().find(|(known, _)| known == method);
        line.unwrap().1.push_back(reply);
    }

    /// Every request gets it, from now on.
    pub fn always(&self, reply: Reply) {
        self.inner().always = Some(reply);
    }

    pub fn book<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.inner().book)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner().seen.clone()
    }

    pub fn posts(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::is_post).collect()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, seen: Seen) -> (Option<Reply>, Answered) {
        let now = self.clock.now();
        let mut inner = self.inner();
        let line = inner
            .replies
            .iter_mut()
            .find(|(method, _)| *method == seen.method);
        let reply = line
            .and_then(|(_, line)| line.pop_front())
            .or(inner.always.clone());
        let answered = match &reply {
            Some(Reply::Json(..) | Reply::Headed(..) | Reply::Raw(..)) => Answered::default(),
            Some(Reply::Stored500) => inner.book.fail(&seen, now, false),
            Some(Reply::Stored500AfterEffect) => inner.book.fail(&seen, now, true),
            _ => inner.book.answer(&seen, now),
        };
        inner.seen.push(seen);
        (reply, answered)
    }
}

/// What the book says.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    pub status: u16,
    pub body: Value,
    pub replayed: bool,
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let replayed = if self.replayed { "true" } else { "false" };
        let headers = [("idempotent-replayed", replayed), ("request-id", "req_1")];
        (status(self.status), headers, axum::Json(self.body)).into_response()
    }
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let seen = Seen {
        method,
        path: uri.path().to_owned(),
        query: pairs(uri.query().unwrap_or_default().as_bytes()),
        form: pairs(&body),
        headers,
    };
    let (reply, answered) = server.take(seen);
    match reply {
        Some(Reply::Json(code, body)) => (status(code), axum::Json(body)).into_response(),
        Some(Reply::Headed(code, headers, body)) => {
            let mut response = (status(code), axum::Json(body)).into_response();
            let headers = headers
                .into_iter()
                .map(|(name, value)| (name, value.parse().unwrap()));
            headers.for_each(|(name, value)| drop(response.headers_mut().insert(name, value)));
            response
        }
        Some(Reply::Raw(code, body)) => (status(code), body).into_response(),
        Some(Reply::Lost) => cut(),
        Some(Reply::Late(pause)) => {
            tokio::time::sleep(pause).await;
            answered.into_response()
        }
        Some(Reply::Stored500 | Reply::Stored500AfterEffect) | None => answered.into_response(),
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    let url = format!("http://x/?{}", String::from_utf8(encoded.to_vec()).unwrap());
    let url = reqwest::Url::parse(&url).unwrap();
    url.query_pairs().into_owned().collect()
}

/// A body that fails before its first byte makes the server close the connection.
fn cut() -> Response {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
    let body = Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(broken) }));
    ([("content-length", "1")], body).into_response()
}
