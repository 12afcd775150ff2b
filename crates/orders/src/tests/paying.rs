use posx_kernel::Refusal;
use proptest::prelude::*;

use super::world::World;
use crate::gateway::IntentState;
use crate::{
    Attempt, AttemptState, Checkout, Closed, Lifecycle, Order, OrderError, PaymentApplied, PaymentStatus,
    RefundReason,
};

#[tokio::test]
async fn p11_a_success_delivered_many_times_has_one_set_of_effects() {
    let world = World::with("KWD", 12_500, 10).await;
    let order = world.place(world.buyer(), 2).await.expect("placed");
    let checkout = world.checkout(&order).await.expect("a checkout");
    let decline = IntentState::RequiresPaymentMethod {
        last_decline: Some("card_declined".to_owned()),
    };
    assert!(world.gateway.happens(&checkout.intent, decline));
    for _ in 0..3 {
        world
            .orders
            .apply_intent(&world.scope, &checkout.intent)
            .await
            .expect("applied");
    }
    assert_eq!(
        world.order(order.id).await.lifecycle,
        Lifecycle::Placed,
        "a declined card leaves the order placed"
    );
    assert_eq!(world.events("payment.declined").await, 1);

    assert!(world.gateway.pays(&checkout.intent, order.total));
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(
            world
                .orders
                .apply_intent(&world.scope, &checkout.intent)
                .await
                .expect("applied"),
        );
    }
    assert_eq!(outcomes[0], PaymentApplied::Paid);
    assert!(
        outcomes[1..]
            .iter()
            .all(|outcome| *outcome == PaymentApplied::AlreadyApplied)
    );
    assert_eq!(world.order(order.id).await.payment(), PaymentStatus::Paid);
    assert_eq!(world.events("order.paid").await, 1);
    world.check_books().await;
}

