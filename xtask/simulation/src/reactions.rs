//! Which event adds which job. The product's table is that of `crates/adapters/postgres/src/outbox.rs`; a test of this
//! crate compares the two.

use posx_kernel::Event;
use serde_json::{Value, json};

pub(crate) struct Reaction {
    pub(crate) event: &'static str,
    pub(crate) task: &'static str,
    /// From the event to the job's payload.
    pub(crate) payload: fn(&Event) -> Value,
    pub(crate) delay_s: i32,
    pub(crate) tries: i16,
}

const fn at_once(event: &'static str, task: &'static str, payload: fn(&Event) -> Value) -> Reaction {
    Reaction {
        event,
        task,
        payload,
        delay_s: 0,
        tries: 20,
    }
}

fn order(event: &Event) -> Value {
    json!({ "order": event.subject })
}

fn batch(event: &Event) -> Value {
    json!({ "batch": event.subject })
}

pub(crate) const REACTIONS: &[Reaction] = &[
    at_once("order.paid", "accrue_commissions", order),
    at_once("order.paid", "allocate_order", order),
    Reaction {
        event: "checkout.opened",
        task: "resolve_checkout",
        payload: |event| json!({ "attempt": event.payload["attempt"] }),
        delay_s: 30,
        tries: 10,
    },
    at_once(
        "refund.requested",
        "send_refund",
        |event| json!({ "refund": event.payload["refund"] }),
    ),
    at_once("order.returns_changed", "adjust_commissions", order),
    at_once("order.returns_changed", "adjust_allocations", order),
    at_once("order.allocations_unsettled", "adjust_allocations", order),
    at_once("vesting_policy.start_moved", "unlock_vesting", |_| json!({})),
    at_once("vesting.unlock_requested", "unlock_vesting", |_| json!({})),
    at_once(
        "payout.approved",
        "send_payout",
        |event| json!({ "payout": event.subject }),
    ),
    at_once("allocation_batch.approved", "submit_batch", batch),
    at_once("allocation_batch.resumed", "submit_batch", batch),
    at_once("allocation_batch.continued", "submit_batch", batch),
    at_once("allocation_batch.paused", "submit_batch", batch),
];

pub(crate) fn reactions_to(event: &str) -> impl Iterator<Item = &'static Reaction> {
    REACTIONS.iter().filter(move |reaction| reaction.event == event)
}
