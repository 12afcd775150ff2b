use chrono::Duration;
use posx_kernel::{Money, Refusal};

use super::world::World;
use crate::gateway::{IntentId, ProviderDisputeState as At};
use crate::{Dispute, DisputeApplied, DisputeState, Order, PaymentStatus, ProviderDisputeState};

impl World {
    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, posx_kernel::Currency::from_code("USD").expect("USD"))
    }

    /// As the provider's events do.
    pub async fn hear_of_dispute(&self, id: &str) -> DisputeApplied {
        let applied = self.orders.apply_dispute(&self.scope, id).await;
        applied.expect("applied")
    }

    async fn dispute(&self, id: &str) -> Dispute {
        let same = |dispute: &&Dispute| dispute.provider_dispute == id;
        let found = self
            .store
            .read(|state| state.disputes.values().find(same).cloned())
            .await;
        found.expect("the dispute")
    }

    async fn disputed(&self, minor: i64, at: At) -> (Order, IntentId, String) {
        let (order, intent) = self.sold(1).await;
        let id = self.gateway.disputes(&intent, Self::usd(minor), at);
        self.hear_of_dispute(&id).await;
        (order, intent, id)
    }

    async fn balances(&self) -> [i128; 4] {
        [
            self.balance("provider:clearing").await,
            self.balance("disputes:withdrawn").await,
            self.balance("disputes:fees").await,
            self.balance("sales:returned").await,
        ]
    }
}

#[tokio::test]
async fn s38_p22_an_inquiry_freezes_the_order_and_moves_no_money() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(10_000, At::WarningNeedsResponse).await;
    assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, true));
    assert_eq!(world.order(order.id).await.attention.as_deref(), Some("disputed"));
    world.gateway.decides(&id, At::WarningUnderReview);
    world.hear_of_dispute(&id).await;
    assert!(world.stands(&order).await.3);
    world.gateway.decides(&id, At::WarningClosed);
    let applied = world.hear_of_dispute(&id).await;
    assert_eq!(applied, DisputeApplied::Now(DisputeState::Withdrawn));
    assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, false));
    assert_eq!(world.order(order.id).await.attention, None);
    assert_eq!(world.balances().await, [10_000, 0, 0, 0]);
    assert_eq!(
        world.events("order.returns_changed").await,
        2,
        "frozen, and free again"
    );
    world.check_books().await;
}

#[tokio::test]
async fn s38_s40_withdrawn_money_is_lost_by_the_verdict_alone_and_won_after_all_comes_back_exactly() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(10_000, At::NeedsResponse).await;
    world
        .gateway
        .moves_disputed_money(&id, World::usd(-10_000), World::usd(1_500));
    for _ in 0..3 {
        world.hear_of_dispute(&id).await;
    }
    assert_eq!(world.balances().await, [-1_500, 10_000, 1_500, 0]);
    assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, true));
    assert_eq!(world.events("dispute.funds_withdrawn").await, 1);

    world.gateway.decides(&id, At::Lost);
    for _ in 0..2 {
        world.hear_of_dispute(&id).await;
    }
    assert_eq!(world.balances().await, [-1_500, 0, 1_500, 10_000]);
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::Refunded, 0, 10_000, false)
    );

    world.gateway.decides(&id, At::Won);
    world.hear_of_dispute(&id).await;
    assert_eq!(world.balances().await, [-1_500, 10_000, 1_500, 0]);
    world
        .gateway
        .moves_disputed_money(&id, World::usd(10_000), World::usd(-1_500));
    world.hear_of_dispute(&id).await;
    assert_eq!(world.balances().await, [10_000, 0, 0, 0], "exactly as before");
    assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, false));

    world.gateway.decides(&id, At::Lost);
    world
        .gateway
        .moves_disputed_money(&id, World::usd(-10_000), World::usd(0));
    world.hear_of_dispute(&id).await;
    assert_eq!(
        world.balances().await,
        [0, 0, 0, 10_000],
        "each verdict is booked anew"
    );
    assert_eq!(world.dispute(&id).await.verdicts, 3);
    world.check_books().await;
}

#[tokio::test]
async fn s40_a_withdrawn_dispute_may_come_back_and_be_lost() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(4_000, At::WarningClosed).await;
    assert_eq!(world.dispute(&id).await.state, DisputeState::Withdrawn);
    assert!(!world.stands(&order).await.3);
    world.gateway.decides(&id, At::NeedsResponse);
    world
        .gateway
        .moves_disputed_money(&id, World::usd(-4_000), World::usd(1_500));
    world.hear_of_dispute(&id).await;
    assert!(world.stands(&order).await.3);
    assert_eq!(world.events("dispute.reopened").await, 1);
    world.gateway.decides(&id, At::Prevented);
    world.hear_of_dispute(&id).await;
    world.gateway.decides(&id, At::Lost);
    world.hear_of_dispute(&id).await;
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::PartlyRefunded, 0, 4_000, false)
    );
    world.check_books().await;
}

