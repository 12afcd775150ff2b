//! Agents: parties that bring others. Their profile, their place in the tree, their figures and their statements.
//!
//! Every party can bring others by its referral code, so every party can be asked about as an agent; it is listed as one from
//! the first party that it brought, or from the first time that staff wrote about it.

mod error;
mod month;
mod ports;
mod statement;
#[cfg(test)]
mod tests;
mod tree;
mod view;
mod why_not;

use std::sync::Arc;

use posx_kernel::{Begin, Clock, Event, Ids, PartyId, SiteScope, Timestamp, changes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use error::AgentError;
pub use month::{Days, Month, MonthError};
pub use ports::{AccountHead, AgentRepository, AgentsTx, Span, StatementRepository, Sums, Whom};
pub use statement::{LastStatement, Stated, Statement};
pub use view::{
    AgentFigures, AgentFilter, AgentQueries, AgentView, Balance, Board, CommissionSum, CustomerView,
    LeaderRow, LineFacts, Metric, MonthFigures, StatementLine, StatementView, TeamSales, TreeNode,
};
pub use why_not::{AncestorAt, WhyNot, WhyNotEntry, why_not};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    Active,
    /// What is paid meanwhile earns them nothing, and nobody else more. What they have earned stays theirs.
    Suspended,
}

impl AgentState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub party: PartyId,
    /// Personal data: in no event, in no log.
    pub display_name: Option<String>,
    pub state: AgentState,
    /// 0 while nobody wrote about the party and it brought nobody.
    pub version: i32,
    pub joined_at: Timestamp,
}

/// What staff may write.
#[derive(Debug, Clone)]
pub struct AgentEdit {
    pub display_name: Option<String>,
    pub state: AgentState,
}

impl AgentEdit {
    fn read(&self) -> Result<(Option<String>, AgentState), AgentError> {
        let name = self.display_name.as_deref().map(str::trim);
        let good =
            |name: &str| (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        match name {
            Some(name) if !good(name) => Err(AgentError::Name),
            name => Ok((name.map(str::to_owned), self.state)),
        }
    }
}

impl Agent {
    /// For an event: that the name changed, not what it is.
    fn facts(&self) -> Value {
        json!({ "state": self.state })
    }

    fn event(&self, kind: &'static str, payload: Value, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.party.as_uuid(),
            payload,
            at,
        }
    }
}

/// Use cases of this part of the context.
#[derive(Clone)]
pub struct Agents {
    pub(crate) db: Arc<dyn Begin<dyn AgentsTx>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

impl Agents {
    pub fn new(db: Arc<dyn Begin<dyn AgentsTx>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { db, clock, ids }
    }

    /// `seen` is the version that was edited: another one stored is [`AgentError::Stale`].
    pub async fn edit(
        &self,
        scope: &SiteScope,
        id: PartyId,
        seen: i32,
        terms: &AgentEdit,
    ) -> Result<(), AgentError> {
        let (display_name, state) = terms.read()?;
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let before = tx.agents().find(id).await?.ok_or(AgentError::NotFound)?;
        let after = Agent {
            display_name,
            state,
            ..before.clone()
        };
        if before.version == seen && after == before {
            return Ok(());
        }
        let after = save_in_tx(tx.as_mut(), after, seen, now).await?;
        let payload = json!({
            "changes": changes(&before.facts(), &after.facts()),
            "renamed": before.display_name != after.display_name,
        });
        tx.outbox()
            .append(after.event("agent.edited", payload, now))
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Stores the agent's next version, if `seen` is the last one.
async fn save_in_tx(
    tx: &mut dyn AgentsTx,
    agent: Agent,
    seen: i32,
    now: Timestamp,
) -> Result<Agent, AgentError> {
    if agent.version != seen {
        return Err(AgentError::Stale);
    }
    let next = Agent {
        version: seen.checked_add(1).ok_or(AgentError::Stale)?,
        ..agent
    };
    if !tx.agents().save(&next, seen, now).await? {
        return Err(AgentError::Stale);
    }
    Ok(next)
}