#[tokio::test]
async fn two_tabs_pay_one_intent() {
    let world = World::with("USD", 10_000, 10).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    let first = world.checkout(&order).await.expect("a checkout");
    let other_tab = World::call("another tab", 9);
    let second = world
        .orders
        .checkout(&world.scope, order.buyer, order.id, &other_tab)
        .await
        .expect("the same checkout");
    assert_eq!(first, second);
    assert_eq!(world.gateway.intents().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_and_never_makes_a_second_intent() {
    let world = World::with("USD", 10_000, 10).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    world.gateway.lose_answers(2);
    let lost = world.checkout(&order).await.expect_err("both answers are lost");
    assert_eq!(lost.code(), "payment_unavailable");
    let found = world.checkout(&order).await.expect("asked again");
    assert_eq!(world.gateway.intents().len(), 1);
    assert_eq!(world.gateway.intents()[0].id, found.intent);
}

#[tokio::test]
async fn a_crash_between_the_two_transactions_is_settled_by_asking() {
    let world = World::with("USD", 10_000, 10).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    world.gateway.lose_answers(2);
    world
        .checkout(&order)
        .await
        .expect_err("as if the process had died here");
    let intent = world.gateway.intents()[0].clone();
    assert!(world.gateway.pays(&intent.id, order.total));
    let attempt = intent.attempt.expect("our id");
    assert!(
        world
            .orders
            .resolve_attempt(&world.scope, attempt)
            .await
            .expect("resolved")
    );
    assert_eq!(world.order(order.id).await.lifecycle, Lifecycle::Confirmed);
    world.check_books().await;
}

#[tokio::test]
async fn an_order_that_is_never_paid_expires_and_its_stock_is_back() {
    let world = World::with("USD", 10_000, 5).await;
    let order = world.place(world.buyer(), 5).await.expect("placed");
    let checkout = world.checkout(&order).await.expect("a checkout");
    let early = world.orders.expire(&world.scope, order.id).await;
    assert!(
        matches!(early, Err(OrderError::WrongMove(_))),
        "not before its time"
    );
    world.let_expire();
    assert_eq!(
        world
            .orders
            .expire(&world.scope, order.id)
            .await
            .expect("expired"),
        Closed::Now
    );
    assert_eq!(
        world.orders.expire(&world.scope, order.id).await.expect("again"),
        Closed::Already
    );
    assert!(
        !world.gateway.pays(&checkout.intent, order.total),
        "the intent is cancelled"
    );
    world.place(world.buyer(), 5).await.expect("the stock is back");
    world.check_books().await;
}

/// The provider said "cancelled" and takes the money all the same: only the order's close happened.
async fn expired_with_an_intent_that_can_be_paid(world: &World) -> (Order, Checkout) {
    let order = world.place(world.buyer(), 5).await.expect("placed");
    let checkout = world.checkout(&order).await.expect("a checkout");
    world.let_expire();
    let attempts = world.store.read(|state| state.attempts.clone()).await;
    world.store.arrange(|state| state.attempts.clear()).await;
    let closed = world.orders.expire(&world.scope, order.id).await;
    assert_eq!(closed.expect("expired"), Closed::Now);
    let cancelled = attempts.into_iter().map(|(id, attempt)| {
        let state = AttemptState::Cancelled;
        (id, Attempt { state, ..attempt })
    });
    let cancelled = cancelled.collect();
    world.store.arrange(|state| state.attempts = cancelled).await;
    (order, checkout)
}

#[tokio::test]
async fn p12_money_that_comes_after_expiry_takes_stock_again_or_goes_back() {
    for somebody_else_bought in [false, true] {
        let world = World::with("USD", 10_000, 5).await;
        let (order, checkout) = expired_with_an_intent_that_can_be_paid(&world).await;
        if somebody_else_bought {
            world.place(world.buyer(), 5).await.expect("the stock was free");
        }
        assert!(world.gateway.pays(&checkout.intent, order.total));
        let outcome = world
            .orders
            .apply_intent(&world.scope, &checkout.intent)
            .await
            .expect("applied");
        let after = world.order(order.id).await;
        if somebody_else_bought {
            assert_eq!(outcome, PaymentApplied::RefundOwed(RefundReason::PaidTooLate));
            assert_eq!(after.lifecycle, Lifecycle::Expired);
            let refund = world
                .store
                .read(|state| *state.refunds.keys().next().expect("a refund"))
                .await;
            world.gateway.lose_answers(2);
            world
                .orders
                .send_refund(&world.scope, refund)
                .await
                .expect_err("the answer is lost");
            world
                .orders
                .send_refund(&world.scope, refund)
                .await
                .expect_err("and lost");
            world
                .orders
                .send_refund(&world.scope, refund)
                .await
                .expect("asked for");
            world
                .orders
                .send_refund(&world.scope, refund)
                .await
                .expect("nothing more to do");
            assert_eq!(world.gateway.refunded().len(), 1);
            assert_eq!(world.order(order.id).await.payment(), PaymentStatus::Refunded);
        } else {
            assert_eq!(
                (outcome, after.lifecycle),
                (PaymentApplied::Paid, Lifecycle::Confirmed)
            );
            assert_eq!(after.attention.as_deref(), Some("paid_after_closing"));
        }
        world.check_books().await;
    }
}

#[tokio::test]
async fn an_amount_that_is_not_ours_confirms_nothing() {
    let world = World::with("USD", 10_000, 5).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    let checkout = world.checkout(&order).await.expect("a checkout");
    assert!(world.gateway.pays(
        &checkout.intent,
        posx_kernel::Money::from_minor(1, order.currency())
    ));
    for _ in 0..2 {
        let outcome = world
            .orders
            .apply_intent(&world.scope, &checkout.intent)
            .await
            .expect("applied");
        assert_eq!(outcome, PaymentApplied::Mismatch);
    }
    let held = world.order(order.id).await;
    assert_eq!(
        (held.lifecycle, held.attention.as_deref()),
        (Lifecycle::Placed, Some("payment_mismatch"))
    );
}

/// What the world may do to one order, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Checkout,
    Pay,
    Decline,
    Deliver,
    TimePasses,
    Expire,
    Cancel,
    LoseAnswers(u32),
    Reconcile,
    SendRefunds,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{
        Cancel, Checkout, Decline, Deliver, Expire, LoseAnswers, Pay, Reconcile, SendRefunds, TimePasses,
    };
    prop_oneof![
        Just(Checkout),
        Just(Pay),
        Just(Decline),
        Just(Deliver),
        Just(TimePasses),
        Just(Expire),
        Just(Cancel),
        (1_u32..3).prop_map(LoseAnswers),
        Just(Reconcile),
        Just(SendRefunds),
    ]
}

async fn run(steps: &[Step]) {
    let world = World::with("USD", 10_000, 1).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Checkout => {
                let call = World::call(&format!("tab {at}"), 1);
                drop(
                    world
                        .orders
                        .checkout(&world.scope, order.buyer, order.id, &call)
                        .await,
                );
            }
            Step::Pay => world.gateway.intents().iter().for_each(|intent| {
                world.gateway.pays(&intent.id, intent.amount);
            }),
            Step::Decline => world.gateway.intents().iter().for_each(|intent| {
                let state = IntentState::RequiresPaymentMethod {
                    last_decline: Some("no_funds".to_owned()),
                };
                world.gateway.happens(&intent.id, state);
            }),
            Step::Deliver => deliver(&world).await,
            Step::TimePasses => world.let_expire(),
            Step::Expire => drop(world.orders.expire(&world.scope, order.id).await),
            Step::Cancel => drop(
                world
                    .orders
                    .cancel(&world.scope, order.id, Some(order.buyer))
                    .await,
            ),
            Step::LoseAnswers(count) => world.gateway.lose_answers(*count),
            Step::Reconcile => drop(
                world
                    .orders
                    .reconcile_attempts(&world.scope, chrono::DateTime::<chrono::Utc>::MAX_UTC)
                    .await,
            ),
            Step::SendRefunds => send_refunds(&world).await,
        }
        world.check_books().await;
    }
    // In the end every word of the provider arrives, and every job has run.
    world.gateway.lose_answers(0);
    for _ in 0..2 {
        drop(
            world
                .orders
                .reconcile_attempts(&world.scope, chrono::DateTime::<chrono::Utc>::MAX_UTC)
                .await,
        );
        deliver(&world).await;
        send_refunds(&world).await;
    }
    world.check_books().await;
    let end = world.order(order.id).await;
    let paid = world
        .gateway
        .intents()
        .iter()
        .any(|intent| matches!(intent.state, IntentState::Succeeded { .. }));
    let kept = matches!(end.payment(), PaymentStatus::Paid) && end.lifecycle == Lifecycle::Confirmed;
    let given_back = end.payment() == PaymentStatus::Refunded && end.lifecycle != Lifecycle::Confirmed;
    assert_eq!(paid, kept || given_back, "{steps:?} → {end:?}");
    assert!(!(kept && given_back));
}

