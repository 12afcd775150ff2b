//! What stands at each moment of the past, order by order.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use chrono::NaiveDate;
use posx_kernel::{Currency, Money, PartyId, StoreError, Timestamp};

use super::{PastOrder, PastParty, SalesMoved, Tally, sum};
use crate::{AgentFacts, AgentTerms, Ancestor, Outcome, PlanSnapshot, Rules, Sale, Terms, calculate};

pub(super) struct Running<'a> {
    plan: &'a PlanSnapshot,
    known: HashMap<PartyId, PastParty>,
    /// What came to an agent's sales within the period.
    sales: HashMap<(PartyId, Currency), i64>,
    /// Of orders that were paid at one moment: they count for what is paid after it.
    just_paid: (Timestamp, Vec<(PartyId, Money)>),
    moved: VecDeque<SalesMoved>,
    /// What was earned in a month within the period.
    months: HashMap<(PartyId, Currency, NaiveDate), i64>,
    tallies: BTreeMap<(Currency, PartyId), Tally>,
}

impl<'a> Running<'a> {
    pub fn new(plan: &'a PlanSnapshot, moved: Vec<SalesMoved>) -> Self {
        Self {
            plan,
            known: HashMap::new(),
            sales: HashMap::new(),
            just_paid: (Timestamp::UNIX_EPOCH, Vec::new()),
            moved: moved.into(),
            months: HashMap::new(),
            tallies: BTreeMap::new(),
        }
    }

    /// Parties of these orders of which nothing is known yet.
    pub fn unknown(&self, orders: &[PastOrder]) -> Vec<PartyId> {
        let by_difference = matches!(self.plan.rules, Rules::Difference(_));
        let parties = orders.iter().flat_map(|order| {
            let buyer = by_difference.then_some(&order.buyer);
            order.above.iter().chain(buyer)
        });
        let unknown: HashSet<_> = parties
            .copied()
            .filter(|party| !self.known.contains_key(party))
            .collect();
        unknown.into_iter().collect()
    }

    pub fn learn(&mut self, parties: impl Iterator<Item = (PartyId, PastParty)>) {
        self.known.extend(parties);
    }

    /// The next order, by the time of its payment.
    pub fn pay(&mut self, order: PastOrder) -> Result<(), StoreError> {
        self.arrive_at(order.paid_at)?;
        // As when a share is decided: nobody earns of their own order, and nobody above them either.
        let above = order.above.iter().take_while(|agent| **agent != order.buyer);
        let chain: Vec<_> = above.map(|agent| self.ancestor(*agent, &order)).collect();
        let sale = Sale {
            total: order.total,
            lines: order.lines,
            buyer: self.terms(order.buyer, order.paid_at),
        };
        for decision in calculate(self.plan, &sale, &chain) {
            if let Outcome::Earned { amount, .. } = decision.outcome {
                self.earn(decision.agent, amount, order.month)?;
            }
        }
        if let Some(nearest) = order.above.first() {
            self.just_paid.1.push((*nearest, order.sold));
        }
        Ok(())
    }

    pub fn into_tallies(self) -> BTreeMap<(Currency, PartyId), Tally> {
        self.tallies
    }

    fn arrive_at(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.just_paid.0 < now {
            for (agent, sold) in std::mem::take(&mut self.just_paid.1) {
                self.sell(agent, sold)?;
            }
            self.just_paid.0 = now;
        }
        while let Some(moved) = self.moved.pop_front_if(|moved| moved.at <= now) {
            self.sell(moved.agent, moved.sales)?;
        }
        Ok(())
    }

    fn sell(&mut self, agent: PartyId, sold: Money) -> Result<(), StoreError> {
        let sales = self.sales.entry((agent, sold.currency())).or_default();
        *sales = sum(*sales, sold.minor())?;
        Ok(())
    }

    fn earn(&mut self, agent: PartyId, amount: Money, month: NaiveDate) -> Result<(), StoreError> {
        let earned = self.months.entry((agent, amount.currency(), month)).or_default();
        *earned = sum(*earned, amount.minor())?;
        let tally = self.tallies.entry((amount.currency(), agent)).or_default();
        tally.simulated = sum(tally.simulated, amount.minor())?;
        tally.simulated_shares += 1;
        Ok(())
    }

    fn ancestor(&self, agent: PartyId, order: &PastOrder) -> Ancestor {
        let known = self.known.get(&agent);
        let inactive = known.is_some_and(|party| party.is_suspended(order.paid_at));
        let caps_months = self.plan.rules.caps_months();
        Ancestor {
            agent,
            sales: self.sales(agent, order.total.currency()),
            facts: AgentFacts {
                terms: self.terms(agent, order.paid_at),
                inactive,
                month: caps_months.then(|| self.month(agent, order)),
                passed: None,
            },
        }
    }

    fn sales(&self, agent: PartyId, currency: Currency) -> Money {
        let known = self.known.get(&agent).map_or(&[][..], |party| &party.sales);
        let before = known.iter().find(|money| money.currency() == currency);
        let within = self.sales.get(&(agent, currency)).copied().unwrap_or(0);
        let before = before.map_or(0, |money| money.minor());
        Money::from_minor(before.saturating_add(within), currency)
    }

    /// What the order's month had brought before it.
    fn month(&self, agent: PartyId, order: &PastOrder) -> Money {
        let currency = order.total.currency();
        let known = self.known.get(&agent).map_or(&[][..], |party| &party.earned);
        let before = known
            .iter()
            .find(|(month, money)| *month == order.month && money.currency() == currency);
        let within = self.months.get(&(agent, currency, order.month));
        let before = before.map_or(0, |(_, money)| money.minor());
        Money::from_minor(before.saturating_add(within.copied().unwrap_or(0)), currency)
    }

    fn terms(&self, party: PartyId, at: Timestamp) -> Terms {
        let recorded = self.known.get(&party).map_or(&[][..], |party| &party.terms);
        let begun = recorded.iter().filter(|terms| terms.effective_from <= at);
        let latest = begun.max_by_key(|terms: &&AgentTerms| (terms.effective_from, terms.number));
        latest.map(|latest| latest.terms.clone()).unwrap_or_default()
    }
}

impl PastParty {
    fn is_suspended(&self, at: Timestamp) -> bool {
        let holds = |one: &super::Suspension| one.since <= at && one.until.is_none_or(|until| until > at);
        self.suspensions.iter().any(holds)
    }
}
