//! A PaymentIntent: its states, and its shape on the wire.

use std::collections::BTreeMap;
use std::fmt;

use posx_kernel::{Money, Timestamp};
use serde_json::{Value, json};

use super::error::ApiError;
use crate::env::Env;

/// Sandbox objects are never live.
pub(super) const LIVEMODE: bool = false;

/// The states that a card or a bank debit can bring an intent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentStatus {
    RequiresPaymentMethod,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// An intent as the provider holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentIntent {
    pub id: String,
    pub client_secret: String,
    pub amount: Money,
    pub received: Money,
    pub status: IntentStatus,
    pub metadata: BTreeMap<String, String>,
    pub created: Timestamp,
    pub canceled_at: Option<Timestamp>,
    /// Why the last try did not succeed.
    pub last_error: Option<PaymentFailure>,
    pub payment_method: Option<String>,
    pub latest_charge: Option<String>,
}

impl fmt::Debug for PaymentIntent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentIntent")
            .field("id", &self.id)
            .field("amount", &self.amount)
            .field("received", &self.received)
            .field("status", &self.status)
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentFailure {
    /// `card_declined`, `payment_intent_authentication_failure`, …
    pub code: &'static str,
    /// `generic_decline`, …
    pub decline_code: Option<&'static str>,
    pub message: &'static str,
}

const DECLINED: PaymentFailure = PaymentFailure {
    code: "card_declined",
    decline_code: Some("generic_decline"),
    message: "Your card was declined.",
};
const NOT_AUTHENTICATED: PaymentFailure = PaymentFailure {
    code: "payment_intent_authentication_failure",
    decline_code: None,
    message: "The provided payment method has failed authentication.",
};
const DEBIT_RETURNED: PaymentFailure = PaymentFailure {
    code: "payment_intent_payment_attempt_failed",
    decline_code: None,
    message: "The bank returned the debit.",
};

/// The payment methods that the sandbox knows, named as the provider's own test methods are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Accepted,
    Declined(&'static str),
    Authenticates,
    BankDebit,
}

impl Method {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "pm_card_visa" | "pm_card_mastercard" => Self::Accepted,
            "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => Self::Declined("generic_decline"),
            "pm_card_chargeDeclinedInsufficientFunds" => Self::Declined("insufficient_funds"),
            "pm_card_threeDSecure2Required" => Self::Authenticates,
            "pm_bank_debit" => Self::BankDebit,
            _ => return None,
        })
    }
}

