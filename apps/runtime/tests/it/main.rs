//! A start against real PostgreSQL, and the metrics port.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in a test function")]

mod connect;
mod key_rotation;
mod metrics;
