//! Faults of single calls, latency, and whole outages: the same for every system.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::{Body, within};
use super::error::PanelError;
use crate::custodian::CustodyCall;
use crate::issuer::IssuerCall;
use crate::line::{Fault, Line};
use crate::models::ModelsCall;
use crate::payments::PaymentCall;

const PLANNED_MAX: usize = 1_000;
const LATENCY_MS_MAX: u64 = 60_000;
const CODE_CHARACTERS_MAX: usize = 64;

/// A system's calls, by the names that they have here.
pub(super) trait Call:
    Copy + Eq + Hash + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Whether the system's refusals can bear this code.
    fn is_code(code: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (1..=CODE_CHARACTERS_MAX).contains(&code.len()) && code.bytes().all(plain)
    }
}

impl Call for PaymentCall {}

impl Call for IssuerCall {}

impl Call for ModelsCall {}

impl Call for CustodyCall {
    fn is_code(code: &str) -> bool {
        code.parse::<i64>().is_ok()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FaultWord {
    LoseAnswer,
    GatewayTimeout,
    ServerError,
    RateLimit,
    /// With this code.
    Refuse(String),
}

impl From<FaultWord> for Fault {
    fn from(word: FaultWord) -> Self {
        match word {
            FaultWord::LoseAnswer => Self::LoseAnswer,
            FaultWord::GatewayTimeout => Self::GatewayTimeout,
            FaultWord::ServerError => Self::ServerError,
            FaultWord::RateLimit => Self::RateLimit,
            FaultWord::Refuse(code) => Self::Refuse { code },
        }
    }
}

impl From<Fault> for FaultWord {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::LoseAnswer => Self::LoseAnswer,
            Fault::GatewayTimeout => Self::GatewayTimeout,
            Fault::ServerError => Self::ServerError,
            Fault::RateLimit => Self::RateLimit,
            Fault::Refuse { code } => Self::Refuse(code),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault<C> {
    call: C,
    fault: FaultWord,
    #[serde(default = "once")]
    times: usize,
}

const fn once() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switches {
    #[serde(default)]
    down: bool,
    #[serde(default)]
    latency_ms: u64,
}

pub(super) fn router<C: Call>(line: Line<C>) -> Router {
    Router::new()
        .route("/faults", post(plan::<C>))
        .route("/line", put(switch::<C>))
        .with_state(line)
}

pub(super) fn show<C: Call>(line: &Line<C>) -> Value {
    let state = line.state();
    let faults: HashMap<C, Vec<FaultWord>> = state
        .planned
        .into_iter()
        .filter(|(_, planned)| !planned.is_empty())
        .map(|(call, planned)| (call, planned.into_iter().map(FaultWord::from).collect()))
        .collect();
    json!({
        "down": state.down,
        "latency_ms": state.latency.as_millis(),
        "faults": faults,
        "calls": state.calls,
    })
}

async fn plan<C: Call>(
    State(line): State<Line<C>>,
    Body(NewFault { call, fault, times }): Body<NewFault<C>>,
) -> Result<Json<Value>, PanelError> {
    within("times", times, 1..=PLANNED_MAX)?;
    if let FaultWord::Refuse(code) = &fault
        && !C::is_code(code)
    {
        return Err(PanelError::field(
            "fault.refuse",
            "this system has no such code: payments, the issuer and the models use a-z, 0-9 and _, the custodian a number",
        ));
    }
    let planned = line.planned(call);
    if planned + times > PLANNED_MAX {
        let message = format!("{planned} faults are planned for this call, of at most {PLANNED_MAX}");
        return Err(PanelError::field("times", message));
    }
    line.inject(call, fault.into(), times);
    Ok(Json(show(&line)))
}

async fn switch<C: Call>(
    State(line): State<Line<C>>,
    Body(Switches { down, latency_ms }): Body<Switches>,
) -> Result<Json<Value>, PanelError> {
    within("latency_ms", latency_ms, 0..=LATENCY_MS_MAX)?;
    line.set_latency(Duration::from_millis(latency_ms));
    line.set_down(down);
    Ok(Json(show(&line)))
}
