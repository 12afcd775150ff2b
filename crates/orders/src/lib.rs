//! Orders of tokens: what was promised, and the money that arrives for it.
//!
//! Invariants:
//! * An order's lifecycle moves only as [`Lifecycle::may_become`] lists; its payment and delivery are derived from facts.
//! * lines − discount + tax + shipping = total, for every currency; the database checks it too.
//! * Money is captured once: the same success, delivered any number of times in any order, has one set of effects.
//! * Expiry and cancelling cancel the provider's intent first and free the stock after it; money that still arrives takes
//!   stock again if there is any, else it is refunded and the order is flagged.
//! * A bound wallet that took another's place is not delivered to before its time; a proven one yields to proof only.
//! * No provider is called while a transaction is open; every call carries an id of ours that was committed before it.
//!
//! Events: `order.placed`, `order.paid`, `order.expired`, `order.cancelled`, `order.payment_late`, `payment.declined`,
//! `checkout.opened`, `refund.requested`, `refund.succeeded`, `refund.failed`, `wallet.bound`.

mod attempt;
mod bind;
mod checkout;
mod close;
mod error;
pub mod gateway;
mod order;
mod payment;
mod place;
mod ports;
mod pricing;
mod refund;
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
pub use error::OrderError;
pub use order::{
    Approval, Delivery, Lifecycle, Line, Order, OrderKind, OrderNumber, PaymentStatus, RefundReason,
    WrongMove,
};
pub use payment::PaymentApplied;
pub use place::{PlaceOrder, Placed, RenderAnswer};
pub use ports::{
    AttemptRepository, Bound, DueOrder, NewOrder, NewWallet, OrderFilter, OrderQueries, OrderRepository,
    OrdersTx, PlacingFacts, RefundRepository, TierFacts, Wallet, WalletRepository,
};
pub use pricing::{Quote, QuoteLine, WishedLine};
pub use refund::Refund;
pub use service::{COOLING_OFF, Orders};
pub use view::{EventView, LineView, OrderSummary, OrderView, QuoteLineView, QuoteView};
pub use wallet::{WalletAddress, WalletError};
