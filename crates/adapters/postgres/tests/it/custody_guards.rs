//! What keeps a transfer from being made twice, too late, or without two who may agree to it.

use chrono::TimeDelta;
use posx_allocations::{Allocation, AllocationsTx, Applied, Batch, BatchState};
use posx_kernel::{AllocationId, BatchId, Begin, IdentityId, Refusal as _};
use posx_tenancy::Role;

use crate::batches::{refused, written};
use crate::server::superuser;
use crate::world::World;

impl World {
    async fn read_allocation(&self, id: AllocationId) -> Allocation {
        let db: &dyn Begin<dyn AllocationsTx> = &self.database;
        let mut tx = db.begin(&self.scope).await.expect("a transaction");
        let found = tx.allocations().for_update(id).await.expect("read");
        found.expect("the allocation")
    }

    async fn read_batch(&self, id: BatchId) -> Batch {
        let db: &dyn Begin<dyn AllocationsTx> = &self.database;
        let mut tx = db.begin(&self.scope).await.expect("a transaction");
        let found = tx.batches().find(id).await.expect("read");
        found.expect("the batch")
    }

    async fn draft(&self, ids: &[AllocationId]) -> BatchId {
        let service = &self.allocations;
        let made = service.create_batch(&self.scope, self.actor, ids, None).await;
        made.expect("a batch").id
    }

    async fn agrees(&self, person: IdentityId, id: BatchId) {
        let seen = self.read_batch(id).await.hash;
        let service = &self.allocations;
        let given = service.approve_batch(&self.scope, id, &seen, person, None).await;
        given.expect("approved");
    }

    async fn is_let_go(&self, person: IdentityId) {
        let sql = "update memberships set state = 'disabled' where site_id = $1 and identity_id = $2";
        let done = sqlx::query(sql)
            .bind(self.site.id.as_uuid())
            .bind(person.as_uuid())
            .execute(&mut superuser().await)
            .await;
        assert_eq!(done.expect("written").rows_affected(), 1);
    }
}

#[tokio::test]
async fn p24_an_earlier_try_that_lives_is_parked_and_the_next_is_not_sent() {
    let world = World::new().await;
    let id = world.waiting(1).await[0];
    let batch = world.approved(&[id]).await;
    let service = &world.allocations;
    service.submit_batch(&world.scope, batch).await.expect("sent");
    let first = format!("{id}-1");
    let says = |status: &'static str| {
        world
            .custody
            .change(&first, |transfer| status.clone_into(&mut transfer.status));
        let mut all = world.custody.transfers().into_iter();
        all.next().expect("the first try")
    };
    let failed = says("FAILED");
    service
        .apply_report(&world.scope, &failed)
        .await
        .expect("applied");
    service.retry(&world.scope, id).await.expect("retried");
    let next = world.approved(&[id]).await;
    let alive = says("CONFIRMING");
    let heard = service.apply_report(&world.scope, &alive).await;
    assert_eq!(heard.expect("its old name is no other line's"), Applied::Applied);
    let parked = world.read_allocation(id).await;
    assert_eq!(parked.parked.as_deref(), Some("earlier_try_is_alive"));
    let run = service.submit_batch(&world.scope, next).await;
    assert_eq!(run.expect("a run").applied, 0);
    assert_eq!(world.custody.made().len(), 1);
    // Dead after all, it goes round again.
    says("CANCELLED");
    service.retry(&world.scope, id).await.expect("nothing lives");
    world.send_all(world.approved(&[id]).await).await;
    assert_eq!(world.custody.made().len(), 2);
}

#[tokio::test]
async fn p24_an_approval_counts_while_its_giver_may_send() {
    let world = World::new().await;
    let batch = world.draft(&world.waiting(1).await).await;
    let [first, second] = world.checkers().await;
    world.agrees(first, batch).await;
    world.is_let_go(first).await;
    world.agrees(second, batch).await;
    assert_eq!(world.read_batch(batch).await.state, BatchState::Draft);
    // Who may not send counts for nothing either, whatever they have written.
    let viewer = world.colleague(Role::Viewer).await;
    world.agrees(viewer, batch).await;
    assert_eq!(world.read_batch(batch).await.approvals.len(), 1);
    world.agrees(world.colleague(Role::Admin).await, batch).await;
    assert_eq!(world.read_batch(batch).await.state, BatchState::Approved);
    let run = world.allocations.submit_batch(&world.scope, batch).await;
    assert_eq!(run.expect("a run").applied, 1);
}

