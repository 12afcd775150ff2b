//! What goes back of a sale, on real PostgreSQL: the limit holds under real parallel requests, and the database keeps it alone.

use std::sync::Arc;

use posx_kernel::{DisputeId, Money, PaymentAttemptId, RefundId, Refusal as _};
use posx_orders::gateway::{IntentId, ProviderDisputeState};
use posx_orders::{
    Dispute, DisputeState, Order, OrderError, PaymentStatus, RefundReason, RequestRefund, Restock,
};
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::server::{shared, superuser};
use crate::world::{World, new_id, noon, usd};

impl World {
    /// Bought, paid for, and the provider's intent.
    pub async fn sold(&self) -> (Order, IntentId) {
        let (tier, buyer) = (self.tier(9, 10_000).await, self.member(None).await);
        let order = self.place(&buyer, tier, 1).await.expect("placed");
        self.pay(&order).await;
        let intents = self.gateway.intents();
        (order, intents.last().expect("an intent").id.clone())
    }

    async fn ask_refund(&self, order: &Order, minor: Option<i64>) -> Result<RefundId, OrderError> {
        let wish = RequestRefund {
            order: order.id,
            amount: minor.map(usd),
            at_most: order.total,
            reason: RefundReason::RequestedByCustomer,
            note: None,
            restock: Restock::Undelivered,
        };
        let made = self.orders.request_refund(&self.scope, &wish, None).await;
        made.map(|made| made.id)
    }

    async fn stored_order(&self, order: &Order) -> Order {
        let mut tx = self.begin().await;
        let found = tx.orders().for_update(order.id).await.expect("a read");
        found.expect("the order")
    }

    /// A dispute that was won: nothing of it is left but its row.
    pub async fn was_disputed(&self, order: &Order) {
        let mut tx = self.begin().await;
        let attempts = tx.attempts().of_order(order.id).await.expect("a read");
        let attempt: PaymentAttemptId = attempts.first().expect("an attempt").id;
        let dispute = Dispute {
            id: DisputeId::from_uuid(new_id()),
            order: order.id,
            attempt,
            provider: "scripted".to_owned(),
            provider_dispute: format!("dp_{attempt}"),
            amount: order.total,
            reason: "fraudulent".to_owned(),
            state: DisputeState::Won,
            provider_state: ProviderDisputeState::Won,
            refundable: true,
            evidence_due_by: None,
            evidence_alarm_hours: None,
            withdrawn: Money::zero(order.total.currency()),
            lost: Money::zero(order.total.currency()),
            verdicts: 0,
            revision: 1,
            opened_at: noon(),
            closed_at: Some(noon()),
            asked_at: noon(),
        };
        tx.disputes().insert(&dispute).await.expect("stored");
        tx.commit().await.expect("committed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p15_of_twenty_refunds_at_once_only_what_was_captured_goes_back() {
    let world = Arc::new(World::with_pool(10).await);
    let (order, _) = world.sold().await;
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let (world, order) = (world.clone(), order.clone());
        asking.spawn(async move { world.ask_refund(&order, Some(1_500)).await });
    }
    let outcomes = asking.join_all().await;
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(made, 6, "{outcomes:?}");
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused.code(), "refund_exceeds_captured");
    }
    let stored = world.stored_order(&order).await;
    assert_eq!(
        (stored.returned, stored.payment()),
        (usd(9_000), PaymentStatus::PartlyRefunded)
    );
    world.ask_refund(&order, None).await.expect("the rest");
    assert_eq!(
        world.stored_order(&order).await.payment(),
        PaymentStatus::Refunded
    );
}

