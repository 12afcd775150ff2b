//! What every store of this context must do, checked through its ports.

use std::sync::Arc;

use chrono::Duration;
use posx_kernel::{
    AllocationId, BatchId, Begin, IdempotentCall, IdentityId, ManualClock, OrderId, SeededIds, SiteScope,
    Timestamp,
};

use super::{Answer, FakeCustody};
use crate::{
    AllocateError, Allocated, Allocation, AllocationState, Allocations, AllocationsTx, Applied, Batch,
    BatchError, BatchRun, BatchState, Reconciled, STUCK_AFTER, StateName, SubmitError,
};

/// What the caller has put into the store.
#[derive(Debug)]
pub struct Given {
    pub scope: SiteScope,
    /// Another site, with nothing in it.
    pub elsewhere: SiteScope,
    /// Paid and confirmed, with two lines and a wallet address.
    pub order: OrderId,
    /// Placed, not paid.
    pub unpaid: OrderId,
    pub actor: IdentityId,
    /// Two others.
    pub checkers: [IdentityId; 2],
    pub now: Timestamp,
}

struct Stage<'a> {
    db: &'a dyn Begin<dyn AllocationsTx>,
    given: &'a Given,
    service: Allocations,
    custody: Arc<FakeCustody>,
    clock: Arc<ManualClock>,
}

/// Runs on a store in which only [`Given`] is; afterwards the order is delivered: the caller checks that its delivery is
/// `done` and, where the store keeps it, its lifecycle `fulfilled`.
pub async fn contract(db: Arc<dyn Begin<dyn AllocationsTx>>, given: &Given) {
    let (custody, clock) = (
        Arc::new(FakeCustody::default()),
        Arc::new(ManualClock::stopped_at(given.now)),
    );
    let ids = Arc::new(SeededIds::new(u64::from_le_bytes(
        given.order.as_uuid().as_bytes()[8..16]
            .try_into()
            .expect("eight bytes"),
    )));
    let service = Allocations::new(Arc::clone(&db), custody.clone(), clock.clone(), ids);
    let stage = Stage {
        db: db.as_ref(),
        given,
        service,
        custody,
        clock,
    };
    let made = stage.allocations_are_made_once_per_line().await;
    stage.a_batch_is_all_or_nothing(&made).await;
    stage.a_batch_is_approved_by_two_others(&made).await;
    stage.p24_a_lost_answer_is_looked_up(&made).await;
    stage.stuck_ones_come_oldest_first(&made).await;
    stage.a_delivered_order_is_done(&made).await;
}

