use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    IdempotentTx, IdentityId, Outbox, Page, PageRequest, PeriodId, SiteScope, StoreError, Timestamp,
};
use serde::Serialize;

use super::Period;
use crate::{LedgerTx, TrialBalanceRow};

#[async_trait]
pub trait PeriodRepository: Send {
    /// The last one that is closed. Nobody else closes one or opens one again until the end of the transaction.
    async fn lock_last(&mut self) -> Result<Option<Period>, StoreError>;
    async fn find(&mut self, id: PeriodId) -> Result<Option<Period>, StoreError>;
    /// What every account holds of the entries that were posted before.
    async fn balances(&mut self, until: Timestamp) -> Result<Vec<TrialBalanceRow>, StoreError>;
    /// Refused unless it follows the last one.
    async fn insert(&mut self, period: &Period, balances: &[TrialBalanceRow]) -> Result<(), StoreError>;
    /// That it was opened again; refused of any but the last one.
    async fn save(&mut self, period: &Period) -> Result<(), StoreError>;
}

/// A transaction in which the books are closed.
pub trait BooksTx: LedgerTx + IdempotentTx {
    fn periods(&mut self) -> &mut dyn PeriodRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

/// A period as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PeriodView {
    pub id: PeriodId,
    pub number: u32,
    /// Absent: the beginning of the books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Not in it any more.
    pub until: DateTime<Utc>,
    /// Over its balances and the hash before, in hexadecimal digits.
    pub hash: String,
    /// Of the period before; absent in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_hash: Option<String>,
    pub closed_by: IdentityId,
    pub closed_at: DateTime<Utc>,
    /// It was opened again, and is closed no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopened_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopened_by: Option<IdentityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopened_because: Option<String>,
}

impl PeriodView {
    pub fn of(period: Period) -> Self {
        let (mut by, mut at, mut because) = (None, None, None);
        if let Some(reopened) = period.reopened {
            (by, at, because) = (Some(reopened.by), Some(reopened.at), Some(reopened.because));
        }
        Self {
            id: period.id,
            number: period.number,
            from: period.from,
            until: period.until,
            hash: hex::encode(period.hash),
            previous_hash: period.previous_hash.map(hex::encode),
            closed_by: period.closed_by,
            closed_at: period.closed_at,
            reopened_at: at,
            reopened_by: by,
            reopened_because: because,
        }
    }
}

/// Reads for screens: one short read-only transaction each.
#[async_trait]
pub trait PeriodQueries: Send + Sync {
    /// Closed last first, those that were opened again among them.
    async fn periods(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<PeriodView>, StoreError>;
    async fn period(&self, scope: &SiteScope, id: PeriodId) -> Result<Option<PeriodView>, StoreError>;
    /// What every account held at its end, as it was stored when it was closed. `None`: there is no such period.
    async fn period_balances(
        &self,
        scope: &SiteScope,
        id: PeriodId,
    ) -> Result<Option<Vec<TrialBalanceRow>>, StoreError>;
}
