//! What payouts ask of storage while a transaction is open.

use async_trait::async_trait;
use posx_kernel::{
    Currency, IdempotentTx, IdentityId, Money, Outbox, PartyId, PayoutFileId, PayoutId, SettlementId,
    StoreError, Timestamp,
};
use posx_ledger::LedgerTx;

use crate::{
    AccountMethod, AccountStanding, Payout, PayoutAccount, PayoutFile, PayoutRules, PayoutState, Settlement,
    SettlementLine, WriteOff,
};

/// What one agent has in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentBalance {
    pub agent: PartyId,
    /// Of the agent's account in the books; below zero the agent owes it.
    pub balance: Money,
    /// What is left of commissions that are held or frozen, or of a disputed order and not paid or approved to be.
    pub held_back: Money,
    /// What is left of ready commissions that no settlement has taken up.
    pub ready: Money,
}

impl AgentBalance {
    /// What a withdrawal may take.
    pub const fn available(&self) -> Money {
        Money::from_minor(
            self.balance.minor() - self.held_back.minor(),
            self.balance.currency(),
        )
    }

    /// What a settlement pays that has taken up the agent's ready commissions: commissions that become ready later do not
    /// change it, and everything else that changes the balance does.
    pub const fn settleable(&self) -> Money {
        Money::from_minor(
            self.balance.minor() - self.held_back.minor() - self.ready.minor(),
            self.balance.currency(),
        )
    }
}

#[async_trait]
pub trait AgentBalances: Send {
    /// Locks the agents, in the order of their ids, against every other way out of their balances, until the transaction
    /// ends. Before [`of`](Self::of), so that what is read holds.
    async fn lock(&mut self, agents: &[PartyId]) -> Result<(), StoreError>;
    /// In every currency that an agent ever had; of all agents, or of some.
    async fn of(&mut self, agents: Option<&[PartyId]>) -> Result<Vec<AgentBalance>, StoreError>;
    /// Who the agent is when they sign in.
    async fn identity(&mut self, agent: PartyId) -> Result<Option<IdentityId>, StoreError>;
    /// Agents whose balance in this currency is below zero, since before then and for no more than so much.
    async fn owing(
        &mut self,
        up_to: Money,
        since_before: Timestamp,
        limit: u16,
    ) -> Result<Vec<PartyId>, StoreError>;
    async fn insert_write_off(&mut self, write_off: &WriteOff) -> Result<(), StoreError>;
}

