//! What went back of a sale, on the real store: the contract, and many at once.

use std::sync::Arc;

use async_trait::async_trait;
use posx_commissions::testing::{GoesBack, adjusting_contract};
use posx_commissions::{
    AdjustmentKind, CommissionFilter, CommissionQueries as _, CommissionState, CommissionsTx,
};
use posx_kernel::{Begin, Clock as _, CommissionId, Event, Money, OrderId, PageRequest, PartyId};
use posx_orders::OrdersTx;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::task::JoinSet;

use super::{Stage, given, page, stage};
use crate::server::{by_hand, superuser};
use crate::world::usd;

/// Writes an order's facts, as the orders' context does.
struct Facts;

async fn write(connection: &mut PgConnection, order: OrderId, returned: i64, disputed: bool) {
    let sql = "update orders set returned = $2, disputed = $3 where id = $1";
    let query = sqlx::query(sql)
        .bind(order.as_uuid())
        .bind(returned)
        .bind(disputed);
    query.execute(connection).await.expect("written");
}

#[async_trait]
impl GoesBack for Facts {
    async fn goes_back(&self, order: OrderId, returned: Money, disputed: bool) {
        write(&mut by_hand().await, order, returned.minor(), disputed).await;
    }
}

#[tokio::test]
async fn commissions_pass_their_adjusting_contract() {
    let (stage, elsewhere) = (stage().await, crate::world::World::new().await);
    let db: Arc<dyn Begin<dyn CommissionsTx>> = Arc::new(stage.world.database.clone());
    adjusting_contract(db, &given(&stage, elsewhere.scope), &Facts).await;
}

impl Stage {
    async fn accrue(&self) {
        let accrued = self
            .world
            .commissions
            .accrue(&self.world.scope, self.order.id)
            .await;
        accrued.expect("accrued");
    }

    async fn adjust(&self) -> usize {
        let adjusted = self
            .world
            .commissions
            .adjust(&self.world.scope, self.order.id)
            .await;
        adjusted.expect("adjusted").len()
    }

    async fn returns(&self, returned: i64, disputed: bool) {
        Facts.goes_back(self.order.id, usd(returned), disputed).await;
    }

    /// By the books: what the site owes the agent.
    async fn balance(&self, agent: PartyId) -> String {
        let sql = "select coalesce(-sum(amount), 0)::text from postings where site_id = $1 and account = 'commission:payable:' || $2";
        let row = sqlx::query(sql)
            .bind(self.world.site.id.as_uuid())
            .bind(agent.to_string())
            .fetch_one(&mut superuser().await)
            .await;
        row.expect("a sum").get(0)
    }

    async fn balances(&self) -> [String; 2] {
        [
            self.balance(self.bob.party).await,
            self.balance(self.alice.party).await,
        ]
    }

