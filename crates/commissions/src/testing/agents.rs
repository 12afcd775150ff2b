//! Agents in memory: the transaction works on a copy of its site's rows, which the commit puts back.

mod contract;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{
    Begin, Currency, Event, Idempotency, IdempotentTx, Money, Outbox, PartyId, RememberedAnswers, SiteId,
    SiteScope, StoreError, StoreFault, Timestamp, Transaction,
};

pub use contract::{AgentsGiven, agents_contract};

use crate::{
    AccountHead, Agent, AgentRepository, AgentState, AgentsTx, LastStatement, Span, Statement,
    StatementRepository, Sums, Whom,
};

/// One site's rows.
#[derive(Debug, Clone, Default)]
pub struct AgentRows {
    /// When each party came to the site.
    pub parties: BTreeMap<PartyId, Timestamp>,
    pub agents: BTreeMap<PartyId, Agent>,
    /// Child → parent, as it is now.
    pub parents: BTreeMap<PartyId, PartyId>,
    /// Postings to accounts of agents, credits positive.
    pub posted: Vec<(PartyId, Timestamp, Money)>,
    pub statements: Vec<Statement>,
    pub events: Vec<Event>,
    pub answers: RememberedAnswers,
    commits: u64,
}

#[derive(Debug, Clone, Default)]
pub struct AgentStore {
    sites: Arc<Mutex<BTreeMap<SiteId, AgentRows>>>,
}

impl AgentStore {
    fn sites(&self) -> MutexGuard<'_, BTreeMap<SiteId, AgentRows>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is committed.
    pub fn rows(&self, scope: &SiteScope) -> AgentRows {
        self.sites().get(&scope.site()).cloned().unwrap_or_default()
    }

    pub fn arrange(&self, scope: &SiteScope, arrange: impl FnOnce(&mut AgentRows)) {
        arrange(self.sites().entry(scope.site()).or_default());
    }
}

#[async_trait]
impl Begin<dyn AgentsTx> for AgentStore {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn AgentsTx>, StoreError> {
        Ok(Box::new(OpenRows {
            store: self.clone(),
            site: scope.site(),
            rows: self.rows(scope),
        }))
    }
}

struct OpenRows {
    store: AgentStore,
    site: SiteId,
    rows: AgentRows,
}

#[async_trait]
impl Transaction for OpenRows {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let mut sites = self.store.sites();
        let committed = sites.entry(self.site).or_default();
        if committed.commits != self.rows.commits {
            return Err(StoreError::new(
                StoreFault::Retry,
                "another transaction committed first",
            ));
        }
        self.rows.commits += 1;
        *committed = std::mem::take(&mut self.rows);
        Ok(())
    }
}

impl IdempotentTx for OpenRows {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        &mut self.rows.answers
    }
}

impl AgentsTx for OpenRows {
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

#[async_trait]
impl Outbox for OpenRows {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.rows.events.push(event);
        Ok(())
    }
}

impl AgentRows {
    fn above(&self, id: PartyId) -> Vec<PartyId> {
        let parent = |id: &PartyId| self.parents.get(id).copied();
        std::iter::successors(parent(&id), parent).collect()
    }
}

#[async_trait]
impl AgentRepository for OpenRows {
    async fn find(&mut self, id: PartyId) -> Result<Option<Agent>, StoreError> {
        let unwritten = |since: &Timestamp| Agent {
            party: id,
            display_name: None,
            state: AgentState::Active,
            version: 0,
            joined_at: *since,
        };
        let written = self.rows.agents.get(&id).cloned();
        Ok(written.or_else(|| self.rows.parties.get(&id).map(unwritten)))
    }

    async fn save(&mut self, agent: &Agent, seen: i32, _at: Timestamp) -> Result<bool, StoreError> {
        let stored = self
            .rows
            .agents
            .get(&agent.party)
            .map_or(0, |agent| agent.version);
        if stored == seen {
            self.rows.agents.insert(agent.party, agent.clone());
        }
        Ok(stored == seen)
    }

