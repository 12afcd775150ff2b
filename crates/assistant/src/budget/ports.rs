use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{IdempotentTx, Outbox, SiteScope, StoreError, Timestamp};
use serde::Serialize;

use super::{Limits, Period};
use crate::{BudgetScope, Credit, Micros, Purpose};

/// What a site has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteLimits {
    pub limits: Limits,
    pub version: i32,
}

impl SiteLimits {
    /// Of a site that has set nothing; nothing is stored of it.
    pub const FIRST_VERSION: i32 = 1;
}

impl Default for SiteLimits {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            version: Self::FIRST_VERSION,
        }
    }
}

#[async_trait]
pub trait BudgetRepository: Send {
    async fn limits(&mut self) -> Result<SiteLimits, StoreError>;
    /// Stores `new` if the stored version is still `seen`. False: it is not, and nothing is stored.
    async fn save_limits(&mut self, new: &SiteLimits, seen: i32, at: Timestamp) -> Result<bool, StoreError>;
    async fn insert_credit(&mut self, credit: &Credit) -> Result<(), StoreError>;
}

pub trait BudgetsTx: IdempotentTx {
    fn budgets(&mut self) -> &mut dyn BudgetRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

/// A budget of the present day or month. Those of members and visitors are for each, and have no counter here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BudgetView {
    pub scope: BudgetScope,
    pub purpose: Option<Purpose>,
    pub period: Period,
    /// Of calls that the operator's key pays for. Absent: there is none.
    pub limit_micros: Option<Micros>,
    /// Set by the site; else it is the operator's, which is the most that a site may set where the operator pays.
    pub own: bool,
    pub spent_micros: Option<Micros>,
    /// Held for calls under way.
    pub reserved_micros: Option<Micros>,
    pub resets_at: DateTime<Utc>,
}

#[async_trait]
pub trait BudgetQueries: Send + Sync {
    async fn site_limits(&self, scope: &SiteScope) -> Result<SiteLimits, StoreError>;
    /// Every budget there is, in a fixed order.
    async fn budgets(&self, scope: &SiteScope, at: Timestamp) -> Result<Vec<BudgetView>, StoreError>;
}
