//! Workers, and what each job does: the use case that the product's job of the same name calls.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_allocations::ReportError;
use posx_kernel::{
    BatchId, Clock as _, OrderId, PaymentAttemptId, PayoutId, RefundId, Refusal, Severity, SiteScope,
    retry_busy,
};
use posx_orders::OrderError;
use serde_json::Value;
use uuid::Uuid;

use crate::bugs::Bug;
use crate::queue::{JobState, QueuedJob};
use crate::sim::{DAY, HOUR, MINUTE, SECOND, SimClock};
use crate::webhooks::Notice;
use crate::world::World;

/// How a job ends that does not end well.
#[derive(Debug)]
enum Trouble {
    /// No repetition would change it.
    Refused(String),
    /// Tried again with back-off.
    Failed(String),
}

impl<E: Refusal> From<E> for Trouble {
    fn from(error: E) -> Self {
        let text = format!("{}: {error}", error.code());
        match error.severity() {
            Severity::Refusal => Self::Refused(text),
            Severity::Warning | Severity::Error => Self::Failed(text),
        }
    }
}

/// Runs jobs for ever.
pub(crate) async fn worker(world: Arc<World>) {
    let sim = Arc::clone(&world.env.sim);
    loop {
        let now = sim.now();
        let due = world.db.state().queue.due(now);
        if due.is_empty() {
            let next = world.db.state().queue.next_due();
            sim.idle(next.unwrap_or(i64::MAX / 2).max(now + 1)).await;
            continue;
        }
        let id = *sim.pick(&due);
        let claimed = world.db.state().queue.claim(id);
        if let Some(job) = claimed {
            run(&world, id, &job).await;
        }
    }
}

async fn run(world: &Arc<World>, id: u64, job: &QueuedJob) {
    let (env, sim) = (&world.env, &world.env.sim);
    sim.note(|| format!("job {id} {} {} begins", job.task, job.payload));
    if env.planted(Bug::JobsAtMostOnce) {
        world.db.state().queue.end(id, JobState::Done);
    }
    let work = async {
        let ended = start(world, job).await;
        // What the queue learns of it is one more statement, before which the worker can die.
        sim.step("job.ends").await;
        ended
    };
    let ended = sim.process(work).await;
    sim.note(|| format!("job {id} {}: {ended:?}", job.task));
    let (now, mut state) = (sim.now(), world.db.state());
    let queue = &mut state.queue;
    if env.planted(Bug::JobsAtMostOnce) {
        return;
    }
    match ended {
        Err(_) if env.planted(Bug::KilledWorkerForgotten) => {}
        Err(_) => queue.recover(id, now),
        Ok(Ok(())) => queue.end(id, JobState::Done),
        Ok(Err(Trouble::Refused(why))) => queue.refuse(id, why),
        Ok(Err(Trouble::Failed(why))) if env.planted(Bug::JobsNotRetried) => queue.refuse(id, why),
        Ok(Err(Trouble::Failed(why))) => queue.again(id, why, now),
    }
    drop(state);
    // A process that was killed is started again; whoever is idle looks at the queue.
    sim.job_added();
}

fn subject(payload: &Value, name: &str) -> Result<Uuid, Trouble> {
    let text = payload[name].as_str().unwrap_or_default();
    Uuid::try_parse(text)
        .ok()
        .or_else(|| prefixed(text))
        .ok_or_else(|| Trouble::Failed(format!("the job's payload names no {name}")))
}

/// `ord_…`: some payloads carry an id as it is shown.
fn prefixed(text: &str) -> Option<Uuid> {
    let (_, digits) = text.split_once('_')?;
    Uuid::try_parse(digits).ok()
}

async fn start(world: &World, job: &QueuedJob) -> Result<(), Trouble> {
    let scope = if world.env.planted(Bug::JobOfAnotherSite) {
        world.sites[0].scope.clone()
    } else {
        SiteScope::of_claimed_job(job.site)
    };
    let (scope, payload) = (&scope, &job.payload);
    match job.task {
        "accrue_commissions" => {
            let order = OrderId::from_uuid(subject(payload, "order")?);
            retry_busy(|| world.commissions.accrue(scope, order)).await?;
        }
        "allocate_order" => {
            let order = OrderId::from_uuid(subject(payload, "order")?);
            retry_busy(|| world.allocations.allocate(scope, order)).await?;
        }
        "resolve_checkout" => {
            let attempt = PaymentAttemptId::from_uuid(subject(payload, "attempt")?);
            world.orders.resolve_attempt(scope, attempt).await?;
        }
        "send_refund" => {
            let refund = RefundId::from_uuid(subject(payload, "refund")?);
            world.orders.send_refund(scope, refund).await?;
        }
        "submit_batch" => {
            let batch = BatchId::from_uuid(subject(payload, "batch")?);
            world.allocations.submit_batch(scope, batch).await?;
        }
        "apply_webhook" => apply_webhook(world, payload).await?,
        "adjust_commissions" => {
            let env = &world.env;
            if env.planted(Bug::HoldReleasedWhileDisputed) || env.planted(Bug::DisputedSettled) {
                // Who freezes comes late: whoever releases or settles must see for itself.
                env.sim.lag(SECOND, 10 * MINUTE).await;
            }
            let order = OrderId::from_uuid(subject(payload, "order")?);
            retry_busy(|| world.commissions.adjust(scope, order)).await?;
        }
        "adjust_allocations" => {
            let order = OrderId::from_uuid(subject(payload, "order")?);
            retry_busy(|| world.allocations.adjust(scope, order)).await?;
        }
        "send_payout" => {
            let payout = PayoutId::from_uuid(subject(payload, "payout")?);
            world.payouts.send(scope, payout).await?;
        }
        sweep => sweeps(world, scope, sweep).await?,
    }
    Ok(())
}

