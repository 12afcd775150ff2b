//! Commissions and allocations on the real store: their contract suites, and many workers at once.

mod adjusting;
mod plans;

use std::sync::Arc;

use chrono::Duration;
use posx_allocations::custody::Transfer;
use posx_allocations::testing::Answer;
use posx_allocations::{Allocated, AllocationFilter, AllocationQueries as _, AllocationsTx, StateName};
use posx_commissions::testing::level;
use posx_commissions::{
    Accrued, CommissionFilter, CommissionQueries as _, CommissionState, CommissionsTx, NewPlan, NobodyEarned,
};
use posx_kernel::{AllocationId, Begin, Clock as _, OrderId, PageRequest, SiteScope};
use posx_orders::{Lifecycle, Order, OrderQueries as _, PaymentApplied, PlaceOrder, Placed, WishedLine};
use posx_tenancy::Member;
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::server::superuser;
use crate::world::{World, usd};

/// Alice referred Bob, who has paid 50.00; Carol named Bob, and has paid an order of 100.01 a day later.
struct Stage {
    world: World,
    alice: Member,
    bob: Member,
    carol: Member,
    order: Order,
}

async fn stage() -> Stage {
    let world = World::with_pool(8).await;
    world.plan().await;
    let alice = world.member(None).await;
    let bob = world.member(Some(alice.referral_code.as_str())).await;
    let carol = world.member(Some(bob.referral_code.as_str())).await;
    let tier = world.tier(10, 5000).await;
    let earlier = world.place(&bob, tier, 1).await.expect("placed");
    assert_eq!(world.pay(&earlier).await, PaymentApplied::Paid);
    world.clock.advance(Duration::days(1));
    let (first, second) = (world.tier(10, 5000).await, world.tier(10, 5001).await);
    let lines = [first, second].map(|tier| WishedLine { tier, quantity: 1 });
    let wish = PlaceOrder {
        lines: lines.to_vec(),
        ..world.wish(&carol, first, 1)
    };
    let Placed::New { order, .. } = world.place_wish(&wish).await.expect("placed") else {
        panic!("no key was given")
    };
    assert_eq!(world.pay(&order).await, PaymentApplied::Paid);
    Stage {
        world,
        alice,
        bob,
        carol,
        order: *order,
    }
}

impl Stage {
    async fn lifecycle(&self) -> Lifecycle {
        let view = self
            .world
            .database
            .get(&self.world.scope, self.order.id, None)
            .await
            .expect("a look");
        view.expect("the order").lifecycle
    }

    async fn entries(&self, kind: &str) -> i64 {
        let row = sqlx::query("select count(*) from entries where site_id = $1 and kind = $2")
            .bind(self.world.site.id.as_uuid())
            .bind(kind)
            .fetch_one(&mut superuser().await)
            .await;
        row.expect("a count").get(0)
    }

    /// Placed by Carol now, and not paid.
    async fn unpaid(&self) -> OrderId {
        let tier = self.world.tier(1, 700).await;
        self.world.place(&self.carol, tier, 1).await.expect("placed").id
    }

    fn sales(&self) -> CommissionFilter {
        CommissionFilter {
            agent: Some(self.bob.party),
            state: Some(CommissionState::Held),
            order: Some(self.order.id),
        }
    }
}

/// Two payments of one buyer at the same time: the one that commits first read its clock later.
#[tokio::test]
async fn p17_an_order_paid_beside_the_one_that_binds_the_referrer_earns_too() {
    let world = World::with_pool(4).await;
    world.plan().await;
    let alice = world.member(None).await;
    let bob = world.member(Some(alice.referral_code.as_str())).await;
    let tier = world.tier(10, 5000).await;
    let orders = [
        world.place(&bob, tier, 1).await.expect("placed"),
        world.place(&bob, tier, 1).await.expect("placed"),
    ];
    world.clock.advance(Duration::milliseconds(3));
    assert_eq!(world.pay(&orders[0]).await, PaymentApplied::Paid);
    world.clock.advance(-Duration::milliseconds(2));
    assert_eq!(world.pay(&orders[1]).await, PaymentApplied::Paid);
    for order in &orders {
        let accrued = world.commissions.accrue(&world.scope, order.id).await;
        let Accrued::Applied(commissions) = accrued.expect("accrued") else {
            panic!("it was decided before")
        };
        assert_eq!(commissions.len(), 1, "{order:?}");
    }
}

fn page(limit: u16) -> PageRequest {
    PageRequest::new(Some(limit), None)
}

fn given(stage: &Stage, elsewhere: SiteScope) -> posx_commissions::testing::Given {
    posx_commissions::testing::Given {
        scope: stage.world.scope.clone(),
        elsewhere,
        order: stage.order.id,
        paid_at: stage.world.clock.now(),
        buyer: stage.carol.party,
        referrer: stage.bob.party,
        grand: stage.alice.party,
    }
}

#[tokio::test]
async fn commissions_pass_their_contract() {
    let (stage, elsewhere) = (stage().await, World::new().await);
    let db: Arc<dyn Begin<dyn CommissionsTx>> = Arc::new(stage.world.database.clone());
    posx_commissions::testing::contract(db, &given(&stage, elsewhere.scope)).await;
}