#[tokio::test]
async fn what_was_refunded_and_then_lost_as_well_counts_once() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, intent) = world.sold(1).await;
    let refund = world.ask_refund(&order, Some(6_000)).await.expect("asked");
    world.send(refund).await;
    let id = world.gateway.disputes(&intent, World::usd(10_000), At::Lost);
    world
        .gateway
        .moves_disputed_money(&id, World::usd(-10_000), World::usd(1_500));
    world.hear_of_dispute(&id).await;
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::Refunded, 6_000, 10_000, false),
        "the sale went back once"
    );
    assert_eq!(
        world.balance("sales:returned").await,
        16_000,
        "and the books say what it cost"
    );
    world.check_books().await;
}

#[tokio::test]
async fn s33_what_a_dispute_took_is_not_refunded_besides() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, intent) = world.sold(1).await;
    let mut last = String::new();
    for _ in 0..2 {
        let id = world
            .gateway
            .disputes(&intent, World::usd(3_000), At::NeedsResponse);
        world
            .gateway
            .moves_disputed_money(&id, World::usd(-3_000), World::usd(1_500));
        world
            .gateway
            .changes_dispute(&id, |dispute| dispute.refundable = true);
        world.hear_of_dispute(&id).await;
        last = id;
    }
    let refused = world.ask_refund(&order, Some(4_001)).await.expect_err("too much");
    assert_eq!(refused.code(), "refund_exceeds_captured");
    let rest = world.ask_refund(&order, None).await.expect("the rest");
    assert_eq!(world.refund(rest).await.amount.minor(), 4_000);
    assert_eq!(
        world.store.read(|state| state.disputes.len()).await,
        2,
        "several of one order"
    );
    assert_eq!(world.dispute(&last).await.state, DisputeState::Open);
}

#[tokio::test]
async fn s36_a_disputed_payment_is_refunded_only_if_the_provider_still_takes_it() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(10_000, At::NeedsResponse).await;
    let refused = world.ask_refund(&order, Some(100)).await.expect_err("disputed");
    assert_eq!(refused.code(), "order_disputed");
    world
        .gateway
        .changes_dispute(&id, |dispute| dispute.refundable = true);
    world.hear_of_dispute(&id).await;
    world
        .ask_refund(&order, Some(100))
        .await
        .expect("an early answer to the dispute");
}

#[tokio::test]
async fn s26_a_dispute_that_is_heard_of_before_its_payment_waits_for_it() {
    let world = World::with("USD", 10_000, 10).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    let checkout = world.checkout(&order).await.expect("a checkout");
    let id = world
        .gateway
        .disputes(&checkout.intent, World::usd(10_000), At::NeedsResponse);
    let early = world.orders.apply_dispute(&world.scope, &id).await;
    assert_eq!(early.expect_err("no payment yet").code(), "payment_not_captured");
    assert!(world.gateway.pays(&checkout.intent, order.total));
    world.hear_of_dispute(&id).await;
    assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, true));
    assert_eq!(world.events("order.paid").await, 1);
}

#[tokio::test]
async fn s37_s39_what_this_version_does_not_know_is_never_guessed() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, intent, id) = world.disputed(15_000, At::NeedsResponse).await;
    assert_eq!(
        world.dispute(&id).await.amount,
        World::usd(15_000),
        "more than was paid"
    );
    world.gateway.decides(&id, At::Unknown);
    let unknown = world.orders.apply_dispute(&world.scope, &id).await;
    assert_eq!(unknown.expect_err("parked").code(), "dispute_state_unknown");
    let nobodys = world.orders.apply_dispute(&world.scope, "dp_nobodys").await;
    assert_eq!(nobodys.expect_err("asked").code(), "provider_dispute_unknown");
    // Verdicts are not taken back to the beginning: a person looks.
    world.gateway.decides(&id, At::Won);
    world.hear_of_dispute(&id).await;
    world.gateway.decides(&id, At::NeedsResponse);
    let applied = world.hear_of_dispute(&id).await;
    assert_eq!(applied, DisputeApplied::Now(DisputeState::Won));
    let attention = world.order(order.id).await.attention;
    assert_eq!(attention.as_deref(), Some("dispute_state_unexpected"));
    // In another currency than the payment: nothing moves.
    let kwd = posx_kernel::Currency::from_code("KWD").expect("KWD");
    let foreign = world
        .gateway
        .disputes(&intent, Money::from_minor(1, kwd), At::Lost);
    assert_eq!(world.hear_of_dispute(&foreign).await, DisputeApplied::Mismatch);
    let attention = world.order(order.id).await.attention;
    assert_eq!(attention.as_deref(), Some("dispute_mismatch"));
    world.check_books().await;
}

#[tokio::test]
async fn s39_a_balance_in_another_currency_moves_the_disputed_amount_and_its_own_fee() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(8_000, At::NeedsResponse).await;
    let eur = |minor| Money::from_minor(minor, posx_kernel::Currency::from_code("EUR").expect("EUR"));
    world.gateway.moves_disputed_money(&id, eur(-7_100), eur(2_000));
    world.gateway.decides(&id, At::Lost);
    world.hear_of_dispute(&id).await;
    assert_eq!(world.stands(&order).await.2, 8_000);
    assert_eq!(world.balance("disputes:withdrawn").await, 0);
    assert_eq!(world.balance("disputes:fees").await, 2_000);
}