#[async_trait]
pub trait SettlementRepository: Send {
    /// False: the site has a draft already; the transaction goes on.
    async fn insert(&mut self, settlement: &Settlement) -> Result<bool, StoreError>;
    async fn for_update(&mut self, id: SettlementId) -> Result<Option<Settlement>, StoreError>;
    async fn save(&mut self, settlement: &Settlement) -> Result<(), StoreError>;
    async fn insert_lines(&mut self, of: &Settlement, lines: &[SettlementLine]) -> Result<(), StoreError>;
    /// Of the settlement's present revision, in the order of agent and currency; only those that are paid.
    async fn paid_lines(&mut self, of: &Settlement) -> Result<Vec<SettlementLine>, StoreError>;
    /// Takes up every ready commission of an order that is not disputed: ready → batched.
    async fn take_up(&mut self, settlement: SettlementId, now: Timestamp) -> Result<(), StoreError>;
    /// What was taken up of these agents goes back to where it would be: ready; frozen if the order is disputed meanwhile;
    /// void if nothing of it is left. Of everybody, or of some in one currency each.
    async fn give_back(
        &mut self,
        settlement: SettlementId,
        of: Option<&[(PartyId, Currency)]>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Batched → paid.
    async fn mark_paid(
        &mut self,
        settlement: SettlementId,
        agent: PartyId,
        currency: Currency,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// How many payouts stand where; states without any are left out.
    async fn payout_states(&mut self, id: SettlementId) -> Result<Vec<(PayoutState, u32)>, StoreError>;
}

#[async_trait]
pub trait PayoutRepository: Send {
    async fn find(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError>;
    async fn for_update(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError>;
    /// False: the agent has an open withdrawal in this currency; nothing is stored and the transaction goes on.
    async fn insert(&mut self, payouts: &[Payout]) -> Result<bool, StoreError>;
    async fn save(&mut self, payout: &Payout) -> Result<(), StoreError>;
    /// Those that go by the provider, are on their way, and were not touched since then; the oldest first.
    async fn stuck(&mut self, untouched_since: Timestamp, limit: u16) -> Result<Vec<PayoutId>, StoreError>;
    async fn of_transfer(&mut self, reference: &str) -> Result<Option<PayoutId>, StoreError>;
    /// So that what the provider tells of the transfer finds this site.
    async fn claim_transfer(&mut self, reference: &str) -> Result<(), StoreError>;
}

#[async_trait]
pub trait PayoutFiles: Send {
    /// Approved payouts by bank in this currency, the oldest first, each locked: of one settlement, or of all and of withdrawals.
    async fn waiting(
        &mut self,
        currency: Currency,
        settlement: Option<SettlementId>,
        limit: u16,
    ) -> Result<Vec<Payout>, StoreError>;
    async fn insert(&mut self, file: &PayoutFile) -> Result<(), StoreError>;
    async fn find(&mut self, id: PayoutFileId) -> Result<Option<PayoutFile>, StoreError>;
}

#[async_trait]
pub trait PayoutAccounts: Send {
    /// The last version, also one that was taken away.
    async fn latest(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
    ) -> Result<Option<PayoutAccount>, StoreError>;
    async fn version(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
        version: i32,
    ) -> Result<Option<PayoutAccount>, StoreError>;
    /// Every agent's last version that is not taken away.
    async fn all(&mut self, method: AccountMethod) -> Result<Vec<PayoutAccount>, StoreError>;
    /// False: somebody else stored this version first; the transaction goes on.
    async fn insert(&mut self, account: &PayoutAccount) -> Result<bool, StoreError>;
    async fn remove(&mut self, account: &PayoutAccount, now: Timestamp) -> Result<(), StoreError>;
    /// The one that the provider's id is of, also one that was taken away. Locks it.
    async fn connected(&mut self, connect_account: &str) -> Result<Option<PayoutAccount>, StoreError>;
    /// So that what the provider tells of the account finds this site.
    async fn claim_connected(&mut self, connect_account: &str) -> Result<(), StoreError>;
    /// False: something that was asked for later is there.
    async fn save_standing(
        &mut self,
        account: &PayoutAccount,
        standing: &AccountStanding,
    ) -> Result<bool, StoreError>;
    async fn save_stuck_payout(&mut self, account: &PayoutAccount) -> Result<(), StoreError>;
    /// The defaults where the site set none.
    async fn rules(&mut self, currency: Currency) -> Result<PayoutRules, StoreError>;
    /// Those that the site set.
    async fn all_rules(&mut self) -> Result<Vec<PayoutRules>, StoreError>;
    /// `rules.version` is the new one. False: the row is not of the version before it any more.
    async fn save_rules(&mut self, rules: &PayoutRules, now: Timestamp) -> Result<bool, StoreError>;
}

/// A transaction in which money can leave agents' balances.
pub trait PayoutsTx: LedgerTx + IdempotentTx {
    fn balances(&mut self) -> &mut dyn AgentBalances;
    fn settlements(&mut self) -> &mut dyn SettlementRepository;
    fn payouts(&mut self) -> &mut dyn PayoutRepository;
    fn files(&mut self) -> &mut dyn PayoutFiles;
    fn accounts(&mut self) -> &mut dyn PayoutAccounts;
    fn outbox(&mut self) -> &mut dyn Outbox;
}
