//! What every store of this context must do, checked through its ports.

use std::sync::Arc;

use chrono::Duration;
use posx_kernel::{
    Begin, Currency, IdempotentCall, KeyRefusal, ManualClock, OrderId, PartyId, PlanId, SeededIds, SiteScope,
    Timestamp,
};

use crate::{
    AccrualError, Accrued, Activated, Commission, Commissions, CommissionsTx, NewPlan, PlanError, PlanLevel,
    PlanRepository, testing::level,
};

/// What the caller has put into the store.
#[derive(Debug)]
pub struct Given {
    pub scope: SiteScope,
    /// Another site, with nothing in it.
    pub elsewhere: SiteScope,
    /// Paid, 100.01 USD, its plan frozen: 12 % and 4 % without minimum sales, held for seven days.
    pub order: OrderId,
    pub paid_at: Timestamp,
    pub buyer: PartyId,
    /// The buyer is bound to this one by that very payment.
    pub referrer: PartyId,
    /// The referrer is bound to this one, and has paid an order of 50.00 USD before, strictly.
    pub grand: PartyId,
}

/// Runs on a store in which only [`Given`] is. Leaves it changed.
pub async fn contract(db: Arc<dyn Begin<dyn CommissionsTx>>, given: &Given) {
    a_dropped_transaction_leaves_nothing(db.as_ref(), given).await;
    facts_are_read_as_promised(db.as_ref(), given).await;
    the_chain_is_as_of_a_time(db.as_ref(), given).await;
    let clock = Arc::new(ManualClock::stopped_at(given.paid_at));
    let service = Commissions::new(Arc::clone(&db), clock.clone(), Arc::new(SeededIds::new(17)));
    p23_the_second_run_creates_nothing(&service, given).await;
    held_becomes_ready_when_its_time_has_come(&service, &clock, db.as_ref(), given).await;
    one_plan_is_active(&service, db.as_ref(), given).await;
}

async fn begin(db: &dyn Begin<dyn CommissionsTx>, scope: &SiteScope) -> Box<dyn CommissionsTx> {
    db.begin(scope).await.expect("a transaction")
}

async fn a_dropped_transaction_leaves_nothing(db: &dyn Begin<dyn CommissionsTx>, given: &Given) {
    for _ in 0..2 {
        let mut tx = begin(db, &given.scope).await;
        assert!(
            tx.commissions()
                .claim_order(given.order, given.paid_at)
                .await
                .expect("claim")
        );
        assert!(
            !tx.commissions()
                .claim_order(given.order, given.paid_at)
                .await
                .expect("claim again")
        );
    }
}

async fn facts_are_read_as_promised(db: &dyn Begin<dyn CommissionsTx>, given: &Given) {
    let mut tx = begin(db, &given.scope).await;
    let order = tx
        .paid_orders()
        .find(given.order)
        .await
        .expect("read")
        .expect("the order");
    assert_eq!((order.buyer, order.paid_at), (given.buyer, Some(given.paid_at)));
    assert_eq!(order.total.to_string(), "100.01 USD");
    let usd = order.total.currency();
    let agents = [given.referrer, given.grand];
    let sales = tx
        .paid_orders()
        .sales_of(&agents, usd, given.paid_at)
        .await
        .expect("sales");
    assert_eq!(
        sales.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["0.00 USD", "50.00 USD"]
    );
    let kwd = Currency::from_code("KWD").expect("a currency");
    let foreign = tx
        .paid_orders()
        .sales_of(&[given.grand], kwd, given.paid_at)
        .await
        .expect("sales");
    assert!(foreign[0].is_zero());
    drop(tx);
    let mut tx = begin(db, &given.elsewhere).await;
    assert!(tx.paid_orders().find(given.order).await.expect("read").is_none());
}

async fn p23_the_second_run_creates_nothing(service: &Commissions, given: &Given) {
    let first = service.accrue(&given.scope, given.order).await.expect("accrued");
    assert!(
        matches!(&first, Accrued::Applied(made) if made.len() == 2),
        "{first:?}"
    );
    assert_eq!(
        service.accrue(&given.scope, given.order).await.expect("again"),
        Accrued::AlreadyApplied
    );
    let foreign = service.accrue(&given.elsewhere, given.order).await;
    assert!(matches!(foreign, Err(AccrualError::NoSuchOrder)), "{foreign:?}");
}

async fn the_chain_is_as_of_a_time(db: &dyn Begin<dyn CommissionsTx>, given: &Given) {
    let mut tx = begin(db, &given.scope).await;
    let before = given.paid_at - Duration::microseconds(1);
    for (party, depth, at, expected) in [
        (given.buyer, 10, given.paid_at, &[given.referrer, given.grand][..]),
        (given.buyer, 1, given.paid_at, &[given.referrer]),
        (given.buyer, 10, before, &[]),
        (given.referrer, 10, before, &[given.grand]),
        (given.grand, 10, given.paid_at, &[]),
    ] {
        let above = tx
            .referrals()
            .ancestors(party, depth, at)
            .await
            .expect("ancestors");
        assert_eq!(above, expected, "{depth} levels at {at}");
    }
    drop(tx);
    let mut tx = begin(db, &given.elsewhere).await;
    let foreign = tx.referrals().ancestors(given.buyer, 10, given.paid_at).await;
    assert!(foreign.expect("ancestors").is_empty());
}