#[tokio::test]
async fn s26_an_answer_that_was_overtaken_is_asked_for_again() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(10_000, At::NeedsResponse).await;
    let (gateway, orders, scope) = (world.gateway.clone(), world.orders.clone(), world.scope.clone());
    let dispute = id.clone();
    world.gateway.meanwhile(async move {
        gateway.moves_disputed_money(&dispute, World::usd(-10_000), World::usd(0));
        gateway.decides(&dispute, At::Lost);
        let applied = orders.apply_dispute(&scope, &dispute).await;
        assert_eq!(applied.expect("applied"), DisputeApplied::Now(DisputeState::Lost));
    });
    let applied = world.hear_of_dispute(&id).await;
    assert_eq!(
        applied,
        DisputeApplied::Now(DisputeState::Lost),
        "not as it was asked first"
    );
    assert_eq!(
        world.stands(&order).await,
        (PaymentStatus::Refunded, 0, 10_000, false)
    );
    world.check_books().await;
}

#[tokio::test]
async fn s41_due_evidence_is_alarmed_of_at_72_and_24_hours_once_each() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(10_000, At::NeedsResponse).await;
    let due_by = world.clock_now() + Duration::hours(100);
    let due = |by| {
        world
            .gateway
            .changes_dispute(&id, |dispute| dispute.evidence_due_by = by);
    };
    due(Some(due_by));
    world.hear_of_dispute(&id).await;
    let alarmed = async || {
        world
            .orders
            .alarm_of_evidence(&world.scope)
            .await
            .expect("a sweep")
    };
    for (hours, expected) in [(0, 0), (29, 1), (0, 0), (30, 0), (18, 1), (0, 0), (40, 0)] {
        world.clock.advance(Duration::hours(hours));
        assert_eq!(alarmed().await, expected, "{hours} later");
    }
    assert_eq!(
        world.order(order.id).await.attention.as_deref(),
        Some("evidence_due")
    );
    assert_eq!(world.events("dispute.evidence_due").await, 2);
    // More time, and what was slept through is not made up for after the more urgent one.
    due(Some(world.clock_now() + Duration::hours(10)));
    world.hear_of_dispute(&id).await;
    assert_eq!((alarmed().await, alarmed().await), (1, 0));
    assert_eq!(world.dispute(&id).await.evidence_alarm_hours, Some(24));
    // Who has answered is not alarmed.
    world.gateway.decides(&id, At::UnderReview);
    due(Some(world.clock_now() + Duration::hours(1)));
    world.hear_of_dispute(&id).await;
    assert_eq!(alarmed().await, 0);
}

#[tokio::test]
async fn a_dispute_of_which_no_event_came_is_found_by_asking() {
    let world = World::with("USD", 10_000, 10).await;
    let (order, _, id) = world.disputed(10_000, At::NeedsResponse).await;
    world.gateway.decides(&id, At::Won);
    let asked = async |older_than| {
        let asked = world.orders.reconcile_disputes(&world.scope, older_than).await;
        asked.expect("asked")
    };
    let before = world.clock_now() - Duration::hours(1);
    assert_eq!(asked(before).await, 0, "it was asked about just now");
    assert_eq!(asked(world.clock_now()).await, 1);
    assert!(!world.stands(&order).await.3);
    assert_eq!(asked(world.clock_now()).await, 0, "it is closed");
}

#[tokio::test]
async fn money_that_came_twice_and_is_disputed_leaves_the_sale_alone() {
    let world = World::with("USD", 10_000, 10).await;
    let order = world.place(world.buyer(), 1).await.expect("placed");
    let first = world.checkout(&order).await.expect("a checkout");
    let second = world.second_checkout(&order).await;
    for intent in [&first.intent, &second] {
        assert!(world.gateway.pays(intent, order.total));
        let applied = world.orders.apply_intent(&world.scope, intent).await;
        applied.expect("applied");
    }
    let id = world.gateway.disputes(&second, World::usd(10_000), At::Lost);
    world
        .gateway
        .moves_disputed_money(&id, World::usd(-10_000), World::usd(0));
    world.hear_of_dispute(&id).await;
    assert_eq!(world.stands(&order).await, (PaymentStatus::Paid, 0, 0, false));
    // The second payment went twice now, back and by the dispute: no third time as a refund of the sale.
    let refused = world
        .ask_refund(&order, None)
        .await
        .expect_err("all that came is gone");
    assert_eq!(refused.code(), "nothing_to_refund");
}

#[test]
fn every_state_of_the_provider_is_stored_but_the_unknown_one() {
    let stored = ProviderDisputeState::ALL
        .iter()
        .filter(|state| state.ours().is_some());
    assert_eq!(stored.count(), 8);
}
