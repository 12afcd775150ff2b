//! What this context asks of storage.

use async_trait::async_trait;
use posx_kernel::{
    Claim, DisputeId, Event, IdempotentCall, OrderId, Page, PageRequest, PartyId, PaymentAttemptId, RefundId,
    SiteScope, StoreError, StoredAnswer, TierId, Timestamp,
};
use posx_ledger::Entry;
use posx_tenancy::ReferralRepository;
use posx_tiers::{Chain, ChainAsset, PromoCode, PromoCodeText, PromoUses, Tier, TiersTx};

use crate::gateway::IntentId;
use crate::{
    Attempt, Dispute, DisputeState, DisputeView, Lifecycle, Order, OrderSummary, OrderView, PaymentStatus,
    Refund, RefundState, RefundView, WalletAddress,
};

/// A tier as an order needs it: `available` is a first look, without a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierFacts {
    pub tier: Tier,
    pub asset: ChainAsset,
    pub available: i64,
}

/// The code that a buyer typed, as an order needs it: how often it is used is a first look, without a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoFacts {
    pub code: PromoCode,
    pub uses: PromoUses,
}

/// What placing reads, in one round trip.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacingFacts {
    pub tiers: Vec<TierFacts>,
    /// The buyer's bound wallets, at most one for each family.
    pub wallets: Vec<Wallet>,
    /// The commission plan in force at that time, as it is frozen on the order: `commissions::PlanSnapshot` as JSON.
    pub plan_snapshot: Option<serde_json::Value>,
    /// Of the code that was asked for, if the site has it.
    pub promo: Option<PromoFacts>,
}

/// An order that is placed, with everything that is written in the same statement.
#[derive(Debug)]
pub struct NewOrder<'a> {
    pub order: &'a Order,
    pub entries: &'a [Entry],
    pub events: &'a [Event],
    pub answer: Option<(&'a IdempotentCall, &'a StoredAnswer)>,
}

/// A placed order whose time is up. The order of the fields is that of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueOrder {
    pub expires_at: Timestamp,
    pub order: OrderId,
}

#[async_trait]
pub trait OrderRepository: Send {
    /// Claims the call's key (see [`Idempotency::claim`](posx_kernel::Idempotency::claim)) and reads what placing needs, in one round trip. Tiers that are
    /// not there are left out.
    async fn begin_placing(
        &mut self,
        call: Option<&IdempotentCall>,
        buyer: PartyId,
        tiers: &[TierId],
        promo: Option<&PromoCodeText>,
        at: Timestamp,
    ) -> Result<(Claim, PlacingFacts), StoreError>;
    async fn insert(&mut self, new: NewOrder<'_>) -> Result<(), StoreError>;
    /// With its lines; locks the order's row until the transaction ends. Always the first lock of a use case that changes
    /// an order.
    async fn for_update(&mut self, id: OrderId) -> Result<Option<Order>, StoreError>;
    /// Stores everything but the lines, which never change.
    async fn save(&mut self, order: &Order) -> Result<(), StoreError>;
    /// Placed orders whose time is up, longest due first, those behind `after` only.
    async fn due(
        &mut self,
        now: Timestamp,
        after: Option<DueOrder>,
        limit: u16,
    ) -> Result<Vec<DueOrder>, StoreError>;
}

#[async_trait]
pub trait AttemptRepository: Send {
    async fn open_of(&mut self, order: OrderId) -> Result<Option<Attempt>, StoreError>;
    async fn find(&mut self, id: PaymentAttemptId) -> Result<Option<Attempt>, StoreError>;
    /// Oldest first.
    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Attempt>, StoreError>;
    async fn by_intent(&mut self, provider: &str, intent: &IntentId) -> Result<Option<Attempt>, StoreError>;
    /// False: the order has an open attempt already; nothing is stored.
    async fn insert(&mut self, attempt: &Attempt) -> Result<bool, StoreError>;
    async fn save(&mut self, attempt: &Attempt) -> Result<(), StoreError>;
    /// Attempts that are unknown, in action or processing and were last touched before `before`, oldest first.
    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Attempt>, StoreError>;
    /// Tells the inbox that this object of the provider belongs to the open transaction's site. False: it is another's.
    async fn claim_external_id(&mut self, provider: &str, external_id: &str) -> Result<bool, StoreError>;
}

#[async_trait]
pub trait RefundRepository: Send {
    /// False: this attempt was refunded by itself for this reason before; nothing is stored. More than was captured is an
    /// error, also of two transactions at once.
    async fn insert(&mut self, refund: &Refund) -> Result<bool, StoreError>;
    async fn find(&mut self, id: RefundId) -> Result<Option<Refund>, StoreError>;
    async fn by_provider_id(&mut self, provider_refund: &str) -> Result<Option<Refund>, StoreError>;
    /// Oldest first.
    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Refund>, StoreError>;
    async fn save(&mut self, refund: &Refund) -> Result<(), StoreError>;
    /// Open refunds that were last touched before `before`, longest untouched first.
    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Refund>, StoreError>;
}

#[async_trait]
pub trait DisputeRepository: Send {
    async fn insert(&mut self, dispute: &Dispute) -> Result<(), StoreError>;
    async fn find(&mut self, id: DisputeId) -> Result<Option<Dispute>, StoreError>;
    async fn by_provider_id(
        &mut self,
        provider: &str,
        provider_dispute: &str,
    ) -> Result<Option<Dispute>, StoreError>;
    /// Oldest first.
    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Dispute>, StoreError>;
    async fn save(&mut self, dispute: &Dispute) -> Result<(), StoreError>;
    /// Open disputes about which the provider was last asked before `asked_before`, longest ago first.
    async fn open(&mut self, asked_before: Timestamp, limit: u16) -> Result<Vec<Dispute>, StoreError>;
    /// Open disputes that wait for evidence until `due_by` at the latest and had no alarm of so few hours yet.
    async fn evidence_due(
        &mut self,
        due_by: Timestamp,
        alarm_hours: u8,
        limit: u16,
    ) -> Result<Vec<DisputeId>, StoreError>;
}

/// A wallet that a buyer bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub address: WalletAddress,
    pub bound_at: Timestamp,
    /// When its holder last signed for us. None: it was only typed.
    pub proven_at: Option<Timestamp>,
    /// The one chain that a contract wallet was proven on, by its EIP-155 id.
    pub contract_chain: Option<u64>,
    /// It took the place of another address: custody sends nothing to it before.
    pub usable_from: Option<Timestamp>,
}