    async fn lock_tree(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn parent(&mut self, id: PartyId) -> Result<Option<PartyId>, StoreError> {
        Ok(self.rows.parents.get(&id).copied())
    }

    async fn depth(&mut self, id: PartyId) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.rows.above(id).len()).unwrap_or(u32::MAX))
    }

    async fn below(&mut self, id: PartyId, at_most: u32) -> Result<u32, StoreError> {
        let below = |party: &&PartyId| self.rows.above(**party).contains(&id);
        let count = self.rows.parents.keys().filter(below).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX).min(at_most))
    }

    async fn is_above(&mut self, upper: PartyId, lower: PartyId) -> Result<bool, StoreError> {
        Ok(self.rows.above(lower).contains(&upper))
    }

    async fn place(
        &mut self,
        id: PartyId,
        parent: Option<PartyId>,
        _at: Timestamp,
    ) -> Result<u64, StoreError> {
        match parent {
            Some(parent) => self.rows.parents.insert(id, parent),
            None => self.rows.parents.remove(&id),
        };
        let below = self
            .rows
            .parties
            .keys()
            .filter(|party| self.rows.above(**party).contains(&id));
        Ok(below.count() as u64 + 1)
    }
}

#[async_trait]
impl StatementRepository for OpenRows {
    async fn lock_due(
        &mut self,
        end: Timestamp,
        whom: Whom,
        limit: u16,
    ) -> Result<Vec<AccountHead>, StoreError> {
        let wanted = |agent: PartyId| match whom {
            Whom::One(one) => agent == one,
            Whom::After(after) => after.is_none_or(|after| agent > after),
        };
        let accounts: BTreeSet<_> = self
            .rows
            .posted
            .iter()
            .map(|(agent, _, amount)| (*agent, amount.currency()))
            .collect();
        let heads: Vec<_> = accounts
            .into_iter()
            .filter(|(agent, _)| wanted(*agent))
            .filter_map(|(agent, currency)| self.rows.head(agent, currency, end))
            .collect();
        let agents: BTreeSet<_> = heads
            .iter()
            .map(|head| head.agent)
            .take(usize::from(limit))
            .collect();
        Ok(heads
            .into_iter()
            .filter(|head| agents.contains(&head.agent))
            .collect())
    }

    async fn sums(&mut self, of: &[(PartyId, Currency, Span)]) -> Result<Vec<Sums>, StoreError> {
        Ok(of
            .iter()
            .map(|(agent, currency, span)| self.rows.sums(*agent, *currency, *span))
            .collect())
    }

    async fn insert(&mut self, statements: &[Statement]) -> Result<(), StoreError> {
        self.rows.statements.extend_from_slice(statements);
        Ok(())
    }
}

impl AgentRows {
    fn head(&self, agent: PartyId, currency: Currency, end: Timestamp) -> Option<AccountHead> {
        let of_it =
            |statement: &&Statement| (statement.agent, statement.closing.currency()) == (agent, currency);
        let last = self.statements.iter().rfind(of_it).map(|last| LastStatement {
            number: last.number,
            month: last.month,
            to: last.span.to,
            closing: last.closing,
        });
        let first = self
            .posted
            .iter()
            .filter(|(posted, _, amount)| (*posted, amount.currency()) == (agent, currency))
            .map(|(_, at, _)| *at)
            .min()?;
        let due = last.map_or(first < end, |last| last.to < end);
        due.then_some(AccountHead {
            agent,
            currency,
            last,
            first_posted_at: first,
        })
    }

    fn sums(&self, agent: PartyId, currency: Currency, span: Span) -> Sums {
        let zero = Money::zero(currency);
        let mut sums = Sums {
            credits: zero,
            debits: zero,
            lines: 0,
        };
        for (posted, at, amount) in &self.posted {
            if (*posted, amount.currency()) != (agent, currency) || *at < span.from || *at >= span.to {
                continue;
            }
            sums.lines += 1;
            let side = if amount.is_negative() {
                &mut sums.debits
            } else {
                &mut sums.credits
            };
            *side = Money::from_minor(side.minor() + amount.minor().abs(), currency);
        }
        sums
    }
}
