use posx_kernel::{Made, Money, RefundId, Refusal};

use super::world::World;
use crate::gateway::IntentId;
use crate::{
    Order, OrderError, PaymentStatus, Refund, RefundOrigin, RefundReason, RefundState, RequestRefund, Restock,
};

impl World {
    /// Placed, paid, confirmed.
    pub async fn sold(&self, quantity: u32) -> (Order, IntentId) {
        let order = self.place(self.buyer(), quantity).await.expect("placed");
        let checkout = self.checkout(&order).await.expect("a checkout");
        assert!(self.gateway.pays(&checkout.intent, order.total));
        let applied = self.orders.apply_intent(&self.scope, &checkout.intent).await;
        applied.expect("applied");
        (self.order(order.id).await, checkout.intent)
    }

    pub fn wish(order: &Order, minor: Option<i64>) -> RequestRefund {
        let currency = order.total.currency();
        RequestRefund {
            order: order.id,
            amount: minor.map(|minor| Money::from_minor(minor, currency)),
            at_most: order.total,
            reason: RefundReason::RequestedByCustomer,
            note: None,
            restock: Restock::Undelivered,
        }
    }

    pub async fn ask_refund(&self, order: &Order, minor: Option<i64>) -> Result<RefundId, OrderError> {
        let made = self
            .orders
            .request_refund(&self.scope, &Self::wish(order, minor), None)
            .await?;
        Ok(made.id)
    }

    pub async fn send(&self, refund: RefundId) {
        self.orders.send_refund(&self.scope, refund).await.expect("sent");
    }

    pub async fn refund(&self, id: RefundId) -> Refund {
        self.store.read(|state| state.refunds[&id].clone()).await
    }

    /// As the provider's events do.
    pub async fn hear_of_refunds(&self, intent: &IntentId) {
        let applied = self.orders.apply_refunds(&self.scope, intent).await;
        applied.expect("applied");
    }

    /// Payment, refunded, returned, disputed.
    pub async fn stands(&self, order: &Order) -> (PaymentStatus, i64, i64, bool) {
        let order = self.order(order.id).await;
        (
            order.payment(),
            order.refunded.minor(),
            order.returned.minor(),
            order.disputed,
        )
    }
}

#[tokio::test]
async fn a_refund_without_an_amount_gives_everything_back_that_is_left() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _) = world.sold(1).await;
    let part = world.ask_refund(&order, Some(3_000)).await.expect("a part");
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::PartlyRefunded, 0, 3_000, false),
        "it counts from the moment it is asked for"
    );
    assert_eq!(world.balance("refunds:payable").await, -3_000);
    assert_eq!(world.balance("sales:returned").await, 3_000);
    world.send(part).await;
    assert_eq!(world.stands(&order).await.1, 3_000);
    let rest = world.ask_refund(&order, None).await.expect("the rest");
    assert_eq!(world.refund(rest).await.amount.minor(), 7_000);
    world.send(rest).await;
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::Refunded, 10_000, 10_000, false)
    );
    let nothing = world.ask_refund(&order, None).await.expect_err("nothing is left");
    assert_eq!(nothing.code(), "nothing_to_refund");
    for (account, balance) in [
        ("refunds:payable", 0),
        ("sales:returned", 10_000),
        ("provider:clearing", 0),
        ("sales", -10_000),
    ] {
        assert_eq!(world.balance(account).await, balance, "{account}");
    }
    assert_eq!(world.events("order.returns_changed").await, 2);
    assert_eq!(world.events("refund.requested").await, 2);
    world.check_books().await;
}