async fn held_becomes_ready_when_its_time_has_come(
    service: &Commissions,
    clock: &ManualClock,
    db: &dyn Begin<dyn CommissionsTx>,
    given: &Given,
) {
    clock.advance(Duration::days(7) - Duration::microseconds(1));
    assert_eq!(service.mature(&given.scope, 10).await.expect("too early"), 0);
    clock.advance(Duration::microseconds(1));
    let mut tx = begin(db, &given.scope).await;
    let ready = tx
        .commissions()
        .ready_due(given.paid_at + Duration::days(7), 10)
        .await
        .expect("ready");
    let amount = |level: u8| {
        ready
            .iter()
            .find(|due| due.level == level)
            .map(|due: &Commission| due.amount.to_string())
    };
    assert_eq!(
        (amount(1).as_deref(), amount(2).as_deref()),
        (Some("12.00 USD"), Some("4.00 USD"))
    );
    drop(tx);
    assert_eq!(service.mature(&given.elsewhere, 10).await.expect("elsewhere"), 0);
    assert_eq!(service.mature(&given.scope, 1).await.expect("the first"), 1);
    assert_eq!(service.mature(&given.scope, 10).await.expect("the rest"), 1);
    assert_eq!(service.mature(&given.scope, 10).await.expect("none left"), 0);
}

async fn one_plan_is_active(service: &Commissions, db: &dyn Begin<dyn CommissionsTx>, given: &Given) {
    let usd = Currency::from_code("USD").expect("a currency");
    let wish = |levels: Vec<PlanLevel>| NewPlan {
        name: "Autumn".to_owned(),
        levels,
        difference: None,
        hold_days: 14,
    };
    let made = async |levels: Vec<PlanLevel>, call: Option<&IdempotentCall>| {
        service.create_plan(&given.scope, usd, wish(levels), call).await
    };
    let call = IdempotentCall {
        actor: "idn_1".to_owned(),
        operation: "POST /api/v1/commission-plans",
        key: "autumn".to_owned(),
        fingerprint: [1; 32],
        review: posx_kernel::Review::NotNeeded,
        at: given.paid_at,
    };
    let first = made(vec![level(1, "0.1", 0)], Some(&call))
        .await
        .expect("version 1");
    let again = made(vec![level(1, "0.1", 0)], Some(&call))
        .await
        .expect("the same");
    assert_eq!(
        (again.id, first.replayed, again.replayed),
        (first.id, false, true),
        "p10"
    );
    let other = IdempotentCall {
        fingerprint: [2; 32],
        ..call
    };
    let refused = made(vec![level(1, "0.2", 0)], Some(&other)).await;
    assert!(
        matches!(refused, Err(PlanError::Key(KeyRefusal::Reused))),
        "{refused:?}"
    );
    let second = made(vec![level(1, "0.05", 7)], None).await.expect("version 2");
    the_last_activated_plan_is_the_one(service, db, given, [first.id, second.id]).await;
}

async fn the_last_activated_plan_is_the_one(
    service: &Commissions,
    db: &dyn Begin<dyn CommissionsTx>,
    given: &Given,
    [first, second]: [PlanId; 2],
) {
    for id in [first, second] {
        assert_eq!(
            service
                .activate_plan(&given.scope, id, None)
                .await
                .expect("activated"),
            Activated::Applied
        );
        assert_eq!(
            service
                .activate_plan(&given.scope, id, None)
                .await
                .expect("again"),
            Activated::AlreadyApplied
        );
    }
    assert!(
        service
            .activate_plan(&given.elsewhere, first, None)
            .await
            .is_err()
    );
    let mut tx = begin(db, &given.scope).await;
    let plans: &mut dyn PlanRepository = tx.plans();
    let now = given.paid_at + Duration::days(7);
    let active = plans.in_force(now).await.expect("read").expect("an active plan");
    assert_eq!(active.id, second);
    let first = plans.find(first).await.expect("read").expect("the first");
    let found = (
        first.version,
        active.version,
        first.window.is_some_and(|window| window.has_ended(now)),
        active.hold_days.days(),
    );
    assert_eq!(found, (1, 2, false, 14));
    assert!(!plans.insert(&active).await.expect("a value, not an error"));
    let unknown = plans
        .find(PlanId::from_uuid(uuid::Uuid::from_u128(404)))
        .await
        .expect("read");
    assert!(unknown.is_none());
}
