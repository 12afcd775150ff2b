//! The outbound port to a payment provider.
//!
//! Every call ends in one of three ways: an answer (`Ok`), a final refusal that certainly had no effect
//! ([`GatewayError::Refused`]), or an unknown outcome ([`GatewayError::Unknown`]) that is settled by asking: never by
//! sending again under a new key.

use async_trait::async_trait;
use posx_kernel::{Money, OrderId, PaymentAttemptId, RefundId, SiteId, Timestamp};
use serde::{Deserialize, Serialize};

pub use crate::dispute::ProviderDisputeState;
pub use crate::refund::RefundState;

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

/// A refund as the provider holds it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRefund {
    pub id: String,
    /// Ours; none for one that was made at the provider itself.
    pub refund: Option<RefundId>,
    pub amount: Money,
    pub state: RefundState,
    /// The provider's word for why, if it has one: `duplicate`, `fraudulent`, ….
    pub reason: Option<String>,
}

/// A dispute as the provider holds it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderDispute {
    pub id: String,
    /// None: of a charge that was made without an intent, so none of ours.
    pub intent: Option<IntentId>,
    /// May be less or more than was paid (S39).
    pub amount: Money,
    pub state: ProviderDisputeState,
    pub reason: String,
    /// The provider would still take a refund instead (S36).
    pub refundable: bool,
    pub evidence_due_by: Option<Timestamp>,
    /// The lines of the provider's balance that it made, oldest first.
    pub movements: Vec<DisputeMovement>,
    pub opened_at: Timestamp,
}

/// One line of the provider's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeMovement {
    pub id: String,
    /// Negative: taken away. Positive: given back. In the currency of the balance, which may not be that of the payment.
    pub amount: Money,
    /// What the provider keeps for it besides; negative when it gives a fee back.
    pub fee: Money,
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
    /// Every refund of the intent, those among them that were made at the provider itself, oldest first.
    async fn refunds(&self, site: SiteId, intent: &IntentId) -> Result<Vec<ProviderRefund>, GatewayError>;
    /// `None` when the provider does not know it.
    async fn dispute(&self, site: SiteId, id: &str) -> Result<Option<ProviderDispute>, GatewayError>;
}
