//! One file per job. Each is idempotent: the use case that it calls decides what there is to do.

mod accrue_commissions;
mod adjust_allocations;
mod adjust_commissions;
mod allocate_order;
mod apply_webhook;
mod expire_orders;
mod make_statements;
mod mature_commissions;
mod purge;
mod reconcile_allocations;
mod reconcile_payments;
mod reconcile_payouts;
mod recover_events;
mod resolve_checkout;
mod seal_events;
mod send_invitation;
mod send_payout;
mod send_refund;
mod submit_batch;
mod ticks;
mod unlock_vesting;
mod watch_disputes;
mod write_off_balances;

pub(crate) use accrue_commissions::AccrueCommissions;
pub(crate) use adjust_allocations::AdjustAllocations;
pub(crate) use adjust_commissions::AdjustCommissions;
pub(crate) use allocate_order::AllocateOrder;
pub(crate) use apply_webhook::ApplyWebhook;
pub(crate) use expire_orders::ExpireOrders;
pub(crate) use make_statements::MakeStatements;
pub(crate) use mature_commissions::MatureCommissions;
pub(crate) use purge::Purge;
pub(crate) use reconcile_allocations::ReconcileAllocations;
pub(crate) use reconcile_payments::ReconcilePayments;
pub(crate) use reconcile_payouts::ReconcilePayouts;
pub(crate) use recover_events::RecoverEvents;
pub(crate) use resolve_checkout::ResolveCheckout;
pub use seal_events::check_trail;
pub(crate) use seal_events::{CheckTrail, SealEvents};
pub(crate) use send_invitation::SendInvitation;
pub(crate) use send_payout::SendPayout;
pub(crate) use send_refund::SendRefund;
pub(crate) use submit_batch::SubmitBatch;
pub(crate) use ticks::{
    TickExpire, TickMature, TickPurge, TickReconcile, TickRecover, TickSeal, TickStatements, TickUnlock,
};
pub(crate) use unlock_vesting::UnlockVesting;
pub(crate) use watch_disputes::WatchDisputes;
pub(crate) use write_off_balances::WriteOffBalances;
