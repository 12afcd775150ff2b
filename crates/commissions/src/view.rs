//! What screens read, and the port that answers.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    AdjustmentId, CommissionId, Money, OrderId, Page, PageRequest, PartyId, PlanId, Rate, SiteScope,
    StoreError, Timestamp,
};
use serde::Serialize;

use crate::{
    AdjustmentKind, AgentFacts, Cap, CommissionState, Difference, HoldDays, Levels, Part, Past, Period,
    PlanSnapshot, Rules, SaleLine, SimulateError, Simulated, Terms, Wants, explain_commission, explain_order,
    simulate::simulate,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PlanView {
    pub id: PlanId,
    pub name: String,
    pub version: u32,
    /// Absent in a plan by difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<Levels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    pub hold_days: HoldDays,
    /// It is what orders freeze that are placed now.
    pub active: bool,
    /// Absent while it was never meant to be in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<DateTime<Utc>>,
    /// Absent: until a later version begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_until: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl PlanView {
    /// What orders freeze of it.
    fn snapshot(self) -> Result<PlanSnapshot, StoreError> {
        let levels = self.levels.map_or_else(Vec::new, Into::into);
        let rules = Rules::of(levels, self.difference);
        Ok(PlanSnapshot {
            plan: self.id,
            name: self.name,
            version: self.version,
            rules: rules.map_err(|_| StoreError::broken("a plan's rules"))?,
            hold_days: self.hold_days,
        })
    }
}

/// What holds for one agent from some time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TermsView {
    /// Counts from 1 for the agent.
    pub number: u32,
    pub effective_from: DateTime<Utc>,
    pub terms: Terms,
    pub recorded_at: DateTime<Utc>,
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
    /// How much of the amount was taken back, because the order went back.
    pub reversed: Money,
    /// What is left of it: amount − reversed.
    pub left: Money,
    pub state: CommissionState,
    pub hold_until: DateTime<Utc>,
    pub plan: PlanId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What was taken back of a commission at one time, or given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AdjustmentView {
    pub id: AdjustmentId,
    pub commission: CommissionId,
    pub order: OrderId,
    /// 1, 2, 3 … of the commission, as they came.
    pub number: u32,
    pub kind: AdjustmentKind,
    /// Positive: the kind says which way.
    pub amount: Money,
    /// What had been taken back in all, before and after it.
    pub reversed_before: Money,
    pub reversed_after: Money,
    /// How much of the order's total had gone back in all: what it was counted from.
    pub returned: Money,
    pub total: Money,
    pub at: DateTime<Utc>,
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
    pub facts: AgentFacts,
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
    /// In their order.
    pub lines: Vec<SaleLine>,
    pub paid_at: Option<DateTime<Utc>>,
    pub snapshot: Option<PlanSnapshot>,
    pub decided_at: Option<DateTime<Utc>>,
    /// In order of level.
    pub decisions: Vec<StoredDecision>,
    pub commissions: Vec<CommissionView>,
    /// Oldest first; the latest [`ADJUSTMENTS_MAX`] of all of them.
    pub adjustments: Vec<AdjustmentView>,
}

/// As many adjustments of one order as an explanation shows.
pub const ADJUSTMENTS_MAX: u16 = 1000;

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
    /// `order`, `plan`, `path`, `sales`, `rate`, `share`, `rounding`, `hold`: one of each, in this order, with a `cap` before
    /// `hold` where one cut the share; an `adjustment` for each time
    /// that something was taken back or given back; `state`.
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
    /// Σ base × rate before rounding, in the currency's unit.
    pub exact: String,
    /// What earned by which rate, and whose rate it is.
    pub parts: Vec<Part>,
    /// What cut the rounded amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// The engine's answer now, on the frozen plan and the stored facts.
    pub recomputed: Money,
    /// Whether that is what is stored. Anything but true is a fault of ours.
    pub agrees: bool,
    /// Oldest first.
    pub adjustments: Vec<AdjustmentView>,
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
    /// Why nothing: `below_minimum_sales`, `order_too_small`, `order_too_large`, `no_difference`, `cap_reached`,
    /// `inactive_agent`, `rounds_to_zero`, `nothing_paid`, `repeated`, `other_currency`.
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
    /// What the shares cannot exceed but for rounding, in the currency's unit: total × Σ rates of the levels, or × (best rate in
    /// the chain − the buyer's).
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
    /// What was taken back of one commission and given back, newest first; `only` as in [`commission`](Self::commission).
    async fn adjustments(
        &self,
        scope: &SiteScope,
        id: CommissionId,
        only: Option<PartyId>,
        page: PageRequest,
    ) -> Result<Option<Page<AdjustmentView>>, StoreError>;
    /// What is stored about an order's shares. For staff: it names every ancestor.
    async fn shares(&self, scope: &SiteScope, order: OrderId) -> Result<Option<OrderShares>, StoreError>;
    /// Newest first, at most 200.
    async fn plans(&self, scope: &SiteScope, at: Timestamp) -> Result<Vec<PlanView>, StoreError>;
    /// As it stands at that time.
    async fn plan(
        &self,
        scope: &SiteScope,
        id: PlanId,
        at: Timestamp,
    ) -> Result<Option<PlanView>, StoreError>;
    /// Newest first, at most 200; `None`: there is no such party.
    async fn terms(&self, scope: &SiteScope, agent: PartyId) -> Result<Option<Vec<TermsView>>, StoreError>;
    /// The orders that were paid in that time and what stood then, all as of this moment; nothing can be written.
    async fn past(
        &self,
        scope: &SiteScope,
        period: Period,
        wants: Wants,
    ) -> Result<Box<dyn Past>, StoreError>;

    /// What each agent would have earned in that time by this version.
    async fn simulate(
        &self,
        scope: &SiteScope,
        id: PlanId,
        period: Period,
    ) -> Result<Simulated, SimulateError> {
        let plan = self.plan(scope, id, period.from).await?;
        let snapshot = plan.ok_or(SimulateError::NoSuchPlan)?.snapshot()?;
        let mut past = self.past(scope, period, Wants::of(&snapshot.rules)).await?;
        Ok(simulate(snapshot, period, past.as_mut()).await?)
    }

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
