//! The adapter on real PostgreSQL: what its ports promise, and what the database refuses.

mod idempotency;
mod inbox;
mod isolation;
mod ledger;
mod migrate;
mod posture;
mod server;
mod stock;
mod story;
mod tenancy;
mod transaction;
mod world;
