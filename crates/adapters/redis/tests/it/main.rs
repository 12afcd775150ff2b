//! The limiters and the caches behind their ports.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod directory;
mod limiters;
mod quota;
mod server;
mod sessions;
mod sign_in;
