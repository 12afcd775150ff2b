//! The use cases on the in-memory fake.

mod paying;
mod placing;
mod wallets;
mod world;
