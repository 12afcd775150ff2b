//! The wiring: which adapter stands behind which port.

use std::sync::Arc;

use posx_allocations::custody::Custody;
use posx_commissions::{CommissionQueries, Commissions};
use posx_kernel::{Clock, Ids, Randomness};
use posx_ledger::LedgerQueries;
use posx_orders::gateway::PaymentGateway;
use posx_orders::{OrderQueries, Orders};
use posx_stripe::{SigningSecret, Tolerance};
use posx_tenancy::{Directory, RateLimiter, ReferralQueries, Tenancy};
use posx_tiers::{TierQueries, Tiers};

/// Everything that a request or a job may use. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub randomness: Arc<dyn Randomness>,
    pub directory: Arc<dyn Directory>,
    pub limiter: Arc<dyn RateLimiter>,
    pub tenancy: Tenancy,
    pub tiers: Tiers,
    pub orders: Orders,
    pub commissions: Commissions,
    pub tier_queries: Arc<dyn TierQueries>,
    pub order_queries: Arc<dyn OrderQueries>,
    pub ledger_queries: Arc<dyn LedgerQueries>,
    pub referral_queries: Arc<dyn ReferralQueries>,
    pub commission_queries: Arc<dyn CommissionQueries>,
    pub payments: Arc<dyn PaymentGateway>,
    pub custody: Arc<dyn Custody>,
    pub verifier: Arc<posx_oidc::Verifier>,
    pub stripe_webhooks: Arc<StripeWebhooks>,
    pub fireblocks_webhooks: Arc<posx_fireblocks::WebhookVerifier>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

/// What [`posx_stripe::verify`] needs besides the delivery.
#[derive(Debug)]
pub struct StripeWebhooks {
    pub secrets: Vec<SigningSecret>,
    pub tolerance: Tolerance,
}

/// Why a process does not start. Names what is wrong, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("this version has no adapter for the {kind} provider {name}")]
    NoAdapter { kind: &'static str, name: &'static str },
}
