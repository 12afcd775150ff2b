//! What the provider knows, and what each call does to it. Nothing here waits.

use std::collections::BTreeMap;

use posx_kernel::Money;
use serde_json::{Value, json};

use super::connect::{ConnectAccount, ConnectTransfer};
use super::dispute::{DisputeStatus, SandboxDispute};
use super::error::ApiError;
use super::idempotency::Keys;
use super::intent::{Happened, Method, PaymentIntent};
use super::lines::SandboxLine;
use super::params::{Created, Metadata, Slice};
use super::refund::{RefundRequest, RefundStatus, SandboxRefund};
use crate::env::Env;

/// The answer to a call, and what it made happen; a declined card is both a refusal and an event.
pub(super) type Effect = (Result<Value, ApiError>, Vec<Happened>);

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) intents: BTreeMap<String, PaymentIntent>,
    /// The ids of the intents, oldest first.
    made: Vec<String>,
    /// Oldest first.
    pub(super) refunds: Vec<SandboxRefund>,
    /// Oldest first.
    pub(super) disputes: Vec<SandboxDispute>,
    pub(super) keys: Keys,
    pub(super) accounts: Vec<ConnectAccount>,
    /// Oldest first.
    pub(super) transfers: Vec<ConnectTransfer>,
    /// The balance. Oldest first.
    pub(super) lines: Vec<SandboxLine>,
    pub(super) short_of_balance: bool,
    /// So many of the next cards that would be accepted are declined.
    pub(super) declines: usize,
    pub(super) refunds_stay_pending: bool,
}

impl Book {
    pub(super) fn create(&mut self, env: &Env, amount: Money, metadata: Metadata) -> Effect {
        let intent = PaymentIntent::new(env, amount, metadata);
        let (answer, happened) = (intent.json(), vec![intent.created()]);
        self.made.push(intent.id.clone());
        self.intents.insert(intent.id.clone(), intent);
        (Ok(answer), happened)
    }

    pub(super) fn intent(&self, id: &str) -> Result<&PaymentIntent, ApiError> {
        self.intents
            .get(id)
            .ok_or_else(|| ApiError::not_found("payment_intent", id))
    }

