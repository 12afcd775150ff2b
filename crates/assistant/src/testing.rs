//! Fakes and contract suites, for tests.

mod conversation_contract;
mod conversations;
mod gateway;
mod model;
mod quota;
mod quota_contract;
mod setups;

pub use conversation_contract::{ConversationWorld, contract as conversation_contract};
pub use conversations::FakeConversations;
pub use gateway::{FALLBACK_MODEL, FakeSecrets, GatewayWorld, MODEL, choice, prices, providers};
pub use model::{Script, ScriptedModel, Step};
pub use quota::{FakeCall, FakeQuota, reservation, spent};
pub use quota_contract::{QuotaWorld, contract as quota_contract};
pub use setups::FakeSetups;
