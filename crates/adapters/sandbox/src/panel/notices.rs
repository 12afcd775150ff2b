//! How a provider's notices are delivered: twice, late, in another order, again, or not at all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use posx_kernel::Randomness;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, IdPath, Nothing, id, within};
use super::error::PanelError;
use crate::webhooks::{Delivery, DeliveryPlan, Notice, Webhooks};

/// The newest notices and their deliveries are shown, so many.
const SHOWN_MAX: usize = 100;
const COPIES_MAX: u32 = 100;
const DELAY_MS_MAX: u64 = 600_000;

/// What the calls of one provider work on.
#[derive(Clone)]
struct Desk {
    webhooks: Webhooks,
    kinds: &'static [&'static str],
    randomness: Arc<dyn Randomness>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPlan {
    #[serde(default = "one")]
    copies: u32,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    last: HashSet<String>,
    #[serde(default)]
    dropped: HashSet<String>,
}

const fn one() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    order: Order,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    AsIs,
    Reversed,
    Shuffled,
}

pub(super) fn router(
    webhooks: &Webhooks,
    kinds: &'static [&'static str],
    randomness: &Arc<dyn Randomness>,
) -> Router {
    Router::new()
        .route("/deliveries", put(plan))
        .route("/hold", post(hold))
        .route("/release", post(release))
        .route("/notices/{id}/resend", post(resend))
        .with_state(Desk {
            webhooks: webhooks.clone(),
            kinds,
            randomness: Arc::clone(randomness),
        })
}

/// The switches, without what happened.
pub(super) fn show_deliveries(webhooks: &Webhooks) -> Value {
    let plan = webhooks.current_plan();
    json!({
        "to": webhooks.address(),
        "copies": plan.copies,
        "delay_ms": plan.delay.as_millis(),
        "last": plan.last,
        "dropped": plan.dropped,
        "holding": webhooks.is_holding(),
        "held": webhooks.held().iter().map(brief).collect::<Vec<_>>(),
    })
}

/// Newest first, each with every try to deliver it.
pub(super) fn show_notices(webhooks: &Webhooks) -> Value {
    let mut tries: HashMap<String, Vec<Value>> = HashMap::new();
    for delivery in webhooks.deliveries() {
        let Delivery {
            notice,
            at,
            attempt,
            outcome,
            ..
        } = delivery;
        let shown = json!({ "at": at, "attempt": attempt, "outcome": outcome });
        tries.entry(notice).or_default().push(shown);
    }
    let newest = webhooks.notices().into_iter().rev().take(SHOWN_MAX);
    newest
        .map(|notice| {
            let mut shown = brief(&notice);
            shown["tries"] = tries.remove(&notice.id).unwrap_or_default().into();
            shown
        })
        .collect()
}

fn brief(notice: &Notice) -> Value {
    json!({ "id": notice.id, "kind": notice.kind, "resource": notice.resource })
}

async fn plan(State(desk): State<Desk>, Body(plan): Body<NewPlan>) -> Result<Json<Value>, PanelError> {
    let plan = DeliveryPlan {
        copies: within("copies", plan.copies, 1..=COPIES_MAX)?,
        delay: Duration::from_millis(within("delay_ms", plan.delay_ms, 0..=DELAY_MS_MAX)?),
        last: desk.known("last", plan.last)?,
        dropped: desk.known("dropped", plan.dropped)?,
    };
    desk.webhooks.plan(plan);
    Ok(Json(show_deliveries(&desk.webhooks)))
}

async fn hold(State(desk): State<Desk>, Body(Nothing {}): Body<Nothing>) -> Json<Value> {
    desk.webhooks.hold();
    Json(show_deliveries(&desk.webhooks))
}

async fn release(State(desk): State<Desk>, Body(release): Body<Release>) -> Result<Json<Value>, PanelError> {
    if desk.webhooks.address().is_none() {
        return Err(nobody_listens());
    }
    desk.webhooks.release(|mut held| {
        match release.order {
            Order::AsIs => {}
            Order::Reversed => held.reverse(),
            Order::Shuffled => shuffle(&mut held, desk.randomness.as_ref()),
        }
        held
    });
    Ok(Json(show_deliveries(&desk.webhooks)))
}

async fn resend(
    State(desk): State<Desk>,
    notice: IdPath,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Value>, PanelError> {
    let notice = id(notice)?;
    if desk.webhooks.address().is_none() {
        return Err(nobody_listens());
    }
    if desk.webhooks.resend(&notice) {
        Ok(Json(json!({ "resent": notice })))
    } else {
        Err(PanelError::NotFound { what: "notice" })
    }
}

fn nobody_listens() -> PanelError {
    PanelError::Conflict("nobody has said yet where this provider's notices go".to_owned())
}

impl Desk {
    /// In a stable order. A kind that never happens is a slip.
    fn known(&self, field: &str, kinds: HashSet<String>) -> Result<Vec<String>, PanelError> {
        if kinds.iter().any(|kind| !self.kinds.contains(&kind.as_str())) {
            let message = format!("the kinds are {}", self.kinds.join(", "));
            return Err(PanelError::field(field, message));
        }
        let mut kinds = Vec::from_iter(kinds);
        kinds.sort_unstable();
        Ok(kinds)
    }
}

/// Fisher and Yates. Not quite uniform, which disorder can bear.
fn shuffle(notices: &mut [Notice], randomness: &dyn Randomness) {
    for last in (1..notices.len()).rev() {
        let mut bytes = [0; 4];
        randomness.fill(&mut bytes);
        let drawn = u32::from_le_bytes(bytes) as usize % (last + 1);
        notices.swap(last, drawn);
    }
}
