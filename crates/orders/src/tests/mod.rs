//! The use cases on the in-memory fake.

mod disputing;
mod interleaving;
mod paying;
mod placing;
mod promo_codes;
mod refunding;
mod wallets;
mod world;
