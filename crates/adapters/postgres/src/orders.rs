//! Orders, their payments, refunds and wallets.

mod disputes;
mod payments;
mod read;
mod refunds;
mod rows;
mod wallets;
pub(crate) mod write;
