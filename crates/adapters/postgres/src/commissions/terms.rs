//! What holds for single agents, and what their months brought.

use async_trait::async_trait;
use posx_commissions::{AgentFacts, AgentTerms, Terms, TermsRepository, TermsView};
use posx_kernel::{Currency, Money, PartyId, SiteScope, StoreError, Timestamp};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::unsigned;
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl TermsRepository for SiteTx {
    async fn latest_number(&mut self, agent: PartyId) -> Result<Option<u32>, StoreError> {
        let row = sqlx::query(
            "select (select coalesce(max(t.number), 0) from agent_terms t where t.agent_id = p.id) as number
             from parties p where p.id = $1",
        )
        .bind(agent.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.map(|row| unsigned(&row, "number")).transpose()
    }

    async fn append(&mut self, terms: &AgentTerms) -> Result<bool, StoreError> {
        let number =
            i32::try_from(terms.number).map_err(|_| StoreError::broken("a number beyond 32 bits"))?;
        let done = sqlx::query(
            "insert into agent_terms (agent_id, number, effective_from, terms, recorded_at) values ($1, $2, $3, $4, $5)
             on conflict (site_id, agent_id, number) do nothing",
        )
        .bind(terms.agent.as_uuid())
        .bind(number)
        .bind(terms.effective_from)
        .bind(Json(&terms.terms))
        .bind(terms.recorded_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn facts_of(&mut self, parties: &[PartyId], at: Timestamp) -> Result<Vec<AgentFacts>, StoreError> {
        let rows = sqlx::query(
            "select (select t.terms from agent_terms t where t.agent_id = a.party and t.effective_from <= $2
                     order by t.effective_from desc, t.number desc limit 1) as terms,
                    exists (select from agent_suspensions s where s.agent_id = a.party and s.since <= $2
                              and (s.until is null or s.until > $2)) as inactive
             from unnest($1::uuid[]) with ordinality as a (party, at) order by a.at",
        )
        .bind(parties.iter().map(|party| party.as_uuid()).collect::<Vec<_>>())
        .bind(at)
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(facts).collect()
    }
}

fn facts(row: &PgRow) -> Result<AgentFacts, StoreError> {
    let terms: Option<Json<Terms>> = row.try_get("terms").store()?;
    Ok(AgentFacts {
        terms: terms.map(|terms| terms.0).unwrap_or_default(),
        inactive: row.try_get("inactive").store()?,
        ..AgentFacts::default()
    })
}

/// Each agent's commissions of the month wait for one another: the locks are taken in one order, and what is read after them
/// is what the others have committed.
pub(super) async fn lock_months(
    tx: &mut SiteTx,
    agents: &[PartyId],
    currency: Currency,
    paid_at: Timestamp,
) -> Result<Vec<Money>, StoreError> {
    let agents: Vec<_> = agents.iter().map(|agent| agent.as_uuid()).collect();
    let locks = "select pg_advisory_xact_lock(hashtextextended(
          'commission_months:' || (select app.current_site_id())::text || a.agent::text, 0))
        from (select distinct unnest($1::uuid[]) as agent order by 1) a";
    sqlx::query(locks)
        .bind(&agents)
        .execute(tx.connection())
        .await
        .store()?;
    let rows = sqlx::query(
        "select coalesce((
             select sum(c.amount) from commissions c
             where c.agent_id = a.agent and c.currency = $2
               and c.month = date_trunc('month', $3 at time zone (select s.time_zone from app.site(app.current_site_id()) s))::date
           ), 0)::bigint as earned
         from unnest($1::uuid[]) with ordinality as a (agent, at) order by a.at",
    )
    .bind(&agents)
    .bind(currency.code())
    .bind(paid_at)
    .fetch_all(tx.connection())
    .await
    .store()?;
    rows.iter()
        .map(|row| Ok(Money::from_minor(row.try_get("earned").store()?, currency)))
        .collect()
}

/// Newest first.
pub(super) async fn views(
    database: &Database,
    scope: &SiteScope,
    agent: PartyId,
) -> Result<Option<Vec<TermsView>>, StoreError> {
    let mut tx = database.read_site(scope).await?;
    let party = sqlx::query("select from parties where id = $1")
        .bind(agent.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
    if party.is_none() {
        return Ok(None);
    }
    let rows = sqlx::query(
        "select number, effective_from, terms, recorded_at from agent_terms where agent_id = $1
         order by number desc limit 200",
    )
    .bind(agent.as_uuid())
    .fetch_all(tx.connection())
    .await
    .store()?;
    rows.iter().map(view).collect::<Result<_, _>>().map(Some)
}

fn view(row: &PgRow) -> Result<TermsView, StoreError> {
    Ok(TermsView {
        number: unsigned(row, "number")?,
        effective_from: row.try_get("effective_from").store()?,
        terms: row.try_get::<Json<Terms>, _>("terms").store()?.0,
        recorded_at: row.try_get("recorded_at").store()?,
    })
}
