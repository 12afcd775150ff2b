//! Batches on the real store: two approvals, one transfer of a vault at a time, and workers that are killed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use posx_allocations::testing::Answer;
use posx_allocations::{
    Allocated, AllocationQueries as _, AllocationsTx, BatchState, LeftOut, PauseReason, StateName,
};
use posx_kernel::{AllocationId, BatchId, Begin, IdentityId, OrderId, Refusal as _, TierId};
use posx_tenancy::{Member, Role};
use sqlx::PgConnection;
use tokio::task::JoinSet;

use crate::server::superuser;
use crate::world::World;

impl World {
    /// Two who are nobody else.
    pub async fn checkers(&self) -> [IdentityId; 2] {
        [
            self.colleague(Role::Admin).await,
            self.colleague(Role::Owner).await,
        ]
    }

    /// A batch of them that is sent as soon as somebody runs it.
    pub async fn approved(&self, ids: &[AllocationId]) -> BatchId {
        let made = self
            .allocations
            .create_batch(&self.scope, self.actor, ids, None)
            .await;
        let id = made.expect("a batch").id;
        self.approve(id).await;
        id
    }

    async fn approve(&self, id: BatchId) {
        for person in self.checkers().await {
            let seen = self.hash_of(id).await;
            let service = &self.allocations;
            let given = service.approve_batch(&self.scope, id, &seen, person, None).await;
            given.expect("approved");
        }
    }

    async fn hash_of(&self, id: BatchId) -> [u8; 32] {
        let db: &dyn Begin<dyn AllocationsTx> = &self.database;
        let mut tx = db.begin(&self.scope).await.expect("a transaction");
        let batch = tx.batches().find(id).await.expect("read");
        batch.expect("the batch").hash
    }

    async fn buys_one(&self, buyer: &Member, tier: TierId) -> (OrderId, AllocationId) {
        let order = self.place(buyer, tier, 1).await.expect("placed");
        self.pay(&order).await;
        let made = self.allocations.allocate(&self.scope, order.id).await;
        let Allocated::Applied(made) = made.expect("allocated") else {
            panic!("the order is new")
        };
        (order.id, made[0])
    }

    /// So many, each of an order of its own.
    pub async fn waiting(&self, count: usize) -> Vec<AllocationId> {
        let buyer = self.member(None).await;
        let tier = self.tier_with(1000, 1000, None).await;
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.buys_one(&buyer, tier).await.1);
        }
        ids
    }

    async fn state_of(&self, id: AllocationId) -> StateName {
        let view = self.database.allocation(&self.scope, id, None).await;
        view.expect("read").expect("the allocation").state
    }

    /// Whatever is at the custodian comes to its end.
    async fn all_arrive(&self) {
        for mut transfer in self.custody.transfers() {
            "COMPLETED".clone_into(&mut transfer.status);
            transfer.tx_hash = Some(format!("0x{}", transfer.provider_id));
            let report = posx_kernel::retry_busy(|| self.allocations.apply_report(&self.scope, &transfer));
            report.await.expect("applied");
        }
    }

    /// Runs the batch until nothing of it waits.
    pub async fn send_all(&self, batch: BatchId) {
        for _ in 0..50 {
            let run = self.allocations.submit_batch(&self.scope, batch).await;
            self.all_arrive().await;
            if run.is_ok_and(|run| run.applied + run.waiting == 0) {
                return;
            }
        }
        panic!("the batch does not come to its end");
    }
}

/// Dropped after so many polls, like a process that is killed between two awaits.
struct Killed<F> {
    future: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.future.as_mut().poll(context).map(Some)
    }
}

