//! The port of reconciliation: transactions that completed, by vault and asset:
//! <https://developers.fireblocks.com/reference/gettransactions>.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::TokenAmount;
use posx_ledger::reconcile::{AskLines, Line, LinesError, Moved, Movement, ProviderLines, Wallet};
use posx_ledger::{Side, Unit};
use serde::Deserialize;

use crate::custody::FireblocksCustody;
use crate::error::FireblocksError;
use crate::event::instant;

/// Fireblocks gives up to 500, of some kilobytes each.
const PAGE: usize = 100;
/// 100,000 transactions of one asset in one vault: more is no answer.
const PAGES_MAX: usize = 1_000;
/// A transaction completes within this time of its creation, approvals included. Lists are by creation: what was made by hand
/// and takes longer is on none; what we made and takes longer is looked for by its entry.
const COMPLETES_WITHIN: TimeDelta = TimeDelta::days(31);
/// `COMPLETED`, and yet not delivered (F09).
const NOT_DELIVERED: &str = "COMPLETED_BUT_3RD_PARTY";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    id: String,
    #[serde(default)]
    external_tx_id: Option<String>,
    #[serde(default)]
    sub_status: Option<String>,
    amount_info: Amount,
    created_at: i64,
    /// Of what has completed: when it did.
    last_updated: i64,
}

/// In whole tokens, as text: the numbers beside it would lose digits (F13).
#[derive(Deserialize)]
struct Amount {
    amount: String,
}

#[async_trait]
impl ProviderLines for FireblocksCustody {
    async fn lines(&self, ask: &AskLines<'_>) -> Result<Vec<Line>, LinesError> {
        let mut all = Vec::new();
        for wallet in ask.wallets {
            let found = self.of_wallet(wallet, ask).await;
            all.extend(found.map_err(|error| LinesError::Unavailable(Box::new(error)))?);
        }
        Ok(all)
    }
}

impl FireblocksCustody {
    /// From page to page by when the last one was created: so nothing is passed over when the list grows meanwhile. Those of the
    /// same millisecond come again, and count once.
    async fn of_wallet(&self, wallet: &Wallet, ask: &AskLines<'_>) -> Result<Vec<Line>, FireblocksError> {
        let mut after = (ask.from - COMPLETES_WITHIN).timestamp_millis() - 1;
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for _ in 0..PAGES_MAX {
            let page = self.page(wallet, after, ask.until.timestamp_millis()).await?;
            let (last, full) = (page.iter().map(|one| one.created_at).max(), page.len() >= PAGE);
            let mut new = 0;
            for transaction in page {
                if seen.insert(transaction.id.clone()) {
                    new += 1;
                    let line = transaction.line(wallet)?;
                    found.extend(line.filter(|line| (ask.from..ask.until).contains(&line.at)));
                }
            }
            match last {
                // More of one millisecond than a page holds cannot be told from the end.
                Some(_) if full && new == 0 => return Err(FireblocksError::Field("createdAt")),
                Some(last) if full => after = last - 1,
                _ => return Ok(found),
            }
        }
        Err(FireblocksError::Field("createdAt"))
    }

    async fn page(
        &self,
        wallet: &Wallet,
        after: i64,
        before: i64,
    ) -> Result<Vec<Transaction>, FireblocksError> {
        let query = [
            ("after", after.to_string()),
            ("before", before.to_string()),
            ("status", "COMPLETED".to_owned()),
            ("sourceType", "VAULT_ACCOUNT".to_owned()),
            ("sourceId", wallet.vault.clone()),
            ("assets", wallet.provider_asset.clone()),
            ("orderBy", "createdAt".to_owned()),
            ("sort", "ASC".to_owned()),
            ("limit", PAGE.to_string()),
        ];
        self.client.list(&["transactions"], &query).await
    }
}

impl Transaction {
    /// `None` for what was not delivered.
    fn line(self, wallet: &Wallet) -> Result<Option<Line>, FireblocksError> {
        if self.sub_status.is_some_and(|why| why.starts_with(NOT_DELIVERED)) {
            return Ok(None);
        }
        let amount = TokenAmount::parse(&self.amount_info.amount, wallet.decimals)
            .map_err(|_| FireblocksError::Field("amountInfo.amount"))?;
        // What was sent by hand has no name of ours.
        let named = self.external_tx_id.filter(|id| !id.is_empty());
        Ok(Some(Line {
            reference: named.unwrap_or_else(|| self.id.clone()),
            id: self.id,
            movement: Movement::Delivery,
            moved: Moved {
                unit: Unit::Asset(wallet.asset).to_string(),
                side: Side::Debit,
                amount: amount.base_units(),
            },
            at: instant(self.last_updated).ok_or(FireblocksError::Field("lastUpdated"))?,
        }))
    }
}
