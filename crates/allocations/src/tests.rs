//! The use cases on the in-memory store and on a custodian that loses answers.

mod approving;
mod batches;
mod cooling_off;
mod custodian;
mod debts;
mod guards;
mod preflight;
mod reports;
mod return_histories;
mod returns;
mod sending;
mod vesting;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Duration;
use posx_kernel::{
    AllocationId, BatchId, ChainAssetId, IdentityId, Made, ManualClock, OrderId, PartyId, Refusal, SeededIds,
    SiteId, SiteScope, TokenAmount,
};
use posx_ledger::{Account, Side};
use proptest::prelude::*;
use uuid::Uuid;

use crate::custody::ExternalId;
use crate::testing::{
    Answer, FakeCustody, FakeDb, FakeOrder, Given, World, at, contract, line, money, transfer,
};
use crate::{
    AllocateError, Allocated, Allocation, AllocationState, Allocations, Applied, BatchError, CustodyAsset,
    Delivery, OrderToDeliver, ReportError, RetryError, RetryRefusal, STUCK_AFTER, StateName, SubmitError,
};

const ADDRESS: &str = "0x52908400098527886E0F7030069857D2E4169EE7";

struct Shop {
    db: FakeDb,
    custody: Arc<FakeCustody>,
    clock: Arc<ManualClock>,
    service: Allocations,
    scope: SiteScope,
}

fn site(name: u128) -> SiteScope {
    SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(name)))
}

fn order_id(name: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(name))
}

fn actor() -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(1))
}

fn person(number: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(number))
}

/// Neither is the [`actor`].
fn checkers() -> [IdentityId; 2] {
    [person(2), person(3)]
}

fn shop() -> Shop {
    let (db, custody) = (FakeDb::default(), Arc::new(FakeCustody::default()));
    let clock = Arc::new(ManualClock::stopped_at(at(0)));
    let ids = Arc::new(SeededIds::new(1));
    let service = Allocations::new(Arc::new(db.clone()), custody.clone(), clock.clone(), ids);
    let scope = site(1);
    db.arrange(&scope, |world| {
        let asset = CustodyAsset {
            provider_asset: "POSX_POLYGON".to_owned(),
            vault: "7".to_owned(),
            decimals: 18,
        };
        world
            .assets
            .insert(ChainAssetId::from_uuid(Uuid::from_u128(1)), asset);
    });
    Shop {
        db,
        custody,
        clock,
        service,
        scope,
    }
}

impl Shop {
    fn order(&self, name: u128, lines: u128, change: impl FnOnce(&mut OrderToDeliver)) -> OrderId {
        let line = |number: u128| line(name * 1000 + number, 500 + number);
        let mut facts = OrderToDeliver {
            order: order_id(name),
            buyer: PartyId::from_uuid(Uuid::from_u128(3)),
            address: Some(ADDRESS.to_owned()),
            wallet_usable_from: None,
            paid: true,
            total: money(100),
            returned: money(0),
            not_restocked: money(0),
            disputed: false,
            lines: (1..=lines).map(line).collect(),
        };
        change(&mut facts);
        self.db.arrange(&self.scope, |world| {
            world.orders.insert(
                order_id(name),
                FakeOrder {
                    facts,
                    delivery: Delivery::None,
                    attention: None,
                },
            );
        });
        order_id(name)
    }

    /// An order of so many lines, allocated.
    async fn allocated(&self, name: u128, lines: u128) -> Vec<AllocationId> {
        let order = self.order(name, lines, |_| {});
        match self
            .service
            .allocate(&self.scope, order)
            .await
            .expect("allocated")
        {
            Allocated::Applied(made) => made,
            Allocated::AlreadyApplied => panic!("the order is new"),
        }
    }

    async fn draft(&self, ids: &[AllocationId]) -> BatchId {
        let made = self.service.create_batch(&self.scope, actor(), ids, None).await;
        made.expect("a batch").id
    }

    /// By these, one after the other, of what is there now.
    async fn approve(&self, id: BatchId, by: &[IdentityId]) -> Result<(), BatchError> {
        for person in by {
            let seen = self.world().batches[&id].hash;
            let service = &self.service;
            service
                .approve_batch(&self.scope, id, &seen, *person, None)
                .await?;
        }
        Ok(())
    }

    /// Approved, and begun: nothing of it is sent.
    async fn batch(&self, ids: &[AllocationId]) -> BatchId {
        let id = self.draft(ids).await;
        self.approve(id, &checkers()).await.expect("approved");
        self.service.begin_sending(&self.scope, id).await.expect("begun");
        id
    }

    /// Runs the job until nothing waits: whatever is in flight is seen on chain.
    async fn send_all(&self, batch: BatchId) -> Result<u16, SubmitError> {
        let mut sent = 0;
        loop {
            let run = self.service.submit_batch(&self.scope, batch).await?;
            sent += run.applied;
            if run.waiting == 0 {
                return Ok(sent);
            }
            self.broadcast().await;
        }
    }

