//! The worker on real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in a test function")]

mod books;
mod crash;
mod documents;
mod flow;
mod model_budgets;
mod payouts;
mod purge;
mod queue;
mod reconciliations;
mod recover;
mod returns;
mod schedule;
mod shares;
mod statements;
mod vesting;
mod webhooks;
mod world;
