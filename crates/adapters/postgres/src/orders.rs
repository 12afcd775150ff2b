//! Orders, their payments, refunds and wallets.

mod payments;
mod read;
mod rows;
pub(crate) mod write;