/// What the schedule asks for.
async fn sweeps(world: &World, scope: &SiteScope, task: &str) -> Result<(), Trouble> {
    let ago = |time| SimClock(Arc::clone(&world.env.sim)).now() - time;
    match task {
        "expire_orders" => expire_orders(world, scope).await?,
        "reconcile_payments" => {
            let older_than = ago(TimeDelta::minutes(5));
            world.orders.reconcile_attempts(scope, older_than).await?;
            let older_than = ago(TimeDelta::hours(1));
            world.orders.reconcile_refunds(scope, older_than).await?;
        }
        "reconcile_allocations" => {
            if !world.env.planted(Bug::NothingReconciled) {
                world.allocations.reconcile(scope, 100).await?;
            }
        }
        "watch_disputes" => {
            let older_than = ago(TimeDelta::hours(6));
            world.orders.reconcile_disputes(scope, older_than).await?;
            world.orders.alarm_of_evidence(scope).await?;
        }
        "unlock_vesting" => {
            if !world.env.planted(Bug::NothingUnlocks) {
                world.allocations.unlock_due(scope).await?;
            }
        }
        "reconcile_payouts" => {
            let untouched = ago(TimeDelta::minutes(10));
            world.payouts.reconcile(scope, untouched, 50).await?;
        }
        "mature_commissions" => {
            retry_busy(|| world.commissions.mature(scope, 500)).await?;
        }
        other => return Err(Trouble::Failed(format!("no such task: {other}"))),
    }
    Ok(())
}

async fn expire_orders(world: &World, scope: &SiteScope) -> Result<(), OrderError> {
    if world.env.planted(Bug::NothingExpires) {
        return Ok(());
    }
    for due in world.orders.due_for_expiry(scope, None, 500).await? {
        // One that cannot be closed now does not keep the others: the next tick tries again.
        let ended = world.orders.expire(scope, due.order).await;
        world
            .env
            .sim
            .note(|| format!("expiring {}: {ended:?}", due.order));
    }
    Ok(())
}

async fn apply_webhook(world: &World, payload: &Value) -> Result<(), Trouble> {
    let event = payload["event"].as_u64().unwrap_or_default();
    world.env.sim.step("inbox.read").await;
    let Some((notice, site)) = world.inbox.open(event) else {
        return Ok(());
    };
    let site = site.ok_or_else(|| Trouble::Failed(NOBODYS_OBJECT.to_owned()))?;
    let scope = SiteScope::of_claimed_job(site);
    match notice {
        Notice::Intent(intent) => {
            world.orders.apply_intent(&scope, &intent.id).await?;
        }
        Notice::Refund { intent, .. } => world.orders.apply_refunds(&scope, &intent).await?,
        Notice::Dispute { id, .. } => {
            world.orders.apply_dispute(&scope, &id).await?;
        }
        Notice::ToAgent(reference) => {
            world.payouts.transfer_changed(&scope, &reference).await?;
        }
        Notice::Transfer(transfer) => {
            let transfer = world.custodian.read(transfer);
            match retry_busy(|| world.allocations.apply_report(&scope, &transfer)).await {
                Ok(_) => {}
                Err(ReportError::NoSuchTransfer) => {
                    return Err(Trouble::Failed("allocation_not_found".to_owned()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    world.env.sim.step("inbox.done").await;
    world.inbox.done(event);
    Ok(())
}

/// No site has stored the event's object, or not yet.
pub(crate) const NOBODYS_OBJECT: &str = "webhook_object_unknown";

/// Every task that a run knows.
#[cfg(test)]
pub(crate) const TASKS: &[&str] = &[
    "accrue_commissions",
    "allocate_order",
    "resolve_checkout",
    "send_refund",
    "submit_batch",
    "apply_webhook",
    "expire_orders",
    "reconcile_payments",
    "reconcile_allocations",
    "mature_commissions",
    "adjust_commissions",
    "adjust_allocations",
    "watch_disputes",
    "unlock_vesting",
    "send_payout",
    "reconcile_payouts",
];

/// The schedule of a world that has become calm: until nothing is left to do, or far too long.
pub(crate) async fn settle(world: Arc<World>) {
    let sim = Arc::clone(&world.env.sim);
    for round in 0..60 {
        world.sender.recover().await;
        crate::actors::works(&world).await;
        crate::actors::finish_payouts(&world).await;
        crate::actors::tick(&world);
        let now = sim.now();
        if round >= 9 {
            crate::actors::restore_supply(&world).await;
        }
        if round == 9 || round == 20 {
            // A person looks at what is dead, and has it run again.
            let dead = |job: &crate::queue::QueuedJob| job.state == JobState::Dead;
            world.db.state().queue.replay(now, dead);
            sim.job_added();
        }
        sim.sleep(match round {
            0..4 => HOUR / 4,
            4..8 => HOUR,
            _ => DAY,
        })
        .await;
        // By then the latest webhook has come.
        if round > 8 && crate::check::is_settled(&world) {
            return;
        }
    }
}
