//! Settlements, payouts and withdrawals in memory.

mod accounts;

use std::collections::BTreeMap;

use async_trait::async_trait;
use posx_kernel::{
    Begin, CommissionId, Currency, IdentityId, Money, Outbox, PartyId, PayoutFileId, PayoutId, SettlementId,
    SiteScope, StoreError, Timestamp,
};
use posx_ledger::{Account, Side, Unit};

use super::{FakeDb, FakeTx, World};
use crate::{
    AgentBalance, AgentBalances, Commission, CommissionState, Payout, PayoutAccount, PayoutAccounts,
    PayoutFile, PayoutFiles, PayoutMethod, PayoutRepository, PayoutRules, PayoutState, PayoutsTx, Settlement,
    SettlementLine, SettlementRepository, SettlementState, WriteOff,
};

/// One site's rows.
#[derive(Debug, Clone, Default)]
pub struct PayoutRows {
    pub settlements: BTreeMap<SettlementId, Settlement>,
    pub lines: BTreeMap<(SettlementId, i32), Vec<SettlementLine>>,
    pub taken_up: BTreeMap<CommissionId, SettlementId>,
    pub payouts: BTreeMap<PayoutId, Payout>,
    pub accounts: Vec<PayoutAccount>,
    pub rules: BTreeMap<Currency, PayoutRules>,
    pub files: BTreeMap<PayoutFileId, PayoutFile>,
    pub write_offs: Vec<WriteOff>,
    pub identities: BTreeMap<PartyId, IdentityId>,
}

#[async_trait]
impl Begin<dyn PayoutsTx> for FakeDb {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn PayoutsTx>, StoreError> {
        Ok(Box::new(FakeTx {
            db: self.clone(),
            site: scope.site(),
            world: self.world(scope),
        }))
    }
}