async fn deliver(world: &World) {
    for intent in world.gateway.intents() {
        drop(world.orders.apply_intent(&world.scope, &intent.id).await);
    }
}

async fn send_refunds(world: &World) {
    let pending: Vec<_> = world
        .store
        .read(|state| state.refunds.keys().copied().collect())
        .await;
    for refund in pending {
        drop(world.orders.send_refund(&world.scope, refund).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]
    #[test]
    fn p12_whatever_the_order_of_events_money_ends_as_stock_or_goes_back(steps in proptest::collection::vec(step(), 0..16)) {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(run(&steps));
    }
}

async fn pay(world: &World, order: &Order) -> PaymentApplied {
    let checkout = world.checkout(order).await.expect("a checkout");
    assert!(world.gateway.pays(&checkout.intent, order.total));
    let applied = world.orders.apply_intent(&world.scope, &checkout.intent).await;
    applied.expect("applied")
}

#[tokio::test]
async fn the_first_payment_binds_the_referrer_in_its_own_transaction_and_a_later_one_does_not() {
    let world = World::with("USD", 10_000, 10).await;
    let (alice, bob, carol) = (world.buyer(), world.buyer(), world.buyer());
    world
        .store
        .arrange(|state| {
            state.claimed.insert(bob, alice);
        })
        .await;
    for (buyer, bound) in [(bob, Some(alice)), (bob, Some(alice)), (carol, None)] {
        let order = world.place(buyer, 1).await.expect("placed");
        assert_eq!(pay(&world, &order).await, PaymentApplied::Paid);
        let found = world
            .store
            .read(|state| state.referrals.get(&buyer).map(|(referrer, _)| *referrer))
            .await;
        assert_eq!(found, bound);
    }
    world
        .store
        .arrange(|state| {
            state.claimed.insert(carol, alice);
        })
        .await;
    let second = world.place(carol, 1).await.expect("placed");
    assert_eq!(pay(&world, &second).await, PaymentApplied::Paid);
    assert_eq!(world.events("referral.bound").await, 1, "Carol had paid before");
}

#[tokio::test]
async fn p20_nobody_is_bound_to_themselves_or_below_themselves_and_the_payment_stands() {
    let world = World::with("USD", 10_000, 10).await;
    let (alice, bob) = (world.buyer(), world.buyer());
    world
        .store
        .arrange(|state| {
            state.claimed.insert(bob, alice);
            state.claimed.insert(alice, bob);
        })
        .await;
    for buyer in [bob, alice] {
        let order = world.place(buyer, 1).await.expect("placed");
        assert_eq!(pay(&world, &order).await, PaymentApplied::Paid);
    }
    let bound = world
        .store
        .read(|state| state.referrals.keys().copied().collect::<Vec<_>>())
        .await;
    assert_eq!(bound, [bob]);
}

#[tokio::test]
async fn an_order_of_nothing_to_pay_binds_when_it_is_placed() {
    let world = World::with("USD", 0, 10).await;
    let (alice, bob) = (world.buyer(), world.buyer());
    world
        .store
        .arrange(|state| {
            state.claimed.insert(bob, alice);
        })
        .await;
    world.place(bob, 1).await.expect("placed");
    assert_eq!(
        world
            .store
            .read(|state| state.referrals.get(&bob).map(|(referrer, _)| *referrer))
            .await,
        Some(alice)
    );
}

#[tokio::test]
async fn an_order_whose_intent_the_provider_does_not_know_expires_and_a_person_is_told() {
    let world = World::with("USD", 10_000, 1).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    let checkout = world.checkout(&order).await.expect("a checkout");
    world.gateway.forgets(&checkout.intent);
    world.let_expire();
    let closed = world.orders.expire(&world.scope, order.id).await.expect("closed");
    assert_eq!(closed, Closed::Now);
    let order = world.order(order.id).await;
    assert_eq!(
        (order.lifecycle, order.attention.as_deref()),
        (Lifecycle::Expired, Some("intent_missing"))
    );
    world.place(world.buyer(), 1).await.expect("the stock is back");
    world.check_books().await;
}
