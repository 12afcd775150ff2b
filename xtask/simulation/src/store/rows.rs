//! What one site's tables hold.

use std::collections::BTreeMap;

use posx_allocations::{Allocation, Batch, Restock};
use posx_commissions::{Adjustment, Commission, Decision};
use posx_kernel::{
    AdjustmentId, AllocationId, BatchId, ChainAssetId, CommissionId, DisputeId, Event, LineId, MovementId,
    OrderId, PartyId, PaymentAttemptId, RefundId, StoredAnswer, TierId, Timestamp,
};
use posx_ledger::{Entry, EntryKind};
use posx_orders::{Attempt, Dispute, Order, Refund};
use posx_tiers::{ChainAsset, Stock, StockChange, StockMove, Tier};
use uuid::Uuid;

/// `(kind, cause, part)`: a fact is booked once.
pub(crate) type EntryKey = (EntryKind, Uuid, String);
/// Actor, operation, key.
pub(crate) type CallKey = (String, &'static str, String);

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident: $key:ty => $row:ty;)+) => {
        #[derive(Debug, Clone, Default)]
        pub(crate) struct Rows {
            $($(#[$doc])* pub(crate) $name: BTreeMap<$key, $row>,)+
            pub(crate) events: Vec<Event>,
            /// The active plan, as orders freeze it.
            pub(crate) plan: Option<serde_json::Value>,
        }

        impl Rows {
            /// Takes over what a transaction wrote.
            pub(crate) fn absorb(&mut self, own: Self) {
                $(self.$name.extend(own.$name);)+
                self.events.extend(own.events);
            }
        }
    };
}

tables! {
    assets: ChainAssetId => ChainAsset;
    tiers: TierId => Tier;
    stock: TierId => Stock;
    movements: MovementId => (StockMove, StockChange);
    held_by_buyer: (TierId, PartyId) => i64;
    orders: OrderId => Order;
    attempts: PaymentAttemptId => Attempt;
    refunds: RefundId => Refund;
    disputes: DisputeId => Dispute;
    /// Party → whom it named when it joined.
    claimed: PartyId => PartyId;
    /// Party → referrer, since when.
    referrals: PartyId => (PartyId, Timestamp);
    entries: EntryKey => Entry;
    answers: CallKey => ([u8; 32], StoredAnswer);
    /// Orders whose shares are decided, and how much of the tree the decision could see.
    decided: OrderId => Vec<PartyId>;
    decisions: (OrderId, u8) => Decision;
    commissions: CommissionId => Commission;
    adjustments: AdjustmentId => Adjustment;
    allocations: AllocationId => Allocation;
    batches: BatchId => Batch;
    /// How many units of a line went back to the stock.
    restocks: LineId => Restock;
}
