use std::sync::Arc;

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use posx_kernel::Randomness;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, IdPath, Succeeded, id, within};
use super::error::PanelError;
use super::{line, notices};
use crate::payments::{ApiError, EVENT_KINDS, PaymentIntent, Payments, RefundStatus, SandboxRefund};

/// The newest intents and refunds are shown, so many.
const SHOWN_MAX: usize = 100;
const CARDS_MAX: usize = 1_000;
const DECLINED: u16 = 402;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declines {
    cards: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    payment_method: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receive {
    amount_minor: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refunds {
    stay_pending: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleRefund {
    status: RefundStatus,
}

type Shown = Result<Json<Value>, PanelError>;

pub(super) fn router(payments: &Payments, randomness: &Arc<dyn Randomness>) -> Router {
    Router::new()
        .route("/declines", post(decline))
        .route("/intents/{id}/confirm", post(confirm))
        .route("/intents/{id}/complete_action", post(complete_action))
        .route("/intents/{id}/settle", post(settle))
        .route("/intents/{id}/receive", post(receive))
        .route("/refunds", put(refunds))
        .route("/refunds/{id}/settle", post(settle_refund))
        .with_state(payments.clone())
        .merge(line::router(payments.line().clone()))
        .merge(notices::router(payments.webhooks(), &EVENT_KINDS, randomness))
}

pub(super) fn show(payments: &Payments) -> Value {
    let mut intents = payments.intents();
    intents.sort_by_key(|intent| std::cmp::Reverse(intent.created));
    let refunds = payments.refunds();
    json!({
        "line": line::show(payments.line()),
        "declines": payments.declines(),
        "refunds_stay_pending": payments.refunds_stay_pending(),
        "deliveries": notices::show_deliveries(payments.webhooks()),
        "notices": notices::show_notices(payments.webhooks()),
        "intents": intents.iter().take(SHOWN_MAX).map(show_intent).collect::<Vec<_>>(),
        "refunds": refunds.iter().rev().take(SHOWN_MAX).map(show_refund).collect::<Vec<_>>(),
    })
}

/// Without its client secret.
fn show_intent(intent: &PaymentIntent) -> Value {
    json!({
        "id": intent.id,
        "status": intent.status.as_str(),
        "amount": intent.amount,
        "received": intent.received,
        "last_error": intent.last_error.map(|error| error.code),
        "created": intent.created,
        "metadata": intent.metadata,
    })
}

fn show_refund(refund: &SandboxRefund) -> Value {
    json!({
        "id": refund.id,
        "intent": refund.intent,
        "status": refund.status.as_str(),
        "amount": refund.amount,
    })
}

async fn decline(State(payments): State<Payments>, Body(Declines { cards }): Body<Declines>) -> Shown {
    payments.decline_next(within("cards", cards, 0..=CARDS_MAX)?);
    Ok(Json(json!({ "declines": cards })))
}

async fn confirm(State(payments): State<Payments>, intent: IdPath, Body(body): Body<Confirm>) -> Shown {
    if !Payments::knows_method(&body.payment_method) {
        let message = "it is one of the test methods, as pm_card_visa";
        return Err(PanelError::field("payment_method", message));
    }
    on_intent(&payments, intent, |id| payments.confirm(id, &body.payment_method))
}

async fn complete_action(
    State(payments): State<Payments>,
    intent: IdPath,
    Body(Succeeded { succeeded }): Body<Succeeded>,
) -> Shown {
    on_intent(&payments, intent, |id| payments.complete_action(id, succeeded))
}

async fn settle(
    State(payments): State<Payments>,
    intent: IdPath,
    Body(Succeeded { succeeded }): Body<Succeeded>,
) -> Shown {
    on_intent(&payments, intent, |id| payments.settle(id, succeeded))
}

async fn receive(State(payments): State<Payments>, intent: IdPath, Body(body): Body<Receive>) -> Shown {
    let minor = within("amount_minor", body.amount_minor, 1..=i64::MAX)?;
    on_intent(&payments, intent, |id| payments.receive(id, minor))
}

async fn refunds(State(payments): State<Payments>, Body(Refunds { stay_pending }): Body<Refunds>) -> Shown {
    payments.keep_refunds_pending(stay_pending);
    Ok(Json(json!({ "refunds_stay_pending": stay_pending })))
}

async fn settle_refund(
    State(payments): State<Payments>,
    refund: IdPath,
    Body(SettleRefund { status }): Body<SettleRefund>,
) -> Shown {
    let refund = id(refund)?;
    payments
        .settle_refund(&refund, status)
        .map_err(|_| PanelError::NotFound { what: "refund" })?;
    Ok(Json(json!({ "id": refund, "status": status.as_str() })))
}

/// A decline is no failure of the panel: the intent says why.
fn on_intent(
    payments: &Payments,
    path: IdPath,
    act: impl FnOnce(&str) -> Result<PaymentIntent, ApiError>,
) -> Shown {
    let id = id(path)?;
    let outcome = act(&id);
    let intent = payments
        .intent(&id)
        .ok_or(PanelError::NotFound { what: "intent" })?;
    match outcome {
        Err(error) if error.status != DECLINED => Err(error.into()),
        _ => Ok(Json(show_intent(&intent))),
    }
}
