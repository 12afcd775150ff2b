//! What one site's tables hold.

use std::collections::BTreeMap;

use posx_allocations::{
    Allocation, Batch, BatchLine, Release, Restock, TokenSettlement, VestingPolicy, VestingSchedule,
};
use posx_commissions::{
    Adjustment, AgentTerms, Commission, Decision, Payout, PayoutAccount, Settlement, SettlementLine,
};
use posx_kernel::{
    AdjustmentId, AllocationId, BatchId, ChainAssetId, CommissionId, DisputeId, Event, LineId, Money,
    MovementId, OrderId, PartyId, PaymentAttemptId, PayoutId, PromoCodeId, RefundId, SettlementId,
    StoredAnswer, TierId, Timestamp, TokenSettlementId, VestingPolicyId, VestingReleaseId, VestingScheduleId,
};
use posx_ledger::{Entry, EntryKind};
use posx_orders::{Attempt, Dispute, Order, Refund};
use posx_tiers::{ChainAsset, PromoCode, Stock, StockChange, StockMove, Tier};
use uuid::Uuid;

use super::promo_codes::{PromoCounter, PromoUsage};

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
            /// What an agent earns at most in a month, by every plan that the site ever has.
            pub(crate) month_cap: Option<Money>,
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
    /// How many lines a batch has.
    batch_sizes: BatchId => u16;
    batch_lines: (BatchId, u16) => BatchLine;
    token_settlements: TokenSettlementId => TokenSettlement;
    promo_codes: PromoCodeId => PromoCode;
    promo_counters: PromoCodeId => PromoCounter;
    /// How often one buyer uses a code.
    promo_held: (PromoCodeId, PartyId) => i64;
    promo_usages: OrderId => PromoUsage;
    terms: (PartyId, u32) => AgentTerms;
    policies: VestingPolicyId => VestingPolicy;
    /// By which policy what a tier sells is vested, since when.
    tier_terms: (TierId, Timestamp) => Option<VestingPolicyId>;
    schedules: VestingScheduleId => VestingSchedule;
    releases: VestingReleaseId => Release;
    settlements: SettlementId => Settlement;
    /// By revision.
    settlement_lines: (SettlementId, i32) => Vec<SettlementLine>;
    /// Which settlement has a commission; none any more.
    taken_up: CommissionId => Option<SettlementId>;
    payouts: PayoutId => Payout;
    /// By version; all of them connected.
    payout_accounts: (PartyId, i32) => PayoutAccount;
    /// How many units of a line went back to the stock.
    restocks: LineId => Restock;
}