impl Wallet {
    /// Whether what is sent to it on this chain reaches who bound it.
    pub fn receives_on(&self, chain: Chain) -> bool {
        self.address.family() == chain.family()
            && self
                .contract_chain
                .is_none_or(|proven| chain.eip155_id() == Some(proven))
    }
}

/// An address that a buyer binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWallet {
    pub address: WalletAddress,
    pub at: Timestamp,
    pub proven: bool,
    pub contract_chain: Option<u64>,
    /// From when it is usable if it takes another address' place. The first one of a family waits for nothing.
    pub usable_from: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    Bound(Wallet),
    /// Another party of the site holds the address.
    Taken,
    /// The party's own is proven: only a proven one takes its place.
    ProofRequired,
}

#[async_trait]
pub trait WalletRepository: Send {
    /// Binds or replaces the party's address of the family, in one guarded statement. Binding the same address again keeps
    /// since when it is bound and from when it is usable, and may prove it.
    async fn bind(&mut self, party: PartyId, wallet: &NewWallet) -> Result<Bound, StoreError>;
    async fn of_party(&mut self, party: PartyId) -> Result<Vec<Wallet>, StoreError>;
}

/// A transaction in which orders, their payments and the tiers' stock can be changed.
pub trait OrdersTx: TiersTx {
    fn orders(&mut self) -> &mut dyn OrderRepository;
    fn attempts(&mut self) -> &mut dyn AttemptRepository;
    fn refunds(&mut self) -> &mut dyn RefundRepository;
    fn disputes(&mut self) -> &mut dyn DisputeRepository;
    fn wallets(&mut self) -> &mut dyn WalletRepository;
    fn referrals(&mut self) -> &mut dyn ReferralRepository;
}

#[derive(Debug, Clone, Copy, Default)]
pub struct OrderFilter {
    /// Only this buyer's: what a buyer may see.
    pub buyer: Option<PartyId>,
    pub lifecycle: Option<Lifecycle>,
    pub payment: Option<PaymentStatus>,
    /// Only orders that a person should look at.
    pub attention: bool,
}

#[async_trait]
pub trait OrderQueries: Send + Sync {
    /// Newest first.
    async fn list(
        &self,
        scope: &SiteScope,
        filter: OrderFilter,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError>;
    /// With lines, history, refunds and disputes; `buyer` restricts to that buyer's own, and to what a buyer is shown: no notes of
    /// staff, no disputes.
    async fn get(
        &self,
        scope: &SiteScope,
        id: OrderId,
        buyer: Option<PartyId>,
    ) -> Result<Option<OrderView>, StoreError>;
    /// What a preview needs: the same facts as placing, read only.
    async fn facts(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        tiers: &[TierId],
        promo: Option<&PromoCodeText>,
        at: Timestamp,
    ) -> Result<PlacingFacts, StoreError>;
    async fn wallets(&self, scope: &SiteScope, party: PartyId) -> Result<Vec<Wallet>, StoreError>;
    /// Newest first.
    async fn refunds(
        &self,
        scope: &SiteScope,
        filter: RefundFilter,
        page: PageRequest,
    ) -> Result<Page<RefundView>, StoreError>;
    /// Newest first.
    async fn disputes(
        &self,
        scope: &SiteScope,
        filter: DisputeFilter,
        page: PageRequest,
    ) -> Result<Page<DisputeView>, StoreError>;
    async fn dispute(&self, scope: &SiteScope, id: DisputeId) -> Result<Option<DisputeView>, StoreError>;
}

#[derive(Debug, Clone, Copy, Default)]
pub struct RefundFilter {
    pub id: Option<RefundId>,
    pub order: Option<OrderId>,
    pub state: Option<RefundState>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct DisputeFilter {
    pub order: Option<OrderId>,
    pub state: Option<DisputeState>,
}
