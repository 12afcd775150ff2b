//! Agents' balances, and the settlements that pay them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use posx_commissions::{
    AgentBalance, Commission, CommissionState, PayoutState, Settlement, SettlementLine, SettlementRepository,
    SettlementState, WriteOff,
};
use posx_kernel::{
    CommissionId, Currency, IdentityId, Money, PartyId, SettlementId, StoreError, StoreFault, Timestamp,
};
use posx_ledger::{Account, Side, Unit};

use super::SimTx;
use crate::bugs::Bug;

impl SimTx {
    fn is_disputed(&self, commission: &Commission) -> bool {
        let order = self.get(|rows| &rows.orders, &commission.order);
        order.is_some_and(|order| order.disputed)
    }

    fn settlement_of(&self, commission: CommissionId) -> Option<SettlementId> {
        self.get(|rows| &rows.taken_up, &commission).flatten()
    }

    fn in_draft(&self, commission: &Commission) -> bool {
        let settlement = self.settlement_of(commission.id);
        let settlement = settlement.and_then(|id| self.get(|rows| &rows.settlements, &id));
        settlement.is_some_and(|settlement| settlement.state == SettlementState::Draft)
    }

    /// Credits less debits of each agent's account.
    fn payables(&self) -> BTreeMap<(PartyId, Currency), i64> {
        let mut sums = BTreeMap::new();
        for entry in self.all(|rows| &rows.entries) {
            for posting in entry.postings() {
                let (Account::CommissionPayable(agent), Unit::Currency(currency)) =
                    (&posting.account, posting.unit)
                else {
                    continue;
                };
                let amount = i64::try_from(posting.amount).unwrap_or(i64::MAX);
                let sign = if posting.side == Side::Credit { 1 } else { -1 };
                *sums.entry((*agent, currency)).or_default() += sign * amount;
            }
        }
        sums
    }
}

/// Not imported: it has names of the store's own.
#[async_trait]
impl posx_commissions::AgentBalances for SimTx {
    async fn lock(&mut self, agents: &[PartyId]) -> Result<(), StoreError> {
        self.lock_agents(agents).await
    }

    async fn of(&mut self, agents: Option<&[PartyId]>) -> Result<Vec<AgentBalance>, StoreError> {
        self.step("agent_balances.of").await;
        let commissions = self.all(|rows| &rows.commissions);
        let balance = |((agent, currency), minor): ((PartyId, Currency), i64)| {
            let sum = |counts: &dyn Fn(&Commission) -> bool| {
                let of_agent = commissions
                    .iter()
                    .filter(|one| (one.agent, one.amount.currency()) == (agent, currency) && counts(one));
                Money::from_minor(of_agent.map(|one| one.left().minor()).sum(), currency)
            };
            AgentBalance {
                agent,
                balance: Money::from_minor(minor, currency),
                held_back: sum(&|one| match one.state {
                    CommissionState::Held | CommissionState::Frozen => true,
                    CommissionState::Ready => self.is_disputed(one),
                    CommissionState::Batched => self.is_disputed(one) && self.in_draft(one),
                    _ => false,
                }),
                ready: sum(&|one| one.state == CommissionState::Ready && !self.is_disputed(one)),
            }
        };
        let wanted = |(agent, _): &(PartyId, Currency)| agents.is_none_or(|agents| agents.contains(agent));
        let payables = self.payables().into_iter().filter(|(key, _)| wanted(key));
        Ok(payables.map(balance).collect())
    }

    async fn identity(&mut self, _: PartyId) -> Result<Option<IdentityId>, StoreError> {
        Ok(None)
    }

    async fn owing(&mut self, _: Money, _: Timestamp, _: u16) -> Result<Vec<PartyId>, StoreError> {
        Ok(Vec::new())
    }

    async fn insert_write_off(&mut self, _: &WriteOff) -> Result<(), StoreError> {
        Err(StoreError::broken("no scene does this"))
    }
}

impl SimTx {
    /// Locks what counts, in the order of their ids, and says what of it counts then.
    async fn locked_commissions(
        &self,
        counts: impl Fn(&Self, &Commission) -> bool + Send + Sync,
    ) -> Result<Vec<Commission>, StoreError> {
        let mut found = Vec::new();
        for seen in self.all(|rows| &rows.commissions) {
            if !counts(self, &seen) {
                continue;
            }
            self.lock(("commission", seen.id.as_uuid().as_u128())).await?;
            let row = self.get(|rows| &rows.commissions, &seen.id);
            found.extend(row.filter(|row| counts(self, row)));
        }
        Ok(found)
    }

    fn becomes(
        &mut self,
        mut commission: Commission,
        state: CommissionState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        commission
            .become_(state, now)
            .map_err(|error| StoreError::new(StoreFault::Broken, error))?;
        self.put(|rows| &mut rows.commissions, commission.id, commission);
        Ok(())
    }
}

