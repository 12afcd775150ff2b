//! What this context asks of storage while a transaction is open.

use async_trait::async_trait;
use posx_kernel::{Currency, IdempotentTx, Money, OrderId, Outbox, PartyId, PlanId, StoreError, Timestamp};
use posx_ledger::LedgerTx;
use posx_tenancy::ReferralTree;

use crate::{
    Adjustment, AgentFacts, AgentTerms, Commission, Decision, Plan, PlanSnapshot, Returns, SaleLine,
};

#[async_trait]
pub trait PlanRepository: Send {
    async fn find(&mut self, id: PlanId) -> Result<Option<Plan>, StoreError>;
    /// What orders freeze that are placed at that time: the version that began last, unless it has ended by then.
    async fn in_force(&mut self, at: Timestamp) -> Result<Option<Plan>, StoreError>;
    /// Of the plan with this name; 0 when there is none.
    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError>;
    /// False: this name has this version already; nothing is stored and the transaction goes on.
    async fn insert(&mut self, plan: &Plan) -> Result<bool, StoreError>;
    /// Who changes a window of this site waits until this transaction ends. Returns how many activations there were.
    async fn lock_activations(&mut self) -> Result<u32, StoreError>;
    async fn save_window(&mut self, plan: &Plan) -> Result<(), StoreError>;
}

/// What holds for single agents.
#[async_trait]
pub trait TermsRepository: Send {
    /// Of the agent's terms, 0 when there are none; `None`: there is no such party.
    async fn latest_number(&mut self, agent: PartyId) -> Result<Option<u32>, StoreError>;
    /// False: the agent has terms of this number already; nothing is stored and the transaction goes on.
    async fn append(&mut self, terms: &AgentTerms) -> Result<bool, StoreError>;
    /// What stood for each at that time, in the order given; without what the month had brought.
    async fn facts_of(&mut self, parties: &[PartyId], at: Timestamp) -> Result<Vec<AgentFacts>, StoreError>;
}

/// What an order tells about its shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidOrder {
    pub order: OrderId,
    pub buyer: PartyId,
    pub total: Money,
    /// How much of it went back, or is on its way back.
    pub returned: Money,
    pub disputed: bool,
    /// In their order.
    pub lines: Vec<SaleLine>,
    pub snapshot: Option<PlanSnapshot>,
    /// Absent while the order is not confirmed by payment.
    pub paid_at: Option<Timestamp>,
}

impl PaidOrder {
    pub const fn returns(&self) -> Returns {
        Returns {
            total: self.total,
            returned: self.returned,
            disputed: self.disputed,
        }
    }
}

/// Orders as this context reads them.
#[async_trait]
pub trait PaidOrders: Send {
    /// As it is now, and as it stays until this transaction ends: who changes the order waits.
    async fn find(&mut self, order: OrderId) -> Result<Option<PaidOrder>, StoreError>;
    /// For each agent, in the order given: the totals, less what went back of them, of confirmed and fulfilled orders, not
    /// wholly refunded, in this currency, of parties bound to the agent directly by then, that were paid strictly before
    /// `before`.
    async fn sales_of(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        before: Timestamp,
    ) -> Result<Vec<Money>, StoreError>;
}

#[async_trait]
pub trait CommissionRepository: Send {
    /// Takes the order for the one decision about it. False: it was decided before; nothing is stored. A concurrent
    /// claim waits for this transaction to end.
    async fn claim_order(&mut self, order: OrderId, at: Timestamp) -> Result<bool, StoreError>;
    /// What each agent has earned in this currency, before anything was taken back, of orders paid in the same month of the
    /// site as `paid_at`. Who asks for one of the same agents waits until this transaction ends.
    async fn lock_months(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        paid_at: Timestamp,
    ) -> Result<Vec<Money>, StoreError>;
    /// Stores what was decided for each ancestor and the commissions that follow from it.
    async fn insert(
        &mut self,
        order: OrderId,
        decisions: &[Decision],
        earned: &[Commission],
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Moves up to `limit` due commissions from held to ready in one guarded statement, the longest due first; what
    /// another transaction holds, and what is of a disputed order, is left for the next call. Returns them as they are now.
    async fn ready_due(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Commission>, StoreError>;
    /// The order's, in order of their ids; each locked until this transaction ends.
    async fn for_update(&mut self, order: OrderId) -> Result<Vec<Commission>, StoreError>;
    /// Stores the state and what was taken back of it, with the adjustment that did it.
    async fn adjust(&mut self, commission: &Commission, step: Option<&Adjustment>) -> Result<(), StoreError>;
}

/// A transaction in which shares can be decided.
pub trait CommissionsTx: LedgerTx + IdempotentTx {
    fn plans(&mut self) -> &mut dyn PlanRepository;
    fn terms(&mut self) -> &mut dyn TermsRepository;
    fn paid_orders(&mut self) -> &mut dyn PaidOrders;
    fn referrals(&mut self) -> &mut dyn ReferralTree;
    fn commissions(&mut self) -> &mut dyn CommissionRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}
