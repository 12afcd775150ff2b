//! What was delivered, told anew by the books and the custodian alone: neither batches nor allocations are asked.

use posx_kernel::{AllocationId, BatchId, ChainAssetId, SiteScope, TokenAmount};
use serde::Serialize;

use super::{BatchError, BatchLine};
use crate::allocation::named_by;
use crate::custody::Transfer;
use crate::{Allocations, Standing};

/// An entry of delivered tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub allocation: AllocationId,
    pub asset: ChainAssetId,
    pub amount: TokenAmount,
}

/// A delivery that the books and the custodian agree on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct Rebuilt {
    pub allocation: AllocationId,
    pub asset_id: ChainAssetId,
    /// As it is booked, in base units.
    pub amount: TokenAmount,
    /// As the custodian tells it, as the following ones.
    pub external_id: String,
    pub provider_id: String,
    pub tx_hash: String,
}

/// A report's deliveries against what can be rebuilt of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BatchCheck {
    pub rebuilt: Vec<Rebuilt>,
    /// Allocations of which the report says something else.
    pub differing: Vec<AllocationId>,
}

/// In order of the allocations. What only one of the two knows is not among them.
pub fn rebuild(booked: &[Booked], transfers: &[Transfer]) -> Vec<Rebuilt> {
    let completed = |transfer: &&Transfer| {
        Standing::of(&transfer.status, transfer.sub_status.as_deref()) == Standing::Completed
    };
    let of_transfer = |transfer: &Transfer| {
        let external_id = transfer.external_id.as_ref()?;
        let allocation = named_by(external_id)?;
        let entry = booked.iter().find(|entry| entry.allocation == allocation)?;
        Some(Rebuilt {
            allocation,
            asset_id: entry.asset,
            amount: entry.amount,
            external_id: external_id.0.clone(),
            provider_id: transfer.provider_id.clone(),
            tx_hash: transfer.tx_hash.clone()?,
        })
    };
    let mut rebuilt: Vec<_> = transfers
        .iter()
        .filter(completed)
        .filter_map(of_transfer)
        .collect();
    rebuilt.sort();
    rebuilt
}

impl BatchLine {
    /// What the line says was delivered.
    pub(crate) fn delivery(&self) -> Option<Rebuilt> {
        Some(Rebuilt {
            allocation: self.allocation,
            asset_id: self.asset,
            amount: self.amount,
            external_id: self.external_id.clone().filter(|_| self.is_done())?.0,
            provider_id: self.provider_id.clone()?,
            tx_hash: self.tx_hash.clone()?,
        })
    }
}

impl Allocations {
    /// Asks the custodian about every line that was sent.
    pub async fn check_batch(&self, scope: &SiteScope, id: BatchId) -> Result<BatchCheck, BatchError> {
        let mut tx = self.db.begin(scope).await?;
        tx.batches().find(id).await?.ok_or(BatchError::NoSuchBatch)?;
        let lines = tx.batches().lines(id).await?;
        let ids: Vec<_> = lines.iter().map(|line| line.allocation).collect();
        let booked = tx.batches().booked(&ids).await?;
        drop(tx);
        let mut transfers = Vec::new();
        for external_id in lines.iter().filter_map(|line| line.external_id.as_ref()) {
            let found = self.look_up(scope, external_id).await;
            transfers.extend(found.map_err(BatchError::Custodian)?);
        }
        let rebuilt = rebuild(&booked, &transfers);
        let differs = |line: &&BatchLine| {
            let told = rebuilt.iter().find(|told| told.allocation == line.allocation);
            told.cloned() != line.delivery()
        };
        let differing = lines.iter().filter(differs).map(|line| line.allocation).collect();
        Ok(BatchCheck { rebuilt, differing })
    }
}
