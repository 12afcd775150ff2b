//! Language models, metered: one gateway for the staff's chat, the storefront's chat and the reading of documents.
//!
//! Invariants:
//! * What a call can cost at most is reserved before it is sent, and settled when it has ended, however it ended: of any
//!   budget never more is spent than it holds.
//! * A price is that of the reservation's price version.
//! * A model reads. No tool that it may call writes: a tool is a query in the caller's scope with the caller's capabilities.
//! * What a document says becomes a draft; a person makes it an order or a customer.
//! * A call's id is ours.

mod account;
mod breaker;
mod budget;
mod chat;
mod consent;
mod conversation;
mod credit;
pub mod documents;
mod error;
mod gateway;
mod micros;
mod model;
mod price;
mod quota;
mod redact;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tools;

pub use account::{
    ModelAccount, ModelAccountView, ModelChoice, ModelChoiceBody, ModelConsentView, ModelProviderView,
    ModelSetups, Models, ModelsTx, OwnKey, Provider, Providers, Setup, SetupError, SetupQueries,
};
pub use budget::{
    AddCredit, BudgetError, BudgetKey, BudgetQueries, BudgetRepository, BudgetView, BudgetsTx, Counter,
    Limit, Limits, LimitsError, ModelBudgets, SiteLimits, Subject, budget_warned, day_of, is_warning,
};
pub use chat::{ChatEvent, ChatEvents, ChatParts, Chats, NewVisit, Reply, StaffQuestion, VISIT_LIFE};
pub use consent::{CONSENT_TEXT_VERSION, ModelConsent};
pub use conversation::{
    Answered, ChatError, ChatMessage, ChatVisitor, Conversation, ConversationQueries, ConversationRepository,
    ConversationView, Conversations, ConversationsTx, MessageState, MessageView, Outcome, QUESTION_CHARS_MAX,
    RETENTION_DAYS, Retention,
};
pub use credit::{Credit, CreditKind, CreditQueries, CreditView, Portion, pay, take};
pub use error::AssistantError;
pub use gateway::{Answer, AnswerEvent, AnswerStream, Ask, Gateway, GatewayParts, PROMPT_BYTES_MAX};
pub use micros::Micros;
pub use model::{
    Endpoint, FinishReason, ImageInput, LanguageModel, Message, ModelCall, ModelError, ModelEvent,
    ModelStream, Part, ProviderKind, ToolCall, ToolSpec, Usage,
};
pub use price::{Price, PriceBook, PriceBookError, PriceTier, TokensMax};
pub use quota::{Asker, BudgetScope, Period, Purpose, Quota, QuotaError, Reservation, Spent};
pub use tools::{
    Citation, CitationKind, PublicQuery, PublicReads, ROWS_MAX, ReadError, Rights, Row, Rows, StaffQuery,
    StaffReads,
};