impl PayoutsTx for FakeTx {
    fn balances(&mut self) -> &mut dyn AgentBalances {
        self
    }
    fn settlements(&mut self) -> &mut dyn SettlementRepository {
        self
    }
    fn payouts(&mut self) -> &mut dyn PayoutRepository {
        self
    }
    fn files(&mut self) -> &mut dyn PayoutFiles {
        self
    }
    fn accounts(&mut self) -> &mut dyn PayoutAccounts {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

impl World {
    /// Of an account in the books: credits less debits, in each currency.
    pub fn credit_of(&self, account: &Account) -> BTreeMap<Currency, i64> {
        let mut sums = BTreeMap::new();
        for posting in self.entries.iter().flat_map(posx_ledger::Entry::postings) {
            let Unit::Currency(currency) = posting.unit else {
                continue;
            };
            if posting.account == *account {
                let amount = i64::try_from(posting.amount).expect("a test's amount");
                let sign = if posting.side == Side::Credit { 1 } else { -1 };
                *sums.entry(currency).or_default() += sign * amount;
            }
        }
        sums
    }

    fn disputed(&self, commission: &Commission) -> bool {
        self.orders
            .get(&commission.order)
            .is_some_and(|order| order.disputed)
    }

    fn balance(&self, agent: PartyId, currency: Currency, minor: i64) -> AgentBalance {
        let of_it = |one: &&Commission| one.agent == agent && one.amount.currency() == currency;
        let draft = |one: &Commission| {
            let settlement = self.payouts.taken_up.get(&one.id);
            settlement
                .and_then(|id| self.payouts.settlements.get(id))
                .is_some_and(|settlement| settlement.state == SettlementState::Draft)
        };
        let sum = |counts: &dyn Fn(&Commission) -> bool| {
            let left = |one: &Commission| one.amount.minor() - one.reversed.minor();
            let of_it = self.commissions.values().filter(of_it);
            let minor = of_it.filter(|one| counts(one)).map(left).sum();
            Money::from_minor(minor, currency)
        };
        AgentBalance {
            agent,
            balance: Money::from_minor(minor, currency),
            held_back: sum(&|one| match one.state {
                CommissionState::Held | CommissionState::Frozen => true,
                CommissionState::Ready => self.disputed(one),
                CommissionState::Batched => self.disputed(one) && draft(one),
                _ => false,
            }),
            ready: sum(&|one| one.state == CommissionState::Ready && !self.disputed(one)),
        }
    }
}

#[async_trait]
impl AgentBalances for FakeTx {
    async fn lock(&mut self, _agents: &[PartyId]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn of(&mut self, agents: Option<&[PartyId]>) -> Result<Vec<AgentBalance>, StoreError> {
        let postings = self.world.entries.iter().flat_map(posx_ledger::Entry::postings);
        let mut all: Vec<PartyId> = postings
            .filter_map(|posting| match posting.account {
                Account::CommissionPayable(agent) => Some(agent),
                _ => None,
            })
            .filter(|agent| agents.is_none_or(|agents| agents.contains(agent)))
            .collect();
        all.sort_unstable();
        all.dedup();
        let world = &self.world;
        let of = |agent: PartyId| {
            let sums = world.credit_of(&Account::CommissionPayable(agent));
            sums.into_iter()
                .map(move |(currency, minor)| world.balance(agent, currency, minor))
        };
        Ok(all.into_iter().flat_map(of).collect())
    }

    async fn identity(&mut self, agent: PartyId) -> Result<Option<IdentityId>, StoreError> {
        Ok(self.world.payouts.identities.get(&agent).copied())
    }

    async fn owing(
        &mut self,
        up_to: Money,
        since_before: Timestamp,
        limit: u16,
    ) -> Result<Vec<PartyId>, StoreError> {
        let balances = AgentBalances::of(self, None).await?;
        let owing = |one: &AgentBalance| {
            let owed = -one.balance.minor();
            one.balance.currency() == up_to.currency()
                && (1..=up_to.minor()).contains(&owed)
                && self.negative_since(one.agent, up_to.currency()) < Some(since_before)
        };
        let mut agents: Vec<_> = balances
            .iter()
            .filter(|one| owing(one))
            .map(|one| one.agent)
            .collect();
        agents.truncate(usize::from(limit));
        Ok(agents)
    }

    async fn insert_write_off(&mut self, write_off: &WriteOff) -> Result<(), StoreError> {
        self.world.payouts.write_offs.push(write_off.clone());
        Ok(())
    }
}

impl FakeTx {
    /// When the balance last went below zero; entries are in the order of time.
    fn negative_since(&self, agent: PartyId, currency: Currency) -> Option<Timestamp> {
        let (mut balance, mut since) = (0, None);
        for entry in &self.world.entries {
            for posting in entry.postings() {
                if posting.account == Account::CommissionPayable(agent)
                    && posting.unit == Unit::Currency(currency)
                {
                    let amount = i64::try_from(posting.amount).ok()?;
                    balance += if posting.side == Side::Credit {
                        amount
                    } else {
                        -amount
                    };
                }
            }
            since = if balance < 0 {
                since.or(Some(entry.at()))
            } else {
                None
            };
        }
        since
    }

    fn move_batched(
        &mut self,
        settlement: SettlementId,
        of: impl Fn(&Commission) -> bool,
        to: impl Fn(&World, &Commission) -> CommissionState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let world = &self.world;
        let batched: Vec<_> = world
            .commissions
            .values()
            .filter(|one| world.payouts.taken_up.get(&one.id) == Some(&settlement))
            .filter(|one| one.state == CommissionState::Batched && of(one))
            .map(|one| (one.id, to(world, one)))
            .collect();
        for (id, state) in batched {
            let one = self.world.commissions.get_mut(&id);
            let one = one.ok_or_else(|| StoreError::broken("no such commission"))?;
            one.become_(state, now)
                .map_err(|_| StoreError::broken("a move that the machine does not have"))?;
            if state != CommissionState::Paid {
                one.back_to = (state != CommissionState::Ready).then_some(CommissionState::Ready);
                self.world.payouts.taken_up.remove(&id);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl SettlementRepository for FakeTx {
    async fn insert(&mut self, settlement: &Settlement) -> Result<bool, StoreError> {
        let rows = &mut self.world.payouts.settlements;
        if rows.values().any(|one| one.state == SettlementState::Draft) {
            return Ok(false);
        }
        rows.insert(settlement.id, settlement.clone());
        Ok(true)
    }

    async fn for_update(&mut self, id: SettlementId) -> Result<Option<Settlement>, StoreError> {
        Ok(self.world.payouts.settlements.get(&id).cloned())
    }

    async fn save(&mut self, settlement: &Settlement) -> Result<(), StoreError> {
        self.world
            .payouts
            .settlements
            .insert(settlement.id, settlement.clone());
        Ok(())
    }

    async fn insert_lines(&mut self, of: &Settlement, lines: &[SettlementLine]) -> Result<(), StoreError> {
        self.world
            .payouts
            .lines
            .insert((of.id, of.revision), lines.to_vec());
        Ok(())
    }

    async fn paid_lines(&mut self, of: &Settlement) -> Result<Vec<SettlementLine>, StoreError> {
        let lines = self.world.payouts.lines.get(&(of.id, of.revision));
        let paid = lines.into_iter().flatten().filter(|line| line.is_paid());
        Ok(paid.cloned().collect())
    }

    async fn take_up(&mut self, settlement: SettlementId, now: Timestamp) -> Result<(), StoreError> {
        let ready = |one: &&Commission| one.state == CommissionState::Ready && !self.world.disputed(one);
        let ids: Vec<_> = self
            .world
            .commissions
            .values()
            .filter(ready)
            .map(|one| one.id)
            .collect();
        for id in ids {
            if let Some(one) = self.world.commissions.get_mut(&id) {
                one.become_(CommissionState::Batched, now)
                    .map_err(|_| StoreError::broken("a move that the machine does not have"))?;
            }
            self.world.payouts.taken_up.insert(id, settlement);
        }
        Ok(())
    }

    async fn give_back(
        &mut self,
        settlement: SettlementId,
        of: Option<&[(PartyId, Currency)]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let to = |world: &World, one: &Commission| {
            if one.reversed == one.amount {
                CommissionState::Void
            } else if world.disputed(one) {
                CommissionState::Frozen
            } else {
                CommissionState::Ready
            }
        };
        let wanted = |one: &Commission| of.is_none_or(|of| of.contains(&(one.agent, one.amount.currency())));
        self.move_batched(settlement, wanted, to, now)
    }

    async fn mark_paid(
        &mut self,
        settlement: SettlementId,
        agent: PartyId,
        currency: Currency,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let wanted = |one: &Commission| one.agent == agent && one.amount.currency() == currency;
        self.move_batched(settlement, wanted, |_, _| CommissionState::Paid, now)
    }

    async fn payout_states(&mut self, id: SettlementId) -> Result<Vec<(PayoutState, u32)>, StoreError> {
        let mut states: BTreeMap<PayoutState, u32> = BTreeMap::new();
        let payouts = self.world.payouts.payouts.values();
        for payout in payouts.filter(|one| one.settlement == Some(id)) {
            *states.entry(payout.state).or_default() += 1;
        }
        Ok(states.into_iter().collect())
    }
}

#[async_trait]
impl PayoutRepository for FakeTx {
    async fn find(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError> {
        Ok(self.world.payouts.payouts.get(&id).cloned())
    }

    async fn for_update(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError> {
        PayoutRepository::find(self, id).await
    }

    async fn insert(&mut self, payouts: &[Payout]) -> Result<bool, StoreError> {
        use PayoutState::{Approved, Failed, Requested, Sending};
        let rows = &mut self.world.payouts.payouts;
        for payout in payouts {
            let same = |one: &Payout| {
                one.settlement.is_none()
                    && (one.agent, one.amount.currency()) == (payout.agent, payout.amount.currency())
                    && matches!(one.state, Requested | Approved | Sending | Failed)
            };
            if payout.settlement.is_none() && rows.values().any(same) {
                return Ok(false);
            }
            rows.insert(payout.id, payout.clone());
        }
        Ok(true)
    }

    async fn save(&mut self, payout: &Payout) -> Result<(), StoreError> {
        self.world.payouts.payouts.insert(payout.id, payout.clone());
        Ok(())
    }

    async fn stuck(&mut self, untouched_since: Timestamp, limit: u16) -> Result<Vec<PayoutId>, StoreError> {
        let stuck = |one: &&Payout| {
            one.method == PayoutMethod::Connect
                && matches!(one.state, PayoutState::Approved | PayoutState::Sending)
                && one.updated_at < untouched_since
        };
        let mut found: Vec<_> = self.world.payouts.payouts.values().filter(stuck).collect();
        found.sort_by_key(|one| one.updated_at);
        Ok(found
            .into_iter()
            .take(usize::from(limit))
            .map(|one| one.id)
            .collect())
    }

    async fn of_transfer(&mut self, reference: &str) -> Result<Option<PayoutId>, StoreError> {
        let of_it = |one: &&Payout| {
            one.method == PayoutMethod::Connect && one.reference.as_deref() == Some(reference)
        };
        Ok(self.world.payouts.payouts.values().find(of_it).map(|one| one.id))
    }

    async fn claim_transfer(&mut self, _reference: &str) -> Result<(), StoreError> {
        Ok(())
    }
}
