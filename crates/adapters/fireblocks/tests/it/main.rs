//! The half that asks, over real HTTP: against a server that says what a test has laid out, against the sandbox's
//! custodian, and against the vendor's own API document.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

mod contract;
mod counterpart;
mod interlock;
mod lines;
mod refusals;
mod requests;
mod server;
mod support;
mod transactions;
mod vaults;
mod webhooks;
