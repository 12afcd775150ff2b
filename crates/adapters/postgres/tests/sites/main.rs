//! The adapter on a real PostgreSQL, with sites as use makes them.

mod audit;
mod isolation;
mod ledger;
mod orders;
mod posture;
mod shares;
mod stock;
mod world;
