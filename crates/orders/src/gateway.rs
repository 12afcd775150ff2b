//! The outbound port to a payment provider.
//!
//! Every call ends in one of three ways: an answer (`Ok`), a final refusal that certainly had no effect
//! ([`GatewayError::Refused`]), or an unknown outcome ([`GatewayError::Unknown`]) that is settled by asking: never by
//! sending again under a new key.

use async_trait::async_trait;
use posx_kernel::{Money, OrderId, PaymentAttemptId, RefundId, SiteId};
use serde::{Deserialize, Serialize};

/// The provider's id of an intent (`pi_…`): opaque, 1 to 255 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub String);

impl std::fmt::Display for IntentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is asked of the provider. `attempt` is both the idempotency key and the metadata by which the intent is found
/// again: it is committed before the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateIntent {
    pub site: SiteId,
    pub order: OrderId,
    pub attempt: PaymentAttemptId,
    /// Positive, a multiple of the currency's charge step.
    pub amount: Money,
}

/// Where an intent stands, as the provider says it. Only `Succeeded` and `Cancelled` are terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IntentState {
    /// Waits for a card, for the first time or after a decline: a declined try is not a failed order.
    RequiresPaymentMethod {
        last_decline: Option<String>,
    },
    /// The buyer must do something (3-D Secure).
    RequiresAction,
    /// May last days with bank debits: nothing is delivered yet.
    Processing,
    Succeeded {
        received: Money,
    },
    Cancelled,
    /// A state that this version does not know: parked, never guessed.
    Other {
        name: String,
    },
}

/// An intent as the provider holds it now.
#[derive(Clone, PartialEq, Eq)]
pub struct Intent {
    pub id: IntentId,
    pub attempt: Option<PaymentAttemptId>,
    pub amount: Money,
    pub state: IntentState,
    /// Lets the buyer's browser confirm this one intent. Not stored, not logged.
    pub client_secret: String,
    pub livemode: bool,
}

impl std::fmt::Debug for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intent")
            .field("id", &self.id)
            .field("attempt", &self.attempt)
            .field("amount", &self.amount)
            .field("state", &self.state)
            .field("livemode", &self.livemode)
            .finish_non_exhaustive()
    }
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It is cancelled, now or before: no money can arrive any more.
    Cancelled,
    /// Too late: the money is there, or on its way.
    NotCancellable(Intent),
    /// The provider knows no such intent under this site's keys: a person should learn why.
    NoSuchIntent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRefund {
    pub site: SiteId,
    pub intent: IntentId,
    /// The idempotency key.
    pub refund: RefundId,
    pub amount: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    Pending,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRefund {
    pub id: String,
    pub refund: Option<RefundId>,
    pub amount: Money,
    pub state: RefundState,
}

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The provider understood and said no; nothing happened and the same request will not be accepted.
    #[error("the payment provider refused: {code}")]
    Refused { code: String },
    /// No answer, or one that does not say whether it happened.
    #[error("the payment provider gave no usable answer")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A payment provider. Every call is idempotent by the id of ours that it carries.
#[async_trait]
pub trait PaymentGateway: Send + Sync + std::fmt::Debug {
    /// The name that stored external ids carry: `stripe`.
    fn provider(&self) -> &'static str;
    async fn create_intent(&self, request: &CreateIntent) -> Result<Intent, GatewayError>;
    /// `None` when the provider does not know it.
    async fn intent(&self, site: SiteId, id: &IntentId) -> Result<Option<Intent>, GatewayError>;
    /// Settles an unknown [`create_intent`](Self::create_intent): looks the intent up by our attempt.
    async fn intent_of_attempt(
        &self,
        site: SiteId,
        attempt: PaymentAttemptId,
    ) -> Result<Option<Intent>, GatewayError>;
    async fn cancel_intent(&self, site: SiteId, id: &IntentId) -> Result<CancelOutcome, GatewayError>;
    async fn create_refund(&self, request: &CreateRefund) -> Result<ProviderRefund, GatewayError>;
    /// Settles an unknown [`create_refund`](Self::create_refund).
    async fn refund(
        &self,
        site: SiteId,
        intent: &IntentId,
        refund: RefundId,
    ) -> Result<Option<ProviderRefund>, GatewayError>;
}
