//! Orders, their payments, refunds and wallets.

mod payments;
mod read;
mod rows;
mod wallets;
pub(crate) mod write;
