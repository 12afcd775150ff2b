//! What this context asks of storage while a transaction is open.

use async_trait::async_trait;
use posx_kernel::{Currency, IdempotentTx, Money, OrderId, Outbox, PartyId, PlanId, StoreError, Timestamp};
use posx_ledger::LedgerTx;
use posx_tenancy::ReferralTree;

use crate::{Commission, Decision, Plan, PlanSnapshot};

#[async_trait]
pub trait PlanRepository: Send {
    async fn find(&mut self, id: PlanId) -> Result<Option<Plan>, StoreError>;
    /// The site's only active plan.
    async fn active(&mut self) -> Result<Option<Plan>, StoreError>;
    /// Of the plan with this name; 0 when there is none.
    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError>;
    /// False: this name has this version already; nothing is stored and the transaction goes on.
    async fn insert(&mut self, plan: &Plan) -> Result<bool, StoreError>;
    /// Makes it the only active one. Two at once in one site wait for each other.
    async fn make_only_active(&mut self, id: PlanId) -> Result<(), StoreError>;
}

/// What an order tells about its shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidOrder {
    pub order: OrderId,
    pub buyer: PartyId,
    pub total: Money,
    pub snapshot: Option<PlanSnapshot>,
    /// Absent while the order is not confirmed by payment.
    pub paid_at: Option<Timestamp>,
}

/// Orders as this context reads them.
#[async_trait]
pub trait PaidOrders: Send {
    async fn find(&mut self, order: OrderId) -> Result<Option<PaidOrder>, StoreError>;
    /// For each agent, in the order given: the totals of confirmed and fulfilled orders, not wholly refunded, in this
    /// currency, of parties bound to the agent directly by then, that were paid strictly before `before`.
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
    /// Stores what was decided for each ancestor and the commissions that follow from it.
    async fn insert(
        &mut self,
        order: OrderId,
        decisions: &[Decision],
        earned: &[Commission],
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Moves up to `limit` due commissions from held to ready in one guarded statement, the longest due first; what
    /// another transaction holds is left for the next call. Returns them as they are now.
    async fn ready_due(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Commission>, StoreError>;
}

/// A transaction in which shares can be decided.
pub trait CommissionsTx: LedgerTx + IdempotentTx {
    fn plans(&mut self) -> &mut dyn PlanRepository;
    fn paid_orders(&mut self) -> &mut dyn PaidOrders;
    fn referrals(&mut self) -> &mut dyn ReferralTree;
    fn commissions(&mut self) -> &mut dyn CommissionRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}
