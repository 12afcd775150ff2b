//! Orders of tokens: what was promised, and the money that arrives for it.
//!
//! Invariants:
//! * An order's lifecycle moves only as [`Lifecycle::may_become`] lists; its payment and delivery are derived from facts.
//! * lines − discount + tax + shipping = total, for every currency; the database checks it too.
//! * Money is captured once: the same success, delivered any number of times in any order, has one set of effects.
//! * Expiry and cancelling cancel the provider's intent first and free the stock after it; money that still arrives takes
//!   stock again if there is any, else it is refunded and the order is flagged.
//! * A bound wallet that took another's place is not delivered to before its time; a proven one yields to proof only.
//! * What went back of a sale is counted anew from all its refunds and disputes, never event by event: their number, order and
//!   repetition change nothing. Refunds that did not fail, and what disputes took, never exceed what was captured.
//! * An open dispute freezes the order; only money that is lost counts as returned, and no money counts twice.
//! * A promo code's use is counted with the order and given back once when the order closes unpaid; a code that gives nothing
//!   stops no order unless the buyer wants it so.
//! * No provider is called while a transaction is open; every call carries an id of ours that was committed before it.
//!
//! Events: `order.placed`, `order.paid`, `order.expired`, `order.cancelled`, `order.payment_late`, `payment.declined`,
//! `checkout.opened`, `refund.requested`, `refund.found`, `refund.action_required`, `refund.succeeded`, `refund.failed`,
//! `refund.cancelled`, `dispute.opened`, `dispute.reopened`, `dispute.closed`, `dispute.funds_withdrawn`,
//! `dispute.funds_reinstated`, `dispute.evidence_due`, `order.returns_changed`, `wallet.bound`.

mod attempt;
mod bind;
mod checkout;
mod close;
mod dispute;
mod error;
pub mod gateway;
mod order;
mod payment;
mod place;
mod ports;
mod pricing;
mod promo;
mod refund;
mod returns;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod view;
mod wallet;

pub use attempt::{Attempt, AttemptState};
pub use checkout::Checkout;
pub use close::Closed;
pub use dispute::{Dispute, DisputeApplied, DisputeState, DisputeView, ProviderDisputeState};
pub use error::OrderError;
pub use order::{
    Approval, Delivery, Lifecycle, Line, Order, OrderKind, OrderNumber, PaymentStatus, WrongMove,
};
pub use payment::PaymentApplied;
pub use place::{PlaceOrder, Placed, PromoWish, RenderAnswer};
pub use ports::{
    AttemptRepository, Bound, DisputeFilter, DisputeRepository, DueOrder, NewOrder, NewWallet, OrderFilter,
    OrderQueries, OrderRepository, OrdersTx, PlacingFacts, PromoFacts, RefundFilter, RefundRepository,
    TierFacts, Wallet, WalletRepository,
};
pub use pricing::{Quote, QuoteLine, WishedLine};
pub use refund::{Refund, RefundOrigin, RefundReason, RefundState, RefundView, RequestRefund, Restock};
pub use returns::Returns;
pub use service::{COOLING_OFF, Orders};
pub use view::{EventView, LineView, OrderSummary, OrderView, PromoView, QuoteLineView, QuoteView};
pub use wallet::{WalletAddress, WalletError};