#[tokio::test]
async fn what_is_asked_for_must_be_possible() {
    let world = World::with("KWD", 12_500, 10).await;
    let (order, _) = world.sold(1).await;
    let code = async |wish: &RequestRefund| {
        let refused = world.orders.request_refund(&world.scope, wish, None).await;
        let refused = refused.expect_err("refused");
        (refused.code(), refused.field().map(|field| field.to_string()))
    };
    let wish = |minor| World::wish(&order, Some(minor));
    let amount = Some("amount".to_owned());
    assert_eq!(
        code(&wish(12_510)).await,
        ("refund_exceeds_captured", amount.clone())
    );
    for minor in [0, -10, 5, 12_501] {
        assert_eq!(
            code(&wish(minor)).await,
            ("refund_amount_invalid", amount.clone()),
            "{minor}: KWD moves in steps of 10"
        );
    }
    let mut other = wish(10);
    other.amount = Some(Money::from_minor(
        10,
        posx_kernel::Currency::from_code("USD").expect("USD"),
    ));
    assert_eq!(code(&other).await, ("currency_mismatch", amount));
    let mut by_itself = wish(10);
    by_itself.reason = RefundReason::PaidTwice;
    assert_eq!(
        code(&by_itself).await,
        ("refund_reason_invalid", Some("reason".to_owned()))
    );
    let mut wordless = wish(10);
    wordless.reason = RefundReason::Other;
    for note in [None, Some("  ".to_owned()), Some("x".repeat(501))] {
        wordless.note = note;
        assert_eq!(
            code(&wordless).await,
            ("refund_note_invalid", Some("note".to_owned()))
        );
    }
    let unpaid = world.place(world.buyer(), 1).await.expect("placed");
    assert_eq!(code(&World::wish(&unpaid, None)).await.0, "nothing_to_refund");
    let mut nobodys = wish(10);
    nobodys.order = posx_kernel::OrderId::from_uuid(uuid::Uuid::nil());
    assert_eq!(code(&nobodys).await.0, "order_not_found");
    assert_eq!(world.stands(&order).await.2, 0);
}

#[tokio::test]
async fn a_whole_refund_is_never_more_than_what_was_looked_at() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _) = world.sold(1).await;
    let mut wish = World::wish(&order, None);
    wish.at_most = Money::from_minor(4_000, order.currency());
    let made = world.orders.request_refund(&world.scope, &wish, None).await;
    let made = made.expect("made").id;
    assert_eq!(world.refund(made).await.amount.minor(), 4_000);
}

#[tokio::test]
async fn p10_the_same_key_gives_the_same_refund() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _) = world.sold(1).await;
    let (wish, call) = (World::wish(&order, Some(6_000)), World::call("key", 1));
    let ask = async |call| {
        let wish = &wish;
        world.orders.request_refund(&world.scope, wish, Some(call)).await
    };
    let Made { id, replayed } = ask(&call).await.expect("made");
    assert!(!replayed);
    let again = ask(&call).await.expect("made before");
    assert_eq!((again.id, again.replayed), (id, true));
    let other = ask(&World::call("key", 2)).await.expect_err("another body");
    assert_eq!(other.code(), "idempotency_key_reused");
    assert_eq!(world.stands(&order).await.2, 6_000);
}

#[tokio::test]
async fn s32_a_refund_that_fails_at_once_or_later_is_undone_in_the_books() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, intent) = world.sold(1).await;
    for later in [false, true] {
        world
            .gateway
            .refunds_become((!later).then_some(RefundState::Failed));
        let refund = world.ask_refund(&order, Some(2_500)).await.expect("asked");
        world.send(refund).await;
        if later {
            assert_eq!(world.balance("provider:clearing").await, 7_500);
            let id = world.refund(refund).await.provider_refund.expect("an id");
            world.gateway.refund_becomes(&id, RefundState::Failed);
            world.hear_of_refunds(&intent).await;
        }
        assert_eq!(world.refund(refund).await.state, RefundState::Failed);
        assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, false));
        for (account, balance) in [
            ("refunds:payable", 0),
            ("sales:returned", 0),
            ("provider:clearing", 10_000),
        ] {
            assert_eq!(world.balance(account).await, balance, "{account}");
        }
        let attention = world.order(order.id).await.attention;
        assert_eq!(attention.as_deref(), Some("refund_failed"));
    }
    assert_eq!(world.events("refund.failed").await, 2);
    assert_eq!(world.events("order.returns_changed").await, 4);
    world.gateway.refunds_become(None);
    world.gateway.refuse_refunds(true);
    let refused = world.ask_refund(&order, None).await.expect("asked");
    world.send(refused).await;
    assert_eq!(world.refund(refused).await.state, RefundState::Failed);
    assert_eq!(world.stands(&order).await.2, 0);
    world.check_books().await;
}

