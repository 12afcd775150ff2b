//! The in-memory fake of this context's storage, a scripted payment provider, builders, and the contract suites. The fake
//! has the same transactions as the real store: all or nothing, one at a time.

mod contract;
mod gateway;
mod gateway_contract;
mod return_contract;
mod store;
mod wallet_contract;

pub use contract::{Given, contract};
pub use gateway::ScriptedGateway;
pub use gateway_contract::{Call, OtherSide, Stage, gateway_contract};
pub use return_contract::{Bank, return_contract};
pub use store::{FakeStore, State};
pub use wallet_contract::wallet_contract;
