//! What this context asks of storage while a transaction is open.

use async_trait::async_trait;
use posx_kernel::{
    AllocationId, ChainAssetId, IdempotentTx, LineId, Money, OrderId, Outbox, PartyId, StoreError, TierId,
    Timestamp, TokenAmount, VestingPolicyId,
};
use posx_ledger::LedgerTx;
use posx_tiers::StockRepository;

use crate::{Allocation, BatchRepository, Delivery, StateName, TokenSettlement, VestingRepository};

/// Where the custodian keeps an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyAsset {
    pub provider_asset: String,
    pub vault: String,
    pub decimals: u8,
}

#[async_trait]
pub trait AllocationRepository: Send {
    /// Locks the row until the transaction ends.
    async fn for_update(&mut self, id: AllocationId) -> Result<Option<Allocation>, StoreError>;
    /// Locks the rows, in order of their ids; what is not there is left out.
    async fn for_update_many(&mut self, ids: &[AllocationId]) -> Result<Vec<Allocation>, StoreError>;
    /// The one that the custodian's id belongs to. Locks nothing.
    async fn by_provider_id(&mut self, provider_id: &str) -> Result<Option<AllocationId>, StoreError>;
    /// Of the order; `None`: there is no such allocation. Locks nothing.
    async fn order_of(&mut self, id: AllocationId) -> Result<Option<OrderId>, StoreError>;
    /// Locks the order's, in order of their ids.
    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Allocation>, StoreError>;
    /// Stores those whose line and part are not there yet, and says which.
    async fn insert_new(&mut self, allocations: &[Allocation]) -> Result<Vec<AllocationId>, StoreError>;
    /// Stores them in one statement. What is fixed at their making is not written again.
    async fn save(&mut self, allocations: &[Allocation]) -> Result<(), StoreError>;
    /// Also of releases that have no allocation yet and are still to be sent: they are pending.
    async fn states_of_order(&mut self, order: OrderId) -> Result<Vec<StateName>, StoreError>;
    /// False: its transaction has ended this debt, or one of another buyer or token. Then the transaction here is of no more
    /// use.
    async fn insert_settlement(&mut self, settlement: &TokenSettlement) -> Result<bool, StoreError>;
    /// Unknown, submitted or confirming, and not changed since `before`; the longest untouched first.
    async fn stuck(&mut self, before: Timestamp, limit: u16) -> Result<Vec<AllocationId>, StoreError>;
    async fn custody_asset(&mut self, id: ChainAssetId) -> Result<Option<CustodyAsset>, StoreError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineToDeliver {
    pub line: LineId,
    pub tier: TierId,
    pub quantity: u32,
    /// Whether the tier counts what one buyer holds.
    pub counted_per_buyer: bool,
    /// What one unit takes of the tier's stock; what the line has beyond that is a gift.
    pub unit_tokens: TokenAmount,
    pub asset: ChainAssetId,
    pub tokens: TokenAmount,
    /// By what held for the tier when the order was placed.
    pub vesting: Option<VestingPolicyId>,
}

/// How many units of a line went back to the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restock {
    pub line: LineId,
    pub units: u32,
    /// How often that changed.
    pub changes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderToDeliver {
    pub order: OrderId,
    pub buyer: PartyId,
    /// The order's own snapshot, canonical.
    pub address: Option<String>,
    /// As the order froze it.
    pub wallet_usable_from: Option<Timestamp>,
    /// Confirmed by payment, also when it is fulfilled already.
    pub paid: bool,
    pub total: Money,
    /// How much of the total went back, or is on its way back.
    pub returned: Money,
    /// How much of that restocks nothing.
    pub not_restocked: Money,
    /// Nothing of it is queued or sent as long as it is.
    pub disputed: bool,
    /// In order of position.
    pub lines: Vec<LineToDeliver>,
}

/// Orders as this context reads them, and what it tells them.
#[async_trait]
pub trait DeliveredOrders: Send {
    /// Locks the order until the transaction ends: two allocations that finish at once see each other.
    async fn for_update(&mut self, order: OrderId) -> Result<Option<OrderToDeliver>, StoreError>;
    /// Which of them are disputed. Locks nothing.
    async fn disputed(&mut self, orders: &[OrderId]) -> Result<Vec<OrderId>, StoreError>;
    /// Of those of its lines of which something ever went back to the stock.
    async fn restocks(&mut self, order: OrderId) -> Result<Vec<Restock>, StoreError>;
    async fn save_restock(&mut self, restock: &Restock) -> Result<(), StoreError>;
    /// Stores the derived delivery; with [`Delivery::Done`] a confirmed order becomes fulfilled.
    async fn set_delivery(
        &mut self,
        order: OrderId,
        delivery: Delivery,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// A person should look at the order: a stable word.
    async fn flag(&mut self, order: OrderId, why: &str) -> Result<(), StoreError>;
}

/// Which site an outside system's object belongs to: how a webhook finds its site.
#[async_trait]
pub trait ExternalIds: Send {
    /// False: another site has it. Claiming again what is the site's own changes nothing.
    async fn claim(&mut self, provider: &str, external_id: &str) -> Result<bool, StoreError>;
}

/// A transaction in which allocations can be changed.
pub trait AllocationsTx: LedgerTx + IdempotentTx {
    fn allocations(&mut self) -> &mut dyn AllocationRepository;
    fn batches(&mut self) -> &mut dyn BatchRepository;
    fn delivered_orders(&mut self) -> &mut dyn DeliveredOrders;
    fn external_ids(&mut self) -> &mut dyn ExternalIds;
    fn vesting(&mut self) -> &mut dyn VestingRepository;
    /// To put back and take again what a return concerns: last before the commit.
    fn stock(&mut self) -> &mut dyn StockRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}
