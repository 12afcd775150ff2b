//! What screens read of agents.

use async_trait::async_trait;
use chrono::NaiveDate;
use posx_commissions::{
    AgentFigures, AgentFilter, AgentQueries, AgentState, AgentView, AncestorAt, Board, CustomerView,
    LeaderRow, LineFacts, Month, Span, StatementLine, StatementView, TreeNode,
};
use posx_kernel::{
    EntryId, Money, OrderId, Page, PageRequest, PartyId, SiteScope, StatementId, StoreError, Timestamp,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::figures;
use super::statements::{account, month};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::tiers::{count, currency};

/// Of `parties p` and, where somebody wrote about them, `agents a`, as of the time `$1`.
const VIEW: &str = "
    select p.id, a.display_name, p.referral_code, coalesce(a.version, 0) as version,
           coalesce(a.joined_at, p.created_at) as joined_at,
           exists (select from agent_suspensions s where s.agent_id = p.id and s.until is null) as suspended,
           (select t.terms ->> 'grade' from agent_terms t where t.agent_id = p.id and t.effective_from <= $1
            order by t.effective_from desc, t.number desc limit 1) as grade,
           (select t.ancestor_id from referral_paths t
            where t.descendant_id = p.id and t.depth = 1 and t.until is null) as parent,
           coalesce((select t.depth from referral_paths t where t.descendant_id = p.id and t.until is null
                     order by t.depth desc limit 1), 0) as depth";

/// `$1` the agent, `$2` how deep, `$3` and `$4` depth and id of the last one before, `$5` how many.
pub(crate) const TREE: &str = "
    select t.descendant_id, t.depth, up.ancestor_id as parent, up.since, p.referral_code,
           (select count(*) from referral_paths c where c.ancestor_id = t.descendant_id and c.depth = 1 and c.until is null)
             as children
    from (select t.descendant_id, t.depth from referral_paths t
          where t.ancestor_id = $1 and t.until is null and t.depth <= $2 and (t.depth, t.descendant_id) > ($3, $4)
          order by t.depth, t.descendant_id limit $5) t
    join referral_paths up on up.descendant_id = t.descendant_id and up.depth = 1 and up.until is null
    join parties p on p.id = t.descendant_id
    order by t.depth, t.descendant_id";

const STATEMENT: &str = "
    select s.id, s.agent_id, p.referral_code, s.currency, s.number, s.month, s.time_zone, s.from_at, s.to_at, s.opening,
           s.credits, s.debits, s.closing, s.lines, s.created_at
    from agent_statements s join parties p on p.site_id = s.site_id and p.id = s.agent_id";

const LINES: &str = "
    select p.entry_id, e.posted_at, e.kind, (-p.amount)::bigint as amount, p.unit as currency,
           coalesce(c.level, back.level) as level, o.id as order_id, o.number as order_number
    from postings p
    join entries e on e.site_id = p.site_id and e.id = p.entry_id
    left join commissions c on c.site_id = e.site_id and c.id = e.cause_id
    left join commission_adjustments a on a.site_id = e.site_id and a.id = e.cause_id
    left join commissions back on back.site_id = a.site_id and back.id = a.commission_id
    left join orders o on o.site_id = e.site_id and o.id = coalesce(c.order_id, a.order_id)
    where p.account = $1 and p.unit = $2 and p.posted_at >= $3 and p.posted_at < $4 and ($5::uuid is null or p.entry_id > $5)
    order by p.entry_id, p.line limit $6";

#[async_trait]
impl AgentQueries for Database {
    async fn agents(
        &self,
        scope: &SiteScope,
        filter: &AgentFilter,
        at: Timestamp,
        page: PageRequest,
    ) -> Result<Page<AgentView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!(
            "{VIEW} from agents a join parties p on p.site_id = a.site_id and p.id = a.party_id
             where ($2::uuid is null or a.party_id < $2)
               and ($3::bool is null or $3 = exists (
                 select from agent_suspensions s where s.agent_id = a.party_id and s.until is null))
               and ($4::text is null or starts_with(p.referral_code, $4) or starts_with(right(p.referral_code, 6), $4))
             order by a.party_id desc limit $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(at)
            .bind(page.after_id())
            .bind(filter.state.map(|state| state == AgentState::Suspended))
            .bind(
                filter
                    .code
                    .as_deref()
                    .map(|code| code.trim().to_ascii_uppercase()),
            )
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn agent(
        &self,
        scope: &SiteScope,
        id: PartyId,
        at: Timestamp,
    ) -> Result<Option<AgentView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!(
            "{VIEW} from parties p left join agents a on a.site_id = p.site_id and a.party_id = p.id where p.id = $2"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(at)
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(view).transpose()
    }

    async fn tree(
        &self,
        scope: &SiteScope,
        id: PartyId,
        depth: u32,
        page: PageRequest,
    ) -> Result<Page<TreeNode>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let after = page.after_id();
        let at: Option<i32> = match after {
            None => Some(0),
            Some(after) => sqlx::query(
                "select depth from referral_paths where ancestor_id = $1 and descendant_id = $2 and until is null",
            )
            .bind(id.as_uuid())
            .bind(after)
            .fetch_optional(tx.connection())
            .await
            .store()?
            .map(|row| row.try_get(0))
            .transpose()
            .store()?,
        };
        // Who was the last of the page before stands elsewhere now.
        let Some(at) = at else {
            return Ok(Page::from_rows(Vec::new(), page, |node: &TreeNode| {
                node.party.as_uuid()
            }));
        };
        let rows = sqlx::query(TREE)
            .bind(id.as_uuid())
            .bind(i32::try_from(depth).unwrap_or(i32::MAX))
            .bind(at)
            .bind(after.unwrap_or_default())
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let nodes = rows.iter().map(node).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(nodes, page, |node| node.party.as_uuid()))
    }

    async fn customers(
        &self,
        scope: &SiteScope,
        id: PartyId,
        page: PageRequest,
    ) -> Result<Page<CustomerView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let customers = figures::customers(&mut tx, id, page).await?;
        Ok(Page::from_rows(customers, page, |customer| {
            customer.party.as_uuid()
        }))
    }

    async fn figures(
        &self,
        scope: &SiteScope,
        id: PartyId,
        month: Span,
        first_day: NaiveDate,
    ) -> Result<AgentFigures, StoreError> {
        let mut tx = self.read_site(scope).await?;
        figures::figures(&mut tx, id, month, first_day).await
    }

    async fn leaderboard(&self, scope: &SiteScope, board: Board) -> Result<Vec<LeaderRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        figures::leaderboard(&mut tx, board).await
    }

    async fn statements(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        month: Option<Month>,
        page: PageRequest,
    ) -> Result<Page<StatementView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!(
            "{STATEMENT} where s.agent_id = $1 and ($2::text is null or s.month = $2) and ($3::uuid is null or s.id < $3)
             order by s.id desc limit $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(agent.as_uuid())
            .bind(month.map(|month| month.to_string()))
            .bind(page.after_id())
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let views = rows.iter().map(statement).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn statement(
        &self,
        scope: &SiteScope,
        id: StatementId,
        only: Option<PartyId>,
    ) -> Result<Option<StatementView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!("{STATEMENT} where s.id = $1 and ($2::uuid is null or s.agent_id = $2)");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.as_uuid())
            .bind(only.map(PartyId::as_uuid))
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(statement).transpose()
    }

    async fn statement_lines(
        &self,
        scope: &SiteScope,
        of: &StatementView,
        after: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(LINES)
            .bind(account(of.agent))
            .bind(of.closing.currency().code())
            .bind(of.from)
            .bind(of.to)
            .bind(after.map(EntryId::as_uuid))
            .bind(i64::from(limit))
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(line).collect()
    }

    async fn ancestors_of_order(
        &self,
        scope: &SiteScope,
        order: OrderId,
        paid_at: Option<Timestamp>,
        only: Option<PartyId>,
        above: u32,
        limit: u16,
    ) -> Result<Vec<AncestorAt>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select t.ancestor_id, t.depth from orders o join referral_paths t on t.descendant_id = o.buyer_id
             where o.id = $1 and ($3::uuid is null or t.ancestor_id = $3) and t.depth > $4
               and case when $2::timestamptz is null then t.until is null
                        else t.since <= $2 and (t.until is null or t.until > $2) end
             order by t.depth limit $5",
        )
        .bind(order.as_uuid())
        .bind(paid_at)
        .bind(only.map(PartyId::as_uuid))
        .bind(i32::try_from(above).unwrap_or(i32::MAX))
        .bind(i32::from(limit))
        .fetch_all(tx.connection())
        .await
        .store()?;
        let ancestor = |row: &PgRow| -> Result<_, StoreError> {
            Ok(AncestorAt {
                agent: PartyId::from_uuid(row.try_get("ancestor_id").store()?),
                level: count(row.try_get("depth").store()?)?,
            })
        };
        rows.iter().map(ancestor).collect()
    }
}

