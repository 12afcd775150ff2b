//! Monthly statements: what the site owes an agent at the beginning, what came and went, what it owes at the end.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use posx_kernel::{
    Currency, Event, IdempotentCall, Made, Money, PartyId, SiteScope, StatementId, StoreError, Timestamp,
    made_before_in_tx, remember_in_tx, retry_busy,
};
use serde_json::json;

use super::{AccountHead, AgentError, Agents, AgentsTx, Month, Span, Sums, Whom};

/// Agents in one transaction: as long as it runs, nobody posts to their accounts.
const AT_ONCE: u16 = 200;

/// Of one account: the agent's in one currency. Never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub id: StatementId,
    pub agent: PartyId,
    /// 1 for the account's first.
    pub number: u32,
    pub month: Month,
    pub zone: Tz,
    pub span: Span,
    pub opening: Money,
    /// What the agent got.
    pub credits: Money,
    /// What was taken back or paid out.
    pub debits: Money,
    pub closing: Money,
    pub lines: u32,
    pub at: Timestamp,
}

/// Where an account's next statement begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastStatement {
    pub number: u32,
    pub month: Month,
    pub to: Timestamp,
    pub closing: Money,
}

/// A batch of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated {
    pub statements: usize,
    /// The last agent of the batch; absent when there was none left.
    pub last: Option<PartyId>,
}

impl Agents {
    /// Makes the statements of the next agents after `after` up to the month, those of earlier months that are missing with
    /// them. Safe to run any number of times: what is there stays. The body of the monthly job, until no agent is left.
    pub async fn make_statements(
        &self,
        scope: &SiteScope,
        zone: Tz,
        month: Month,
        after: Option<PartyId>,
    ) -> Result<Stated, AgentError> {
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            let stated = self
                .state_in_tx(tx.as_mut(), (zone, month), Whom::After(after), AT_ONCE)
                .await?;
            if stated.statements > 0 {
                let payload = json!({ "month": month, "statements": stated.statements });
                tx.outbox()
                    .append(Event {
                        kind: "agent_statements.made",
                        subject: scope.site().as_uuid(),
                        payload,
                        at: self.clock.now(),
                    })
                    .await?;
                tx.commit().await?;
            }
            Ok(stated)
        })
        .await
    }

    /// Makes one agent's statements up to a month that is over, now.
    pub async fn make_statements_of(
        &self,
        scope: &SiteScope,
        zone: Tz,
        month: Month,
        agent: PartyId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PartyId>, AgentError> {
        if month.end(zone) > self.clock.now() {
            return Err(AgentError::MonthNotOver);
        }
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            if let Some(made) = made_before_in_tx::<_, _, AgentError>(tx.as_mut(), call).await? {
                return Ok(made);
            }
            if tx.agents().find(agent).await?.is_none() {
                return Err(AgentError::NotFound);
            }
            let stated = self
                .state_in_tx(tx.as_mut(), (zone, month), Whom::One(agent), 1)
                .await?;
            if stated.statements > 0 {
                let payload = json!({ "month": month, "statements": stated.statements });
                tx.outbox()
                    .append(Event {
                        kind: "agent.stated",
                        subject: agent.as_uuid(),
                        payload,
                        at: self.clock.now(),
                    })
                    .await?;
            }
            remember_in_tx(tx.as_mut(), call, &agent).await?;
            tx.commit().await?;
            Ok(Made::now(agent))
        })
        .await
    }

    async fn state_in_tx(
        &self,
        tx: &mut dyn AgentsTx,
        (zone, month): (Tz, Month),
        whom: Whom,
        limit: u16,
    ) -> Result<Stated, AgentError> {
        let heads = tx.statements().lock_due(month.end(zone), whom, limit).await?;
        let wanted: Vec<_> = heads
            .iter()
            .flat_map(|head| missing(head, zone, month).into_iter().map(move |of| (head, of)))
            .collect();
        let asked: Vec<_> = wanted
            .iter()
            .map(|(head, (_, span))| (head.agent, head.currency, *span))
            .collect();
        let sums = tx.statements().sums(&asked).await?;
        let now = self.clock.now();
        let mut last: BTreeMap<(PartyId, Currency), LastStatement> = BTreeMap::new();
        let mut statements = Vec::with_capacity(wanted.len());
        for ((head, (of, span)), sums) in wanted.iter().zip(&sums) {
            let key = (head.agent, head.currency);
            let before = last.get(&key).copied().or(head.last);
            let id = StatementId::from_uuid(self.ids.uuid(now));
            let statement = next(before, head, (*of, zone, *span), sums, id, now)?;
            last.insert(key, statement.tail());
            statements.push(statement);
        }
        tx.statements().insert(&statements).await?;
        Ok(Stated {
            statements: statements.len(),
            last: heads.last().map(|head| head.agent),
        })
    }
}

/// The months that the account has no statement of, up to this one. The first begins with the month of the first posting,
/// each other where the one before ended: the site may have moved to another time zone since.
fn missing(head: &AccountHead, zone: Tz, up_to: Month) -> Vec<(Month, Span)> {
    let (first, mut from) = if let Some(last) = &head.last {
        (last.month.next(), last.to)
    } else {
        let first = Month::of(head.first_posted_at, zone);
        let from = first.map_or(head.first_posted_at, |first| first.start(zone));
        (first, from)
    };
    std::iter::successors(first, |month| month.next())
        .take_while(|month| *month <= up_to)
        .map(|month| {
            let span = Span {
                from,
                to: month.end(zone),
            };
            from = span.to;
            (month, span)
        })
        .collect()
}

/// The account's next statement opens where the last one closed.
fn next(
    before: Option<LastStatement>,
    head: &AccountHead,
    (month, zone, span): (Month, Tz, Span),
    sums: &Sums,
    id: StatementId,
    at: Timestamp,
) -> Result<Statement, StoreError> {
    let opening = before.map_or_else(|| Money::zero(head.currency), |before| before.closing);
    let closing = opening
        .checked_add(sums.credits)
        .and_then(|sum| sum.checked_sub(sums.debits))
        .map_err(|_| StoreError::broken("a balance beyond what money can hold"))?;
    Ok(Statement {
        id,
        agent: head.agent,
        number: before.map_or(0, |before| before.number) + 1,
        month,
        zone,
        span,
        opening,
        credits: sums.credits,
        debits: sums.debits,
        closing,
        lines: sums.lines,
        at,
    })
}

impl Statement {
    const fn tail(&self) -> LastStatement {
        LastStatement {
            number: self.number,
            month: self.month,
            to: self.span.to,
            closing: self.closing,
        }
    }
}
