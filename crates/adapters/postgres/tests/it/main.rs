//! The adapter on real PostgreSQL.

mod audit;
mod idempotency;
mod inbox;
mod isolation;
mod jobs;
mod ledger;
mod migrate;
mod orders;
mod posture;
mod server;
mod stock;
mod story;
mod tenancy;
mod transaction;
mod world;
