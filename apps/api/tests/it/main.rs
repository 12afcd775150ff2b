//! The API on a real database. What every route owes is asked of the OpenAPI document, so that a new route without it fails.

mod bad_input;
mod coverage;
mod crash;
mod edges;
mod fuzz;
mod malformed;
mod objects;
mod operations;
mod orders;
mod roles;
mod server;
mod wallets;
mod webhooks;
mod world;
