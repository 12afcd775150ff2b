//! The port to what counts the spending.

use async_trait::async_trait;
use posx_kernel::{IdentityId, ModelCallId, SiteScope, StoreError, Timestamp, VisitorId};
use serde::{Deserialize, Serialize};

use crate::{Micros, Usage};

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    StaffChat,
    StorefrontChat,
    Documents,
}

impl Purpose {
    pub const ALL: &'static [Self] = &[Self::StaffChat, Self::StorefrontChat, Self::Documents];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StaffChat => "staff_chat",
            Self::StorefrontChat => "storefront_chat",
            Self::Documents => "documents",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purpose| purpose.as_str() == name)
    }
}

/// For whom a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asker {
    Member(IdentityId),
    Visitor(VisitorId),
}

/// Of the site's calendar, in its time zone.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    Month,
}

/// Whose spending a budget limits.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    Site,
    /// One purpose of the site.
    Purpose,
    /// Each member by itself.
    Member,
    /// Each visitor by itself.
    Visitor,
    /// All visitors together.
    Visitors,
}

/// What a call can cost at most, held until it is settled, released or expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub call: ModelCallId,
    pub purpose: Purpose,
    pub asker: Asker,
    pub provider: String,
    pub model: String,
    pub price_version: u32,
    /// By the operator's key, or by its fallback's: the operator's limits are a ceiling then.
    pub operator_pays: bool,
    pub worst_case: Micros,
    pub made_at: Timestamp,
    /// Later than any call lasts: a crash leaks nothing beyond it.
    pub expires_at: Timestamp,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    pub usage: Usage,
    /// False: the provider did not say, and we counted.
    pub by_provider: bool,
    /// At most the reservation's worst case.
    pub cost: Micros,
    pub ended_at: Timestamp,
    pub latency_ms: u32,
    /// `answered`, `client_left`, `broken_off`, or the code of the error.
    pub outcome: &'static str,
    /// Requests that were sent for it, the last one included.
    pub tries: u16,
    /// Who answered, or was asked last: the fallback, or as reserved.
    pub provider: String,
    pub model: String,
    /// Of that model's price.
    pub price_version: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// 429: this budget cannot hold the call.
    #[error("the budget is used up")]
    UsedUp {
        scope: BudgetScope,
        period: Period,
        resets_at: Timestamp,
        /// In it; less than the call can cost.
        left: Micros,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[async_trait]
pub trait Quota: Send + Sync + std::fmt::Debug {
    /// All budgets that the call falls under, or none. Once: the same call again is the same reservation.
    async fn reserve(&self, scope: &SiteScope, reservation: &Reservation) -> Result<(), QuotaError>;
    /// Counts what was spent and gives the rest back. Once: a settled or expired reservation stays as it is, but for the
    /// spending of one that expired, which is counted all the same.
    async fn settle(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError>;
    /// The call certainly cost nothing, and what `spent` says of usage and cost is left aside. Of a call that is not held: nothing.
    async fn release(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError>;
    /// Calls like this one were refused by this budget so many times more, without asking here. Once for a call's id.
    async fn note_refused(
        &self,
        scope: &SiteScope,
        reservation: &Reservation,
        by: (BudgetScope, Period),
        times: u32,
    ) -> Result<(), StoreError>;
    /// Reservations of the site whose time is over give back what they hold. Says how many.
    async fn expire(&self, scope: &SiteScope, now: Timestamp) -> Result<usize, StoreError>;
    /// The site's budgets have grown: what remembers refusals forgets them.
    async fn forget_refusals(&self, _: &SiteScope) {}
}
