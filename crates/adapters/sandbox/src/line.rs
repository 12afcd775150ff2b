//! The line between POSX and one outside system: what goes wrong on it, and how many calls came over it.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::env::lock;

/// What becomes of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It takes effect; then the connection is cut before anything was answered.
    LoseAnswer,
    /// It takes effect; then a proxy answers 504 in the system's stead.
    GatewayTimeout,
    /// It has no effect; the answer is 500, and is stored under the idempotency key if there is one.
    ServerError,
    /// It has no effect; the answer is 429, and nothing is stored under the idempotency key.
    RateLimit,
    /// It has no effect; the answer is 400 with this code. Nothing is stored under the idempotency key.
    Refuse { code: String },
}

/// Switches for faults, and counters. `C` names the system's calls. A clone is a handle on the same.
#[derive(Debug, Clone)]
pub struct Line<C> {
    state: Arc<Mutex<LineState<C>>>,
}

/// What is switched and what was counted, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct LineState<C> {
    pub(crate) planned: HashMap<C, VecDeque<Fault>>,
    pub(crate) calls: HashMap<C, u64>,
    pub(crate) down: bool,
    pub(crate) latency: Duration,
}

impl<C: Copy + Eq + Hash + Debug> Line<C> {
    pub(crate) fn new() -> Self {
        let state = LineState {
            planned: HashMap::new(),
            calls: HashMap::new(),
            down: false,
            latency: Duration::ZERO,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The next `times` calls of this kind, after those that are planned already, meet this fault.
    pub fn inject(&self, call: C, fault: Fault, times: usize) {
        let mut state = lock(&self.state);
        let planned = state.planned.entry(call).or_default();
        planned.extend(std::iter::repeat_n(fault, times));
    }

    /// While down, every call is answered 503 and has no effect.
    pub fn set_down(&self, down: bool) {
        lock(&self.state).down = down;
    }

    /// Each call waits for this long, in real time, before it takes effect; also when its caller has gone.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.state).latency = latency;
    }

    /// Up, without latency, and no fault planned. The counters stay.
    pub fn repair(&self) {
        let mut state = lock(&self.state);
        state.planned.clear();
        state.down = false;
        state.latency = Duration::ZERO;
    }

    /// How many calls of this kind arrived, those that met a fault included.
    pub fn calls(&self, call: C) -> u64 {
        lock(&self.state).calls.get(&call).copied().unwrap_or_default()
    }

    pub(crate) fn planned(&self, call: C) -> usize {
        lock(&self.state).planned.get(&call).map_or(0, VecDeque::len)
    }

    pub(crate) fn state(&self) -> LineState<C> {
        lock(&self.state).clone()
    }

    /// Counts the call; false while the system is down.
    pub(crate) fn arrive(&self, call: C) -> bool {
        let mut state = lock(&self.state);
        *state.calls.entry(call).or_default() += 1;
        !state.down
    }

    /// The latency.
    pub(crate) async fn wait(&self) {
        let latency = lock(&self.state).latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }

    pub(crate) fn next_fault(&self, call: C) -> Option<Fault> {
        lock(&self.state).planned.get_mut(&call)?.pop_front()
    }
}

/// What goes back over the line.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(u16, Value),
    /// The stored answer to an earlier request, and marked as that.
    Replayed(u16, Value),
    Lost,
}

impl Answer {
    /// What the caller sees of an answer that was made, under this fault.
    pub(crate) fn through(self, fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::LoseAnswer) => Self::Lost,
            Some(Fault::GatewayTimeout) => Self::Json(504, Value::Null),
            _ => self,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Json(status, body) => (status_code(status), axum::Json(body)).into_response(),
            Self::Replayed(status, body) => {
                let replayed = [("idempotent-replayed", "true")];
                (status_code(status), replayed, axum::Json(body)).into_response()
            }
            Self::Lost => cut_connection(),
        }
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A body that fails before its first byte makes the server close the connection, so that the caller gets no answer.
fn cut_connection() -> Response {
    let cut = futures::stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    ([(header::CONTENT_LENGTH, "1")], Body::from_stream(cut)).into_response()
}