/// Somebody looks until the buyer has the money, and at nothing else that they were looking at.
#[tokio::test]
async fn a_failed_refund_is_looked_at_until_a_later_one_is_through() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, intent) = world.sold(1).await;
    let attention = async || world.order(order.id).await.attention;
    let give_back = async |minor, becomes| {
        world.clock.advance(chrono::Duration::minutes(1));
        world.gateway.refunds_become(becomes);
        let refund = world.ask_refund(&order, Some(minor)).await.expect("asked");
        world.send(refund).await;
        refund
    };
    give_back(1_000, None).await;
    give_back(2_000, Some(RefundState::Failed)).await;
    assert_eq!(
        attention().await.as_deref(),
        Some("refund_failed"),
        "the one before is no matter"
    );
    let again = give_back(2_000, Some(RefundState::Pending)).await;
    assert_eq!(
        attention().await.as_deref(),
        Some("refund_failed"),
        "it is not through"
    );
    let id = world.refund(again).await.provider_refund.expect("an id");
    world.gateway.refund_becomes(&id, RefundState::Succeeded);
    world.hear_of_refunds(&intent).await;
    assert_eq!(attention().await, None);
    world.gateway.refund_becomes(&id, RefundState::Failed);
    world.hear_of_refunds(&intent).await;
    assert_eq!(attention().await.as_deref(), Some("refund_failed"), "it bounced");

    let other = "payment_mismatch";
    let mut tx = world.orders.begin(&world.scope).await.expect("a transaction");
    let mut flagged = tx
        .orders()
        .for_update(order.id)
        .await
        .expect("a read")
        .expect("it");
    flagged.attention = Some(other.to_owned());
    tx.orders().save(&flagged).await.expect("saved");
    tx.commit().await.expect("committed");
    give_back(500, Some(RefundState::Failed)).await;
    assert_eq!(
        attention().await.as_deref(),
        Some(other),
        "nobody has looked into it"
    );
    give_back(500, None).await;
    assert_eq!(attention().await.as_deref(), Some(other));
}

#[tokio::test]
async fn s32_a_refund_that_waits_is_followed_until_it_is_through() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, intent) = world.sold(1).await;
    world.gateway.refunds_become(Some(RefundState::RequiresAction));
    let refund = world.ask_refund(&order, Some(100)).await.expect("asked");
    world.send(refund).await;
    let waiting = world.refund(refund).await;
    assert_eq!(waiting.state, RefundState::RequiresAction);
    assert_eq!(world.events("refund.action_required").await, 1);
    let id = waiting.provider_refund.expect("an id");
    world.gateway.refund_becomes(&id, RefundState::Pending);
    world.hear_of_refunds(&intent).await;
    assert_eq!(world.refund(refund).await.state, RefundState::Pending);
    // No event comes: the sweep asks.
    world.gateway.refund_becomes(&id, RefundState::Succeeded);
    world.clock.advance(chrono::Duration::hours(1));
    let older_than = world.clock_now();
    let asked = world.orders.reconcile_refunds(&world.scope, older_than).await;
    assert_eq!(asked.expect("asked"), 1);
    assert_eq!(world.refund(refund).await.state, RefundState::Succeeded);
    // What is cancelled gives the sale back.
    world.gateway.refunds_become(Some(RefundState::Pending));
    let other = world.ask_refund(&order, Some(200)).await.expect("asked");
    world.send(other).await;
    let id = world.refund(other).await.provider_refund.expect("an id");
    world.gateway.refund_becomes(&id, RefundState::Cancelled);
    let applied = world.orders.apply_refund_by_id(&world.scope, &id).await;
    applied.expect("applied");
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::PartlyRefunded, 100, 100, false)
    );
    assert_eq!(world.events("refund.cancelled").await, 1);
    world.check_books().await;
}