#[tokio::test]
async fn p24_an_approval_counts_for_a_day() {
    let world = World::new().await;
    let batch = world.draft(&world.waiting(1).await).await;
    let checkers = world.checkers().await;
    for person in checkers {
        world.agrees(person, batch).await;
    }
    let service = &world.allocations;
    service.pause_batch(&world.scope, batch).await.expect("paused");
    world.clock.advance(TimeDelta::hours(25));
    let resumed = service.resume_batch(&world.scope, batch, None).await;
    assert_eq!(resumed.expect_err("too late").code(), "batch_not_approved");
    for person in checkers {
        world.agrees(person, batch).await;
    }
    service
        .resume_batch(&world.scope, batch, None)
        .await
        .expect("agreed anew");
    let run = service.submit_batch(&world.scope, batch).await;
    assert_eq!(run.expect("a run").applied, 1);
}

#[tokio::test]
async fn p24_no_hand_sends_what_waits_but_in_a_batch_that_is_being_sent() {
    let world = World::new().await;
    let ids = world.waiting(1).await;
    world.draft(&ids).await;
    let mut hand = superuser().await;
    let id = ids[0].as_uuid();
    let begun = |state: &str| {
        format!(
            "update allocations set state = '{state}', external_id = id || '-9', provider_id = id, tx_hash = '0x1', confirmed_at = now() where id = '{id}'"
        )
    };
    for state in ["unknown", "submitted", "confirming", "done"] {
        assert_eq!(
            refused(&mut hand, &begun(state)).await,
            "allocations_sent_in_their_batch",
            "queued to {state}"
        );
        let from_pending = format!(
            "begin; update allocations set state = 'pending' where id = '{id}'; {}",
            begun(state)
        );
        assert_eq!(
            refused(&mut hand, &from_pending).await,
            "allocations_sent_in_their_batch",
            "pending to {state}"
        );
        written(&mut hand, "rollback".to_owned()).await;
    }
}

#[tokio::test]
async fn p24_no_hand_makes_a_batch_that_nobody_agreed_to() {
    let world = World::new().await;
    let ids = world.waiting(2).await;
    let (batch, spare) = (world.draft(&ids[..1]).await, ids[1]);
    let [one, other] = world.checkers().await;
    for person in [one, other] {
        world.agrees(person, batch).await;
    }
    let (batch, one) = (batch.as_uuid(), one.as_uuid());
    let mut hand = superuser().await;
    for state in ["approved", "sending", "paused", "done"] {
        let ready = format!(
            "insert into allocation_batches (site_id, id, created_by, size, state, lines_hash, paused_because, created_at, updated_at)
             select site_id, gen_random_uuid(), created_by, size, '{state}', lines_hash,
                    case when '{state}' = 'paused' then 'by_person' end, created_at, updated_at
             from allocation_batches where id = '{batch}'"
        );
        assert_eq!(
            refused(&mut hand, &ready).await,
            "allocation_batches_begin_as_drafts",
            "{state}"
        );
    }
    for changed in [
        format!("created_by = '{one}'"),
        "size = size + 1".to_owned(),
        "created_at = now()".to_owned(),
    ] {
        let sql = format!("update allocation_batches set {changed} where id = '{batch}'");
        assert!(
            refused(&mut hand, &sql).await.contains("stays whose it is"),
            "{changed}"
        );
    }
    let sending = format!("update allocation_batches set state = 'sending' where id = '{batch}'");
    // Not with one who is no member any more, nor with one who agreed the day before.
    let member = |person, state: &str| {
        format!("update memberships set state = '{state}' where identity_id = '{person}'")
    };
    written(&mut hand, member(one, "disabled")).await;
    assert_eq!(
        refused(&mut hand, &sending).await,
        "allocation_batches_two_approvals"
    );
    written(&mut hand, member(one, "active")).await;
    let late = format!(
        "update allocation_batches set state = 'sending', updated_at = now() + interval '24 hours' where id = '{batch}'"
    );
    assert_eq!(
        refused(&mut hand, &late).await,
        "allocation_batches_two_approvals"
    );
    written(&mut hand, sending.clone()).await;
    let one_more = format!(
        "insert into allocation_batch_lines (site_id, batch_id, allocation_id, position, amount, address, asset_id, provider_asset,
           vault, decimals, updated_at)
         select site_id, batch_id, '{spare}', 7, amount, address, asset_id, provider_asset, vault, decimals, updated_at
         from allocation_batch_lines where batch_id = '{batch}'",
        spare = spare.as_uuid()
    );
    assert_eq!(
        refused(&mut hand, &one_more).await,
        "allocation_batch_lines_of_a_draft"
    );
}
