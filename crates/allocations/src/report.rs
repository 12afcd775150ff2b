//! What a custodian says of a transfer, by webhook, look-up or answer: one way in for all of them.

use posx_kernel::{EntryId, Event, OrderId, SiteScope, StoreError, Timestamp};
use posx_ledger::{Account, Entry, EntryKind};
use serde_json::json;

use crate::allocation::named_by;
use crate::custody::Transfer;
use crate::{Allocation, AllocationState, Allocations, AllocationsTx, Applied, Delivery, ReportError};

impl Allocations {
    /// Applies a report in any order and any number of times.
    pub async fn apply_report(&self, scope: &SiteScope, transfer: &Transfer) -> Result<Applied, ReportError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut allocation = find_in_tx(tx.as_mut(), transfer)
            .await?
            .ok_or(ReportError::NoSuchTransfer)?;
        let before = allocation.clone();
        if allocation.report(transfer, now) == Applied::AlreadyApplied {
            return Ok(Applied::AlreadyApplied);
        }
        self.settle_in_tx(tx.as_mut(), &before, &allocation, now).await?;
        tx.commit().await?;
        Ok(Applied::Applied)
    }

    /// Stores a changed allocation with everything that follows from the change.
    pub(crate) async fn settle_in_tx(
        &self,
        tx: &mut dyn AllocationsTx,
        before: &Allocation,
        after: &Allocation,
        now: Timestamp,
    ) -> Result<(), ReportError> {
        if let Some(provider_id) = after
            .state
            .provider_id()
            .filter(|id| before.state.provider_id() != Some(id))
            && !tx
                .external_ids()
                .claim(self.custody.provider(), provider_id)
                .await?
        {
            return Err(ReportError::ForeignTransfer);
        }
        tx.allocations().save(std::slice::from_ref(after)).await?;
        if !before.state.is_terminal() && matches!(after.state, AllocationState::Done { .. }) {
            tx.ledger().post(&self.delivered(after, now)).await?;
        }
        if before.state.is_terminal() != after.state.is_terminal() {
            derive_delivery_in_tx(tx, after.order, now).await?;
        }
        for event in events(before, after, now) {
            tx.outbox().append(event).await?;
        }
        Ok(())
    }

    fn delivered(&self, allocation: &Allocation, now: Timestamp) -> Entry {
        let (debit, credit) = (Account::TokensDelivered, Account::TokensSold);
        let (id, cause) = (EntryId::from_uuid(self.ids.uuid(now)), allocation.id.as_uuid());
        Entry::of_tokens(
            id,
            EntryKind::TokensDelivered,
            cause,
            now,
            allocation.asset,
            allocation.amount,
            debit,
            credit,
        )
    }
}

async fn find_in_tx(
    tx: &mut dyn AllocationsTx,
    transfer: &Transfer,
) -> Result<Option<Allocation>, StoreError> {
    match &transfer.external_id {
        Some(external_id) => match named_by(external_id) {
            Some(id) => tx.allocations().for_update(id).await,
            None => Ok(None),
        },
        None => {
            tx.allocations()
                .by_provider_id_for_update(&transfer.provider_id)
                .await
        }
    }
}

/// Locks the order first, so that of two allocations that finish at once the later one sees both.
pub(crate) async fn derive_delivery_in_tx(
    tx: &mut dyn AllocationsTx,
    order: OrderId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.delivered_orders().for_update(order).await?;
    let states = tx.allocations().states_of_order(order).await?;
    tx.delivered_orders()
        .set_delivery(order, Delivery::of(&states), now)
        .await
}

fn events(before: &Allocation, after: &Allocation, at: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    let mut happened = |kind, payload| {
        events.push(Event {
            kind,
            subject: after.id.as_uuid(),
            payload,
            at,
        });
    };
    if before.state.provider_id().is_none()
        && !matches!(after.state, AllocationState::Failed { .. })
        && let Some(provider_id) = after.state.provider_id()
    {
        happened(
            "allocation.submitted",
            json!({ "order": after.order, "external_id": after.external_id, "provider_id": provider_id }),
        );
    }
    if before.state.name() != after.state.name() {
        match &after.state {
            AllocationState::Done {
                tx_hash,
                confirmations,
                ..
            } => happened(
                "allocation.done",
                json!({
                    "order": after.order, "asset": after.asset, "amount": after.amount,
                    "tx_hash": tx_hash, "confirmations": confirmations,
                }),
            ),
            AllocationState::Failed {
                reason, needs_person, ..
            } => happened(
                "allocation.failed",
                json!({ "order": after.order, "reason": reason, "needs_person": needs_person }),
            ),
            _ => {}
        }
    }
    if before.parked.is_none()
        && let Some(why) = &after.parked
    {
        happened("allocation.parked", json!({ "order": after.order, "why": why }));
    }
    events
}
