//! What screens read of agents, and the port that answers.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use posx_kernel::{
    Currency, EntryId, Money, OrderId, Page, PageRequest, PartyId, SiteScope, StatementId, StoreError,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{AgentState, AncestorAt, Month, Span};
use crate::CommissionState;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AgentView {
    pub id: PartyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    pub referral_code: String,
    pub state: AgentState,
    /// By the terms that hold for them now; absent: the plan's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
    /// Who stands directly above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<PartyId>,
    /// How many stand above, up to the top.
    pub depth: u32,
    pub joined_at: DateTime<Utc>,
    /// 0 while nobody wrote about the party and it brought nobody.
    pub version: i32,
}

#[derive(Debug, Clone, Default)]
pub struct AgentFilter {
    pub state: Option<AgentState>,
    /// How the referral code begins, after the site's prefix or with it.
    pub code: Option<String>,
}

/// One party below an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TreeNode {
    pub party: PartyId,
    pub referral_code: String,
    /// 1 is directly below the agent.
    pub depth: u32,
    pub parent: PartyId,
    /// How many stand directly below it.
    pub children: u64,
    /// Since when it stands where it stands.
    pub since: DateTime<Utc>,
}

/// One party directly below an agent, and what it bought since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = AgentCustomerView)]
pub struct CustomerView {
    pub party: PartyId,
    pub since: DateTime<Utc>,
    pub orders: u64,
    /// In each currency: what was paid, less what went back.
    pub sales: Vec<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_order_at: Option<DateTime<Utc>>,
}

/// Sales of those below an agent in one currency, less what went back. Each order counts for who stood above its buyer when
/// it was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TeamSales {
    /// Of customers directly below.
    pub direct: Money,
    /// Of everybody below.
    pub team: Money,
    /// Orders of everybody below.
    pub orders: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CommissionSum {
    pub state: CommissionState,
    pub count: u64,
    /// As it was earned.
    pub amount: Money,
    /// What is left after what went back.
    pub left: Money,
}

/// An agent's account in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Balance {
    /// What the site owes the agent; less than zero is what the agent owes.
    pub balance: Money,
    /// What of it waits for the end of a hold time or of a dispute.
    pub held_back: Money,
    /// What of it can be paid out: the balance without what is held back.
    pub available: Money,
    /// Taken from the balance, on its way to the agent.
    pub pending: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AgentFigures {
    pub direct_customers: u64,
    /// Everybody below, at any distance.
    pub total_customers: u64,
    pub sales: Vec<TeamSales>,
    pub commissions: Vec<CommissionSum>,
    pub balances: Vec<Balance>,
    /// Of anybody below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_order_at: Option<DateTime<Utc>>,
    pub month: MonthFigures,
}

/// The current month so far, in the site's time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MonthFigures {
    pub first_day: NaiveDate,
    /// Who came directly below the agent.
    pub new_customers: u64,
    pub sales: Vec<TeamSales>,
    /// Earned in this month, in each currency, less what went back of it.
    pub earned: Vec<Money>,
}

/// By what agents are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Of customers directly below, paid in the time, less what went back.
    Sales,
    /// Earned in the time, less what went back.
    Commissions,
    /// Who came directly below in the time, and is still there.
    Customers,
}