fn view(row: &PgRow) -> Result<AgentView, StoreError> {
    let parent: Option<uuid::Uuid> = row.try_get("parent").store()?;
    Ok(AgentView {
        id: PartyId::from_uuid(row.try_get("id").store()?),
        display_name: row.try_get("display_name").store()?,
        referral_code: row.try_get("referral_code").store()?,
        state: super::state(row)?,
        grade: row.try_get("grade").store()?,
        parent: parent.map(PartyId::from_uuid),
        depth: count(row.try_get("depth").store()?)?,
        joined_at: row.try_get("joined_at").store()?,
        version: row.try_get("version").store()?,
    })
}

fn node(row: &PgRow) -> Result<TreeNode, StoreError> {
    Ok(TreeNode {
        party: PartyId::from_uuid(row.try_get("descendant_id").store()?),
        referral_code: row.try_get("referral_code").store()?,
        depth: count(row.try_get("depth").store()?)?,
        parent: PartyId::from_uuid(row.try_get("parent").store()?),
        children: figures::many(row, "children")?,
        since: row.try_get("since").store()?,
    })
}

fn statement(row: &PgRow) -> Result<StatementView, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let money =
        |column| -> Result<_, StoreError> { Ok(Money::from_minor(row.try_get(column).store()?, currency)) };
    Ok(StatementView {
        id: StatementId::from_uuid(row.try_get("id").store()?),
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        referral_code: row.try_get("referral_code").store()?,
        number: count(row.try_get("number").store()?)?,
        month: month(row)?,
        time_zone: row.try_get("time_zone").store()?,
        from: row.try_get("from_at").store()?,
        to: row.try_get("to_at").store()?,
        opening: money("opening")?,
        credits: money("credits")?,
        debits: money("debits")?,
        closing: money("closing")?,
        lines: count(row.try_get("lines").store()?)?,
        created_at: row.try_get("created_at").store()?,
    })
}

fn line(row: &PgRow) -> Result<StatementLine, StoreError> {
    let order: Option<uuid::Uuid> = row.try_get("order_id").store()?;
    let level: Option<i16> = row.try_get("level").store()?;
    let kind: String = row.try_get("kind").store()?;
    let facts = LineFacts {
        order_number: row.try_get("order_number").store()?,
        level: level.and_then(|level| u8::try_from(level).ok()),
    };
    Ok(StatementLine {
        entry: EntryId::from_uuid(row.try_get("entry_id").store()?),
        at: row.try_get("posted_at").store()?,
        says: facts.says(&kind),
        kind,
        amount: Money::from_minor(
            row.try_get("amount").store()?,
            currency(row.try_get("currency").store()?)?,
        ),
        order: order.map(OrderId::from_uuid),
    })
}
