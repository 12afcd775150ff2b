//! The use cases on the in-memory store.

mod adjusting;
mod plans;

use std::sync::Arc;

use crate::testing::{FakeDb, Given, at, contract, level, party, snapshot, two_levels, usd};
use crate::{
    AccrualError, Accrued, CommissionState, Commissions, NewPlan, Outcome, PaidOrder, PlanError, SkipReason,
};
use posx_kernel::{Currency, ManualClock, OrderId, PartyId, SeededIds, SiteId, SiteScope};
use posx_ledger::{Account, Side};
use uuid::Uuid;

const ALICE: PartyId = party(1);
const BOB: PartyId = party(2);
const CAROL: PartyId = party(3);

struct Shop {
    db: FakeDb,
    clock: Arc<ManualClock>,
    service: Commissions,
    scope: SiteScope,
}

fn shop() -> Shop {
    let (db, clock) = (FakeDb::default(), Arc::new(ManualClock::stopped_at(at(0))));
    let service = Commissions::new(Arc::new(db.clone()), clock.clone(), Arc::new(SeededIds::new(1)));
    Shop {
        db,
        clock,
        service,
        scope: site(1),
    }
}

fn site(name: u128) -> SiteScope {
    SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(name)))
}

fn order_id(name: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(name))
}

impl Shop {
    /// Paid on that day; the plan is the usual one.
    fn paid(&self, name: u128, buyer: PartyId, minor: i64, day: i64) -> OrderId {
        let order = order_id(name);
        let paid = PaidOrder {
            order,
            buyer,
            total: usd(minor),
            returned: usd(0),
            disputed: false,
            lines: Vec::new(),
            snapshot: Some(two_levels()),
            paid_at: Some(at(day)),
        };
        self.db.arrange(&self.scope, |world| {
            world.orders.insert(order, paid);
        });
        order
    }

    /// Alice referred Bob, Bob referred Carol.
    fn family(&self) {
        self.bound(BOB, ALICE, 0);
        self.bound(CAROL, BOB, 0);
    }

    fn bound(&self, party: PartyId, referrer: PartyId, day: i64) {
        self.db.arrange(&self.scope, |world| {
            world.referrals.insert(party, (referrer, at(day)));
        });
    }

    async fn accrue(&self, order: OrderId) -> Accrued {
        self.service.accrue(&self.scope, order).await.expect("accrued")
    }

    fn shares(&self) -> Vec<(PartyId, i64)> {
        let mut shares: Vec<_> = self
            .db
            .world(&self.scope)
            .commissions
            .values()
            .map(|share| (share.agent, share.amount.minor()))
            .collect();
        shares.sort_unstable();
        shares
    }

    fn event_kinds(&self) -> Vec<&'static str> {
        self.db
            .world(&self.scope)
            .events
            .iter()
            .map(|event| event.kind)
            .collect()
    }
}

/// Bound by their payments, a day apart.
fn given(shop: &Shop) -> Given {
    shop.bound(BOB, ALICE, 0);
    shop.paid(1, BOB, 5000, 0);
    shop.bound(CAROL, BOB, 1);
    let order = shop.paid(2, CAROL, 10_001, 1);
    Given {
        scope: shop.scope.clone(),
        elsewhere: site(2),
        order,
        paid_at: at(1),
        buyer: CAROL,
        referrer: BOB,
        grand: ALICE,
    }
}

#[tokio::test]
async fn the_fake_passes_the_contract() {
    let shop = shop();
    contract(Arc::new(shop.db.clone()), &given(&shop)).await;
}

#[tokio::test]
async fn a_paid_order_pays_two_levels_and_says_so() {
    let shop = shop();
    shop.family();
    let order = shop.paid(1, CAROL, 10_000, 0);
    shop.accrue(order).await;
    assert_eq!(shop.shares(), [(ALICE, 400), (BOB, 1200)]);
    assert_eq!(shop.event_kinds(), ["commission.accrued", "commission.accrued"]);
}

#[tokio::test]
async fn p23_the_jobs_of_a_chain_may_run_in_any_order_and_pay_the_same() {
    for earlier_first in [true, false] {
        let shop = shop();
        shop.bound(BOB, ALICE, 0);
        let bobs = shop.paid(1, BOB, 5000, 0);
        shop.bound(CAROL, BOB, 1);
        let carols = shop.paid(2, CAROL, 10_000, 1);
        let jobs = if earlier_first {
            [bobs, carols]
        } else {
            [carols, bobs]
        };
        for order in jobs {
            shop.accrue(order).await;
        }
        assert_eq!(shop.shares(), [(ALICE, 400), (ALICE, 600), (BOB, 1200)]);
    }
}

#[tokio::test]
async fn what_is_bound_after_the_payment_changes_nothing_however_late_the_job_runs() {
    let shop = shop();
    shop.bound(CAROL, BOB, 0);
    let order = shop.paid(1, CAROL, 10_000, 1);
    shop.bound(BOB, ALICE, 2);
    shop.accrue(order).await;
    assert_eq!(shop.shares(), [(BOB, 1200)]);
}

#[tokio::test]
async fn p23_running_the_calculation_again_creates_nothing() {
    let shop = shop();
    shop.family();
    let order = shop.paid(1, CAROL, 10_000, 0);
    shop.accrue(order).await;
    let before = shop.db.world(&shop.scope);
    for _ in 0..3 {
        assert_eq!(shop.accrue(order).await, Accrued::AlreadyApplied);
    }
    let after = shop.db.world(&shop.scope);
    assert_eq!(after.commissions, before.commissions);
    assert_eq!(after.entries, before.entries);
    assert_eq!(after.events, before.events);
}

