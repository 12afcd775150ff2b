//! What a batch would do now. Nothing is written and nothing is sent.

use std::collections::BTreeMap;

use posx_kernel::{AllocationId, BatchId, Refusal as _, SiteScope, TokenAmount};
use serde::Serialize;

use super::line::waits_in;
use super::take_out::line_why_not_in_tx;
use super::{BatchError, BatchLine, BatchState, LeftOut};
use crate::Allocations;
use crate::report::lock_with_order_in_tx;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DryRun {
    pub batch: BatchId,
    pub state: BatchState,
    /// Of what two people agree to. It changes when a blocked line is taken out.
    pub hash: String,
    /// Both locks for real transfers are open; otherwise the custodian is a sandbox.
    pub real_transfers: bool,
    /// Of what would be sent, for each vault and asset.
    pub totals: Vec<VaultTotal>,
    /// What would not be sent, and why; also what is left out already.
    pub blocked: Vec<BlockedLine>,
}

/// Amounts are base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct VaultTotal {
    pub vault: String,
    /// The custodian's name for it.
    pub asset: String,
    pub decimals: u8,
    pub lines: u16,
    pub amount: TokenAmount,
    /// What the vault can spend; absent: it does not hold the asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<TokenAmount>,
    /// What the chain's fees are paid in; absent: no minimum is set for the asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas: Option<GasNeed>,
    /// Why nothing of it would be sent: `vault_wallet_missing`, `vault_tokens_short`, `vault_gas_short`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub shortfall: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GasNeed {
    /// The custodian's name for it.
    pub asset: String,
    pub decimals: u8,
    /// The least that the vault is to have.
    pub minimum: TokenAmount,
    pub balance: TokenAmount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BlockedLine {
    pub allocation: AllocationId,
    pub reason: LeftOut,
}

impl Allocations {
    pub async fn dry_run(&self, scope: &SiteScope, id: BatchId) -> Result<DryRun, BatchError> {
        let mut tx = self.db.begin(scope).await?;
        let batch = tx.batches().find(id).await?.ok_or(BatchError::NoSuchBatch)?;
        let lines = tx.batches().lines(id).await?;
        drop(tx);
        let (mut sent, mut blocked) = (BTreeMap::<_, Vec<&BatchLine>>::new(), Vec::new());
        for line in &lines {
            let reason = match line.left_out {
                None if line.is_waiting() => self.why_not(scope, id, line).await?,
                left_out => left_out,
            };
            match reason {
                Some(reason) => blocked.push(BlockedLine {
                    allocation: line.allocation,
                    reason,
                }),
                None if line.is_waiting() => {
                    let wallet = (line.vault.clone(), line.provider_asset.clone());
                    sent.entry(wallet).or_default().push(line);
                }
                None => {}
            }
        }
        let mut totals = Vec::new();
        for lines in sent.into_values() {
            totals.extend(self.total(scope, &lines).await?);
        }
        Ok(DryRun {
            batch: id,
            state: batch.state,
            hash: hex::encode(batch.hash),
            real_transfers: self.custody.moves_real_tokens(),
            totals,
            blocked,
        })
    }

    /// Locks what it looks at for the moment of the look.
    async fn why_not(
        &self,
        scope: &SiteScope,
        batch: BatchId,
        line: &BatchLine,
    ) -> Result<Option<LeftOut>, BatchError> {
        let mut tx = self.db.begin(scope).await?;
        let found = lock_with_order_in_tx(tx.as_mut(), line.allocation).await?;
        let Some((order, allocation)) = found.filter(|(_, one)| waits_in(one, batch)) else {
            return Ok(line.left_out);
        };
        let now = self.clock.now();
        Ok(line_why_not_in_tx(tx.as_mut(), &order, &allocation, line, now).await?)
    }

    /// Of lines of one asset in one vault. With no transaction open.
    async fn total(&self, scope: &SiteScope, lines: &[&BatchLine]) -> Result<Option<VaultTotal>, BatchError> {
        let Some(first) = lines.first() else {
            return Ok(None);
        };
        let asset = first.custody_asset();
        let holdings = self.holdings(scope.site(), &asset).await;
        let holdings = holdings.map_err(BatchError::Custodian)?;
        // More than can be counted is more than any vault holds.
        let amount = lines
            .iter()
            .try_fold(TokenAmount::ZERO, |sum, line| sum.checked_add(line.amount))
            .unwrap_or(TokenAmount::MAX);
        let shortfall = holdings.shortfall(&asset, amount);
        Ok(Some(VaultTotal {
            lines: u16::try_from(lines.len()).unwrap_or(u16::MAX),
            amount,
            balance: holdings.balance,
            gas: holdings.gas.map(|(floor, balance)| GasNeed {
                asset: floor.gas,
                decimals: floor.gas_decimals,
                minimum: floor.minimum,
                balance,
            }),
            shortfall: shortfall.map(|shortfall| shortfall.code()),
            vault: asset.vault,
            asset: asset.provider_asset,
            decimals: asset.decimals,
        }))
    }
}