    async fn commission(&self, agent: PartyId) -> CommissionId {
        let filter = CommissionFilter {
            agent: Some(agent),
            order: Some(self.order.id),
            state: None,
        };
        let found = self
            .world
            .database
            .commissions(&self.world.scope, &filter, page(2))
            .await;
        found.expect("a list").items[0].id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p22_p23_eight_runs_at_once_take_back_once() {
    let stage = stage().await;
    stage.accrue().await;
    stage.returns(3333, false).await;
    let mut runs = JoinSet::new();
    for _ in 0..8 {
        let (service, scope, order) = (
            stage.world.commissions.clone(),
            stage.world.scope.clone(),
            stage.order.id,
        );
        runs.spawn(async move { service.adjust(&scope, order).await.expect("adjusted").len() });
    }
    let steps: Vec<_> = runs.join_all().await;
    assert_eq!(steps.iter().sum::<usize>(), 2, "{steps:?}");
    assert_eq!(stage.entries("commission.reversed").await, 2);
    assert_eq!(stage.balances().await, ["800", "267"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p22_many_changes_at_once_in_any_order_end_in_what_the_last_facts_say() {
    let stage = Arc::new(stage().await);
    stage.accrue().await;
    let mut runs = JoinSet::new();
    for at in 0..24_i64 {
        let stage = Arc::clone(&stage);
        runs.spawn(async move {
            stage.returns(at * 1999 % 10_002, at % 3 == 0).await;
            stage.adjust().await;
        });
    }
    runs.join_all().await;
    stage.returns(5000, false).await;
    stage.adjust().await;
    // 12.00 and 4.00, of which 50.00 of 100.01 went back: 599.94 and 199.98, rounded.
    assert_eq!(stage.balances().await, ["600", "200"]);
    stage.returns(10_001, false).await;
    stage.adjust().await;
    assert_eq!(
        stage.balances().await,
        ["0", "0"],
        "zero after all of it went back"
    );
    stage.returns(0, false).await;
    stage.adjust().await;
    assert_eq!(
        stage.balances().await,
        ["1200", "400"],
        "and whole when none of it did"
    );
    let id = stage.commission(stage.bob.party).await;
    let view = stage
        .world
        .database
        .commission(&stage.world.scope, id, None)
        .await;
    let view = view.expect("a look").expect("his");
    assert_eq!(
        (view.state, view.reversed, view.left),
        (CommissionState::Held, usd(0), usd(1200))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p22_a_decision_sees_what_goes_back_meanwhile_or_what_goes_back_waits_for_it() {
    let stage = stage().await;
    // Someone is giving money back, and has not committed: the decision waits for it.
    let mut refunding = by_hand().await;
    let mut open = refunding.begin().await.expect("a transaction");
    write(&mut open, stage.order.id, 10_001, false).await;
    let (service, scope, order) = (
        stage.world.commissions.clone(),
        stage.world.scope.clone(),
        stage.order.id,
    );
    let deciding = tokio::spawn(async move { service.accrue(&scope, order).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!deciding.is_finished());
    open.commit().await.expect("committed");
    deciding.await.expect("joined").expect("accrued");
    assert_eq!(stage.balances().await, ["0", "0"]);

    // And the other way round: while a decision is under way, nobody gives money back.
    let mut tx: Box<dyn CommissionsTx> = stage
        .world
        .database
        .begin(&stage.world.scope)
        .await
        .expect("a transaction");
    tx.paid_orders()
        .find(order)
        .await
        .expect("read")
        .expect("the order");
    refunding
        .execute("set lock_timeout = '100ms'")
        .await
        .expect("set");
    let refund = sqlx::query("update orders set returned = 1 where id = $1").bind(order.as_uuid());
    let refused = refund.execute(&mut refunding).await.expect_err("it waits");
    let code = refused
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    assert_eq!(code.as_deref(), Some("55P03"));
}

#[tokio::test]
async fn what_was_taken_back_is_what_its_adjustments_say_and_nothing_else_writes_it() {
    let stage = stage().await;
    stage.accrue().await;
    stage.returns(3333, false).await;
    stage.adjust().await;
    let of_order = "where order_id = $1";
    let (check, restrict) = ("23514", "23001");
    for (change, code) in [
        ("update commissions set reversed = reversed - 1", check),
        ("update commissions set reversed = 0", check),
        ("update commissions set reversed = amount + 1", check),
        ("update commissions set state = 'void', back_to = 'held'", check),
        ("update commissions set state = 'frozen'", check),
        ("update commission_adjustments set amount = amount + 1", restrict),
        ("delete from commission_adjustments", restrict),
    ] {
        let refused = sqlx::query(AssertSqlSafe(format!("{change} {of_order}")))
            .bind(stage.order.id.as_uuid())
            .execute(&mut superuser().await)
            .await;
        let refused = refused.expect_err(change);
        let found = refused
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(found.as_deref(), Some(code), "{change}: {refused}");
    }
    assert_eq!(stage.balances().await, ["800", "267"]);
}

#[tokio::test]
async fn an_agent_reads_their_own_adjustments_and_the_explanation_counts_them_again() {
    let (stage, elsewhere) = (stage().await, crate::world::World::new().await);
    stage.accrue().await;
    for returned in [3333, 10_001, 20] {
        stage.returns(returned, false).await;
        assert_eq!(stage.adjust().await, 2);
    }
    let (db, scope) = (&stage.world.database, &stage.world.scope);
    let id = stage.commission(stage.bob.party).await;
    let bob = Some(stage.bob.party);
    let first = db
        .adjustments(scope, id, bob, page(2))
        .await
        .expect("a list")
        .expect("his own");
    let rest = PageRequest::new(Some(2), first.next);
    let rest = db
        .adjustments(scope, id, bob, rest)
        .await
        .expect("a list")
        .expect("his own");
    let steps = first.items.iter().chain(&rest.items);
    let steps: Vec<_> = steps
        .map(|step| (step.kind, step.amount.minor(), step.reversed_after.minor()))
        .collect();
    let expected = [
        (AdjustmentKind::Restoration, 1198, 2),
        (AdjustmentKind::Reversal, 800, 1200),
        (AdjustmentKind::Reversal, 400, 400),
    ];
    assert_eq!((steps.as_slice(), rest.next), (&expected[..], None));
    let foreign = db.adjustments(scope, id, Some(stage.alice.party), page(2)).await;
    assert_eq!(foreign.expect("a look"), None);
    let foreign = db.adjustments(&elsewhere.scope, id, None, page(2)).await;
    assert_eq!(foreign.expect("a look"), None);

    let explained = db
        .explain(scope, id, bob)
        .await
        .expect("a look")
        .expect("his own");
    assert!(explained.agrees);
    let ids: Vec<_> = explained.adjustments.iter().map(|step| step.id).rev().collect();
    assert_eq!(
        ids,
        first
            .items
            .iter()
            .chain(&rest.items)
            .map(|step| step.id)
            .collect::<Vec<_>>()
    );
    let said: Vec<_> = explained
        .steps
        .iter()
        .rev()
        .take(2)
        .map(|step| step.says.as_str())
        .collect();
    assert_eq!(said[0], "Now it is held, and 11.98 USD is left of it.");
    assert!(
        said[1].ends_with("is 0.02 USD. 12.00 USD had been taken back, so 11.98 USD was given back."),
        "{}",
        said[1]
    );
}

#[tokio::test]
async fn what_went_back_starts_the_job_that_follows_it() {
    let stage = stage().await;
    let mut tx: Box<dyn OrdersTx> = stage.world.begin().await;
    let event = Event {
        kind: "order.returns_changed",
        subject: stage.order.id.as_uuid(),
        payload: serde_json::json!({ "returned": usd(1), "total": stage.order.total, "disputed": false }),
        at: stage.world.clock.now(),
    };
    tx.outbox().append(event).await.expect("appended");
    tx.commit().await.expect("committed");
    let jobs = stage
        .world
        .database
        .jobs(&stage.world.scope, false, None, 50)
        .await;
    let jobs = jobs.expect("a list");
    assert_eq!(
        jobs.iter().filter(|job| job.task == "adjust_commissions").count(),
        1
    );
}
