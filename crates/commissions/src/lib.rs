//! Who earns a share of a paid order, and why: commission plans, the engine, held and ready commissions.
//!
//! Invariants:
//! * A plan's content never changes; a change is a new version. At most one plan of a site is active.
//! * An order's shares are counted from the [`PlanSnapshot`] frozen on it and from facts that are stored with the result,
//!   by [`calculate`], which is pure: counting again gives the same amounts.
//! * Shares are decided once per order, also when nobody gets one: a second run is [`Accrued::AlreadyApplied`].
//! * Each commission is one balanced entry in the site's books, in the transaction that makes it.
//! * Σ amounts ≤ total × Σ rates, within the one half-even rounding of each level.
//!
//! Events: `referral.bound`, `commission.accrued`, `commission.ready`, `commission_plan.created`,
//! `commission_plan.activated`.

mod accrue;
mod commission;
mod engine;
mod error;
mod explain;
mod mature;
mod plan;
mod plans;
mod ports;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod view;

pub use accrue::Accrued;
pub use commission::{Commission, CommissionState, WrongMove};
pub use engine::{Ancestor, Decision, Outcome, SkipReason, calculate};
pub use error::{AccrualError, PlanError};
pub use explain::{explain_commission, explain_order};
pub use plan::{HoldDays, LEVELS_MAX, Levels, Plan, PlanLevel, PlanSnapshot};
pub use plans::{Activated, NewPlan};
pub use ports::{CommissionRepository, CommissionsTx, PaidOrder, PaidOrders, PlanRepository};
pub use service::Commissions;
pub use view::{
    AncestorExplanation, CommissionExplanation, CommissionFilter, CommissionQueries, CommissionView,
    ExplainStep, NobodyEarned, OrderExplanation, OrderShares, PathStep, PlanRef, PlanView, StoredDecision,
};