    async fn broadcast(&self) {
        for allocation in self.world().allocations.into_values() {
            if allocation.state.name() == StateName::Submitted {
                let external_id = allocation.external_id.expect("sent").0;
                self.report(&external_id, "CONFIRMING", None)
                    .await
                    .expect("applied");
            }
        }
    }

    async fn queued(&self) -> AllocationId {
        let made = self.allocated(1, 1).await;
        self.batch(&made).await;
        made[0]
    }

    /// Submitted, with its external id.
    async fn submitted(&self) -> (AllocationId, String) {
        let id = self.queued().await;
        self.service.submit(&self.scope, id).await.expect("submitted");
        (id, self.read(id).external_id.expect("sent").0)
    }

    async fn report(
        &self,
        external_id: &str,
        status: &str,
        hash: Option<&str>,
    ) -> Result<Applied, ReportError> {
        let held = self
            .custody
            .transfers()
            .into_iter()
            .find(|held| held.external_id == Some(ExternalId(external_id.to_owned())));
        let mut report = transfer(external_id, status, hash);
        report.provider_id = held.expect("the custodian has it").provider_id;
        self.service.apply_report(&self.scope, &report).await
    }

    fn world(&self) -> World {
        self.db.world(&self.scope)
    }

    fn read(&self, id: AllocationId) -> Allocation {
        self.world().allocations[&id].clone()
    }

    fn state(&self, id: AllocationId) -> StateName {
        self.read(id).state.name()
    }

    fn delivery(&self, name: u128) -> Delivery {
        self.world().orders[&order_id(name)].delivery
    }

    fn events(&self) -> Vec<&'static str> {
        self.world().events.iter().map(|event| event.kind).collect()
    }
}

#[tokio::test]
async fn the_fake_passes_the_contract() {
    let shop = shop();
    let order = shop.order(1, 2, |_| {});
    let unpaid = shop.order(2, 1, |facts| facts.paid = false);
    let given = Given {
        scope: shop.scope.clone(),
        elsewhere: site(2),
        order,
        unpaid,
        actor: actor(),
        checkers: checkers(),
        now: at(1),
    };
    contract(Arc::new(shop.db.clone()), &given).await;
    assert_eq!(shop.delivery(1), Delivery::Done);
}

#[tokio::test]
async fn a_paid_order_is_allocated_once_per_line_to_the_address_it_froze() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    assert_eq!(made.len(), 2);
    assert!(
        shop.world()
            .allocations
            .values()
            .all(|allocation| allocation.address == ADDRESS)
    );
    assert_eq!(shop.delivery(1), Delivery::Pending);
    assert_eq!(
        shop.service
            .allocate(&shop.scope, order_id(1))
            .await
            .expect("again"),
        Allocated::AlreadyApplied
    );
    assert_eq!(shop.events(), ["allocation.created", "allocation.created"]);
}

#[tokio::test]
async fn an_order_without_a_wallet_address_is_flagged_and_nothing_is_allocated() {
    let shop = shop();
    let order = shop.order(1, 1, |facts| facts.address = None);
    let refused = shop.service.allocate(&shop.scope, order).await;
    assert!(matches!(refused, Err(AllocateError::NoAddress)));
    assert!(shop.world().allocations.is_empty());
    assert_eq!(
        shop.world().orders[&order].attention.as_deref(),
        Some("wallet_address_missing")
    );
}

#[tokio::test]
async fn a_batch_is_refused_with_the_field_at_fault() {
    let shop = shop();
    let made = shop.allocated(1, 3).await;
    let unknown = AllocationId::from_uuid(Uuid::from_u128(404));
    let refusal = async |ids: &[AllocationId]| {
        let error = shop
            .service
            .create_batch(&shop.scope, actor(), ids, None)
            .await
            .expect_err("refused");
        (error.code(), error.field().map(std::borrow::Cow::into_owned))
    };
    let named = |field: &str| Some(field.to_owned());
    assert_eq!(refusal(&[]).await, ("batch_empty", named("allocations")));
    assert_eq!(
        refusal(&vec![unknown; 101]).await,
        ("batch_too_large", named("allocations"))
    );
    assert_eq!(
        refusal(&[made[0], made[1], made[0]]).await,
        ("batch_allocation_duplicate", named("allocations/2"))
    );
    assert_eq!(
        refusal(&[made[0], unknown]).await,
        ("allocation_not_found", named("allocations/1"))
    );
    shop.draft(&made[..1]).await;
    assert_eq!(
        refusal(&[made[1], made[0]]).await,
        ("allocation_not_pending", named("allocations/1"))
    );
    assert_eq!(
        shop.state(made[1]),
        StateName::Pending,
        "nothing of a refused batch is queued"
    );
}

#[tokio::test]
async fn a_hundred_allocations_fit_in_a_batch() {
    let shop = shop();
    let made = shop.allocated(1, 101).await;
    let refused = shop.service.create_batch(&shop.scope, actor(), &made, None).await;
    assert!(matches!(refused, Err(BatchError::TooMany)));
    let batch = shop.draft(&made[..100]).await;
    assert_eq!(shop.db.world(&shop.scope).batches[&batch].size, 100);
}
