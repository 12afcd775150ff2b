use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

/// Why an agent is not changed, or a statement not made.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("there is no such agent")]
    NotFound,
    #[error("a display name has 1 to 200 characters, and no control characters")]
    Name,
    #[error("someone else changed the agent since it was read")]
    Stale,
    #[error("there is no such party to place the agent under")]
    ParentNotFound,
    #[error("the agent would stand above itself")]
    Cycle,
    #[error("too many stand below the agent to move them at once")]
    TooLarge,
    #[error("the month is not over: its statement is made when it is")]
    MonthNotOver,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for AgentError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "agent_not_found",
            Self::Name => "agent_display_name_invalid",
            Self::Stale => "version_stale",
            Self::ParentNotFound => "agent_parent_not_found",
            Self::Cycle => "agent_tree_cycle",
            Self::TooLarge => "agent_subtree_too_large",
            Self::MonthNotOver => "statement_month_not_over",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Name | Self::ParentNotFound | Self::MonthNotOver => Kind::Invalid,
            Self::Cycle | Self::TooLarge => Kind::Conflict,
            Self::Stale => Kind::Stale,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Name => "display_name",
            Self::ParentNotFound | Self::Cycle | Self::TooLarge => "parent",
            Self::MonthNotOver => "month",
            Self::NotFound | Self::Stale | Self::Key(_) | Self::Store(_) => return None,
        };
        Some(field.into())
    }
}
