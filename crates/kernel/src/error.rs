//! Errors: an opaque one for storage, and the face that every refusal shows to the edge.

use std::error::Error as StdError;

/// How loud a failure is. A refusal is business as usual and alerts nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The caller's mistake, or an ordinary "no".
    Refusal,
    /// It may heal by itself: a dependency is away, a conflict is tried again.
    Warning,
    /// A person should look.
    Error,
}

/// What sort of "no" it is. The edge turns it into a status; nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 400: the request itself is not well-formed.
    Malformed,
    /// 404, also for what belongs to another site.
    NotFound,
    /// 422: the input is well-formed and cannot be accepted.
    Invalid,
    /// 409: the state of things does not allow it now.
    Conflict,
    /// 412: the caller's version is stale.
    Stale,
    /// 403
    Forbidden,
    /// 413: more than may be sent.
    TooLarge,
    /// 429: what was allowed is used up, until [`Refusal::retry_after_s`].
    UsedUp,
    /// 503: not possible now, nothing half done.
    Unavailable,
    /// 500: our fault.
    Internal,
}

/// A failure that the edge can show: each variant of a use case's error enum has a stable code, a kind and, where the
/// input is at fault, the field (a JSON pointer without the leading slash, `lines/0/quantity`).
pub trait Refusal: StdError + Send + Sync + 'static {
    /// Stable, snake case, unique in the product: `tier_sold_out`.
    fn code(&self) -> &'static str;
    fn kind(&self) -> Kind;
    fn field(&self) -> Option<std::borrow::Cow<'static, str>> {
        None
    }
    /// When the same may be asked again, if that is known.
    fn retry_after_s(&self) -> Option<u32> {
        None
    }
    fn severity(&self) -> Severity {
        match self.kind() {
            Kind::Unavailable => Severity::Warning,
            Kind::Internal => Severity::Error,
            _ => Severity::Refusal,
        }
    }
}

/// What a caller of a store may act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// Serialization failure or deadlock: the whole use case may be tried again.
    Retry,
    /// The store cannot be reached, or its pool is exhausted.
    Unavailable,
    /// A constraint that the domain should have guarded; carries the constraint's name.
    Constraint,
    /// Anything else: a bug or a broken row.
    Broken,
}

/// A failure of storage. Opaque: the cause is for the log, never for a client.
#[derive(Debug, thiserror::Error)]
#[error("the store failed ({fault:?}{})", constraint.as_deref().map(|c| format!(", {c}")).unwrap_or_default())]
pub struct StoreError {
    fault: StoreFault,
    constraint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// The code of a failure after which the whole use case may be tried again.
    pub const BUSY: &str = "store_busy";

    pub fn new(fault: StoreFault, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            fault,
            constraint: None,
            source: Some(source.into()),
        }
    }

    /// A named constraint said no; adapters map the ones a domain knows to that domain's refusal.
    pub fn constraint(name: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            fault: StoreFault::Constraint,
            constraint: Some(name.into()),
            source: Some(source.into()),
        }
    }

    /// A row that cannot be what our own code wrote.
    pub fn broken(what: &'static str) -> Self {
        Self {
            fault: StoreFault::Broken,
            constraint: None,
            source: Some(what.into()),
        }
    }

    pub const fn fault(&self) -> StoreFault {
        self.fault
    }

    pub fn constraint_name(&self) -> Option<&str> {
        self.constraint.as_deref()
    }
}

impl Refusal for StoreError {
    fn code(&self) -> &'static str {
        match self.fault {
            StoreFault::Retry => Self::BUSY,
            StoreFault::Unavailable => "store_unavailable",
            StoreFault::Constraint | StoreFault::Broken => "internal",
        }
    }

    fn kind(&self) -> Kind {
        match self.fault {
            StoreFault::Retry | StoreFault::Unavailable => Kind::Unavailable,
            StoreFault::Constraint | StoreFault::Broken => Kind::Internal,
        }
    }
}
