//! Agents: profiles and places in the tree.

mod figures;
mod queries;
mod statements;

pub(crate) use queries::TREE;

use async_trait::async_trait;
use posx_commissions::{Agent, AgentRepository, AgentState, AgentsTx, StatementRepository};
use posx_kernel::{Begin, Outbox, PartyId, SiteScope, StoreError, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn AgentsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn AgentsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl AgentsTx for SiteTx {
    fn agents(&mut self) -> &mut dyn AgentRepository {
        self
    }
    fn statements(&mut self) -> &mut dyn StatementRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

fn state(row: &PgRow) -> Result<AgentState, StoreError> {
    let suspended: bool = row.try_get("suspended").store()?;
    Ok(if suspended {
        AgentState::Suspended
    } else {
        AgentState::Active
    })
}

/// Those below `$1` and it itself, and what stands between them and those above `$1`: what is cut when it moves.
macro_rules! cut {
    () => {
        "with below as (
           select $1::uuid as id
           union all
           select t.descendant_id from referral_paths t where t.ancestor_id = $1 and t.until is null),
         cut as (
           select t.descendant_id, t.ancestor_id, t.since from referral_paths t
           where t.until is null and t.descendant_id in (select id from below)
             and t.ancestor_id in (select u.ancestor_id from referral_paths u where u.descendant_id = $1 and u.until is null))"
    };
}

#[async_trait]
impl AgentRepository for SiteTx {
    async fn find(&mut self, id: PartyId) -> Result<Option<Agent>, StoreError> {
        let row = sqlx::query(
            "select a.display_name, coalesce(a.version, 0) as version, coalesce(a.joined_at, p.created_at) as joined_at,
                    exists (select from agent_suspensions s where s.agent_id = p.id and s.until is null) as suspended
             from parties p left join agents a on a.site_id = p.site_id and a.party_id = p.id where p.id = $1",
        )
        .bind(id.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        let agent = |row: PgRow| -> Result<_, StoreError> {
            Ok(Agent {
                party: id,
                display_name: row.try_get("display_name").store()?,
                state: state(&row)?,
                version: row.try_get("version").store()?,
                joined_at: row.try_get("joined_at").store()?,
            })
        };
        row.map(agent).transpose()
    }

    async fn save(&mut self, agent: &Agent, seen: i32, at: Timestamp) -> Result<bool, StoreError> {
        let sql = if seen == 0 {
            "insert into agents (party_id, display_name, version, joined_at) values ($1, $2, $3, $4) on conflict do nothing"
        } else {
            "update agents set display_name = $2, version = $3 where party_id = $1 and version = $5 and joined_at = $4"
        };
        let mut query = sqlx::query(sql)
            .bind(agent.party.as_uuid())
            .bind(&agent.display_name)
            .bind(agent.version)
            .bind(agent.joined_at);
        if seen != 0 {
            query = query.bind(seen);
        }
        if query.execute(self.connection()).await.store()?.rows_affected() != 1 {
            return Ok(false);
        }
        let suspension = match agent.state {
            AgentState::Suspended => {
                "insert into agent_suspensions (agent_id, since)
                 select $1, greatest($2, (select max(s.until) from agent_suspensions s where s.agent_id = $1))
                 where not exists (select from agent_suspensions s where s.agent_id = $1 and s.until is null)"
            }
            AgentState::Active => {
                "update agent_suspensions set until = greatest($2, since + interval '1 microsecond')
                 where agent_id = $1 and until is null"
            }
        };
        sqlx::query(suspension)
            .bind(agent.party.as_uuid())
            .bind(at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(true)
    }

    async fn lock_tree(&mut self) -> Result<(), StoreError> {
        sqlx::query("select app.lock_tree((select app.current_site_id()))")
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }

    async fn parent(&mut self, id: PartyId) -> Result<Option<PartyId>, StoreError> {
        let sql =
            "select ancestor_id from referral_paths where descendant_id = $1 and depth = 1 and until is null";
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.map(|row| Ok(PartyId::from_uuid(row.try_get(0).store()?)))
            .transpose()
    }

    async fn depth(&mut self, id: PartyId) -> Result<u32, StoreError> {
        let sql = "select count(*)::int from referral_paths where descendant_id = $1 and until is null";
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_one(self.connection())
            .await
            .store()?;
        crate::tiers::count(row.try_get(0).store()?)
    }

    async fn below(&mut self, id: PartyId, at_most: u32) -> Result<u32, StoreError> {
        let row = sqlx::query(
            "select count(*)::int from (select from referral_paths where ancestor_id = $1 and until is null limit $2) below",
        )
        .bind(id.as_uuid())
        .bind(i64::from(at_most))
        .fetch_one(self.connection())
        .await
        .store()?;
        crate::tiers::count(row.try_get(0).store()?)
    }

    async fn is_above(&mut self, upper: PartyId, lower: PartyId) -> Result<bool, StoreError> {
        let sql = "select exists (select from referral_paths where ancestor_id = $1 and descendant_id = $2 and until is null)";
        let row = sqlx::query(sql)
            .bind(upper.as_uuid())
            .bind(lower.as_uuid())
            .fetch_one(self.connection())
            .await
            .store()?;
        row.try_get(0).store()
    }

    async fn place(
        &mut self,
        id: PartyId,
        parent: Option<PartyId>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        // Clocks of two servers differ: what ends, ends after it began, and what begins, begins after what ended.
        let row = sqlx::query(concat!(
            cut!(),
            " select greatest($2, (select max(since) from cut) + interval '1 microsecond',
                              (select max(t.until) from referral_paths t where t.descendant_id = $1)) as at,
                     (select count(*) from below) as moved"
        ))
        .bind(id.as_uuid())
        .bind(at)
        .fetch_one(self.connection())
        .await
        .store()?;
        let (at, moved): (Timestamp, i64) = (row.try_get("at").store()?, row.try_get("moved").store()?);
        sqlx::query(concat!(
            cut!(),
            " update referral_paths t set until = $2 from cut
              where t.descendant_id = cut.descendant_id and t.ancestor_id = cut.ancestor_id and t.since = cut.since"
        ))
        .bind(id.as_uuid())
        .bind(at)
        .execute(self.connection())
        .await
        .store()?;
        if let Some(parent) = parent {
            sqlx::query("select app.join_paths((select app.current_site_id()), $1, $2, $3)")
                .bind(id.as_uuid())
                .bind(parent.as_uuid())
                .bind(at)
                .execute(self.connection())
                .await
                .store()?;
        }
        u64::try_from(moved).map_err(|_| StoreError::broken("a negative count"))
    }
}
