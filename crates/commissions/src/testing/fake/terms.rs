//! Terms of agents, and what their months brought. A month is one of UTC.

use async_trait::async_trait;
use chrono::Datelike as _;
use posx_kernel::{Currency, Money, PartyId, StoreError, Timestamp};

use super::{FakeTx, World};
use crate::{AgentFacts, AgentTerms, Commission, TermsRepository};

impl World {
    pub(super) fn month(&self, agent: PartyId, currency: Currency, paid_at: Timestamp) -> Money {
        let month = |at: Timestamp| (at.year(), at.month());
        let in_it = |commission: &&Commission| {
            let order = self.orders.get(&commission.order);
            let paid = order.and_then(|order| order.paid_at);
            commission.agent == agent
                && commission.amount.currency() == currency
                && paid.is_some_and(|at| month(at) == month(paid_at))
        };
        let earned = self.commissions.values().filter(in_it);
        let minor = earned.map(|commission| commission.amount.minor()).sum();
        Money::from_minor(minor, currency)
    }
}

#[async_trait]
impl TermsRepository for FakeTx {
    async fn latest_number(&mut self, agent: PartyId) -> Result<Option<u32>, StoreError> {
        let numbers = self.world.terms.iter().filter(|terms| terms.agent == agent);
        let latest = numbers.map(|terms| terms.number).max().unwrap_or(0);
        Ok(self.world.parties.contains(&agent).then_some(latest))
    }

    async fn append(&mut self, terms: &AgentTerms) -> Result<bool, StoreError> {
        let same = |old: &AgentTerms| (old.agent, old.number) == (terms.agent, terms.number);
        if self.world.terms.iter().any(same) {
            return Ok(false);
        }
        self.world.terms.push(terms.clone());
        Ok(true)
    }

    async fn facts_of(&mut self, parties: &[PartyId], at: Timestamp) -> Result<Vec<AgentFacts>, StoreError> {
        let facts = |party: &PartyId| {
            let begun = |terms: &&AgentTerms| terms.agent == *party && terms.effective_from <= at;
            let terms = self.world.terms.iter().filter(begun);
            let latest = terms.max_by_key(|terms| (terms.effective_from, terms.number));
            AgentFacts {
                terms: latest.map(|latest| latest.terms.clone()).unwrap_or_default(),
                inactive: self.world.inactive.contains(party),
                ..AgentFacts::default()
            }
        };
        Ok(parties.iter().map(facts).collect())
    }
}