fn killed_after<F: Future>(polls: usize, future: F) -> Killed<F> {
    Killed {
        future: Box::pin(future),
        polls,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p24_workers_killed_between_any_two_steps_send_each_allocation_once() {
    let world = Arc::new(World::with_pool(8).await);
    let ids = world.waiting(12).await;
    let mut polls = 0;
    for (number, id) in ids.iter().enumerate() {
        let batch = world.approved(&[*id]).await;
        // Each run gets a little further than the one before, with another at its side; some answers are lost besides.
        if number % 3 == 0 {
            world
                .custody
                .script([Answer::LostOnTheWayBack, Answer::LostOnTheWayThere]);
        }
        for step in 0..12 {
            polls = number + step * 12;
            let mut workers = JoinSet::new();
            for late in [0, 3] {
                let world = Arc::clone(&world);
                workers.spawn(async move {
                    let run = world.allocations.submit_batch(&world.scope, batch);
                    killed_after(polls + late, run).await.is_some()
                });
            }
            workers.join_all().await;
        }
        world.send_all(batch).await;
        assert_eq!(world.state_of(*id).await, StateName::Done);
    }
    assert!(polls > 100, "the last runs came to their end");
    let mut sent: Vec<_> = world
        .custody
        .made()
        .into_iter()
        .map(|request| request.external_id.0)
        .collect();
    sent.sort();
    let mut once: Vec<_> = ids.iter().map(|id| format!("{id}-1")).collect();
    once.sort();
    assert_eq!(sent, once);
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_many_workers_with_many_batches_have_one_transfer_of_a_vault_in_flight() {
    let world = Arc::new(World::with_pool(12).await);
    let ids = world.waiting(6).await;
    let mut batches = Vec::new();
    for two in ids.chunks(2) {
        batches.push(world.approved(two).await);
    }
    for arrived in 0..ids.len() {
        let mut workers = JoinSet::new();
        for worker in 0..9 {
            let (world, batch) = (Arc::clone(&world), batches[worker % 3]);
            workers.spawn(async move { drop(world.allocations.submit_batch(&world.scope, batch).await) });
        }
        workers.join_all().await;
        // Whoever met another one is tried again, as the queue would.
        for batch in &batches {
            let run = world.allocations.submit_batch(&world.scope, *batch).await;
            run.expect("a run");
        }
        assert_eq!(
            world.custody.transfers().len(),
            arrived + 1,
            "the next one only now"
        );
        world.all_arrive().await;
    }
    for id in ids {
        assert_eq!(world.state_of(id).await, StateName::Done);
    }
    for batch in batches {
        let view = world.database.batch(&world.scope, batch).await.expect("read");
        assert_eq!(view.expect("the batch").state, BatchState::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pauses_and_who_sends_at_once_do_not_pass_each_other() {
    let world = Arc::new(World::with_pool(8).await);
    for _ in 0..6 {
        let batch = world.approved(&world.waiting(1).await).await;
        let before = world.custody.made().len();
        let sender = Arc::clone(&world);
        let sends = tokio::spawn(async move {
            let run = sender.allocations.submit_batch(&sender.scope, batch).await;
            run.expect("a run")
        });
        let paused = world.allocations.pause_batch(&world.scope, batch).await;
        sends.await.expect("no panic");
        let report = world.database.batch_report(&world.scope, batch).await;
        let report = report.expect("read").expect("the batch");
        let sent = world.custody.made().len() - before;
        assert_eq!(
            usize::from(report.totals[0].in_flight.lines),
            sent,
            "{paused:?} {report:?}"
        );
        if paused.is_ok() && sent == 0 {
            assert_eq!(report.batch.paused_because, Some(PauseReason::ByPerson));
        }
        world.all_arrive().await;
    }
}

#[tokio::test]
async fn a_wallet_bound_after_the_approval_voids_it() {
    let world = World::new().await;
    let (buyer, tier) = (world.member(None).await, world.tier_with(1000, 1000, None).await);
    let (order, id) = world.buys_one(&buyer, tier).await;
    let batch = world.approved(&[id]).await;
    let other = "0x8617E340B3D01FA5F11F306F4090FD50E238070D";
    world
        .orders
        .bind_wallet(&world.scope, buyer.party, posx_tiers::ChainFamily::Evm, other)
        .await
        .expect("bound");
    let run = world.allocations.submit_batch(&world.scope, batch).await;
    assert_eq!(run.expect("a run").applied, 0);
    assert!(world.custody.arrived().is_empty());
    let report = world.database.batch_report(&world.scope, batch).await;
    let report = report.expect("read").expect("the batch");
    assert_eq!(report.lines[0].left_out, Some(LeftOut::WalletChanged));
    assert!(report.batch.approvals.is_empty());
    assert_eq!(report.totals[0].left_out.lines, 1);
    assert_eq!(world.state_of(id).await, StateName::Pending);
    let attention: Option<String> = sqlx::query_scalar("select attention from orders where id = $1")
        .bind(order.as_uuid())
        .fetch_one(&mut superuser().await)
        .await
        .expect("read");
    assert_eq!(attention.as_deref(), Some("wallet_changed"));
}

/// Why the database refuses it.
pub async fn refused(connection: &mut PgConnection, sql: &str) -> String {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await;
    match done.expect_err(sql) {
        sqlx::Error::Database(error) => error
            .constraint()
            .map_or_else(|| error.message().to_owned(), str::to_owned),
        other => panic!("{sql}: {other}"),
    }
}

#[tokio::test]
async fn p24_the_database_wants_two_people_who_are_not_the_maker_whoever_writes() {
    let world = World::new().await;
    let ids = world.waiting(1).await;
    let made = world
        .allocations
        .create_batch(&world.scope, world.actor, &ids, None)
        .await;
    let batch = made.expect("a batch").id.as_uuid();
    let [one, other] = world.checkers().await.map(IdentityId::as_uuid);
    let maker = world.actor.as_uuid();
    let mut hand = superuser().await;
    let approval = |by, number, hash: &str| {
        format!(
            "insert into allocation_batch_approvals (site_id, batch_id, lines_hash, approver_id, maker_id, number, approved_at)
             select site_id, id, {hash}, '{by}', '{maker}', {number}, now() from allocation_batches where id = '{batch}'"
        )
    };
    let state = |state: &str| format!("update allocation_batches set state = '{state}' where id = '{batch}'");
    for (sql, why) in [
        (
            approval(maker, 1, "lines_hash"),
            "allocation_batch_approvals_not_the_maker",
        ),
        (state("approved"), "allocation_batches_two_approvals"),
        (sending(ids[0]), "allocations_sent_in_their_batch"),
    ] {
        assert_eq!(refused(&mut hand, &sql).await, why);
    }
    // Of another hash they count for nothing.
    for sql in [
        approval(one, 1, "sha256('another')"),
        approval(other, 2, "sha256('another')"),
        approval(one, 1, "lines_hash"),
    ] {
        written(&mut hand, sql).await;
    }
    assert_eq!(
        refused(&mut hand, &approval(one, 2, "lines_hash")).await,
        "allocation_batch_approvals_two_people"
    );
    assert_eq!(
        refused(&mut hand, &state("sending")).await,
        "allocation_batches_two_approvals"
    );
    for sql in [
        approval(other, 2, "lines_hash"),
        state("sending"),
        sending(ids[0]),
    ] {
        written(&mut hand, sql).await;
    }
}

fn sending(id: AllocationId) -> String {
    let id = id.as_uuid();
    format!("update allocations set state = 'unknown', external_id = id || '-9' where id = '{id}'")
}

pub async fn written(connection: &mut PgConnection, sql: String) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await;
    done.expect("written");
}

#[tokio::test]
async fn f17_the_database_keeps_lines_as_they_were_agreed_to_and_a_vault_to_one_of_them() {
    let world = World::new().await;
    world.approved(&world.waiting(2).await).await;
    let (mut hand, site) = (superuser().await, world.site.id.as_uuid());
    let changed = format!("update allocation_batch_lines set amount = amount + 1 where site_id = '{site}'");
    assert!(refused(&mut hand, &changed).await.contains("never edited"));
    let taken_away = format!("delete from allocation_batch_approvals where site_id = '{site}'");
    assert!(!refused(&mut hand, &taken_away).await.is_empty());
    let both = format!(
        "update allocation_batch_lines set state = 'unknown', external_id = allocation_id || '-1' where site_id = '{site}'"
    );
    assert_eq!(
        refused(&mut hand, &both).await,
        "allocation_batch_lines_one_in_flight"
    );
}

#[tokio::test]
async fn a_report_says_what_was_planned_and_what_became_of_it() {
    let world = World::new().await;
    let ids = world.waiting(3).await;
    let batch = world.approved(&ids).await;
    world.custody.script([Answer::Normal, Answer::Refused("NO_GAS")]);
    world.send_all(batch).await;
    let report = world.database.batch_report(&world.scope, batch).await;
    let report = report.expect("read").expect("the batch");
    let [total] = report.totals.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(
        (total.planned.lines, total.delivered.lines, total.failed.lines),
        (3, 2, 1)
    );
    assert_eq!(
        (total.waiting.lines, total.in_flight.lines, total.left_out.lines),
        (0, 0, 0)
    );
    let sum = total.delivered.amount.base_units() + total.failed.amount.base_units();
    assert_eq!(total.planned.amount.base_units(), sum);
    assert_eq!(report.batch.state, BatchState::PartlyFailed);
    assert_eq!(report.batch.approvals.len(), 2);
    assert_eq!(report.batch.hash, hex::encode(world.hash_of(batch).await));
    assert_eq!(
        report
            .lines
            .iter()
            .map(|line| line.allocation)
            .collect::<Vec<_>>(),
        ids,
        "in their order"
    );
    assert_eq!(report.lines[1].reason.as_deref(), Some("no_gas"));
    for mut held in world.custody.transfers() {
        held.status = "COMPLETED".to_owned();
        let hash = Some(format!("0x{}", held.provider_id));
        world
            .custody
            .change(&held.external_id.expect("ours").0, |transfer| {
                transfer.status = held.status;
                transfer.tx_hash = hash;
            });
    }
    let check = world.allocations.check_batch(&world.scope, batch).await;
    let check = check.expect("checked");
    assert_eq!((check.rebuilt.len(), check.differing.len()), (2, 0), "{check:?}");
    // What failed goes into another batch, and this one keeps its line.
    world
        .allocations
        .retry(&world.scope, ids[1])
        .await
        .expect("retried");
    world.send_all(world.approved(&ids[1..2]).await).await;
    let again = world.database.batch_report(&world.scope, batch).await;
    assert_eq!(
        again.expect("read").expect("the batch").lines[1].state,
        StateName::Failed
    );
    let early = world.allocations.resume_batch(&world.scope, batch, None).await;
    assert_eq!(early.expect_err("it is over").code(), "batch_state");
}
