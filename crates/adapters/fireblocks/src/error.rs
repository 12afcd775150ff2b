//! What can come of a call, sorted by what may be done about it.

use posx_allocations::custody::CustodyError;

use crate::event::EventError;

/// Why a call gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FireblocksError {
    /// Fireblocks understood and said no. Its message is left out: it may quote what was sent.
    #[error("Fireblocks refused (status {status}, code {code})")]
    Refused { status: u16, code: String },
    /// A wrong or revoked key, a missing right, or a clock that is off: -10 is a request that came too late, -12 one from
    /// the future.
    #[error("Fireblocks does not accept our credentials (status {status}, code {code})")]
    NotAuthorized { status: u16, code: String },
    #[error("Fireblocks already has a transaction with this external id")]
    Duplicate,
    /// What became of the first request with this key is not known here.
    #[error("the first request with this idempotency key met an internal error")]
    KeySpent,
    #[error("Fireblocks asks to come back later ({tries} tries)")]
    Busy { tries: u32 },
    /// From a server in trouble, or from something between us: nobody knows what happened.
    #[error("the answer was status {status}")]
    Status { status: u16 },
    #[error("there was no whole answer")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    /// Without the parser's words: they may quote the answer.
    #[error("the answer cannot be read (line {line}, column {column})")]
    Undecodable { line: usize, column: usize },
    #[error("the answer's `{0}` cannot be used")]
    Field(&'static str),
    #[error("the request could not be made: nothing was sent")]
    Unsent,
}

impl FireblocksError {
    /// A worded 404 is an answer: there is no such thing.
    pub(crate) fn unless_missing<T>(self) -> Result<Option<T>, Self> {
        match self {
            Self::Refused { status: 404, .. } => Ok(None),
            error => Err(error),
        }
    }
}

impl From<&serde_json::Error> for FireblocksError {
    fn from(error: &serde_json::Error) -> Self {
        Self::Undecodable {
            line: error.line(),
            column: error.column(),
        }
    }
}

impl From<EventError> for FireblocksError {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Shape(error) => (&error).into(),
            EventError::Field(field) => Self::Field(field),
        }
    }
}

/// For the port: whatever does not say that nothing happened is unknown.
impl From<FireblocksError> for CustodyError {
    fn from(error: FireblocksError) -> Self {
        match error {
            FireblocksError::Refused { code, .. } => Self::Refused { code },
            FireblocksError::NotAuthorized { code, .. } => Self::NotAuthorized { code },
            FireblocksError::Duplicate => Self::Duplicate,
            unknown => Self::Unknown(Box::new(unknown)),
        }
    }
}
