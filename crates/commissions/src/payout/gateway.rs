//! The outbound port to a provider that moves money to agents' accounts.
//!
//! Every call ends in one of three ways: an answer, a final refusal that certainly had no effect
//! ([`PayoutGatewayError::Refused`]), or an unknown outcome that is settled by asking.

use async_trait::async_trait;
use posx_kernel::{Money, PartyId, PayoutId, SiteId, Timestamp};

/// What is asked of the provider. `payout` and `attempt` are the idempotency key, and the metadata by which the transfer is
/// found again: both are committed before the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendPayout {
    pub site: SiteId,
    pub payout: PayoutId,
    pub attempt: i32,
    /// The provider's id of the agent's account.
    pub account: String,
    pub amount: Money,
}

/// A transfer as the provider holds it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub reference: String,
    pub payout: Option<PayoutId>,
    pub amount: Money,
    /// How much of it was taken back in all.
    pub reversed: Money,
}

/// Whether an account may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    NotReady {
        /// What its owner must still tell, in the provider's words.
        missing: Vec<String>,
    },
    /// The provider knows it no more, or not to us.
    Gone,
}

/// An account as the provider holds it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is sent there is taken, and can reach its owner's bank.
    pub payouts_enabled: bool,
    pub charges_enabled: bool,
    /// Why it is restricted, in the provider's word.
    pub disabled_reason: Option<String>,
    /// What its owner must still tell, in the provider's words.
    pub missing: Vec<String>,
}

impl From<Option<Standing>> for Readiness {
    fn from(standing: Option<Standing>) -> Self {
        match standing {
            Some(standing) if standing.payouts_enabled => Self::Ready,
            Some(standing) => Self::NotReady {
                missing: standing.missing,
            },
            None => Self::Gone,
        }
    }
}

/// An account that is to be opened for an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient<'a> {
    pub site: SiteId,
    pub agent: PartyId,
    /// Of our account that it becomes; with the agent, the idempotency key.
    pub version: i32,
    /// ISO 3166, two letters.
    pub country: &'a str,
}

/// Where the agent fills an account in. Whoever has the address is let in, once: it is not stored and not logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Onboarding {
    pub url: String,
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Onboarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onboarding")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PayoutGatewayError {
    /// The provider understood and said no; nothing happened, and the same request will not be accepted.
    #[error("the provider refused: {code}")]
    Refused { code: String },
    /// No answer, or one that does not say whether it happened.
    #[error("the provider gave no usable answer")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[async_trait]
pub trait PayoutGateway: Send + Sync + std::fmt::Debug {
    /// The provider's id of the account. The same for the same agent and version.
    async fn open_account(&self, new: &NewRecipient<'_>) -> Result<String, PayoutGatewayError>;
    async fn onboarding(
        &self,
        site: SiteId,
        account: &str,
        refresh_url: &str,
        return_url: &str,
    ) -> Result<Onboarding, PayoutGatewayError>;
    /// `None`: the provider knows it no more, or not to us.
    async fn standing(&self, site: SiteId, account: &str) -> Result<Option<Standing>, PayoutGatewayError>;
    async fn send(&self, request: &SendPayout) -> Result<Transfer, PayoutGatewayError>;
    /// Settles an unknown [`send`](Self::send): the transfer of any try of this payout.
    async fn find(&self, site: SiteId, payout: PayoutId) -> Result<Option<Transfer>, PayoutGatewayError>;
    async fn transfer(&self, site: SiteId, reference: &str) -> Result<Option<Transfer>, PayoutGatewayError>;
}