#[async_trait]
impl SettlementRepository for SimTx {
    async fn insert(&mut self, settlement: &Settlement) -> Result<bool, StoreError> {
        self.step("settlements.insert").await;
        self.lock(("settlement_draft", self.site.as_uuid().as_u128()))
            .await?;
        let drafts = self.all(|rows| &rows.settlements);
        if drafts.iter().any(|one| one.state == SettlementState::Draft) {
            return Ok(false);
        }
        self.put(|rows| &mut rows.settlements, settlement.id, settlement.clone());
        Ok(true)
    }

    async fn for_update(&mut self, id: SettlementId) -> Result<Option<Settlement>, StoreError> {
        self.step("settlements.for_update").await;
        self.lock(("settlement", id.as_uuid().as_u128())).await?;
        Ok(self.get(|rows| &rows.settlements, &id))
    }

    async fn save(&mut self, settlement: &Settlement) -> Result<(), StoreError> {
        self.step("settlements.save").await;
        self.lock(("settlement", settlement.id.as_uuid().as_u128()))
            .await?;
        self.put(|rows| &mut rows.settlements, settlement.id, settlement.clone());
        Ok(())
    }

    async fn insert_lines(&mut self, of: &Settlement, lines: &[SettlementLine]) -> Result<(), StoreError> {
        self.step("settlements.insert_lines").await;
        let key = (of.id, of.revision);
        self.put(|rows| &mut rows.settlement_lines, key, lines.to_vec());
        Ok(())
    }

    async fn paid_lines(&mut self, of: &Settlement) -> Result<Vec<SettlementLine>, StoreError> {
        self.step("settlements.paid_lines").await;
        let lines = self.get(|rows| &rows.settlement_lines, &(of.id, of.revision));
        let mut lines = lines.unwrap_or_default();
        lines.retain(SettlementLine::is_paid);
        Ok(lines)
    }

    async fn take_up(&mut self, settlement: SettlementId, now: Timestamp) -> Result<(), StoreError> {
        self.step("settlements.take_up").await;
        let ready = |tx: &Self, one: &Commission| {
            one.state == CommissionState::Ready && (!tx.is_disputed(one) || tx.planted(Bug::DisputedSettled))
        };
        for one in self.locked_commissions(ready).await? {
            if self.is_disputed(&one) {
                let what = "shares of a disputed order are settled".to_owned();
                self.db.state().violations.push(what);
            }
            let id = one.id;
            self.becomes(one, CommissionState::Batched, now)?;
            self.put(|rows| &mut rows.taken_up, id, Some(settlement));
        }
        Ok(())
    }

    async fn give_back(
        &mut self,
        settlement: SettlementId,
        of: Option<&[(PartyId, Currency)]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.step("settlements.give_back").await;
        if self.planted(Bug::SettledNotGivenBack) {
            return Ok(());
        }
        let of: Option<BTreeSet<_>> = of.map(|of| of.iter().copied().collect());
        let taken = |tx: &Self, one: &Commission| {
            let wanted = of
                .as_ref()
                .is_none_or(|of| of.contains(&(one.agent, one.amount.currency())));
            wanted && one.state == CommissionState::Batched && tx.settlement_of(one.id) == Some(settlement)
        };
        for mut one in self.locked_commissions(taken).await? {
            let id = one.id;
            let state = if one.left().is_zero() {
                CommissionState::Void
            } else if self.is_disputed(&one) {
                CommissionState::Frozen
            } else {
                CommissionState::Ready
            };
            one.back_to = (state != CommissionState::Ready).then_some(CommissionState::Ready);
            self.becomes(one, state, now)?;
            self.put(|rows| &mut rows.taken_up, id, None);
        }
        Ok(())
    }

    async fn mark_paid(
        &mut self,
        settlement: SettlementId,
        agent: PartyId,
        currency: Currency,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.step("settlements.mark_paid").await;
        let paid = |tx: &Self, one: &Commission| {
            (one.agent, one.amount.currency()) == (agent, currency)
                && one.state == CommissionState::Batched
                && tx.settlement_of(one.id) == Some(settlement)
        };
        for one in self.locked_commissions(paid).await? {
            self.becomes(one, CommissionState::Paid, now)?;
        }
        Ok(())
    }

    async fn payout_states(&mut self, id: SettlementId) -> Result<Vec<(PayoutState, u32)>, StoreError> {
        self.step("settlements.payout_states").await;
        let mut states: BTreeMap<PayoutState, u32> = BTreeMap::new();
        for payout in self.all(|rows| &rows.payouts) {
            if payout.settlement == Some(id) {
                *states.entry(payout.state).or_default() += 1;
            }
        }
        Ok(states.into_iter().collect())
    }
}
