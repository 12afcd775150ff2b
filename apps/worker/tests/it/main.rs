//! The worker on real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in a test function")]

mod crash;
mod flow;
mod purge;
mod queue;
mod recover;
mod schedule;
mod webhooks;
mod world;
