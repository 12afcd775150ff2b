//! Held commissions whose time is over become ready.

use posx_kernel::{Event, SiteScope, StoreError};
use serde_json::json;

use crate::Commissions;

impl Commissions {
    /// The body of the scheduled job. Returns how many became ready: as many as `limit` means that there may be more.
    pub async fn mature(&self, scope: &SiteScope, limit: u16) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let ready = tx.commissions().ready_due(now, limit).await?;
        for commission in &ready {
            let payload =
                json!({ "order": commission.order, "agent": commission.agent, "amount": commission.amount });
            let event = Event {
                kind: "commission.ready",
                subject: commission.id.as_uuid(),
                payload,
                at: now,
            };
            tx.outbox().append(event).await?;
        }
        tx.commit().await?;
        Ok(ready.len())
    }
}