#[tokio::test]
async fn p23_a_replay_after_the_buyer_was_bound_does_not_pay_for_the_earlier_order() {
    let shop = shop();
    let alone = shop.paid(1, CAROL, 10_000, 0);
    assert_eq!(shop.accrue(alone).await, Accrued::Applied(vec![]));
    shop.bound(CAROL, BOB, 0);
    assert_eq!(shop.accrue(alone).await, Accrued::AlreadyApplied);
    assert_eq!(shop.shares(), []);
}

#[tokio::test]
async fn every_commission_is_one_balanced_entry_that_the_agent_is_owed() {
    let shop = shop();
    shop.family();
    let order = shop.paid(1, CAROL, 10_000, 0);
    shop.accrue(order).await;
    let world = shop.db.world(&shop.scope);
    assert_eq!(world.entries.len(), world.commissions.len());
    for commission in world.commissions.values() {
        let entry = world
            .entries
            .iter()
            .find(|entry| entry.cause() == commission.id.as_uuid())
            .expect("its entry");
        let sides: Vec<_> = entry
            .postings()
            .iter()
            .map(|posting| (posting.side, posting.account.clone()))
            .collect();
        let payable = Account::CommissionPayable(commission.agent);
        assert_eq!(
            sides,
            [(Side::Debit, Account::CommissionExpense), (Side::Credit, payable)]
        );
        let due = u128::from(commission.amount.minor().unsigned_abs());
        assert!(entry.postings().iter().all(|posting| posting.amount == due));
    }
}

#[tokio::test]
async fn sales_count_only_what_was_paid_strictly_before() {
    let shop = shop();
    shop.family();
    let plan = snapshot(vec![level(1, "0.1", 10_000)]);
    let first = shop.paid(1, CAROL, 10_000, 0);
    let second = shop.paid(2, CAROL, 10_000, 1);
    shop.db.arrange(&shop.scope, |world| {
        for order in world.orders.values_mut() {
            order.snapshot = Some(plan.clone());
        }
    });
    shop.accrue(first).await;
    shop.accrue(second).await;
    let world = shop.db.world(&shop.scope);
    let needed = SkipReason::BelowMinimumSales {
        needed: usd(10_000),
        had: usd(0),
    };
    assert_eq!(world.decisions[&(first, 1)].outcome, Outcome::Skipped(needed));
    assert_eq!(world.decisions[&(second, 1)].sales, usd(10_000));
    assert_eq!(shop.shares(), [(BOB, 1000)]);
}

#[tokio::test]
async fn an_order_without_a_plan_earns_nothing_and_is_decided() {
    let shop = shop();
    shop.family();
    let order = shop.paid(1, CAROL, 10_000, 0);
    shop.db.arrange(&shop.scope, |world| {
        if let Some(order) = world.orders.get_mut(&order) {
            order.snapshot = None;
        }
    });
    assert_eq!(shop.accrue(order).await, Accrued::Applied(vec![]));
    assert_eq!(shop.accrue(order).await, Accrued::AlreadyApplied);
    assert!(shop.event_kinds().is_empty());
}

#[tokio::test]
async fn an_order_that_is_not_paid_is_left_for_later() {
    let shop = shop();
    let order = shop.paid(1, CAROL, 10_000, 0);
    shop.db.arrange(&shop.scope, |world| {
        if let Some(order) = world.orders.get_mut(&order) {
            order.paid_at = None;
        }
    });
    assert!(matches!(
        shop.service.accrue(&shop.scope, order).await,
        Err(AccrualError::NotPaid)
    ));
    let unknown = shop.service.accrue(&shop.scope, order_id(404)).await;
    assert!(matches!(unknown, Err(AccrualError::NoSuchOrder)));
}

#[tokio::test]
async fn a_commission_is_held_for_seven_days_after_payment_not_after_the_job() {
    let shop = shop();
    shop.family();
    let order = shop.paid(1, CAROL, 10_000, 0);
    shop.clock.advance(chrono::Duration::days(3));
    shop.accrue(order).await;
    shop.clock.advance(chrono::Duration::days(4));
    assert_eq!(shop.service.mature(&shop.scope, 100).await.expect("matured"), 2);
    let world = shop.db.world(&shop.scope);
    assert!(
        world
            .commissions
            .values()
            .all(|share| share.state == CommissionState::Ready && share.hold_until == at(7))
    );
    assert_eq!(
        world
            .events
            .iter()
            .filter(|event| event.kind == "commission.ready")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_plan_in_another_currency_than_the_sites_is_refused() {
    let shop = shop();
    let kwd = Currency::from_code("KWD").expect("a currency");
    let wish = NewPlan {
        name: "Standard".to_owned(),
        levels: vec![level(1, "0.1", 0)],
        difference: None,
        hold_days: 7,
    };
    let refused = shop
        .service
        .create_plan(&shop.scope, kwd, wish.clone(), None)
        .await;
    assert!(matches!(refused, Err(PlanError::Currency("KWD"))));
    let nameless = NewPlan {
        name: "  ".to_owned(),
        ..wish
    };
    let refused = shop
        .service
        .create_plan(&shop.scope, usd(0).currency(), nameless, None)
        .await;
    assert!(matches!(refused, Err(PlanError::Name)));
}
