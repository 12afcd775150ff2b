//! The in-memory fake of this context's storage, a scripted payment provider, and builders. The fake has the same
//! transactions as the real store: all or nothing, one at a time.

mod gateway;
mod gateway_contract;
mod store;

pub use gateway::ScriptedGateway;
pub use gateway_contract::{Call, OtherSide, Stage, gateway_contract, refund_limit_contract};
pub use store::{FakeStore, State};
