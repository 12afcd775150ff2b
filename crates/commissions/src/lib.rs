//! Who earns a share of a paid order, and why: commission plans, the engine, held and ready commissions.
//!
//! Invariants:
//! * A plan's content never changes; a change is a new version. At most one version is in force at any time: the one that
//!   began last, unless it has ended.
//! * What holds for one agent is recorded for a time to come and never changed.
//! * An order's shares are counted from the [`PlanSnapshot`] frozen on it and from facts that are stored with the result,
//!   by [`calculate`], which is pure: counting again gives the same amounts.
//! * Shares are decided once per order, also when nobody gets one: a second run is [`Accrued::AlreadyApplied`].
//! * What is taken back of a commission is a function of how much of the order went back in all: no number, order or
//!   repetition of refunds and disputes changes it, and a full return takes exactly all.
//! * Each commission is one balanced entry in the site's books, in the transaction that makes it.
//! * Level mode: Σ amounts ≤ total × Σ rates, within the one half-even rounding of each level. Difference mode: Σ rates ≤ the
//!   best in the chain − the buyer's. Whatever agents' own rates are, Σ amounts ≤ total.
//! * A party has one parent and is never above itself; who stood above whom is known for every time, and a placing changes
//!   nothing of what was paid before.
//! * A statement of an agent's account opens where the last one closed, and nothing is posted into one that is made.
//!
//! Events: `referral.bound`, `commission.accrued`, `commission.ready`, `commission.reversed`, `commission.restored`,
//! `commission.frozen`, `commission.unfrozen`, `commission_plan.created`,
//! `commission_plan.activated`, `commission_plan.scheduled`, `commission_plan.ended`, `agent_terms.recorded`,
//! `agent.edited`, `agent.placed`, `agent.stated`, `agent_statements.made`.

mod accrue;
mod adjust;
mod adjustment;
mod agent;
mod commission;
mod engine;
mod error;
mod explain;
mod mature;
mod payout;
mod plan;
mod plans;
mod ports;
mod service;
mod settlement;
mod simulate;
mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod view;
mod withdrawal;
mod write_off;

pub use accrue::Accrued;
pub use adjustment::{Adjustment, AdjustmentKind, Returns, Step, WrongReturns};
pub use agent::{
    AccountHead, Agent, AgentEdit, AgentError, AgentFigures, AgentFilter, AgentQueries, AgentRepository,
    AgentState, AgentView, Agents, AgentsTx, AncestorAt, Balance, Board, CommissionSum, CustomerView, Days,
    LastStatement, LeaderRow, LineFacts, Metric, Month, MonthError, MonthFigures, Span, Stated, Statement,
    StatementLine, StatementRepository, StatementView, Sums, TeamSales, TreeNode, Whom, WhyNot, WhyNotEntry,
    why_not,
};
pub use commission::{Commission, CommissionState, WrongMove};
pub use engine::{
    AgentFacts, Ancestor, Cap, Decision, Outcome, Part, RateFrom, Sale, SaleLine, SkipReason, Working,
    calculate,
};
pub use error::{AccrualError, PlanError, SimulateError, TermsError};
pub use explain::{explain_commission, explain_order};
pub use payout::{
    AccountMethod, AccountStanding, AgentBalance, AgentBalances, BankDetails, BankDetailsError, Bic, Debtor,
    FileLine, Iban, NegativeBalance, NewConnectAccount, Payout, PayoutAccount, PayoutAccountView,
    PayoutAccounts, PayoutError, PayoutFile, PayoutFileView, PayoutFiles, PayoutFilter, PayoutMethod,
    PayoutQueries, PayoutRepository, PayoutRules, PayoutRulesView, PayoutState, PayoutView, Payouts,
    PayoutsTx, Remittance, Sent, SettlementLineView, SettlementRepository, SettlementView, WithdrawalView,
    WriteOffRule, WriteOffView, WrongPayoutMove, gateway as payout_gateway,
};
pub use plan::{
    DEPTH_MAX, Difference, DifferenceTerms, Grade, HoldDays, LEVELS_MAX, Levels, Limits, Plan, PlanLevel,
    PlanSnapshot, Rules, TierRate, Window,
};
pub use plans::{Activated, NewPlan, Schedule};
pub use ports::{
    CommissionRepository, CommissionsTx, PaidOrder, PaidOrders, PlanRepository, TermsRepository,
};
pub use service::Commissions;
pub use settlement::{LeftBecause, Settlement, SettlementLine, SettlementState, WrongSettlementMove};
pub use simulate::{
    PERIOD_DAYS_MAX, Past, PastOrder, PastParty, Period, SalesMoved, Simulated, SimulatedAgent,
    SimulatedTotal, Stored, Suspension, Wants,
};
pub use terms::{AgentTerms, LevelRate, NewTerms, Terms};
pub use view::{
    ADJUSTMENTS_MAX, AdjustmentView, AncestorExplanation, CommissionExplanation, CommissionFilter,
    CommissionQueries, CommissionView, ExplainStep, NobodyEarned, OrderExplanation, OrderShares, PathStep,
    PlanRef, PlanView, StoredDecision, TermsView,
};
pub use withdrawal::NewWithdrawal;
pub use write_off::WriteOff;