impl Stage<'_> {
    async fn read(&self, id: AllocationId) -> Allocation {
        let mut tx = self.db.begin(&self.given.scope).await.expect("a transaction");
        tx.allocations()
            .for_update(id)
            .await
            .expect("read")
            .expect("the allocation")
    }

    async fn allocations_are_made_once_per_line(&self) -> Vec<AllocationId> {
        let (service, given) = (&self.service, self.given);
        assert!(matches!(
            service.allocate(&given.scope, given.unpaid).await,
            Err(AllocateError::NotPaid)
        ));
        assert!(matches!(
            service.allocate(&given.elsewhere, given.order).await,
            Err(AllocateError::NoSuchOrder)
        ));
        let Allocated::Applied(made) = service
            .allocate(&given.scope, given.order)
            .await
            .expect("allocated")
        else {
            panic!("the first run makes them");
        };
        assert_eq!(made.len(), 2);
        assert_eq!(
            service.allocate(&given.scope, given.order).await.expect("again"),
            Allocated::AlreadyApplied
        );
        let read = self.read(made[0]).await;
        assert_eq!(
            (read.state, read.order, read.tries),
            (AllocationState::Pending, given.order, 0)
        );
        let mut tx = self.db.begin(&given.elsewhere).await.expect("a transaction");
        assert!(
            tx.allocations()
                .for_update(made[0])
                .await
                .expect("read")
                .is_none(),
            "another site sees nothing"
        );
        made
    }

    async fn a_batch_is_all_or_nothing(&self, made: &[AllocationId]) {
        let (service, given) = (&self.service, self.given);
        let foreign = service
            .create_batch(&given.elsewhere, given.actor, made, None)
            .await;
        assert!(
            matches!(foreign, Err(BatchError::NotFound { at: 0 })),
            "{foreign:?}"
        );
        let mut tx = self.db.begin(&given.scope).await.expect("a transaction");
        let mut unsaved = tx.allocations().for_update_many(made).await.expect("read");
        assert_eq!(unsaved.len(), 2);
        unsaved[0].park("looked_at", given.now);
        tx.allocations().save(&unsaved).await.expect("saved");
        drop(tx);
        assert_eq!(
            self.read(unsaved[0].id).await.parked,
            None,
            "a dropped transaction leaves nothing"
        );
        let call = IdempotentCall {
            actor: given.actor.to_string(),
            operation: "POST /api/v1/allocation-batches",
            key: "p10".to_owned(),
            fingerprint: [1; 32],
            review: posx_kernel::Review::NotNeeded,
            at: given.now,
        };
        let mut batches = Vec::new();
        for _ in 0..2 {
            let batch = service
                .create_batch(&given.scope, given.actor, made, Some(&call))
                .await;
            batches.push(batch.expect("a batch"));
        }
        assert_eq!(self.read(made[1]).await.batch, Some(batches[0].id));
        let again = (batches[1].id, batches[1].replayed);
        assert_eq!(again, (batches[0].id, true), "p10");
        let again = service.create_batch(&given.scope, given.actor, made, None).await;
        assert!(
            matches!(again, Err(BatchError::NotQueueable { at: 0, .. })),
            "{again:?}"
        );
    }

    async fn batch(&self, id: BatchId) -> Batch {
        let mut tx = self.db.begin(&self.given.scope).await.expect("a transaction");
        tx.batches().find(id).await.expect("read").expect("the batch")
    }

    async fn a_batch_is_approved_by_two_others(&self, made: &[AllocationId]) {
        let (service, given) = (&self.service, self.given);
        let id = self.read(made[0]).await.batch.expect("its batch");
        let approve = async |scope: &SiteScope, seen: &[u8; 32], by: IdentityId| {
            service.approve_batch(scope, id, seen, by, None).await
        };
        let (hash, [one, other]) = (self.batch(id).await.hash, given.checkers);
        let foreign = approve(&given.elsewhere, &hash, one).await;
        assert!(matches!(foreign, Err(BatchError::NoSuchBatch)), "{foreign:?}");
        let own = approve(&given.scope, &hash, given.actor).await;
        assert!(matches!(own, Err(BatchError::OwnBatch)), "{own:?}");
        let blind = approve(&given.scope, &[0; 32], one).await;
        assert!(matches!(blind, Err(BatchError::HashMismatch)), "{blind:?}");
        approve(&given.scope, &hash, one).await.expect("approved");
        let twice = approve(&given.scope, &hash, one).await;
        assert!(matches!(twice, Err(BatchError::ApprovedBefore)), "{twice:?}");
        let early = service.submit_batch(&given.scope, id).await.expect("a run");
        assert_eq!((early, self.custody.arrived().len()), (BatchRun::default(), 0));
        approve(&given.scope, &hash, other).await.expect("approved");
        let batch = self.batch(id).await;
        assert_eq!(batch.state, BatchState::Approved);
        assert_eq!(
            batch
                .approvals
                .iter()
                .map(|approval| approval.by)
                .collect::<Vec<_>>(),
            given.checkers
        );
        let mut tx = self.db.begin(&given.scope).await.expect("a transaction");
        assert_eq!(tx.batches().unfinished().await.expect("read"), [id]);
        let lines = tx.batches().lines(id).await.expect("read");
        assert_eq!(tx.batches().as_of_now(made).await.expect("read"), lines);
    }

    async fn p24_a_lost_answer_is_looked_up(&self, made: &[AllocationId]) {
        let (service, given) = (&self.service, self.given);
        let batch = self.read(made[0]).await.batch.expect("its batch");
        self.custody.script([Answer::LostOnTheWayBack]);
        let run = async || service.submit_batch(&given.scope, batch).await;
        let lost = run().await;
        assert!(matches!(lost, Err(SubmitError::Unsettled(_))), "{lost:?}");
        let foreign = service.submit_batch(&given.elsewhere, batch).await;
        assert_eq!(foreign.expect("nothing there"), BatchRun::default());
        let settled = run().await.expect("settled");
        assert_eq!((settled.applied, settled.waiting), (1, 1), "f17: one at a time");
        assert_eq!(self.custody.transfers().len(), 1);
        let mut on_chain = self.custody.transfers().remove(0);
        "CONFIRMING".clone_into(&mut on_chain.status);
        service
            .apply_report(&given.scope, &on_chain)
            .await
            .expect("applied");
        let second = run().await.expect("the vault is free");
        assert_eq!((second.applied, second.waiting), (1, 0));
        assert_eq!(self.custody.transfers().len(), 2);
        for (id, state) in made.iter().zip([StateName::Confirming, StateName::Submitted]) {
            let sent = self.read(*id).await;
            assert_eq!((sent.state.name(), sent.tries), (state, 1));
        }
        let mut tx = self.db.begin(&given.elsewhere).await.expect("a transaction");
        let taken = &self.custody.transfers()[0].provider_id;
        assert!(
            !tx.external_ids().claim("fake", taken).await.expect("claimed"),
            "the other site's id"
        );
    }

    async fn stuck_ones_come_oldest_first(&self, made: &[AllocationId]) {
        let (service, given) = (&self.service, self.given);
        let none = service.reconcile(&given.scope, 10).await.expect("a round");
        assert_eq!(none, Reconciled::default(), "nothing is old enough");
        self.clock.advance(STUCK_AFTER + Duration::seconds(1));
        let first = service.reconcile(&given.scope, 1).await.expect("a round");
        assert_eq!((first.checked, first.moved), (1, 0));
        let external_id = self.read(made[1]).await.external_id.expect("sent");
        self.custody.change(&external_id.0, |transfer| {
            "CONFIRMING".clone_into(&mut transfer.status);
            transfer.confirmations = 3;
        });
        let external_id = self.read(made[0]).await.external_id.expect("sent");
        self.custody.change(&external_id.0, |transfer| {
            "BROADCASTING".clone_into(&mut transfer.status);
            transfer.confirmations = 3;
        });
        let second = service.reconcile(&given.scope, 10).await.expect("a round");
        assert_eq!(
            (second.checked, second.moved),
            (1, 1),
            "the one that was looked at waits"
        );
    }

    async fn a_delivered_order_is_done(&self, made: &[AllocationId]) {
        let (service, given) = (&self.service, self.given);
        for (number, held) in self.custody.transfers().into_iter().enumerate() {
            let mut report = held.clone();
            "COMPLETED".clone_into(&mut report.status);
            report.tx_hash = Some(format!("0x{number}"));
            // The second one comes without our own id.
            report.external_id = report.external_id.filter(|_| number == 0);
            let now = service
                .apply_report(&given.scope, &report)
                .await
                .expect("applied");
            assert_eq!(now, Applied::Applied);
            let again = service.apply_report(&given.scope, &report).await.expect("again");
            assert_eq!(again, Applied::AlreadyApplied);
            assert!(service.apply_report(&given.elsewhere, &report).await.is_err());
        }
        for id in made {
            let done = self.read(*id).await;
            let AllocationState::Done {
                tx_hash,
                confirmed_at,
                ..
            } = &done.state
            else {
                panic!("{done:?}")
            };
            assert!(tx_hash.starts_with("0x"));
            assert_eq!(*confirmed_at, given.now + STUCK_AFTER + Duration::seconds(1));
        }
        let mut tx = self.db.begin(&given.scope).await.expect("a transaction");
        let states = tx.allocations().states_of_order(given.order).await.expect("read");
        assert_eq!(states, [StateName::Done, StateName::Done]);
        drop(tx);
        let batch = self.read(made[0]).await.batch.expect("its batch");
        assert_eq!(self.batch(batch).await.state, BatchState::Done);
        for id in made {
            let done = self.read(*id).await;
            self.custody
                .change(&done.external_id.expect("sent").0, |transfer| {
                    "COMPLETED".clone_into(&mut transfer.status);
                    transfer.tx_hash = done.state.tx_hash().map(str::to_owned);
                });
        }
        let check = service.check_batch(&given.scope, batch).await.expect("checked");
        assert_eq!((check.rebuilt.len(), check.differing), (2, Vec::new()));
    }
}
