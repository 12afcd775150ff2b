//! What the demo reads of the API's answers.

use chrono::{DateTime, Utc};
use posx_kernel::{
    AllocationId, BatchId, ChainAssetId, CommissionId, Money, OrderId, PartyId, PaymentAttemptId, PlanId,
    Rate, TierId, TokenAmount,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Me {
    pub membership: Option<Membership>,
    pub referral: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Membership {
    pub party_id: PartyId,
    pub referral_code: String,
}

/// One that the caller referred.
#[derive(Debug, Deserialize)]
pub struct Referral {
    pub party: PartyId,
    pub bound_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Asset {
    pub id: ChainAssetId,
    pub chain: String,
    pub symbol: String,
    pub decimals: u8,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Tier {
    pub id: TierId,
    pub name: String,
    pub list_price: Money,
    pub price: Money,
    pub availability: String,
    /// For staff only.
    pub stock: Option<Stock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Stock {
    pub supply: i64,
    pub reserved: i64,
    pub sold: i64,
    pub available: i64,
}

#[derive(Debug, Deserialize)]
pub struct Plan {
    pub id: PlanId,
    pub version: u32,
    pub active: bool,
}

#[derive(Debug, Deserialize)]
pub struct Wallet {
    pub address: String,
}

#[derive(Debug, Deserialize)]
pub struct Quote {
    pub total: Money,
}

/// Of a list; an order that is read alone has more.
#[derive(Debug, Clone, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub number: String,
    pub buyer_id: PartyId,
    pub lifecycle: String,
    pub payment: String,
    pub delivery: String,
    pub total: Money,
}

#[derive(Debug, Clone, Deserialize)]
pub struct OrderInFull {
    #[serde(flatten)]
    pub order: Order,
    pub wallet_address: String,
    #[serde(default)]
    pub history: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    pub kind: String,
}

impl OrderInFull {
    pub fn happened(&self, kind: &str) -> usize {
        self.history.iter().filter(|event| event.kind == kind).count()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Checkout {
    pub attempt_id: PaymentAttemptId,
    pub intent_id: String,
    pub amount: Money,
    pub client_secret: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Commission {
    pub id: CommissionId,
    pub order: OrderId,
    pub agent: PartyId,
    pub level: u8,
    pub rate: Rate,
    pub amount: Money,
    pub state: String,
}

#[derive(Debug, Deserialize)]
pub struct Explanation {
    pub recomputed: Money,
    pub agrees: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub struct Step {
    pub step: String,
    pub says: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Allocation {
    pub id: AllocationId,
    pub party: PartyId,
    pub symbol: String,
    pub decimals: u8,
    pub address: String,
    pub amount: TokenAmount,
    pub state: String,
    pub tx_hash: Option<String>,
    pub confirmed_at: Option<DateTime<Utc>>,
    pub tries: u16,
}

#[derive(Debug, Deserialize)]
pub struct Batch {
    pub id: BatchId,
    pub size: u16,
    pub state: String,
    pub hash: String,
}

#[derive(Debug, Deserialize)]
pub struct DryRun {
    pub hash: String,
    pub real_transfers: bool,
    pub totals: Vec<VaultTotal>,
    pub blocked: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub struct VaultTotal {
    pub vault: String,
    pub asset: String,
    pub decimals: u8,
    pub lines: u16,
    pub amount: TokenAmount,
    pub shortfall: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct BatchReport {
    pub batch: Batch,
    pub lines: Vec<ReportLine>,
}

#[derive(Debug, Deserialize)]
pub struct ReportLine {
    pub state: String,
}

#[derive(Debug, Deserialize)]
pub struct BatchCheck {
    pub rebuilt: Vec<serde_json::Value>,
    pub differing: Vec<AllocationId>,
}

#[derive(Debug, Deserialize)]
pub struct Entry {
    pub kind: String,
    pub postings: Vec<Posting>,
}

/// Minor or base units as text; debits positive.
#[derive(Debug, Deserialize)]
pub struct Posting {
    pub unit: String,
    pub amount: String,
}

#[derive(Debug, Deserialize)]
pub struct TrialBalanceRow {
    pub account: String,
    pub unit: String,
    pub debit: String,
    pub credit: String,
    pub balance: String,
}

#[derive(Debug, Deserialize)]
pub struct Job {
    pub run_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub task: String,
    pub last_error: Option<String>,
    pub dead: bool,
}
