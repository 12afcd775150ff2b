//! Batches, their lines, and the one transfer that a vault has in flight.

use async_trait::async_trait;
use posx_allocations::{
    Allocation, Batch, BatchApproval, BatchLine, BatchRepository, BatchState, Booked, LeftOut, StateName,
};
use posx_kernel::{AllocationId, BatchId, StoreError, Timestamp, TokenAmount};
use posx_ledger::{Account, EntryKind, Side, Unit};

use super::SimTx;
use crate::bugs::Bug;

impl SimTx {
    fn lines_of(&self, batch: BatchId) -> Vec<(u16, BatchLine)> {
        let size = self.get(|rows| &rows.batch_sizes, &batch).unwrap_or_default();
        let line = |at| {
            self.get(|rows| &rows.batch_lines, &(batch, at))
                .map(|line| (at, line))
        };
        (0..size).filter_map(line).collect()
    }

    fn line_of(&self, batch: BatchId, allocation: AllocationId) -> Option<(u16, BatchLine)> {
        let mut lines = self.lines_of(batch).into_iter();
        lines.find(|(_, line)| line.allocation == allocation)
    }

    fn waits(&self, batch: BatchId, vault: Option<&str>) -> bool {
        let lines = self.lines_of(batch);
        let mut waiting = lines.iter().filter(|(_, line)| line.is_waiting());
        waiting.any(|(_, line)| vault.is_none_or(|vault| line.vault == vault))
    }

    fn being_sent(&self) -> Vec<BatchId> {
        let mut batches = self.all(|rows| &rows.batches);
        batches.retain(|batch| matches!(batch.state, BatchState::Approved | BatchState::Sending));
        batches.sort_by_key(|batch| (batch.created_at, batch.id));
        batches.into_iter().map(|batch| batch.id).collect()
    }
}

#[async_trait]
impl BatchRepository for SimTx {
    async fn insert(&mut self, batch: &Batch, lines: &[BatchLine]) -> Result<(), StoreError> {
        self.step("batches.insert").await;
        self.put(|rows| &mut rows.batches, batch.id, batch.clone());
        for (at, line) in (0..).zip(lines) {
            self.put(|rows| &mut rows.batch_lines, (batch.id, at), line.clone());
        }
        let size = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        self.put(|rows| &mut rows.batch_sizes, batch.id, size);
        Ok(())
    }

    async fn find(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        self.step("batches.find").await;
        Ok(self.get(|rows| &rows.batches, &id))
    }

    async fn for_update(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        self.step("batches.for_update").await;
        self.lock(("batch", id.as_uuid().as_u128())).await?;
        Ok(self.get(|rows| &rows.batches, &id))
    }

    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.step("batches.save").await;
        self.lock(("batch", batch.id.as_uuid().as_u128())).await?;
        self.put(|rows| &mut rows.batches, batch.id, batch.clone());
        Ok(())
    }

    /// Saved with the batch.
    async fn add_approval(&mut self, batch: &Batch, approval: &BatchApproval) -> Result<(), StoreError> {
        self.step("batches.add_approval").await;
        if approval.by == batch.created_by {
            return Err(StoreError::broken("an approval of the maker"));
        }
        Ok(())
    }

    async fn lines(&mut self, id: BatchId) -> Result<Vec<BatchLine>, StoreError> {
        self.step("batches.lines").await;
        Ok(self.lines_of(id).into_iter().map(|(_, line)| line).collect())
    }

    async fn as_of_now(&mut self, ids: &[AllocationId]) -> Result<Vec<BatchLine>, StoreError> {
        self.step("batches.as_of_now").await;
        let line = |id: &AllocationId| {
            let allocation = self.get(|rows| &rows.allocations, id)?;
            let asset = self.get(|rows| &rows.assets, &allocation.asset)?;
            Some(BatchLine {
                allocation: *id,
                order: allocation.order,
                amount: allocation.left(),
                address: allocation.address,
                asset: allocation.asset,
                provider_asset: asset.provider_asset,
                vault: asset.vault,
                decimals: asset.decimals,
                bound_wallet: None,
                left_out: None,
                state: StateName::Queued,
                external_id: None,
                provider_id: None,
                tx_hash: None,
            })
        };
        Ok(ids.iter().filter_map(line).collect())
    }

    async fn leave_out(
        &mut self,
        id: BatchId,
        allocation: AllocationId,
        why: LeftOut,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        self.step("batches.leave_out").await;
        if let Some((at, mut line)) = self.line_of(id, allocation) {
            line.left_out = Some(why);
            self.put(|rows| &mut rows.batch_lines, (id, at), line);
        }
        Ok(())
    }

    async fn take_off(&mut self, batch: BatchId, allocation: &Allocation) -> Result<bool, StoreError> {
        self.step("batches.take_off").await;
        let Some((_, own)) = self.line_of(batch, allocation.id) else {
            return Err(StoreError::broken("a line that was read is gone"));
        };
        if !self.planted(Bug::VaultUnguarded) {
            // The vaults of a site have names of one letter here.
            let vault = u128::from(own.vault.bytes().next().unwrap_or_default());
            self.lock(("vault", self.site.as_uuid().as_u128() ^ vault))
                .await?;
            let lines = self.all(|rows| &rows.batch_lines);
            if lines
                .iter()
                .any(|line| line.vault == own.vault && line.is_in_flight())
            {
                return Ok(false);
            }
        }
        self.save_outcome(batch, allocation).await?;
        Ok(true)
    }

    async fn save_outcome(&mut self, batch: BatchId, allocation: &Allocation) -> Result<(), StoreError> {
        self.step("batches.save_outcome").await;
        if let Some((at, mut line)) = self.line_of(batch, allocation.id) {
            line.follow(allocation);
            let named = line.external_id.clone();
            self.put(|rows| &mut rows.batch_lines, (batch, at), line);
            let lines = self.all(|rows| &rows.batch_lines);
            if named.is_some() && lines.iter().filter(|line| line.external_id == named).count() > 1 {
                return Err(StoreError::broken("two lines of one try"));
            }
        }
        Ok(())
    }

    async fn next_after(
        &mut self,
        batch: BatchId,
        allocation: AllocationId,
    ) -> Result<Option<BatchId>, StoreError> {
        self.step("batches.next_after").await;
        let vault = self.line_of(batch, allocation).map(|(_, line)| line.vault);
        let mut being_sent = self.being_sent().into_iter();
        Ok(being_sent.find(|id| self.waits(*id, vault.as_deref())))
    }

    async fn unfinished(&mut self) -> Result<Vec<BatchId>, StoreError> {
        self.step("batches.unfinished").await;
        let mut being_sent = self.being_sent();
        being_sent.retain(|id| self.waits(*id, None));
        Ok(being_sent)
    }

    async fn booked(&mut self, ids: &[AllocationId]) -> Result<Vec<Booked>, StoreError> {
        self.step("batches.booked").await;
        let booked = |id: &AllocationId| {
            let key = (EntryKind::TokensDelivered, id.as_uuid(), String::new());
            let entry = self.get(|rows| &rows.entries, &key)?;
            let mut postings = entry.postings().iter();
            let posting =
                postings.find(|one| (&one.account, one.side) == (&Account::TokensDelivered, Side::Debit))?;
            let Unit::Asset(asset) = posting.unit else {
                return None;
            };
            Some(Booked {
                allocation: *id,
                asset,
                amount: TokenAmount::from_base_units(posting.amount),
            })
        };
        Ok(ids.iter().filter_map(booked).collect())
    }
}