/// What an event says: its type, and the object as it was at that moment.
pub(super) type Happened = (&'static str, Value);

impl PaymentIntent {
    pub(super) fn new(env: &Env, amount: Money, metadata: BTreeMap<String, String>) -> Self {
        let id = env.stripe_id("pi");
        Self {
            client_secret: format!("{id}_{}", env.stripe_id("secret")),
            id,
            amount,
            received: Money::zero(amount.currency()),
            status: IntentStatus::RequiresPaymentMethod,
            metadata,
            created: env.now(),
            canceled_at: None,
            last_error: None,
            payment_method: None,
            latest_charge: None,
        }
    }

    pub(super) fn created(&self) -> Happened {
        ("payment_intent.created", self.json())
    }

    /// A buyer's try with one payment method. What happened is told also when the try failed.
    pub(super) fn confirm(
        &mut self,
        env: &Env,
        name: &str,
        method: Method,
    ) -> (Result<(), ApiError>, Vec<Happened>) {
        if !matches!(
            self.status,
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresAction
        ) {
            return (Err(ApiError::unexpected_state(self.json())), Vec::new());
        }
        self.last_error = None;
        self.payment_method = Some(name.to_owned());
        match method {
            Method::Accepted => (Ok(()), self.pay(env)),
            Method::Declined(decline_code) => {
                self.latest_charge = Some(env.stripe_id("ch"));
                let failure = PaymentFailure {
                    decline_code: Some(decline_code),
                    ..DECLINED
                };
                let failed = self.fail(failure);
                let error = ApiError::declined(decline_code, self.json());
                (Err(error), vec![failed])
            }
            Method::Authenticates => {
                self.status = IntentStatus::RequiresAction;
                (Ok(()), vec![("payment_intent.requires_action", self.json())])
            }
            Method::BankDebit => {
                self.status = IntentStatus::Processing;
                (Ok(()), vec![("payment_intent.processing", self.json())])
            }
        }
    }

    /// The buyer came back from their bank.
    pub(super) fn authenticate(
        &mut self,
        env: &Env,
        succeeded: bool,
    ) -> (Result<(), ApiError>, Vec<Happened>) {
        if self.status != IntentStatus::RequiresAction {
            return (Err(ApiError::unexpected_state(self.json())), Vec::new());
        }
        let happened = if succeeded {
            self.pay(env)
        } else {
            vec![self.fail(NOT_AUTHENTICATED)]
        };
        (Ok(()), happened)
    }

    /// The bank settled or returned a debit.
    pub(super) fn settle(&mut self, env: &Env, succeeded: bool) -> Result<Vec<Happened>, ApiError> {
        if self.status != IntentStatus::Processing {
            return Err(ApiError::unexpected_state(self.json()));
        }
        if !succeeded {
            return Ok(vec![self.fail(DEBIT_RETURNED)]);
        }
        Ok(vec![self.succeed(env, self.amount)])
    }

    /// Money arrives, of whatever amount.
    pub(super) fn receive(&mut self, env: &Env, minor: i64) -> Result<Vec<Happened>, ApiError> {
        if matches!(self.status, IntentStatus::Succeeded | IntentStatus::Canceled) {
            return Err(ApiError::unexpected_state(self.json()));
        }
        let received = Money::from_minor(minor, self.amount.currency());
        Ok(vec![self.succeed(env, received)])
    }

    pub(super) fn cancel(&mut self, env: &Env) -> Result<Vec<Happened>, ApiError> {
        if !matches!(
            self.status,
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresAction
        ) {
            return Err(ApiError::unexpected_state(self.json()));
        }
        self.status = IntentStatus::Canceled;
        self.canceled_at = Some(env.now());
        Ok(vec![("payment_intent.canceled", self.json())])
    }

    fn pay(&mut self, env: &Env) -> Vec<Happened> {
        self.status = IntentStatus::Processing;
        let processing = ("payment_intent.processing", self.json());
        vec![processing, self.succeed(env, self.amount)]
    }

    fn succeed(&mut self, env: &Env, received: Money) -> Happened {
        self.status = IntentStatus::Succeeded;
        self.last_error = None;
        self.received = received;
        self.latest_charge = Some(env.stripe_id("ch"));
        ("payment_intent.succeeded", self.json())
    }

    fn fail(&mut self, failure: PaymentFailure) -> Happened {
        self.status = IntentStatus::RequiresPaymentMethod;
        self.payment_method = None;
        self.last_error = Some(failure);
        ("payment_intent.payment_failed", self.json())
    }

    pub(super) fn json(&self) -> Value {
        let processing = self.status == IntentStatus::Processing;
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount.minor(),
            "amount_capturable": 0,
            "amount_received": self.received.minor(),
            "automatic_payment_methods": { "enabled": true },
            "canceled_at": self.canceled_at.map(|at| at.timestamp()),
            "cancellation_reason": null,
            "capture_method": "automatic",
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created.timestamp(),
            "currency": self.amount.currency().code().to_ascii_lowercase(),
            "customer": null,
            "description": null,
            "last_payment_error": self.last_error.map(PaymentFailure::json),
            "latest_charge": self.latest_charge,
            "livemode": LIVEMODE,
            "metadata": self.metadata,
            "next_action": self.next_action(),
            "payment_method": self.payment_method,
            "payment_method_types": ["card"],
            "processing": if processing { json!({ "type": "card" }) } else { Value::Null },
            "status": self.status.as_str(),
            "transfer_group": null,
        })
    }

    fn next_action(&self) -> Value {
        if self.status != IntentStatus::RequiresAction {
            return Value::Null;
        }
        json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } })
    }
}

impl PaymentFailure {
    fn json(self) -> Value {
        json!({
            "type": "card_error", "code": self.code, "decline_code": self.decline_code, "message": self.message,
        })
    }
}
