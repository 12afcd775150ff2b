//! Placing a party elsewhere in the tree.

use posx_kernel::{PartyId, SiteScope, StoreError, retry_busy};
use serde_json::json;

use super::{Agent, AgentError, Agents, AgentsTx, save_in_tx};

/// Rows of the tree that one placing ends and begins: seconds, in which no referral of the site is bound.
const PATHS_MAX: u32 = 50_000;

impl Agents {
    /// Places the party under `parent`, or at the top, with all that is below it. It holds for what is paid from now on: an
    /// order that was paid before is counted by the tree of its time. `seen` is the agent's version.
    pub async fn place(
        &self,
        scope: &SiteScope,
        id: PartyId,
        seen: i32,
        parent: Option<PartyId>,
    ) -> Result<(), AgentError> {
        retry_busy(|| self.place_once(scope, id, seen, parent)).await
    }

    async fn place_once(
        &self,
        scope: &SiteScope,
        id: PartyId,
        seen: i32,
        parent: Option<PartyId>,
    ) -> Result<(), AgentError> {
        let mut tx = self.db.begin(scope).await?;
        tx.agents().lock_tree().await?;
        // Read when the lock is held: what was placed before is older.
        let now = self.clock.now();
        let agent = tx.agents().find(id).await?.ok_or(AgentError::NotFound)?;
        if let Some(parent) = parent {
            if tx.agents().find(parent).await?.is_none() {
                return Err(AgentError::ParentNotFound);
            }
            if parent == id || tx.agents().is_above(id, parent).await? {
                return Err(AgentError::Cycle);
            }
        }
        let from = tx.agents().parent(id).await?;
        if from == parent && agent.version == seen {
            return Ok(());
        }
        if paths_in_tx(tx.as_mut(), id, parent).await? > PATHS_MAX {
            return Err(AgentError::TooLarge);
        }
        let agent: Agent = save_in_tx(tx.as_mut(), agent, seen, now).await?;
        let moved = tx.agents().place(id, parent, now).await?;
        let payload = json!({ "from": from, "to": parent, "moved": moved });
        tx.outbox()
            .append(agent.event("agent.placed", payload, now))
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// How many paths the placing ends and begins: for the party and each one below it, one to each one above, before and after.
async fn paths_in_tx(tx: &mut dyn AgentsTx, id: PartyId, parent: Option<PartyId>) -> Result<u32, StoreError> {
    let agents = tx.agents();
    let mut above = agents.depth(id).await?;
    if let Some(parent) = parent {
        above = above
            .saturating_add(agents.depth(parent).await?)
            .saturating_add(1);
    }
    let moved = agents.below(id, PATHS_MAX).await?.saturating_add(1);
    Ok(moved.saturating_mul(above))
}