    /// One change of one intent; the answer is the intent as it then is.
    pub(super) fn change(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut PaymentIntent) -> Result<Vec<Happened>, ApiError>,
    ) -> Effect {
        let Some(intent) = self.intents.get_mut(id) else {
            return (Err(ApiError::not_found("payment_intent", id)), Vec::new());
        };
        match change(intent) {
            Ok(happened) => (Ok(intent.json()), happened),
            Err(error) => (Err(error), Vec::new()),
        }
    }

    pub(super) fn confirm(&mut self, env: &Env, id: &str, name: &str) -> Effect {
        let Some(method) = Method::from_name(name) else {
            return (Err(ApiError::not_found("PaymentMethod", name)), Vec::new());
        };
        let declines = method == Method::Accepted && self.declines > 0;
        let Some(intent) = self.intents.get_mut(id) else {
            return (Err(ApiError::not_found("payment_intent", id)), Vec::new());
        };
        let method = if declines {
            self.declines -= 1;
            Method::Declined("generic_decline")
        } else {
            method
        };
        let (outcome, happened) = intent.confirm(env, name, method);
        (outcome.map(|()| intent.json()), happened)
    }

    pub(super) fn authenticate(&mut self, env: &Env, id: &str, succeeded: bool) -> Effect {
        let Some(intent) = self.intents.get_mut(id) else {
            return (Err(ApiError::not_found("payment_intent", id)), Vec::new());
        };
        let (outcome, happened) = intent.authenticate(env, succeeded);
        (outcome.map(|()| intent.json()), happened)
    }

    /// Newest first, as the provider lists them.
    pub(super) fn list_intents(&self, created: &Created, slice: Slice<'_>) -> Result<Value, ApiError> {
        let mut newest = self.made.iter().rev();
        if let Some(after) = slice.after
            && !newest.by_ref().any(|id| id == after)
        {
            return Err(ApiError::not_found("payment_intent", after));
        }
        let mut wanted = newest
            .filter_map(|id| self.intents.get(id))
            .filter(|intent| created.holds(intent.created));
        let page: Vec<Value> = wanted
            .by_ref()
            .take(slice.limit)
            .map(PaymentIntent::json)
            .collect();
        let has_more = wanted.next().is_some();
        Ok(json!({ "object": "list", "url": "/v1/payment_intents", "has_more": has_more, "data": page }))
    }

    pub(super) fn with_metadata(&self, name: &str, value: &str) -> Value {
        let found: Vec<Value> = self
            .intents
            .values()
            .filter(|intent| intent.metadata.get(name).is_some_and(|held| held == value))
            .map(PaymentIntent::json)
            .collect();
        json!({
            "object": "search_result", "url": "/v1/payment_intents/search", "has_more": false, "next_page": null,
            "data": found,
        })
    }

    /// Refunds of one intent never exceed what it received, those that are pending included (S33).
    pub(super) fn refund(&mut self, env: &Env, request: RefundRequest) -> Effect {
        match self.try_refund(env, request) {
            Ok(refund) => {
                let json = refund.json();
                self.refunds.push(refund);
                (Ok(json.clone()), vec![("refund.created", json)])
            }
            Err(error) => (Err(error), Vec::new()),
        }
    }

    fn try_refund(&self, env: &Env, request: RefundRequest) -> Result<SandboxRefund, ApiError> {
        let intent = self.intent(&request.intent)?;
        if !intent.received.is_positive() {
            return Err(ApiError::unexpected_state(intent.json()));
        }
        let mut disputes = self.disputes.iter();
        if disputes.any(|dispute| dispute.intent == intent.id && !dispute.is_refundable()) {
            return Err(ApiError::invalid("The charge has been charged back.").code("charge_disputed"));
        }
        let left = intent.received.minor() - self.refunded(&intent.id);
        if left <= 0 {
            return Err(
                ApiError::invalid("The charge has already been refunded.").code("charge_already_refunded")
            );
        }
        let amount = request.amount.unwrap_or(left);
        if amount > left {
            return Err(ApiError::parameter(
                "amount",
                "amount_too_large",
                "Refund amount is greater than unrefunded amount on charge.",
            ));
        }
        let status = if self.refunds_stay_pending {
            RefundStatus::Pending
        } else {
            RefundStatus::Succeeded
        };
        let amount = Money::from_minor(amount, intent.received.currency());
        let charge = intent.latest_charge.clone();
        Ok(SandboxRefund::new(env, request, charge, amount, status))
    }

    fn refunded(&self, intent: &str) -> i64 {
        self.refunds
            .iter()
            .filter(|refund| refund.intent == intent && refund.status.counts())
            .map(|refund| refund.amount.minor())
            .sum()
    }

    /// Newest first, as the provider lists them.
    pub(super) fn list_refunds(&self, intent: Option<&str>, slice: Slice<'_>) -> Result<Value, ApiError> {
        let mut wanted = self
            .refunds
            .iter()
            .rev()
            .filter(|refund| intent.is_none_or(|id| refund.intent == id));
        if let Some(after) = slice.after
            && !wanted.by_ref().any(|refund| refund.id == after)
        {
            return Err(ApiError::not_found("refund", after));
        }
        let page: Vec<Value> = wanted
            .by_ref()
            .take(slice.limit)
            .map(SandboxRefund::json)
            .collect();
        let has_more = wanted.next().is_some();
        Ok(json!({ "object": "list", "url": "/v1/refunds", "has_more": has_more, "data": page }))
    }

    pub(super) fn dispute(&self, id: &str) -> Result<&SandboxDispute, ApiError> {
        let mut disputes = self.disputes.iter();
        disputes
            .find(|dispute| dispute.id == id)
            .ok_or_else(|| ApiError::not_found("dispute", id))
    }

    /// All that was received, if no amount is said.
    pub(super) fn open_dispute(
        &mut self,
        env: &Env,
        intent: &str,
        minor: Option<i64>,
        status: DisputeStatus,
    ) -> Effect {
        let disputed = match self.intent(intent) {
            Ok(intent) if intent.received.is_positive() => intent,
            Ok(intent) => return (Err(ApiError::unexpected_state(intent.json())), Vec::new()),
            Err(error) => return (Err(error), Vec::new()),
        };
        let received = disputed.received;
        let amount = Money::from_minor(minor.unwrap_or(received.minor()), received.currency());
        let charge = disputed.latest_charge.clone();
        let dispute = SandboxDispute::new(env, intent, charge, amount, status);
        let (answer, happened) = (dispute.json(), dispute.created());
        self.disputes.push(dispute);
        (Ok(answer), vec![happened])
    }

    pub(super) fn change_dispute(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut SandboxDispute) -> Happened,
    ) -> Effect {
        let Some(dispute) = self.disputes.iter_mut().find(|dispute| dispute.id == id) else {
            return (Err(ApiError::not_found("dispute", id)), Vec::new());
        };
        let happened = change(dispute);
        (Ok(dispute.json()), vec![happened])
    }

    pub(super) fn settle_refund(&mut self, id: &str, status: RefundStatus) -> Effect {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else {
            return (Err(ApiError::not_found("refund", id)), Vec::new());
        };
        refund.status = status;
        let json = refund.json();
        let kind = if status == RefundStatus::Failed {
            "refund.failed"
        } else {
            "refund.updated"
        };
        (Ok(json.clone()), vec![(kind, json)])
    }
}
