//! The use cases' home.

use std::sync::Arc;

use posx_kernel::{Begin, Clock, EntryId, Ids, SecretKeeper, SiteScope, StoreError, Timestamp};
use uuid::Uuid;

use super::gateway::PayoutGateway;
use crate::{Payout, PayoutError, PayoutsTx, SettlementRepository};

/// Use cases of settlements, payouts and withdrawals inside one site.
#[derive(Clone)]
pub struct Payouts {
    pub(crate) db: Arc<dyn Begin<dyn PayoutsTx>>,
    pub(crate) gateway: Arc<dyn PayoutGateway>,
    pub(crate) secrets: Arc<dyn SecretKeeper>,
    pub(crate) clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Payouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payouts").finish_non_exhaustive()
    }
}

impl Payouts {
    pub fn new(
        db: Arc<dyn Begin<dyn PayoutsTx>>,
        gateway: Arc<dyn PayoutGateway>,
        secrets: Arc<dyn SecretKeeper>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            db,
            gateway,
            secrets,
            clock,
            ids,
        }
    }

    pub(crate) async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn PayoutsTx>, StoreError> {
        self.db.begin(scope).await
    }

    pub(crate) fn id(&self, now: Timestamp) -> Uuid {
        self.ids.uuid(now)
    }

    pub(crate) fn entry_id(&self, now: Timestamp) -> EntryId {
        EntryId::from_uuid(self.id(now))
    }
}

/// Stores the payout and tells it.
pub(crate) async fn save_in_tx(
    tx: &mut dyn PayoutsTx,
    payout: &Payout,
    event: &'static str,
    now: Timestamp,
) -> Result<(), PayoutError> {
    tx.payouts().save(payout).await?;
    tx.outbox().append(payout.happened(event, now)).await?;
    Ok(())
}

/// Brings the settlement to where its payouts are. After the payout is stored: two that end at once wait for one another
/// here, and the second one sees both.
pub(crate) async fn roll_up_in_tx(
    tx: &mut dyn PayoutsTx,
    payout: &Payout,
    now: Timestamp,
) -> Result<(), PayoutError> {
    let Some(id) = payout.settlement else {
        return Ok(());
    };
    let found = SettlementRepository::for_update(tx.settlements(), id).await?;
    let mut settlement = found.ok_or(PayoutError::SettlementNotFound)?;
    let states = tx.settlements().payout_states(id).await?;
    if settlement.follow(&states, now)? {
        tx.settlements().save(&settlement).await?;
        let event = settlement.happened(settlement.state.event(), now);
        tx.outbox().append(event).await?;
    }
    Ok(())
}
