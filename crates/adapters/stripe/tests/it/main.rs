//! The half that asks, over real HTTP: against a server in Stripe's shape that tests can make fail, and against software
//! that others wrote.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

mod book;
mod counterparts;
mod gateway;
mod keys;
mod lines;
mod lookup;
mod orders;
mod resources;
mod retries;
mod server;
mod states;
mod support;
