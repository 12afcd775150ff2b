//! The contract suite that every store of this context must pass.

mod contract;

pub use contract::{Given, contract};
