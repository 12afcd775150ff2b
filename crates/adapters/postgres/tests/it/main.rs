//! The adapter on real PostgreSQL: what its ports promise, and what the database refuses.

mod audit;
mod contracts;
mod idempotency;
mod inbox;
mod isolation;
mod ledger;
mod migrate;
mod orders;
mod posture;
mod server;
mod shares;
mod stock;
mod story;
mod tenancy;
mod transaction;
mod wallet_proofs;
mod world;
