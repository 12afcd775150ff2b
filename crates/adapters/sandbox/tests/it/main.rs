//! The sandbox over real HTTP: as the ports see it, as a browser sees it, and as a receiver of webhooks sees it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

mod custodian;
mod issuer;
mod lines;
mod models;
mod panel;
mod payments;
mod payments_wire;
mod support;
mod webhooks;
