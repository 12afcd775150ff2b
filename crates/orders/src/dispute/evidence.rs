//! Alarms before the time for evidence is over: who misses it loses (S41).

use chrono::TimeDelta;
use posx_kernel::{DisputeId, SiteScope, Timestamp, retry_busy};
use serde_json::json;

use super::{Dispute, DisputeState};
use crate::service::happened;
use crate::{OrderError, Orders};

/// Hours before evidence is due, the more urgent last.
const ALARMS: [u8; 2] = [72, 24];

impl Dispute {
    /// The alarm that is to be given now, each once. One that was slept through is not given after a more urgent one.
    pub(crate) fn alarm(&self, now: Timestamp) -> Option<u8> {
        if self.state != DisputeState::Open || !self.provider_state.needs_response() {
            return None;
        }
        let left = self.evidence_due_by? - now;
        let mut reached = ALARMS
            .into_iter()
            .filter(|hours| left <= TimeDelta::hours(i64::from(*hours)));
        let alarm = reached.next_back()?;
        self.evidence_alarm_hours
            .is_none_or(|given| alarm < given)
            .then_some(alarm)
    }
}

impl Orders {
    /// Gives the alarms of all open disputes that are due. Returns how many.
    pub async fn alarm_of_evidence(&self, scope: &SiteScope) -> Result<usize, OrderError> {
        let mut given = 0;
        for hours in ALARMS {
            let until = self.clock.now() + TimeDelta::hours(i64::from(hours));
            let mut tx = self.begin(scope).await?;
            let due = tx.disputes().evidence_due(until, hours, 100).await?;
            drop(tx);
            for dispute in due {
                given += usize::from(retry_busy(|| self.alarm_once(scope, dispute)).await?);
            }
        }
        Ok(given)
    }

    async fn alarm_once(&self, scope: &SiteScope, id: DisputeId) -> Result<bool, OrderError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let found = tx.disputes().find(id).await?.ok_or(OrderError::DisputeNotFound)?;
        let order = tx.orders().for_update(found.order).await?;
        let mut order = order.ok_or(OrderError::NotFound)?;
        let mut dispute = tx.disputes().find(id).await?.ok_or(OrderError::DisputeNotFound)?;
        let Some(hours) = dispute.alarm(now) else {
            return Ok(false);
        };
        dispute.evidence_alarm_hours = Some(hours);
        tx.disputes().save(&dispute).await?;
        order.attention = Some("evidence_due".to_owned());
        tx.orders().save(&order).await?;
        let due_by = dispute.evidence_due_by;
        let payload = json!({ "dispute": id.as_uuid(), "hours": hours, "due_by": due_by });
        tx.outbox()
            .append(happened("dispute.evidence_due", &order, payload, now))
            .await?;
        tx.commit().await?;
        tracing::error!(dispute = %id, hours, due_by = ?due_by, "evidence for a dispute is due soon");
        Ok(true)
    }
}
