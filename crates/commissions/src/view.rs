//! What screens read, and the port that answers.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    CommissionId, Money, OrderId, Page, PageRequest, PartyId, PlanId, Rate, SiteScope, StoreError,
};
use serde::Serialize;

use crate::{CommissionState, HoldDays, Levels, PlanSnapshot, explain_commission, explain_order};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PlanView {
    pub id: PlanId,
    pub name: String,
    pub version: u32,
    pub levels: Levels,
    pub hold_days: HoldDays,
    pub active: bool,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CommissionView {
    pub id: CommissionId,
    pub order: OrderId,
    pub agent: PartyId,
    /// 1: the agent referred the buyer.
    pub level: u8,
    pub rate: Rate,
    pub base: Money,
    pub amount: Money,
    pub state: CommissionState,
    pub hold_until: DateTime<Utc>,
    pub plan: PlanId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct CommissionFilter {
    pub state: Option<CommissionState>,
    pub agent: Option<PartyId>,
    pub order: Option<OrderId>,
}

/// What was stored of the decision about one ancestor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDecision {
    pub level: u8,
    pub agent: PartyId,
    pub sales: Money,
    /// The word of a [`SkipReason`](crate::SkipReason); absent for one who earned.
    pub skipped: Option<String>,
}

/// Everything that is stored about the shares of one order: what an explanation is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderShares {
    pub order: OrderId,
    pub number: String,
    pub buyer: PartyId,
    pub total: Money,
    pub paid_at: Option<DateTime<Utc>>,
    pub snapshot: Option<PlanSnapshot>,
    pub decided_at: Option<DateTime<Utc>>,
    /// In order of level.
    pub decisions: Vec<StoredDecision>,
    pub commissions: Vec<CommissionView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PlanRef {
    pub id: PlanId,
    pub name: String,
    pub version: u32,
}

/// One party on the way from the buyer (level 0) up to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PathStep {
    pub level: u8,
    pub party: PartyId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ExplainStep {
    /// `order`, `plan`, `path`, `sales`, `share`, `rounding`, `hold`, `state`: one of each, in this order.
    pub step: &'static str,
    pub says: String,
}

/// How a commission came to its amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CommissionExplanation {
    pub commission: CommissionView,
    pub order_number: String,
    pub plan: PlanRef,
    pub path: Vec<PathStep>,
    pub agent_sales: Money,
    pub minimum_sales: Money,
    /// Base × rate before rounding, in the currency's unit.
    pub exact: String,
    /// The engine's answer now, on the frozen plan and the stored facts.
    pub recomputed: Money,
    /// Whether that is what is stored. Anything but true is a fault of ours.
    pub agrees: bool,
    pub steps: Vec<ExplainStep>,
}

/// One ancestor of an order's buyer, with or without a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AncestorExplanation {
    pub level: u8,
    pub agent: PartyId,
    pub rate: Rate,
    pub sales: Money,
    pub minimum_sales: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission: Option<CommissionId>,
    /// Zero for one who got nothing.
    pub amount: Money,
    /// Why nothing: `below_minimum_sales`, `rounds_to_zero`, `nothing_paid`, `repeated`, `other_currency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    pub says: String,
    pub recomputed: Money,
    pub agrees: bool,
}

/// Why an order has no ancestors to decide about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NobodyEarned {
    NotPaid,
    /// Paid, and the job has not run yet.
    NotDecidedYet,
    /// The site had no active plan when the order was placed.
    NoPlan,
    /// Nobody referred the buyer.
    NoReferrer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderExplanation {
    pub order: OrderId,
    pub order_number: String,
    pub buyer: PartyId,
    pub total: Money,
    pub plan: Option<PlanRef>,
    pub decided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nobody: Option<NobodyEarned>,
    pub ancestors: Vec<AncestorExplanation>,
    /// The sum of all shares.
    pub sum: Money,
    /// Total × sum of the plan's rates, in the currency's unit: what the shares cannot exceed but for rounding.
    pub ceiling: Option<String>,
}

/// Reads for screens: one short read-only transaction each.
#[async_trait]
pub trait CommissionQueries: Send + Sync {
    /// Newest first. For an agent's own list the caller sets the filter's agent.
    async fn commissions(
        &self,
        scope: &SiteScope,
        filter: &CommissionFilter,
        page: PageRequest,
    ) -> Result<Page<CommissionView>, StoreError>;
    /// `only`: an agent who may see their own; another one's is not found.
    async fn commission(
        &self,
        scope: &SiteScope,
        id: CommissionId,
        only: Option<PartyId>,
    ) -> Result<Option<CommissionView>, StoreError>;
    /// What is stored about an order's shares. For staff: it names every ancestor.
    async fn shares(&self, scope: &SiteScope, order: OrderId) -> Result<Option<OrderShares>, StoreError>;
    /// Newest first, at most 200.
    async fn plans(&self, scope: &SiteScope) -> Result<Vec<PlanView>, StoreError>;
    async fn plan(&self, scope: &SiteScope, id: PlanId) -> Result<Option<PlanView>, StoreError>;

    /// How one commission came to its amount; `only` as in [`commission`](Self::commission).
    async fn explain(
        &self,
        scope: &SiteScope,
        id: CommissionId,
        only: Option<PartyId>,
    ) -> Result<Option<CommissionExplanation>, StoreError> {
        let Some(commission) = self.commission(scope, id, only).await? else {
            return Ok(None);
        };
        let shares = self.shares(scope, commission.order).await?;
        let shares = shares.ok_or_else(|| StoreError::broken("a commission without its order"))?;
        let explained = explain_commission(&commission, &shares);
        explained
            .map(Some)
            .ok_or_else(|| StoreError::broken("a commission without its decision"))
    }

    /// Each ancestor of the order's buyer that the plan reaches, with what they got and why. For staff.
    async fn explain_order(
        &self,
        scope: &SiteScope,
        order: OrderId,
    ) -> Result<Option<OrderExplanation>, StoreError> {
        Ok(self
            .shares(scope, order)
            .await?
            .map(|shares| explain_order(&shares)))
    }
}
