//! Batches in memory.

use async_trait::async_trait;
use posx_kernel::{AllocationId, BatchId, StoreError, Timestamp, TokenAmount};
use posx_ledger::{Account, EntryKind, Side, Unit};

use super::fake::FakeTx;
use crate::{
    Allocation, Batch, BatchApproval, BatchLine, BatchRepository, BatchState, Booked, LeftOut, StateName,
};

impl FakeTx {
    fn line(&mut self, batch: BatchId, allocation: AllocationId) -> Option<&mut BatchLine> {
        let lines = self.world.batch_lines.get_mut(&batch)?;
        lines.iter_mut().find(|line| line.allocation == allocation)
    }

    fn waits(&self, batch: BatchId, vault: Option<&str>) -> bool {
        let of_batch = self.world.batch_lines.get(&batch).into_iter().flatten();
        let mut waiting = of_batch.filter(|line| line.is_waiting());
        waiting.any(|line| vault.is_none_or(|vault| line.vault == vault))
    }

    fn being_sent(&self) -> impl Iterator<Item = BatchId> {
        let batches = self.world.batches.values();
        batches
            .filter(|batch| matches!(batch.state, BatchState::Approved | BatchState::Sending))
            .map(|batch| batch.id)
    }
}

#[async_trait]
impl BatchRepository for FakeTx {
    async fn insert(&mut self, batch: &Batch, lines: &[BatchLine]) -> Result<(), StoreError> {
        self.world.batches.insert(batch.id, batch.clone());
        self.world.batch_lines.insert(batch.id, lines.to_vec());
        Ok(())
    }

    async fn find(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let mut batch = self.world.batches.get(&id).cloned();
        if let Some(batch) = &mut batch {
            batch
                .approvals
                .retain(|approval| !self.world.gone.contains(&approval.by));
        }
        Ok(batch)
    }

    async fn for_update(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        BatchRepository::find(self, id).await
    }

    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.world.batches.insert(batch.id, batch.clone());
        Ok(())
    }

    async fn add_approval(&mut self, batch: &Batch, approval: &BatchApproval) -> Result<(), StoreError> {
        if approval.by == batch.created_by {
            return Err(StoreError::broken("an approval of the maker"));
        }
        Ok(())
    }

    async fn lines(&mut self, id: BatchId) -> Result<Vec<BatchLine>, StoreError> {
        Ok(self.world.batch_lines.get(&id).cloned().unwrap_or_default())
    }

    async fn as_of_now(&mut self, ids: &[AllocationId]) -> Result<Vec<BatchLine>, StoreError> {
        let line = |id: &AllocationId| {
            let allocation = self.world.allocations.get(id)?;
            let asset = self.world.assets.get(&allocation.asset)?.clone();
            let taken_away = self.world.foreign_vaults.contains(&asset.vault);
            Some(BatchLine {
                allocation: *id,
                order: allocation.order,
                amount: allocation.left(),
                address: allocation.address.clone(),
                asset: allocation.asset,
                provider_asset: asset.provider_asset,
                vault: asset.vault,
                decimals: asset.decimals,
                bound_wallet: self.world.wallets.get(&allocation.party).cloned(),
                left_out: taken_away.then_some(LeftOut::VaultNotAssigned),
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
        if let Some(line) = self.line(id, allocation) {
            line.left_out = Some(why);
        }
        Ok(())
    }

    async fn take_off(&mut self, batch: BatchId, allocation: &Allocation) -> Result<bool, StoreError> {
        let mut all = self.world.batch_lines.values().flatten();
        let vault = self.world.batch_lines.get(&batch).into_iter().flatten();
        let vault = vault.clone().find(|line| line.allocation == allocation.id);
        let vault = vault.map(|line| line.vault.clone());
        if all.any(|line| line.is_in_flight() && Some(&line.vault) == vault.as_ref()) {
            return Ok(false);
        }
        self.save_outcome(batch, allocation).await?;
        Ok(true)
    }

    async fn save_outcome(&mut self, batch: BatchId, allocation: &Allocation) -> Result<(), StoreError> {
        let Some(line) = self.line(batch, allocation.id) else {
            return Ok(());
        };
        line.follow(allocation);
        let named = line.external_id.clone();
        let all = self.world.batch_lines.values().flatten();
        if named.is_some() && all.filter(|line| line.external_id == named).count() > 1 {
            return Err(StoreError::broken("two lines of one try"));
        }
        Ok(())
    }

    async fn next_after(
        &mut self,
        batch: BatchId,
        allocation: AllocationId,
    ) -> Result<Option<BatchId>, StoreError> {
        let vault = self.line(batch, allocation).map(|line| line.vault.clone());
        Ok(self.being_sent().find(|id| self.waits(*id, vault.as_deref())))
    }

    async fn unfinished(&mut self) -> Result<Vec<BatchId>, StoreError> {
        Ok(self.being_sent().filter(|id| self.waits(*id, None)).collect())
    }

    async fn booked(&mut self, ids: &[AllocationId]) -> Result<Vec<Booked>, StoreError> {
        let delivered = self.world.entries.iter().filter_map(|entry| {
            let allocation = AllocationId::from_uuid(entry.cause());
            let of_these = entry.kind() == EntryKind::TokensDelivered && ids.contains(&allocation);
            let mut postings = entry.postings().iter().filter(|_| of_these);
            let posting =
                postings.find(|one| (&one.account, one.side) == (&Account::TokensDelivered, Side::Debit))?;
            let Unit::Asset(asset) = posting.unit else {
                return None;
            };
            Some(Booked {
                allocation,
                asset,
                amount: TokenAmount::from_base_units(posting.amount),
            })
        });
        Ok(delivered.collect())
    }
}
