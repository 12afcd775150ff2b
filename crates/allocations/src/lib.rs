//! What must be delivered for a paid order, by custody transfer, and how far it is.
//!
//! Invariants:
//! * One allocation per paid order line, made once; a batch has 1 to 100 of them, all of one site.
//! * The external id of a try is committed before the custodian is called. A try whose outcome is not known is looked up
//!   by that id and, if it must be sent again, sent under the same one: the custodian refuses a second transfer with it.
//! * A new try, with a new external id, begins only by a person's word, after the last is proven failed and not on chain.
//! * States move forward by rank, whatever the order of reports; done and failed are left by nothing that a custodian
//!   says.
//! * Nothing is sent for the first time from a vault that cannot pay for all of the run, or lacks gas.
//! * What goes to a wallet that took another's place enters no batch before that wallet's time.
//! * No call to the custodian is made while a transaction is open.
//! * Delivered tokens are booked in the transaction that makes an allocation done; the order's delivery is derived from
//!   its allocations in that same transaction.
//!
//! Events: `allocation.created`, `allocation_batch.created`, `allocation.submitted`, `allocation.done`,
//! `allocation.failed`, `allocation.parked`, `allocation.retried`.

mod allocate;
mod allocation;
mod batch;
pub mod custody;
mod error;
mod ports;
mod preflight;
mod reconcile;
mod report;
mod retry;
mod service;
mod standing;
mod submit;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod view;

pub use allocate::Allocated;
pub use allocation::{Allocation, AllocationState, Applied, Delivery, QueueRefusal, RetryRefusal, StateName};
pub use batch::{BATCH_SIZE_MAX, Batch};
pub use error::{AllocateError, BatchError, ReportError, RetryError, SubmitError};
pub use ports::{
    AllocationRepository, AllocationsTx, CustodyAsset, DeliveredOrders, ExternalIds, LineToDeliver,
    OrderToDeliver,
};
pub use preflight::{GasFloor, Shortfall};
pub use reconcile::{Reconciled, STUCK_AFTER};
pub use service::Allocations;
pub use standing::Standing;
pub use submit::BatchRun;
pub use view::{AllocationFilter, AllocationQueries, AllocationView, BatchView, StateCount};
