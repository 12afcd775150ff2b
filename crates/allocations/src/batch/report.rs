//! What became of a batch, line by line.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use posx_kernel::{AllocationId, ChainAssetId, OrderId, TokenAmount};
use serde::Serialize;

use super::LeftOut;
use crate::{BatchView, StateName};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BatchReport {
    pub batch: BatchView,
    /// For each vault and asset.
    pub totals: Vec<ReportTotal>,
    /// In the order in which they are sent.
    pub lines: Vec<BatchReportLine>,
}

/// As it was agreed to, and what became of it in this batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BatchReportLine {
    pub allocation: AllocationId,
    pub order: OrderId,
    pub asset_id: ChainAssetId,
    /// `ETH`, `POLYGON`, `BSC`, `TRON`.
    pub chain: String,
    pub symbol: String,
    pub decimals: u8,
    /// The custodian's name for the asset.
    pub asset: String,
    pub vault: String,
    /// Base units.
    pub amount: TokenAmount,
    pub address: String,
    /// What the buyer had bound when the batch was made; it may differ from the address that the order names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_wallet: Option<String>,
    /// Why it is not sent with this batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    pub state: StateName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    pub confirmations: u32,
    /// Why it failed, or why a person should look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub needs_person: bool,
    pub updated_at: DateTime<Utc>,
}

/// Before: planned. During: waiting and in flight. After: delivered, failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReportTotal {
    pub vault: String,
    /// The custodian's name for it.
    pub asset: String,
    pub decimals: u8,
    /// What is not left out.
    pub planned: LinesSum,
    pub waiting: LinesSum,
    /// Sent, or perhaps sent, and not at its end.
    pub in_flight: LinesSum,
    pub delivered: LinesSum,
    pub failed: LinesSum,
    pub left_out: LinesSum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct LinesSum {
    pub lines: u16,
    /// Base units.
    pub amount: TokenAmount,
}

impl LinesSum {
    fn add(&mut self, amount: TokenAmount) {
        self.lines = self.lines.saturating_add(1);
        // More than can be counted was never in a vault.
        self.amount = self.amount.checked_add(amount).unwrap_or(TokenAmount::MAX);
    }
}

impl BatchReport {
    pub fn of(batch: BatchView, lines: Vec<BatchReportLine>) -> Self {
        let mut totals = BTreeMap::<_, ReportTotal>::new();
        for line in &lines {
            let key = (line.vault.clone(), line.asset.clone());
            let total = totals.entry(key).or_insert_with(|| ReportTotal {
                vault: line.vault.clone(),
                asset: line.asset.clone(),
                decimals: line.decimals,
                planned: LinesSum::default(),
                waiting: LinesSum::default(),
                in_flight: LinesSum::default(),
                delivered: LinesSum::default(),
                failed: LinesSum::default(),
                left_out: LinesSum::default(),
            });
            if line.left_out.is_some() {
                total.left_out.add(line.amount);
                continue;
            }
            total.planned.add(line.amount);
            let stand = match line.state {
                StateName::Done => &mut total.delivered,
                StateName::Failed => &mut total.failed,
                StateName::Unknown | StateName::Submitted | StateName::Confirming => &mut total.in_flight,
                StateName::Pending | StateName::Queued | StateName::Cancelled => &mut total.waiting,
            };
            stand.add(line.amount);
        }
        Self {
            batch,
            totals: totals.into_values().collect(),
            lines,
        }
    }
}