#[tokio::test]
async fn s07_a_refund_whose_answer_is_lost_is_asked_for_and_sent_once() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _) = world.sold(1).await;
    let refund = world.ask_refund(&order, Some(100)).await.expect("asked");
    for lost in [2, 1] {
        world.gateway.lose_answers(lost);
        let unknown = world.orders.send_refund(&world.scope, refund).await;
        assert_eq!(unknown.expect_err("lost").code(), "payment_unavailable");
    }
    world.gateway.lose_answers(0);
    world.send(refund).await;
    assert_eq!(world.gateway.refunded().len(), 1);
    assert_eq!(world.stands(&order).await.1, 100);
}

#[tokio::test]
async fn a_refund_made_at_the_providers_dashboard_is_recorded_once() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, intent) = world.sold(1).await;
    let currency = order.currency();
    world
        .gateway
        .refunds_by_hand(&intent, Money::from_minor(1_200, currency), Some("fraudulent"));
    for _ in 0..3 {
        world.hear_of_refunds(&intent).await;
    }
    let found = world
        .store
        .read(|state| state.refunds.values().cloned().collect::<Vec<_>>())
        .await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].origin, found[0].reason, found[0].state),
        (
            RefundOrigin::Provider,
            RefundReason::Fraudulent,
            RefundState::Succeeded
        )
    );
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::PartlyRefunded, 1_200, 1_200, false)
    );
    assert_eq!(world.events("refund.found").await, 1);
    let too_much = world
        .ask_refund(&order, Some(8_801))
        .await
        .expect_err("more than is left");
    assert_eq!(too_much.code(), "refund_exceeds_captured");
    world.check_books().await;
}

#[tokio::test]
async fn s26_a_refund_that_is_heard_of_before_its_payment_waits_for_it() {
    let world = World::with("USD", 10_000, 10).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    let checkout = world.checkout(&order).await.expect("a checkout");
    let of_nobody = world
        .orders
        .apply_refunds(&world.scope, &IntentId("pi_nobodys".to_owned()))
        .await;
    assert_eq!(of_nobody.expect_err("not ours").code(), "payment_intent_unknown");
    assert!(world.gateway.pays(&checkout.intent, order.total));
    world.gateway.refunds_by_hand(&checkout.intent, order.total, None);
    world.hear_of_refunds(&checkout.intent).await;
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::Refunded, 10_000, 10_000, false)
    );
    assert_eq!(world.events("order.paid").await, 1);
    world.check_books().await;
}

#[tokio::test]
async fn money_that_came_twice_goes_back_and_the_sale_stays_paid() {
    let world = World::with("USD", 10_000, 10).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    let first = world.checkout(&order).await.expect("a checkout");
    let second = world.second_checkout(&order).await;
    for intent in [&first.intent, &second] {
        assert!(world.gateway.pays(intent, order.total));
        let applied = world.orders.apply_intent(&world.scope, intent).await;
        applied.expect("applied");
    }
    let automatic = world
        .store
        .read(|state| *state.refunds.keys().next().expect("owed"))
        .await;
    assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, false));
    world.send(automatic).await;
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::Paid, 10_000, 0, false)
    );
    assert_eq!(world.refund(automatic).await.origin, RefundOrigin::Automatic);
    assert_eq!(world.events("order.returns_changed").await, 0);
    assert_eq!(world.balance("sales:returned").await, 0);
    let sale = world.ask_refund(&order, None).await.expect("the sale itself");
    assert_eq!(world.refund(sale).await.amount.minor(), 10_000);
    world.send(sale).await;
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::Refunded, 20_000, 10_000, false)
    );
    world.check_books().await;
}

#[tokio::test]
async fn p15_of_twenty_refunds_at_once_only_what_was_captured_goes_back() {
    let world = std::sync::Arc::new(World::with("USD", 10_000, 10).await);
    let (order, _) = world.sold(1).await;
    let asking = (0..20).map(|_| {
        let (world, order) = (world.clone(), order.clone());
        tokio::spawn(async move { world.ask_refund(&order, Some(1_500)).await })
    });
    let mut made = 0;
    for asked in asking.collect::<Vec<_>>() {
        match asked.await.expect("no panic") {
            Ok(_) => made += 1,
            Err(refused) => assert_eq!(refused.code(), "refund_exceeds_captured"),
        }
    }
    assert_eq!(made, 6);
    assert_eq!(world.stands(&order).await.2, 9_000);
}
