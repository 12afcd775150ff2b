//! Agents' own terms, and what a month has brought them.

use async_trait::async_trait;
use chrono::Datelike as _;
use posx_commissions::{AgentFacts, AgentTerms, TermsRepository};
use posx_kernel::{Currency, Money, PartyId, StoreError, Timestamp};

use super::SimTx;
use crate::bugs::Bug;
use crate::sim::SECOND;

/// The sites of a run live by UTC.
pub(crate) fn month_of(at: Timestamp) -> (i32, u32) {
    (at.year(), at.month())
}

#[async_trait]
impl TermsRepository for SimTx {
    async fn latest_number(&mut self, agent: PartyId) -> Result<Option<u32>, StoreError> {
        self.step("terms.latest_number").await;
        let terms = self.all(|rows| &rows.terms);
        let numbers = terms
            .iter()
            .filter(|terms| terms.agent == agent)
            .map(|terms| terms.number);
        Ok(Some(numbers.max().unwrap_or(0)))
    }

    async fn append(&mut self, terms: &AgentTerms) -> Result<bool, StoreError> {
        self.step("terms.append").await;
        let lock = terms.agent.as_uuid().as_u128() ^ u128::from(terms.number);
        self.lock(("agent_terms", lock)).await?;
        let key = (terms.agent, terms.number);
        let free = self.get(|rows| &rows.terms, &key).is_none();
        if free {
            self.put(|rows| &mut rows.terms, key, terms.clone());
        }
        Ok(free)
    }

    async fn facts_of(&mut self, parties: &[PartyId], at: Timestamp) -> Result<Vec<AgentFacts>, StoreError> {
        self.step("terms.facts_of").await;
        let (all, now) = (self.all(|rows| &rows.terms), self.planted(Bug::TermsReadNow));
        let facts = |party: &PartyId| {
            let begun = all
                .iter()
                .filter(|terms| terms.agent == *party && (terms.effective_from <= at || now));
            let in_force = begun.max_by_key(|terms| terms.number);
            AgentFacts {
                terms: in_force.map(|terms| terms.terms.clone()).unwrap_or_default(),
                ..AgentFacts::default()
            }
        };
        Ok(parties.iter().map(facts).collect())
    }
}

impl SimTx {
    /// Before anything was taken back.
    pub(super) async fn earned_in_month(
        &self,
        agents: &[PartyId],
        currency: Currency,
        paid_at: Timestamp,
    ) -> Result<Vec<Money>, StoreError> {
        self.step("commissions.lock_months").await;
        let unlocked = self.planted(Bug::MonthReadWithoutLock);
        if !unlocked {
            let mut locked = agents.to_vec();
            locked.sort_unstable();
            for agent in locked {
                self.lock(("agent_month", agent.as_uuid().as_u128())).await?;
            }
        }
        let (commissions, month) = (self.all(|rows| &rows.commissions), month_of(paid_at));
        let same_month = |order| {
            let order = self.get(|rows| &rows.orders, &order);
            order
                .and_then(|order| order.paid_at)
                .is_some_and(|at| month_of(at) == month)
        };
        let earned = |agent: &PartyId| {
            let of_agent = commissions.iter().filter(|one| {
                one.agent == *agent && one.amount.currency() == currency && same_month(one.order)
            });
            Money::from_minor(of_agent.map(|one| one.amount.minor()).sum(), currency)
        };
        let sums = agents.iter().map(earned).collect();
        if unlocked {
            // Time for others to come in between.
            let sim = std::sync::Arc::clone(&self.db.env.sim);
            sim.sleep(sim.between(1, 2 * SECOND)).await;
        }
        Ok(sums)
    }
}
