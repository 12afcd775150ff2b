//! Events, and the jobs of the contexts that act on them.

use async_trait::async_trait;
use posx_kernel::{Event, Outbox, StoreError};
use serde_json::{Value, json};

use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// A job that an event adds in its own transaction.
struct Reaction {
    event: &'static str,
    task: &'static str,
    /// From the event to the job's payload.
    payload: fn(&Event) -> Value,
    /// Smaller runs earlier.
    priority: i32,
    delay_s: i32,
    tries: i32,
}

const fn at_once(
    event: &'static str,
    task: &'static str,
    payload: fn(&Event) -> Value,
    priority: i32,
) -> Reaction {
    Reaction {
        event,
        task,
        payload,
        priority,
        delay_s: 0,
        tries: 20,
    }
}

/// The message that was asked for: one that was asked for again is a job of its own.
fn sending(event: &Event) -> Value {
    json!({ "invitation": event.subject, "sending": event.payload["sending"] })
}

fn batch(event: &Event) -> Value {
    json!({ "batch": event.subject })
}

/// Who acts on what. `order.placed` is not here on purpose: placing is the hottest path, and nobody waits for it.
const REACTIONS: &[Reaction] = &[
    at_once(
        "order.paid",
        "accrue_commissions",
        |event| json!({ "order": event.subject }),
        0,
    ),
    at_once(
        "order.paid",
        "allocate_order",
        |event| json!({ "order": event.subject }),
        0,
    ),
    at_once(
        "order.returns_changed",
        "adjust_commissions",
        |event| json!({ "order": event.subject }),
        0,
    ),
    at_once(
        "order.returns_changed",
        "adjust_allocations",
        |event| json!({ "order": event.subject }),
        0,
    ),
    at_once(
        "order.allocations_unsettled",
        "adjust_allocations",
        |event| json!({ "order": event.subject }),
        0,
    ),
    at_once("vesting_policy.start_moved", "unlock_vesting", |_| json!({}), 0),
    at_once("vesting.unlock_requested", "unlock_vesting", |_| json!({}), 0),
    Reaction {
        event: "checkout.opened",
        task: "resolve_checkout",
        payload: |event| json!({ "attempt": event.payload["attempt"] }),
        priority: 5,
        delay_s: 30,
        tries: 10,
    },
    at_once(
        "refund.requested",
        "send_refund",
        |event| json!({ "refund": event.payload["refund"] }),
        -5,
    ),
    at_once("allocation_batch.approved", "submit_batch", batch, 0),
    at_once("allocation_batch.resumed", "submit_batch", batch, 0),
    at_once("allocation_batch.continued", "submit_batch", batch, 0),
    // Whose run gives the alarm.
    at_once("allocation_batch.paused", "submit_batch", batch, 0),
    at_once(
        "payout.approved",
        "send_payout",
        |event| json!({ "payout": event.subject }),
        0,
    ),
    at_once(
        "document.uploaded",
        "read_document",
        |event| json!({ "document": event.subject }),
        5,
    ),
    at_once("invitation.created", "send_invitation", sending, 0),
    at_once("invitation.resent", "send_invitation", sending, 0),
];

#[async_trait]
impl Outbox for SiteTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        sqlx::query("insert into events (kind, subject_id, payload, at) values ($1, $2, $3, $4)")
            .bind(event.kind)
            .bind(event.subject)
            .bind(&event.payload)
            .bind(event.at)
            .execute(self.connection())
            .await
            .store()?;
        self.react(&event).await
    }
}

impl SiteTx {
    /// Adds the jobs that the event asks for.
    pub(crate) async fn react(&mut self, event: &Event) -> Result<(), StoreError> {
        for reaction in REACTIONS.iter().filter(|reaction| reaction.event == event.kind) {
            let payload = (reaction.payload)(event);
            let key = format!("{}:{payload}", reaction.task);
            self.add_job(
                reaction.task,
                &payload,
                &key,
                reaction.priority,
                reaction.delay_s,
                reaction.tries,
            )
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn add_job(
        &mut self,
        task: &str,
        payload: &Value,
        key: &str,
        priority: i32,
        delay_s: i32,
        tries: i32,
    ) -> Result<(), StoreError> {
        sqlx::query("select app.add_job($1, $2, $3, $4, $5, $6)")
            .bind(task)
            .bind(payload)
            .bind(key)
            .bind(priority)
            .bind(delay_s)
            .bind(tries)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }
}
