//! The provider's balance, line by line, as Stripe keeps it: what happened writes a line, and nothing takes one away.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use posx_kernel::{Currency, Money, Timestamp};
use serde_json::{Value, json};

use super::book::{Book, Effect};
use super::error::ApiError;
use super::http::{Answered, QueryPairs, query_pairs};
use super::intent::Happened;
use super::params::{Created, Params, Slice};
use super::{PaymentCall, Payments};
use crate::env::{Env, lock};

/// What the provider keeps of a payment: so many thousandths, and so many minor units besides.
const FEE_PER_MILLE: i64 = 29;
const FEE_MINOR: i64 = 30;

/// A line of the balance, in minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxLine {
    pub id: String,
    /// Negative is money that goes.
    pub amount: i64,
    pub fee: i64,
    /// In lower case.
    pub currency: String,
    pub reporting_category: &'static str,
    /// As far as a reader of the balance needs it.
    source: Value,
    pub created: Timestamp,
}

impl SandboxLine {
    fn json(&self, expanded: bool) -> Value {
        let kind = match self.reporting_category {
            "dispute" | "dispute_reversal" => "adjustment",
            "transfer_reversal" => "transfer_refund",
            "fee" => "stripe_fee",
            "payout_reversal" => "payout_failure",
            category => category,
        };
        let source = if expanded {
            &self.source
        } else {
            &self.source["id"]
        };
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.created.timestamp(),
            "created": self.created.timestamp(),
            "currency": self.currency,
            "description": null,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": [],
            "net": self.amount - self.fee,
            "reporting_category": self.reporting_category,
            "source": source,
            "status": "available",
            "type": kind,
        })
    }
}

/// What a buyer's payment costs the seller.
fn fee_of(received: i64) -> i64 {
    (received * FEE_PER_MILLE / 1000 + FEE_MINOR).min(received)
}

impl Book {
    /// Writes the lines of what happened.
    pub(super) fn keep_lines(&mut self, env: &Env, happened: &[Happened]) {
        for (kind, object) in happened {
            match *kind {
                "payment_intent.succeeded" => {
                    let received = object["amount_received"].as_i64().unwrap_or_default();
                    let charge = json!({
                        "id": object["latest_charge"], "object": "charge", "payment_intent": object["id"],
                        "metadata": object["metadata"],
                    });
                    self.line(env, object, "charge", (received, fee_of(received)), charge);
                }
                // The money of a refund is taken at once, also of one that is pending.
                "refund.created" => {
                    let refund = self.source(object);
                    self.line(env, object, "refund", (-amount(object), 0), refund);
                }
                "refund.failed" | "refund.updated"
                    if matches!(object["status"].as_str(), Some("failed" | "canceled"))
                        && !self.has_line("refund_failure", object) =>
                {
                    let refund = self.source(object);
                    self.line(env, object, "refund_failure", (amount(object), 0), refund);
                }
                "charge.dispute.funds_withdrawn" | "charge.dispute.funds_reinstated" => {
                    self.dispute_line(env, object);
                }
                "transfer.created" => {
                    let transfer = self.source(object);
                    self.line(env, object, "transfer", (-amount(object), 0), transfer);
                }
                "transfer.reversed" => self.reversal_line(env, object),
                _ => {}
            }
        }
    }

    /// The dispute has written it down itself: the same line.
    fn dispute_line(&mut self, env: &Env, dispute: &Value) {
        let lines = dispute["balance_transactions"].as_array();
        let Some(last) = lines.and_then(|lines| lines.last()) else {
            return;
        };
        let number = |name: &str| last[name].as_i64().unwrap_or_default();
        let category = if number("amount") < 0 {
            "dispute"
        } else {
            "dispute_reversal"
        };
        let moved = (number("amount"), number("fee"));
        let source = self.source(dispute);
        self.line(env, dispute, category, moved, source);
        if let (Some(line), Some(id)) = (self.lines.last_mut(), last["id"].as_str()) {
            id.clone_into(&mut line.id);
        }
    }

    /// The transfer says how much came back in all.
    fn reversal_line(&mut self, env: &Env, transfer: &Value) {
        let before: i64 = self
            .lines
            .iter()
            .filter(|line| {
                line.reporting_category == "transfer_reversal" && line.source["transfer"] == transfer["id"]
            })
            .map(|line| line.amount)
            .sum();
        let now = transfer["amount_reversed"].as_i64().unwrap_or_default() - before;
        let reversal = json!({
            "id": env.stripe_id("trr"), "object": "transfer_reversal", "transfer": transfer["id"],
            "metadata": transfer["metadata"],
        });
        self.line(env, transfer, "transfer_reversal", (now, 0), reversal);
    }

