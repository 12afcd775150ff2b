//! What a custodian says of a transfer, by webhook, look-up or answer: one way in for all of them.

use posx_kernel::{AllocationId, EntryId, Event, OrderId, SiteScope, StoreError, Timestamp};
use posx_ledger::{Account, Entry, EntryKind};
use serde_json::json;

use crate::adjust::unsettled;
use crate::allocation::named_by;
use crate::batch::{follow_in_tx, take_out_in_tx};
use crate::custody::{ExternalId, Transfer};
use crate::{
    Allocation, AllocationState, Allocations, AllocationsTx, Applied, Delivery, LeftOut, OrderToDeliver,
    ReportError,
};

/// What reading a report came to.
enum Heard {
    Read(Applied),
    /// Nothing is changed: ask the custodian about this try first.
    Doubtful(ExternalId),
}

impl Allocations {
    /// Applies a report in any order and any number of times. One that brings a dead try to life may only be late: the
    /// custodian is asked, and its word of now counts.
    pub async fn apply_report(&self, scope: &SiteScope, transfer: &Transfer) -> Result<Applied, ReportError> {
        match self.hear(scope, transfer, false).await? {
            Heard::Read(applied) => Ok(applied),
            Heard::Doubtful(external_id) => {
                let found = self.look_up(scope, &external_id).await;
                // Of what it does not know it has told: a person finds out.
                let told = found.map_err(ReportError::Unsettled)?;
                self.believe(scope, told.as_ref().unwrap_or(transfer)).await
            }
        }
    }

    /// Of an answer to our own question.
    pub(crate) async fn believe(
        &self,
        scope: &SiteScope,
        transfer: &Transfer,
    ) -> Result<Applied, ReportError> {
        match self.hear(scope, transfer, true).await? {
            Heard::Read(applied) => Ok(applied),
            Heard::Doubtful(_) => Ok(Applied::AlreadyApplied),
        }
    }

    async fn hear(&self, scope: &SiteScope, transfer: &Transfer, asked: bool) -> Result<Heard, ReportError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut allocation = find_in_tx(tx.as_mut(), transfer)
            .await?
            .ok_or(ReportError::NoSuchTransfer)?;
        let named = transfer.external_id.as_ref().or(allocation.external_id.as_ref());
        if let Some(named) = named.filter(|_| !asked && allocation.doubts(transfer)) {
            return Ok(Heard::Doubtful(named.clone()));
        }
        let before = allocation.clone();
        if allocation.report(transfer, now) == Applied::AlreadyApplied {
            return Ok(Heard::Read(Applied::AlreadyApplied));
        }
        match (&allocation.state, allocation.batch) {
            // What a person must look at does not go with its batch.
            (AllocationState::Queued, Some(batch)) => {
                for event in events(&before, &allocation, now) {
                    tx.outbox().append(event).await?;
                }
                take_out_in_tx(tx.as_mut(), batch, vec![allocation], LeftOut::NeedsPerson, now).await?;
            }
            _ => self.settle_in_tx(tx.as_mut(), &before, &allocation, now).await?,
        }
        tx.commit().await?;
        Ok(Heard::Read(Applied::Applied))
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
            follow_end_in_tx(tx, after, now).await?;
        }
        for event in events(before, after, now) {
            tx.outbox().append(event).await?;
        }
        Ok(follow_in_tx(tx, before, after, now).await?)
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
            allocation.left(),
            debit,
            credit,
        )
    }
}

/// The allocation has ended, or has not after all. If money went back meanwhile, only now can it be told what is owed, cut or
/// restored.
pub(crate) async fn follow_end_in_tx(
    tx: &mut dyn AllocationsTx,
    allocation: &Allocation,
    now: Timestamp,
) -> Result<(), StoreError> {
    let order = derive_delivery_in_tx(tx, allocation.order, now).await?;
    if order.is_some_and(|order| order.returned.is_positive()) || !allocation.cut.is_zero() {
        tx.outbox().append(unsettled(allocation.order, now)).await?;
    }
    Ok(())
}

async fn find_in_tx(
    tx: &mut dyn AllocationsTx,
    transfer: &Transfer,
) -> Result<Option<Allocation>, StoreError> {
    let id = match &transfer.external_id {
        Some(external_id) => named_by(external_id),
        None => tx.allocations().by_provider_id(&transfer.provider_id).await?,
    };
    match id {
        Some(id) => lock_in_tx(tx, id).await,
        None => Ok(None),
    }
}

/// Its order's row first, as whatever adjusts all of an order: so they wait for each other, and do not meet crosswise.
pub(crate) async fn lock_in_tx(
    tx: &mut dyn AllocationsTx,
    id: AllocationId,
) -> Result<Option<Allocation>, StoreError> {
    Ok(lock_with_order_in_tx(tx, id)
        .await?
        .map(|(_, allocation)| allocation))
}

pub(crate) async fn lock_with_order_in_tx(
    tx: &mut dyn AllocationsTx,
    id: AllocationId,
) -> Result<Option<(OrderToDeliver, Allocation)>, StoreError> {
    let Some(order) = tx.allocations().order_of(id).await? else {
        return Ok(None);
    };
    let order = tx.delivered_orders().for_update(order).await?;
    let order = order.ok_or_else(|| StoreError::broken("an allocation without its order"))?;
    let allocation = tx.allocations().for_update(id).await?;
    Ok(allocation.map(|allocation| (order, allocation)))
}

/// Locks the order first, so that of two allocations that finish at once the later one sees both.
pub(crate) async fn derive_delivery_in_tx(
    tx: &mut dyn AllocationsTx,
    order: OrderId,
    now: Timestamp,
) -> Result<Option<OrderToDeliver>, StoreError> {
    let facts = tx.delivered_orders().for_update(order).await?;
    let states = tx.allocations().states_of_order(order).await?;
    tx.delivered_orders()
        .set_delivery(order, Delivery::of(&states), now)
        .await?;
    Ok(facts)
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
                    "order": after.order, "asset": after.asset, "amount": after.left(),
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
