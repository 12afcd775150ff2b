//! What must be delivered for a paid order, by custody transfer, and how far it is.
//!
//! Invariants:
//! * Each part of a paid order line is made once: one allocation, or one for each release of its vesting; a batch has 1 to
//!   100 of them, all of one site.
//! * The external id of a try is committed before the custodian is called. A try whose outcome is not known is looked up
//!   by that id and, if it must be sent again, sent under the same one: the custodian refuses a second transfer with it.
//! * A new try, with a new external id, begins only by a person's word, after the last is proven failed and not on chain.
//! * States move forward by rank, whatever the order of reports; done and failed are left by nothing that a custodian
//!   says.
//! * Nothing is sent that two people, neither of them its batch's maker, did not agree to exactly as it is sent: what changes
//!   is taken out of its batch, and voids both approvals.
//! * A vault has one transfer on its way to its chain at a time, whatever the chain.
//! * Nothing is sent for the first time from a vault that cannot pay for all of the run, or lacks gas.
//! * What goes to a wallet that took another's place enters no batch before that wallet's time.
//! * What went back of an order is, of each line, cut or owed or waits for a transfer under way: the tokens' share of the
//!   money, whatever the number and order of refunds and disputes (`returns::plan`).
//! * A debt of tokens ends by no more than is owed. What came back is another part of its line, so it is delivered again if its
//!   money comes back after all.
//! * Nothing of a disputed order is queued or sent. Nothing is sent that is still to be cut.
//! * Releases of a schedule sum to its total; what is due or sent is not touched by a moved start or a revocation.
//! * No call to the custodian is made while a transaction is open.
//! * Delivered tokens are booked in the transaction that makes an allocation done; the order's delivery is derived from
//!   its allocations in that same transaction.
//!
//! Events: `allocation.created`, `allocation_batch.created`, `allocation_batch.approval_given`, `allocation_batch.approved`,
//! `allocation_batch.approvals_voided`, `allocation_batch.sending`, `allocation_batch.continued`, `allocation_batch.paused`,
//! `allocation_batch.resumed`, `allocation_batch.done`, `allocation_batch.partly_failed`, `allocation_batch.discarded`,
//! `allocation.submitted`, `allocation.done`,
//! `allocation.failed`, `allocation.parked`, `allocation.retried`, `allocation.adjusted`, `allocation.held_back`,
//! `order.allocations_unsettled`, `order.restocked`, `vesting_policy.created`, `vesting_policy.start_moved`,
//! `tier.vesting_changed`, `vesting_schedule.created`, `vesting_schedule.revoked`,
//! `vesting.unlock_requested`, `token_debt.settled`.

mod adjust;
mod allocate;
mod allocation;
mod batch;
pub mod custody;
mod cut;
mod debts;
mod delivery;
mod error;
mod ports;
mod preflight;
mod reconcile;
mod report;
mod retry;
mod returns;
mod service;
mod standing;
mod submit;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod vesting;
mod view;

pub use adjust::Adjusted;
pub use allocate::Allocated;
pub use allocation::{Allocation, AllocationState, Applied, QueueRefusal, RetryRefusal, StateName};
pub use batch::{
    APPROVAL_LIFE, APPROVALS_NEEDED, BATCH_SIZE_MAX, Batch, BatchApproval, BatchCheck, BatchError, BatchLine,
    BatchReport, BatchReportLine, BatchRepository, BatchState, BlockedLine, Booked, DryRun,
    FAILURES_IN_ROW_MAX, GasNeed, LeftOut, LinesSum, PauseReason, Rebuilt, ReportTotal, VaultTotal,
    WrongBatchMove, hash_of, rebuild,
};
pub use cut::Place;
pub use debts::{DebtError, SettleDebt, Settling, TokenSettlement, TokenSettlementView};
pub use delivery::Delivery;
pub use error::{AllocateError, ReportError, RetryError, SubmitError};
pub use ports::{
    AllocationRepository, AllocationsTx, CustodyAsset, DeliveredOrders, ExternalIds, LineToDeliver,
    OrderToDeliver, Restock,
};
pub use preflight::{GasFloor, Shortfall};
pub use reconcile::{Reconciled, STUCK_AFTER};
pub use service::Allocations;
pub use standing::Standing;
pub use submit::BatchRun;
pub use vesting::{
    CLIFF_MONTHS_MAX, CalendarRow, CreatePolicy, Granularity, PERIODS_MAX, PeriodUnit, PolicyView, Release,
    ReleaseName, ReleaseState, ReleaseView, ScheduleFilter, ScheduleView, TierVestingView, TokenDebtView,
    Unlocked, VestingError, VestingPolicy, VestingQueries, VestingRepository, VestingSchedule, calendar,
};
pub use view::{AllocationFilter, AllocationQueries, AllocationView, ApprovalView, BatchView, StateCount};
