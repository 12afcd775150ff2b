use std::sync::Arc;

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use posx_kernel::{Randomness, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, IdPath, Succeeded, id, within};
use super::error::PanelError;
use super::{line, notices};
use crate::payments::{
    ApiError, ConnectAccount, ConnectTransfer, DisputeStatus, EVENT_KINDS, PaymentIntent, Payments,
    RefundStatus, SandboxDispute, SandboxRefund,
};

/// The newest intents and refunds are shown, so many.
const SHOWN_MAX: usize = 100;
const CARDS_MAX: usize = 1_000;
const FEE_MINOR_MAX: i64 = 1_000_000;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// All that is there if absent.
    amount_minor: Option<i64>,
}

impl Part {
    fn checked(&self) -> Result<Option<i64>, PanelError> {
        let minor = self.amount_minor;
        minor
            .map(|minor| within("amount_minor", minor, 1..=i64::MAX))
            .transpose()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenDispute {
    status: DisputeStatus,
    amount_minor: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decide {
    status: DisputeStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    due_by: Timestamp,
}

/// What the provider keeps when it takes the money, or gives back with it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fee {
    #[serde(default)]
    fee_minor: i64,
}

impl Fee {
    fn checked(&self) -> Result<i64, PanelError> {
        within("fee_minor", self.fee_minor, 0..=FEE_MINOR_MAX)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balance {
    short: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    ready: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reverse {
    amount_minor: i64,
}

type Shown = Result<Json<Value>, PanelError>;

pub(super) fn router(payments: &Payments, randomness: &Arc<dyn Randomness>) -> Router {
    Router::new()
        .route("/declines", post(decline))
        .route("/intents/{id}/confirm", post(confirm))
        .route("/intents/{id}/complete_action", post(complete_action))
        .route("/intents/{id}/settle", post(settle))
        .route("/intents/{id}/receive", post(receive))
        .route("/intents/{id}/refund", post(refund_by_hand))
        .route("/intents/{id}/dispute", post(open_dispute))
        .route("/disputes/{id}/withdraw", post(withdraw))
        .route("/disputes/{id}/reinstate", post(reinstate))
        .route("/disputes/{id}/decide", post(decide))
        .route("/disputes/{id}/evidence", post(evidence))
        .route("/refunds", put(refunds))
        .route("/refunds/{id}/settle", post(settle_refund))
        .route("/balance", put(balance))
        .route("/accounts/{id}", put(account))
        .route("/transfers/{id}/reverse", post(reverse))
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
        "disputes": payments.disputes().iter().rev().take(SHOWN_MAX).map(show_dispute).collect::<Vec<_>>(),
        "short_of_balance": payments.is_short_of_balance(),
        "accounts": payments.accounts().iter().rev().take(SHOWN_MAX).map(show_account).collect::<Vec<_>>(),
        "transfers": payments.transfers().iter().rev().take(SHOWN_MAX).map(show_transfer).collect::<Vec<_>>(),
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

fn show_account(account: &ConnectAccount) -> Value {
    json!({ "id": account.id, "country": account.country, "ready": account.ready, "metadata": account.metadata })
}

fn show_transfer(transfer: &ConnectTransfer) -> Value {
    json!({
        "id": transfer.id,
        "destination": transfer.destination,
        "amount": transfer.amount,
        "reversed": transfer.reversed,
        "group": transfer.group,
        "metadata": transfer.metadata,
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

fn show_dispute(dispute: &SandboxDispute) -> Value {
    json!({
        "id": dispute.id,
        "intent": dispute.intent,
        "status": dispute.status.as_str(),
        "amount": dispute.amount,
        "evidence_due_by": dispute.evidence_due_by,
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

async fn balance(State(payments): State<Payments>, Body(Balance { short }): Body<Balance>) -> Shown {
    payments.set_short_of_balance(short);
    Ok(Json(json!({ "short": short })))
}

async fn account(
    State(payments): State<Payments>,
    account: IdPath,
    Body(Account { ready }): Body<Account>,
) -> Shown {
    let account = id(account)?;
    payments
        .set_account_ready(&account, ready)
        .map_err(|_| PanelError::NotFound { what: "account" })?;
    Ok(Json(json!({ "id": account, "ready": ready })))
}

async fn reverse(State(payments): State<Payments>, transfer: IdPath, Body(body): Body<Reverse>) -> Shown {
    let transfer = id(transfer)?;
    let minor = within("amount_minor", body.amount_minor, 1..=i64::MAX)?;
    payments.reverse_transfer(&transfer, minor)?;
    Ok(Json(json!({ "id": transfer, "reversed_minor": minor })))
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

async fn refund_by_hand(State(payments): State<Payments>, intent: IdPath, Body(part): Body<Part>) -> Shown {
    let minor = part.checked()?;
    let refund = payments.refund_by_hand(&id(intent)?, minor)?;
    Ok(Json(json!({ "id": refund })))
}

async fn open_dispute(
    State(payments): State<Payments>,
    intent: IdPath,
    Body(OpenDispute { status, amount_minor }): Body<OpenDispute>,
) -> Shown {
    let minor = Part { amount_minor }.checked()?;
    let dispute = payments.open_dispute(&id(intent)?, minor, status)?;
    Ok(Json(json!({ "id": dispute, "status": status.as_str() })))
}

async fn withdraw(State(payments): State<Payments>, dispute: IdPath, Body(fee): Body<Fee>) -> Shown {
    on_dispute(dispute, |id| {
        payments.withdraw_funds(id, fee.checked()?).map_err(gone)
    })
}

async fn reinstate(State(payments): State<Payments>, dispute: IdPath, Body(fee): Body<Fee>) -> Shown {
    on_dispute(dispute, |id| {
        payments.reinstate_funds(id, fee.checked()?).map_err(gone)
    })
}

async fn decide(
    State(payments): State<Payments>,
    dispute: IdPath,
    Body(Decide { status }): Body<Decide>,
) -> Shown {
    on_dispute(dispute, |id| payments.decide_dispute(id, status).map_err(gone))
}

async fn evidence(
    State(payments): State<Payments>,
    dispute: IdPath,
    Body(Evidence { due_by }): Body<Evidence>,
) -> Shown {
    on_dispute(dispute, |id| payments.evidence_due(id, due_by).map_err(gone))
}

fn on_dispute(path: IdPath, act: impl FnOnce(&str) -> Result<(), PanelError>) -> Shown {
    let id = id(path)?;
    act(&id)?;
    Ok(Json(json!({ "id": id })))
}

fn gone(_: ApiError) -> PanelError {
    PanelError::NotFound { what: "dispute" }
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