/// Without the use case and its lock: twenty sessions insert at once.
#[tokio::test(flavor = "multi_thread")]
async fn p15_the_database_alone_keeps_refunds_within_what_was_captured() {
    let world = World::new().await;
    let (order, _) = world.sold().await;
    let mut tx = world.begin().await;
    let attempt = tx.attempts().of_order(order.id).await.expect("a read")[0].id;
    drop(tx);
    let mut inserting = JoinSet::new();
    for _ in 0..20 {
        let (site, order) = (world.site.id.as_uuid(), order.id.as_uuid());
        inserting.spawn(async move {
            use sqlx::Connection as _;
            let mut connection = sqlx::PgConnection::connect(&shared().app_url).await.expect("connected");
            let mut tx = connection.begin().await.expect("begun");
            let set = format!("set local app.current_site_id = '{site}'");
            sqlx::query(sqlx::AssertSqlSafe(set)).execute(&mut *tx).await.expect("set");
            let inserted = sqlx::query(
                "with made as (
                   insert into accounts (code, unit, class)
                   values ('sales:returned', 'USD', 'income'), ('refunds:payable', 'USD', 'liability') on conflict do nothing),
                 asked as (
                   insert into entries (id, kind, cause_id, posted_at) values ($4, 'refund.requested', $1, now())),
                 moved as (
                   insert into postings (entry_id, line, account, unit, amount, posted_at)
                   values ($4, 0, 'sales:returned', 'USD', 1500, now()), ($4, 1, 'refunds:payable', 'USD', -1500, now()))
                 insert into refunds (id, order_id, attempt_id, currency, amount, reason, origin, state, created_at, updated_at)
                 values ($1, $2, $3, 'USD', 1500, 'other', 'staff', 'pending', now(), now())",
            )
            .bind(new_id())
            .bind(order)
            .bind(attempt.as_uuid())
            .bind(new_id())
            .execute(&mut *tx)
            .await;
            if let Err(sqlx::Error::Database(refused)) = &inserted {
                assert_eq!(refused.constraint(), Some("refunds_within_capture"));
            }
            inserted.expect("one of the six that fit");
            sqlx::query("update orders set returned = returned + 1500 where id = $1")
                .bind(order)
                .execute(&mut *tx)
                .await
                .expect("written");
            tx.commit().await.expect("committed");
        });
    }
    let mut fitted = 0;
    while let Some(inserted) = inserting.join_next().await {
        fitted += usize::from(inserted.is_ok());
    }
    assert_eq!(fitted, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_the_same_words_of_a_dispute_at_once_are_booked_once() {
    let world = Arc::new(World::with_pool(8).await);
    let (order, intent) = world.sold().await;
    let id = world
        .gateway
        .disputes(&intent, order.total, ProviderDisputeState::Lost);
    world.gateway.moves_disputed_money(&id, usd(-10_000), usd(1_500));
    let mut tellers = JoinSet::new();
    for _ in 0..8 {
        let (world, id) = (world.clone(), id.clone());
        tellers.spawn(async move { world.orders.apply_dispute(&world.scope, &id).await });
    }
    for told in tellers.join_all().await {
        if let Err(busy) = told {
            // More newer words than rounds: the event is tried again.
            assert_eq!(busy.code(), "store_busy", "{busy:?}");
        }
    }
    let stored = world.stored_order(&order).await;
    assert_eq!(
        (stored.returned, stored.disputed, stored.payment()),
        (usd(10_000), false, PaymentStatus::Refunded)
    );
    let rows = sqlx::query(
        "select e.kind, p.amount::text from entries e join postings p on p.entry_id = e.id and p.site_id = e.site_id
         where e.site_id = $1 and e.kind like 'dispute.%' and p.amount > 0 order by e.kind",
    )
    .bind(world.site.id.as_uuid())
    .fetch_all(&mut superuser().await)
    .await
    .expect("entries");
    let booked: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("dispute.fee", "1500"),
        ("dispute.lost", "10000"),
        ("dispute.withdrawn", "10000"),
    ];
    assert_eq!(
        booked,
        expected.map(|(kind, amount)| (kind.to_owned(), amount.to_owned()))
    );
}

#[tokio::test]
async fn s32_p22_an_order_shows_what_went_back_of_it_to_staff_and_to_its_buyer() {
    let world = World::new().await;
    let (order, intent) = world.sold().await;
    world.ask_refund(&order, Some(2_500)).await.expect("asked");
    let id = world
        .gateway
        .disputes(&intent, usd(500), ProviderDisputeState::WarningNeedsResponse);
    world
        .orders
        .apply_dispute(&world.scope, &id)
        .await
        .expect("applied");
    let look = async |buyer| {
        use posx_orders::OrderQueries as _;
        let found = world.database.get(&world.scope, order.id, buyer).await;
        found.expect("a look").expect("the order")
    };
    let view = look(None).await;
    assert_eq!((view.returned, view.disputed), (usd(2_500), true));
    assert_eq!((view.refunds.len(), view.disputes.len()), (1, 1));
    assert!(view.disputes[0].inquiry);
    let kinds: Vec<_> = view.history.iter().map(|event| event.kind.as_str()).collect();
    let since_paid = kinds.iter().position(|kind| *kind == "order.paid").expect("paid");
    assert_eq!(
        kinds[since_paid + 1..],
        [
            "refund.requested",
            "order.returns_changed",
            "dispute.opened",
            "order.returns_changed"
        ]
    );
    let shown = look(Some(order.buyer)).await;
    assert_eq!((shown.refunds.len(), shown.disputes.len()), (1, 0));
}

#[tokio::test]
async fn a_buyer_with_an_open_dispute_or_a_refund_that_waits_is_not_erased() {
    use sqlx::Connection as _;
    let world = World::new().await;
    let (order, intent) = world.sold().await;
    let open = async || -> Vec<String> {
        let mut connection = sqlx::PgConnection::connect(&shared().app_url)
            .await
            .expect("connected");
        let mut tx = connection.begin().await.expect("begun");
        let set = format!("set local app.current_site_id = '{}'", world.site.id.as_uuid());
        sqlx::query(sqlx::AssertSqlSafe(set))
            .execute(&mut *tx)
            .await
            .expect("set");
        let asked = sqlx::query_scalar("select app.open_business($1)").bind(order.buyer.as_uuid());
        let open: Vec<String> = asked.fetch_one(&mut *tx).await.expect("an answer");
        open.into_iter()
            .filter(|one| ["refunds", "disputes"].contains(&one.as_str()))
            .collect()
    };
    assert!(open().await.is_empty());
    world
        .gateway
        .refunds_become(Some(posx_orders::RefundState::RequiresAction));
    let asked = world.ask_refund(&order, Some(100)).await.expect("asked");
    assert_eq!(open().await, ["refunds"]);
    world.orders.send_refund(&world.scope, asked).await.expect("sent");
    let id = world
        .gateway
        .disputes(&intent, usd(500), ProviderDisputeState::NeedsResponse);
    world
        .orders
        .apply_dispute(&world.scope, &id)
        .await
        .expect("applied");
    assert_eq!(
        open().await,
        ["refunds", "disputes"],
        "the buyer must say where the money goes"
    );
    world.gateway.decides(&id, ProviderDisputeState::Won);
    world
        .orders
        .apply_dispute(&world.scope, &id)
        .await
        .expect("applied");
    let refund = world.gateway.refunded().pop().expect("a refund").id;
    world
        .gateway
        .refund_becomes(&refund, posx_orders::RefundState::Cancelled);
    world
        .orders
        .apply_refunds(&world.scope, &intent)
        .await
        .expect("applied");
    assert!(open().await.is_empty());
}
