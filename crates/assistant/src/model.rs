//! The outbound port to language models.
//!
//! A call ends in an answer, in a refusal that cost nothing, or broken off. Whoever breaks off, the provider may bill what it
//! has made so far: the gateway settles it.

use std::pin::Pin;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::Stream;
use posx_kernel::{ModelCallId, SiteId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

/// Whose protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// `POST {base}/chat/completions` as OpenAI, Groq and local servers take it.
    #[serde(rename = "openai")]
    OpenAi,
    /// `POST {base}/v1/messages`.
    Anthropic,
}

/// Where a call goes, and as whom.
#[derive(Clone)]
pub struct Endpoint {
    /// The operator's name for it: `groq`.
    pub provider: String,
    pub kind: ProviderKind,
    pub base_url: Url,
    pub model: String,
    /// A local server may want none.
    pub key: Option<SecretString>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("provider", &self.provider)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// One piece of what is said to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Image(ImageInput),
}

#[derive(Clone, PartialEq, Eq)]
pub struct ImageInput {
    /// `image/png`, `image/jpeg` or `image/webp`.
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for ImageInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImageInput({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

/// A turn of the talk, in order. What people and documents say is never in the system's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    User(Vec<Part>),
    Assistant {
        text: String,
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool answered, by the id of the call.
    Tool {
        call: String,
        content: String,
    },
}

/// A query that the model may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// `^[a-z_]{1,64}$`.
    pub name: &'static str,
    pub description: &'static str,
    /// JSON Schema of its arguments.
    pub parameters: serde_json::Value,
}

/// What the model asks for. Neither the name nor the arguments are to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's, within this talk.
    pub id: String,
    pub name: String,
    /// JSON as text, as the model wrote it: it may be none.
    pub arguments: String,
}

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCall {
    pub id: ModelCallId,
    pub site: SiteId,
    pub system: String,
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    /// JSON Schema that the answer's text has to satisfy. Providers differ in how strictly they hold it: check the answer.
    pub answer_schema: Option<serde_json::Value>,
    /// Reasoning included.
    pub max_output_tokens: u32,
}

/// Tokens of one call, as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    pub input: u64,
    /// The part of `input` that came from the provider's cache.
    pub cached_input: u64,
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    Stop,
    /// It wants the answers of tools.
    ToolCalls,
    /// `max_output_tokens` was reached.
    Length,
    /// The provider's own filter cut it.
    Filtered,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelEvent {
    Text(String),
    /// So many bytes more of what is not shown: of reasoning, or of a tool call that is not whole yet.
    Unseen {
        bytes: u64,
    },
    /// Whole: its arguments are complete.
    ToolCall(ToolCall),
    /// Cumulative; the last one counts. What comes with the end or after it is of the whole answer, what came before is of its
    /// beginning. Some providers never send it.
    Usage(Usage),
    /// Nothing follows but a `Usage`.
    Finished(FinishReason),
}

/// Ends after `Finished` (and its `Usage`), or with an error. Dropped, it closes the connection.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send>>;

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// 429: nothing was made. Try again, later than this if it is said.
    #[error("the model's provider limits us")]
    RateLimited { retry_after: Option<TimeDelta> },
    /// No first word in time: something may have been made and billed.
    #[error("the model's provider gave no answer in time")]
    TimedOut,
    /// 503 or 529 with a wait: nothing was made, and it is not only we who are to wait.
    #[error("the model's provider is overloaded")]
    Overloaded { retry_after: TimeDelta },
    /// 5xx, or no connection: no answer had begun, and nothing is billed.
    #[error("the model's provider gave no answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer that had begun (a 2xx) broke off, before its first word or after it, or is not what the protocol says. What came
    /// counts, and what did not come may have been billed.
    #[error("the model's answer broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// 401, 403: nothing will happen until a person acts.
    #[error("the model's provider does not accept our key")]
    NotAuthorized,
    /// 402, or a 429 that means the account is out of credit: trying again does not help.
    #[error("the account at the model's provider is out of credit")]
    OutOfCredit,
    #[error("the provider does not know the model")]
    UnknownModel,
    /// More than the model's context holds.
    #[error("the call is too long for the model")]
    TooLong,
    /// Any other 4xx; the provider's code, if it has one.
    #[error("the model's provider refused: {code}")]
    Refused { code: String },
}

impl ModelError {
    /// Whether the same call may succeed a moment later.
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. } | Self::Overloaded { .. } | Self::Unavailable(_)
        )
    }
}

#[async_trait]
pub trait LanguageModel: Send + Sync + std::fmt::Debug {
    /// One try, streamed. It is begun when this returns: an error of the stream is one after the first word.
    async fn open(&self, endpoint: &Endpoint, call: &ModelCall) -> Result<ModelStream, ModelError>;
}