    /// With the intent's metadata where there is one: a refund or a dispute by hand says nothing of its own.
    fn source(&self, object: &Value) -> Value {
        let intent = object["payment_intent"]
            .as_str()
            .and_then(|id| self.intents.get(id));
        let metadata = intent.map_or_else(|| object["metadata"].clone(), |intent| json!(intent.metadata));
        json!({
            "id": object["id"], "object": object["object"], "payment_intent": object["payment_intent"],
            "metadata": metadata,
        })
    }

    fn has_line(&self, category: &str, object: &Value) -> bool {
        let same =
            |line: &SandboxLine| line.reporting_category == category && line.source["id"] == object["id"];
        self.lines.iter().any(same)
    }

    fn line(
        &mut self,
        env: &Env,
        object: &Value,
        reporting_category: &'static str,
        (amount, fee): (i64, i64),
        source: Value,
    ) {
        self.lines.push(SandboxLine {
            id: env.stripe_id("txn"),
            amount,
            fee,
            currency: object["currency"].as_str().unwrap_or_default().to_owned(),
            reporting_category,
            source,
            created: env.now(),
        });
    }

    fn of_the_provider(
        &mut self,
        env: &Env,
        prefix: &str,
        category: &'static str,
        moved: (i64, i64),
        currency: Currency,
    ) -> Effect {
        let source = json!({ "id": env.stripe_id(prefix), "object": prefix });
        let object = json!({ "currency": currency.code().to_ascii_lowercase() });
        self.line(env, &object, category, moved, source.clone());
        (Ok(source), Vec::new())
    }

    /// Newest first, as the provider lists them.
    fn list_lines(&self, created: &Created, slice: Slice<'_>, expanded: bool) -> Result<Value, ApiError> {
        let mut newest = self.lines.iter().rev();
        if let Some(after) = slice.after
            && !newest.by_ref().any(|line| line.id == after)
        {
            return Err(ApiError::not_found("balance_transaction", after));
        }
        let mut wanted = newest.filter(|line| created.holds(line.created));
        let page: Vec<_> = wanted
            .by_ref()
            .take(slice.limit)
            .map(|line| line.json(expanded))
            .collect();
        let has_more = wanted.next().is_some();
        Ok(json!({ "object": "list", "url": "/v1/balance_transactions", "has_more": has_more, "data": page }))
    }
}

fn amount(object: &Value) -> i64 {
    object["amount"].as_i64().unwrap_or_default()
}

impl Payments {
    /// Oldest first.
    pub fn lines(&self) -> Vec<SandboxLine> {
        lock(&self.inner.book).lines.clone()
    }

    /// Pays so much of the balance to the site's bank. Its id.
    pub fn pay_out(&self, amount: Money) -> Result<String, ApiError> {
        let (moved, currency) = ((-amount.minor(), 0), amount.currency());
        self.id_of(|book, env| book.of_the_provider(env, "po", "payout", moved, currency))
    }

    /// Takes a fee that is of no payment. The id of what it is for.
    pub fn charge_fee(&self, fee: Money) -> Result<String, ApiError> {
        let (moved, currency) = ((-fee.minor(), 0), fee.currency());
        self.id_of(|book, env| book.of_the_provider(env, "fee", "fee", moved, currency))
    }
}

pub(super) fn router() -> Router<Payments> {
    Router::new().route("/v1/balance_transactions", get(list_lines))
}

async fn list_lines(State(payments): State<Payments>, headers: HeaderMap, query: QueryPairs) -> Answered {
    let call = PaymentCall::ListLines;
    payments.arrive(call)?;
    payments.server_call(&headers)?;
    let pairs = query_pairs(query)?;
    let names = [&["expand[]"], &Created::NAMES[..], &Slice::NAMES].concat();
    let params = Params::read(&pairs, &names)?;
    let (created, slice) = (Created::of(&params)?, Slice::of(&params)?);
    let expanded = params.text("expand[]") == Some("data.source");
    Ok(payments
        .look_up(call, |book| book.list_lines(&created, slice, expanded))
        .await)
}