#[derive(Debug, Clone, Copy)]
pub struct Board {
    pub metric: Metric,
    pub span: Span,
    /// Sales and commissions in this one.
    pub currency: Currency,
    pub limit: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LeaderRow {
    /// Equals share a rank.
    pub rank: u32,
    pub agent: PartyId,
    pub referral_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Sales or commissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Orders, commissions or customers.
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StatementView {
    pub id: StatementId,
    pub agent: PartyId,
    pub referral_code: String,
    /// 1 for the first of the agent's account in this currency.
    pub number: u32,
    pub month: Month,
    /// The site's when it was made.
    pub time_zone: String,
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
    /// What the site owed the agent; less than zero is what the agent owed.
    pub opening: Money,
    pub credits: Money,
    pub debits: Money,
    pub closing: Money,
    pub lines: u32,
    pub created_at: DateTime<Utc>,
}

/// One posting of the agent's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = AgentStatementLine)]
pub struct StatementLine {
    pub entry: EntryId,
    pub at: DateTime<Utc>,
    pub kind: String,
    /// More than zero is what the agent got.
    pub amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// Why it was posted.
    pub says: String,
}

/// What storage knows of a line's cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineFacts {
    pub order_number: Option<String>,
    pub level: Option<u8>,
}

impl LineFacts {
    /// Why an entry of this kind was posted.
    pub fn says(&self, kind: &str) -> String {
        let order = self
            .order_number
            .as_deref()
            .map_or_else(String::new, |number| format!(" of order {number}"));
        let level = self
            .level
            .map_or_else(String::new, |level| format!(" at level {level}"));
        match kind {
            "commission.accrued" => format!("Share{order}{level}."),
            "commission.reversed" => {
                format!("Taken back of the share{order}{level}, because money of the sale went back.")
            }
            "commission.restored" => format!(
                "Given back of the share{order}{level}: the money of the sale did not go back after all."
            ),
            "payout.taken" => "Taken to be paid out.".to_owned(),
            "payout.returned" => "A payout that did not arrive came back.".to_owned(),
            "commission.written_off" => "A debt that was written off.".to_owned(),
            other => format!("{other}."),
        }
    }
}

/// Reads for screens: one short read-only transaction each.
#[async_trait]
pub trait AgentQueries: Send + Sync {
    /// Those who brought somebody or were written about, newest party first; their grades as of `at`.
    async fn agents(
        &self,
        scope: &SiteScope,
        filter: &AgentFilter,
        at: Timestamp,
        page: PageRequest,
    ) -> Result<Page<AgentView>, StoreError>;
    /// Any party; its grade as of `at`.
    async fn agent(
        &self,
        scope: &SiteScope,
        id: PartyId,
        at: Timestamp,
    ) -> Result<Option<AgentView>, StoreError>;
    /// Up to `depth` levels below the agent, level by level.
    async fn tree(
        &self,
        scope: &SiteScope,
        id: PartyId,
        depth: u32,
        page: PageRequest,
    ) -> Result<Page<TreeNode>, StoreError>;
    /// Directly below the agent, newest party first.
    async fn customers(
        &self,
        scope: &SiteScope,
        id: PartyId,
        page: PageRequest,
    ) -> Result<Page<CustomerView>, StoreError>;
    /// `first_day` begins `month`.
    async fn figures(
        &self,
        scope: &SiteScope,
        id: PartyId,
        month: Span,
        first_day: NaiveDate,
    ) -> Result<AgentFigures, StoreError>;
    async fn leaderboard(&self, scope: &SiteScope, board: Board) -> Result<Vec<LeaderRow>, StoreError>;
    /// Newest first.
    async fn statements(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        month: Option<Month>,
        page: PageRequest,
    ) -> Result<Page<StatementView>, StoreError>;
    /// `only`: an agent who may see their own; another one's is not found.
    async fn statement(
        &self,
        scope: &SiteScope,
        id: StatementId,
        only: Option<PartyId>,
    ) -> Result<Option<StatementView>, StoreError>;
    /// Oldest first: up to `limit` lines after this entry.
    async fn statement_lines(
        &self,
        scope: &SiteScope,
        statement: &StatementView,
        after: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, StoreError>;
    /// Who stood above the order's buyer when it was paid (now, while it is not), nearest first, after the level `above`; or
    /// where one of them stood.
    async fn ancestors_of_order(
        &self,
        scope: &SiteScope,
        order: OrderId,
        paid_at: Option<Timestamp>,
        only: Option<PartyId>,
        above: u32,
        limit: u16,
    ) -> Result<Vec<AncestorAt>, StoreError>;
}