#[tokio::test]
async fn allocations_pass_their_contract_and_the_order_is_fulfilled() {
    let (stage, elsewhere) = (stage().await, World::new().await);
    let given = posx_allocations::testing::Given {
        scope: stage.world.scope.clone(),
        elsewhere: elsewhere.scope.clone(),
        order: stage.order.id,
        unpaid: stage.unpaid().await,
        actor: stage.world.actor,
        checkers: stage.world.checkers().await,
        now: stage.world.clock.now(),
    };
    let db: Arc<dyn Begin<dyn AllocationsTx>> = Arc::new(stage.world.database.clone());
    posx_allocations::testing::contract(db, &given).await;
    assert_eq!(stage.lifecycle().await, Lifecycle::Fulfilled);
    assert_eq!(stage.entries("tokens.delivered").await, 2);
    let jobs = stage
        .world
        .database
        .jobs(&stage.world.scope, false, None, 50)
        .await
        .expect("a list");
    assert_eq!(jobs.iter().filter(|job| job.task == "submit_batch").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn p23_eight_runs_at_once_pay_once_and_explain_themselves_to_their_agent_only() {
    let (stage, elsewhere) = (stage().await, World::new().await);
    let (world, order) = (&stage.world, stage.order.id);
    let mut runs = JoinSet::new();
    for _ in 0..8 {
        let (service, scope) = (world.commissions.clone(), world.scope.clone());
        runs.spawn(async move { service.accrue(&scope, order).await.expect("accrued") });
    }
    let applied = runs
        .join_all()
        .await
        .into_iter()
        .filter(|run| matches!(run, Accrued::Applied(_)));
    assert_eq!(applied.count(), 1);
    assert_eq!(stage.entries("commission.accrued").await, 2);

    let db = &world.database;
    let bobs = db
        .commissions(&world.scope, &stage.sales(), page(1))
        .await
        .expect("a list");
    assert_eq!((bobs.items.len(), bobs.next), (1, None));
    let id = bobs.items[0].id;
    let explained = db
        .explain(&world.scope, id, Some(stage.bob.party))
        .await
        .expect("a look");
    assert!(explained.expect("his own").agrees);
    assert!(
        db.explain(&world.scope, id, Some(stage.alice.party))
            .await
            .expect("a look")
            .is_none()
    );
    assert!(
        db.explain(&elsewhere.scope, id, None)
            .await
            .expect("a look")
            .is_none()
    );
    let whole = db
        .explain_order(&world.scope, order)
        .await
        .expect("a look")
        .expect("the order");
    assert_eq!(whole.sum, usd(1600));
    assert!(whole.ancestors.iter().all(|ancestor| ancestor.agrees));
    let unpaid = db
        .explain_order(&world.scope, stage.unpaid().await)
        .await
        .expect("a look")
        .expect("the order");
    assert_eq!(unpaid.nobody, Some(NobodyEarned::NotPaid));
    assert!(
        db.explain_order(&elsewhere.scope, order)
            .await
            .expect("a look")
            .is_none()
    );
}

#[tokio::test]
async fn p23_the_jobs_of_a_chain_may_run_in_any_order_and_pay_the_same() {
    for earlier_first in [true, false] {
        let world = World::new().await;
        world.plan().await;
        let alice = world.member(None).await;
        let bob = world.member(Some(alice.referral_code.as_str())).await;
        let carol = world.member(Some(bob.referral_code.as_str())).await;
        let tier = world.tier(10, 10_000).await;
        let mut orders = Vec::new();
        for buyer in [&bob, &carol] {
            let order = world.place(buyer, tier, 1).await.expect("placed");
            assert_eq!(world.pay(&order).await, PaymentApplied::Paid);
            orders.push(order.id);
        }
        if !earlier_first {
            orders.reverse();
        }
        for order in orders {
            world
                .commissions
                .accrue(&world.scope, order)
                .await
                .expect("accrued");
        }
        let shares = world
            .database
            .commissions(&world.scope, &CommissionFilter::default(), page(10))
            .await
            .expect("a list");
        let mut shares: Vec<_> = shares
            .items
            .iter()
            .map(|share| (share.agent, share.amount))
            .collect();
        shares.sort_by_key(|(agent, amount)| (*agent, amount.minor()));
        let mut expected = [
            (alice.party, usd(400)),
            (alice.party, usd(1200)),
            (bob.party, usd(1200)),
        ];
        expected.sort_by_key(|(agent, amount)| (*agent, amount.minor()));
        assert_eq!(shares, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_made_and_activated_at_once_have_versions_of_their_own_and_one_is_active() {
    let (world, elsewhere) = (World::with_pool(8).await, World::new().await);
    let mut runs = JoinSet::new();
    for _ in 0..6 {
        let (service, scope, currency) = (
            world.commissions.clone(),
            world.scope.clone(),
            world.site.currency,
        );
        runs.spawn(async move {
            let wish = NewPlan {
                name: "Spring".to_owned(),
                levels: vec![level(1, "0.1", 0)],
                difference: None,
                hold_days: 7,
            };
            let plan = service
                .create_plan(&scope, currency, wish, None)
                .await
                .expect("a version");
            service
                .activate_plan(&scope, plan.id, None)
                .await
                .expect("activated");
        });
    }
    runs.join_all().await;
    let plans = world
        .database
        .plans(&world.scope, world.clock.now())
        .await
        .expect("a list");
    let mut versions: Vec<_> = plans.iter().map(|plan| plan.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    assert_eq!(plans.iter().filter(|plan| plan.active).count(), 1);
    assert!(
        elsewhere
            .database
            .plans(&elsewhere.scope, elsewhere.clock.now())
            .await
            .expect("a list")
            .is_empty()
    );
}

/// Four workers allocate the order at once; whoever was first says what was made.
async fn allocate(stage: &Stage) -> Vec<AllocationId> {
    let mut runs = JoinSet::new();
    for _ in 0..4 {
        let (service, scope, order) = (
            stage.world.allocations.clone(),
            stage.world.scope.clone(),
            stage.order.id,
        );
        runs.spawn(async move { service.allocate(&scope, order).await.expect("allocated") });
    }
    let made = runs.join_all().await.into_iter().filter_map(|run| match run {
        Allocated::Applied(made) => Some(made),
        Allocated::AlreadyApplied => None,
    });
    made.flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p24_f16_many_workers_with_lost_answers_send_one_transfer_for_each_allocation() {
    let stage = stage().await;
    let (service, scope) = (&stage.world.allocations, &stage.world.scope);
    let made = allocate(&stage).await;
    assert_eq!(made.len(), 2);
    let batch = stage.world.approved(&made).await;
    let custody = &stage.world.custody;
    custody.script([
        Answer::LostOnTheWayBack,
        Answer::LostOnTheWayThere,
        Answer::LostOnTheWayBack,
    ]);
    let mut runs = JoinSet::new();
    for _ in 0..8 {
        let (service, scope) = (service.clone(), scope.clone());
        // Some give up while the outcome is unknown: they are tried again, as the queue would.
        runs.spawn(async move { service.submit_batch(&scope, batch).await.ok() });
    }
    runs.join_all().await;
    service.submit_batch(scope, batch).await.expect("settled");
    let mut on_chain = custody.transfers();
    assert_eq!(on_chain.len(), 1, "f17: one at a time");
    "CONFIRMING".clone_into(&mut on_chain[0].status);
    service.apply_report(scope, &on_chain[0]).await.expect("applied");
    // The answers that are lost besides.
    while service.submit_batch(scope, batch).await.is_err() {}
    assert_eq!(custody.transfers().len(), 2);

    let mut reports = JoinSet::new();
    for (at, held) in custody.transfers().into_iter().enumerate() {
        for status in ["COMPLETED", "CONFIRMING", "COMPLETED"] {
            let (service, scope) = (service.clone(), scope.clone());
            let tx_hash = Some(format!("0x{at}"));
            let report = Transfer {
                status: status.to_owned(),
                tx_hash,
                ..held.clone()
            };
            reports.spawn(async move { service.apply_report(&scope, &report).await.expect("applied") });
        }
    }
    reports.join_all().await;
    assert_eq!(stage.lifecycle().await, Lifecycle::Fulfilled);
    assert_eq!(stage.entries("tokens.delivered").await, 2);
}

#[tokio::test]
async fn allocations_and_batches_are_listed_for_their_party_and_their_site_only() {
    let (stage, elsewhere) = (stage().await, World::new().await);
    let (db, scope) = (&stage.world.database, &stage.world.scope);
    let made = allocate(&stage).await;
    let batch = stage.world.approved(&made).await;
    let of_order = AllocationFilter {
        order: Some(stage.order.id),
        ..AllocationFilter::default()
    };
    let first = db.allocations(scope, &of_order, page(1)).await.expect("a list");
    let narrow = AllocationFilter {
        party: Some(stage.carol.party),
        state: Some(StateName::Queued),
        batch: Some(batch),
        needs_person: Some(false),
        order: None,
    };
    let second = db
        .allocations(scope, &narrow, PageRequest::new(Some(1), first.next))
        .await
        .expect("a list");
    assert_eq!((first.items.len(), second.items.len(), second.next), (1, 1, None));
    let id = first.items[0].id;
    assert!(
        db.allocation(scope, id, Some(stage.carol.party))
            .await
            .expect("a look")
            .is_some()
    );
    assert!(
        db.allocation(scope, id, Some(stage.bob.party))
            .await
            .expect("a look")
            .is_none()
    );
    assert!(
        db.allocation(&elsewhere.scope, id, None)
            .await
            .expect("a look")
            .is_none()
    );
    let batches = db.batches(scope, page(10)).await.expect("a list");
    assert_eq!((batches.items[0].id, batches.items[0].size), (batch, 2));
    assert!(db.batch(&elsewhere.scope, batch).await.expect("a look").is_none());
}
