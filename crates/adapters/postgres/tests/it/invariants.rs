//! The invariants of the books: they hold after a whole story, and each finds its sabotage.

use chrono::TimeDelta;
use posx_kernel::Clock as _;
use posx_ledger::{Fault, Invariant};
use posx_orders::gateway::ProviderDisputeState;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::server::by_hand;
use crate::world::{World, usd};

impl World {
    async fn faults(&self) -> Vec<Fault> {
        let mut faults = self.books_of_it().check(&self.scope).await.expect("a check");
        faults.sort_by(|one, other| (one.invariant, &one.detail).cmp(&(other.invariant, &other.detail)));
        faults
    }

    /// Paid, refunded in part, disputed and lost, delivered.
    async fn lives(&self, order: &posx_orders::Order) {
        self.pay(order).await;
        self.commissions
            .accrue(&self.scope, order.id)
            .await
            .expect("accrued");
        let wish = posx_orders::RequestRefund {
            order: order.id,
            amount: Some(usd(3_333)),
            at_most: usd(3_333),
            reason: posx_orders::RefundReason::RequestedByCustomer,
            note: None,
            restock: posx_orders::Restock::Undelivered,
        };
        let refund = self
            .orders
            .request_refund(&self.scope, &wish, None)
            .await
            .expect("asked");
        self.commissions
            .adjust(&self.scope, order.id)
            .await
            .expect("adjusted");
        assert_eq!(self.faults().await, [], "on its way");
        self.orders
            .send_refund(&self.scope, refund.id)
            .await
            .expect("sent");
        let intent = self.gateway.intents().last().expect("an intent").id.clone();
        let dispute = self
            .gateway
            .disputes(&intent, usd(6_000), ProviderDisputeState::Lost);
        self.gateway
            .moves_disputed_money(&dispute, usd(-6_000), usd(1_500));
        self.orders
            .apply_dispute(&self.scope, &dispute)
            .await
            .expect("applied");
        self.commissions
            .adjust(&self.scope, order.id)
            .await
            .expect("adjusted");
        self.allocations
            .allocate(&self.scope, order.id)
            .await
            .expect("allocated");
        self.allocations
            .adjust(&self.scope, order.id)
            .await
            .expect("adjusted");
    }
}

/// Sold with a referrer, refunded in part, disputed and lost, delivered, closed.
#[tokio::test]
async fn p09_p21_p31_they_hold_after_a_sale_its_shares_a_refund_a_lost_dispute_and_a_closing() {
    let world = World::new().await;
    world.plan().await;
    let alice = world.member(None).await;
    let bob = world.member(Some(alice.referral_code.as_str())).await;
    let tier = world.tier_with(9, 10_000, Some(9)).await;
    let lapsed = world.place(&bob, tier, 1).await.expect("placed");
    for order in [
        world.place(&bob, tier, 2).await.expect("placed"),
        world.place(&bob, tier, 1).await.expect("placed"),
    ] {
        world.lives(&order).await;
    }
    world.clock.advance(TimeDelta::hours(2));
    world.closes_its_books().await;
    world
        .orders
        .cancel(&world.scope, lapsed.id, None)
        .await
        .expect("cancelled");
    assert_eq!(world.faults().await, []);
}

/// Done by hand, and undone. The site's id stands for SITE.
#[expect(
    clippy::too_many_lines,
    reason = "a flat list: one sabotage for each invariant"
)]
fn sabotage(invariant: Invariant) -> (&'static str, &'static str) {
    match invariant {
        Invariant::TrialBalance => (
            "update postings set amount = amount + 1 where account = 'sales' and line = 1",
            "update postings set amount = amount - 1 where account = 'sales' and line = 1",
        ),
        Invariant::EntriesBalance => (
            "update postings set posted_at = posted_at + interval '1 hour' where account = 'sales'",
            "update postings set posted_at = posted_at - interval '1 hour' where account = 'sales'",
        ),
        Invariant::OrdersBooked => (
            "update orders set captured = captured + 7 where captured > 0",
            "update orders set captured = captured - 7 where captured > 0",
        ),
        Invariant::AttemptsBooked => (
            "update payment_attempts set received = received + 1 where received > 0",
            "update payment_attempts set received = received - 1 where received > 0",
        ),
        Invariant::RefundsBooked => (
            "update refunds set state = 'succeeded' where state = 'pending'",
            "update refunds set state = 'pending' where state = 'succeeded'",
        ),
        Invariant::DisputesBooked => (
            "update disputes set lost = lost + 1 where true",
            "update disputes set lost = lost - 1 where true",
        ),
        Invariant::CommissionsBooked => (
            "update commissions set reversed = reversed + 1 where reversed < amount and reversed > 0",
            "update commissions set reversed = reversed - 1 where reversed > 0",
        ),
        Invariant::PayoutsBooked => (
            "update write_offs set amount = amount + 1 where true",
            "update write_offs set amount = amount - 1 where true",
        ),
        Invariant::AgentBalances => (
            "update commissions set amount = amount + 2 where true",
            "update commissions set amount = amount - 2 where true",
        ),
        Invariant::PendingPayouts => (
            "update payouts set amount = amount + 1 where true",
            "update payouts set amount = amount - 1 where true",
        ),
        Invariant::RefundsPayable => (
            "update postings set amount = amount + 3 where account = 'refunds:payable'",
            "update postings set amount = amount - 3 where account = 'refunds:payable'",
        ),
        Invariant::BalanceSigns => (
            "update postings set amount = -amount where account in ('sales', 'provider:clearing')",
            "update postings set amount = -amount where account in ('sales', 'provider:clearing')",
        ),
        Invariant::StockMovements => (
            "update tier_stock set reserved = reserved + 1 where reserved + sold < supply",
            "update tier_stock set reserved = reserved - 1 where reserved > 0",
        ),
        Invariant::TokensOnTheBooks => (
            "update order_lines set tokens = tokens + 1 where true",
            "update order_lines set tokens = tokens - 1 where true",
        ),
        Invariant::DeliveriesBooked => (
            "update allocations set amount = amount + 1 where state = 'done'",
            "update allocations set amount = amount - 1 where state = 'done'",
        ),
        Invariant::PromoCounters => (
            "update promo_code_counters set used = used + 1 where true",
            "update promo_code_counters set used = used - 1 where true",
        ),
        Invariant::ClosedPeriods => (
            "update ledger_period_balances set debit = debit + 1 where true",
            "update ledger_period_balances set debit = debit - 1 where true",
        ),
        Invariant::JobsAlive => (
            "update graphile_worker._private_jobs set attempts = max_attempts where key is not null",
            "update graphile_worker._private_jobs set attempts = 0 where key is not null",
        ),
    }
}

async fn write(hand: &mut PgConnection, world: &World, sql: &str) {
    let site = world.site.id.as_uuid();
    let column = if sql.contains("graphile_worker") {
        "payload ->> 'site_id'"
    } else {
        "site_id::text"
    };
    let sql = sql.replace(" where ", &format!(" where {column} = '{site}' and "));
    let written = hand.execute(AssertSqlSafe(sql.as_str())).await.expect(&sql);
    assert!(written.rows_affected() > 0, "{sql}");
}

#[tokio::test]
async fn each_invariant_finds_its_sabotage_and_the_other_site_is_not_accused() {
    let (world, elsewhere) = (World::with_money().await, World::with_money().await);
    let (before, elsewhere_before) = (world.faults().await, elsewhere.faults().await);
    // Agents earned there what nobody sold.
    for fault in &before {
        assert_eq!(fault.invariant, Invariant::AgentBalances.as_str(), "{fault:?}");
    }
    let mut hand = by_hand().await;
    for invariant in Invariant::ALL {
        let (harm, mend) = sabotage(*invariant);
        write(&mut hand, &world, harm).await;
        let found = world.faults().await;
        assert!(
            found
                .iter()
                .any(|fault| fault.invariant == invariant.as_str() && !before.contains(fault)),
            "{invariant:?}: {found:?}"
        );
        write(&mut hand, &world, mend).await;
        assert_eq!(world.faults().await, before, "{invariant:?} is mended");
    }
    assert_eq!(elsewhere.faults().await, elsewhere_before);
}

#[tokio::test]
async fn what_allocations_say_without_an_entry_is_found() {
    let (world, ..) = World::owing().await;
    let buyer = world.member(None).await;
    let tier = world.tier_with(50, 1000, Some(100)).await;
    let waiting = world.buys_four(&buyer, tier).await;
    let made = world.allocations.adjust(&world.scope, waiting).await;
    assert_eq!(made.expect("allocated").made.len(), 1);
    let found = async || {
        let mut faults = world.faults().await;
        faults.retain(|fault| fault.invariant == Invariant::DeliveriesBooked.as_str());
        faults.len()
    };
    assert_eq!(found().await, 0);
    let mut hand = by_hand().await;
    for (harm, mend) in [
        // Delivered, and no entry says so; and one that was is not any more.
        (
            "update allocations set state = 'done', external_id = 'x-1', tx_hash = '0x', confirmed_at = now() where state = 'pending'",
            "update allocations set state = 'pending', external_id = null, tx_hash = null, confirmed_at = null where external_id = 'x-1'",
        ),
        (
            "update allocations set state = 'submitted', owed = 0, cut = owed where state = 'done'",
            "update allocations set state = 'done', owed = cut, cut = 0 where state = 'submitted'",
        ),
        (
            "update allocations set owed = owed + 1 where owed > 0",
            "update allocations set owed = owed - 1 where owed > 0",
        ),
        (
            "update allocations set waived = waived + 1 where owed > 0",
            "update allocations set waived = waived - 1 where owed > 0",
        ),
        (
            "update allocations set received = received + 1 where owed > 0",
            "update allocations set received = received - 1 where owed > 0",
        ),
        (
            "update allocations set cut = cut + 1 where state = 'pending'",
            "update allocations set cut = cut - 1 where state = 'pending'",
        ),
        (
            "update postings set account = 'tokens:returned' where account = 'tokens:claims'",
            "update postings set account = 'tokens:claims' where account = 'tokens:returned'",
        ),
    ] {
        write(&mut hand, &world, harm).await;
        assert!(found().await > 0, "{harm}");
        write(&mut hand, &world, mend).await;
        assert_eq!(found().await, 0, "{mend}");
    }
}

#[tokio::test]
async fn a_closed_period_that_does_not_follow_the_one_before_is_found_however_old_it_is() {
    let world = World::new().await;
    for _ in 0..14 {
        world.clock.advance(TimeDelta::hours(3));
        world.closes_its_books().await;
    }
    let found = async || {
        let mut faults = world.faults().await;
        faults.retain(|fault| fault.invariant == Invariant::ClosedPeriods.as_str());
        faults.into_iter().map(|fault| fault.detail).collect::<Vec<_>>()
    };
    assert_eq!(found().await, [""; 0]);
    let mut hand = by_hand().await;
    for (harm, mend, said) in [
        (
            "update ledger_periods set hash = decode(reverse(encode(hash, 'hex')), 'hex') where number = 1",
            "update ledger_periods set hash = decode(reverse(encode(hash, 'hex')), 'hex') where number = 1",
            vec![
                "period 1 is not what its entries sum to",
                "period 2 does not follow the one before",
            ],
        ),
        (
            "update ledger_periods set number = 20 where number = 14",
            "update ledger_periods set number = 14 where number = 20",
            vec!["period 20 does not follow the one before"],
        ),
        (
            "update ledger_periods set until_at = until_at - interval '1 minute' where number = 1",
            "update ledger_periods set until_at = until_at + interval '1 minute' where number = 1",
            vec![
                "period 1 is not what its entries sum to",
                "period 2 does not follow the one before",
            ],
        ),
    ] {
        write(&mut hand, &world, harm).await;
        let found_now = found().await;
        for said in said {
            assert!(found_now.iter().any(|one| one == said), "{said}: {found_now:?}");
        }
        write(&mut hand, &world, mend).await;
        assert_eq!(found().await, [""; 0], "{mend}");
    }
}

#[tokio::test]
async fn a_fault_is_told_in_the_audit_trail() {
    let world = World::new().await;
    let tier = world.tier(3, 10_000).await;
    assert_eq!(
        world
            .books_of_it()
            .check_and_tell(&world.scope)
            .await
            .expect("a check"),
        []
    );
    let mut hand = by_hand().await;
    write(
        &mut hand,
        &world,
        "update tier_stock set reserved = reserved + 1 where true",
    )
    .await;
    let faults = world
        .books_of_it()
        .check_and_tell(&world.scope)
        .await
        .expect("a check");
    assert!(!faults.is_empty());
    let filter = posx_postgres::AuditFilter {
        kind: Some("books.invariant_broken".to_owned()),
        ..posx_postgres::AuditFilter::default()
    };
    let told = world
        .database
        .audit_trail(&world.scope, &filter, None, 50)
        .await
        .expect("a trail");
    assert_eq!(told.len(), faults.len());
    let of_tier = told
        .iter()
        .find(|entry| entry.subject == tier.as_uuid())
        .expect("of the tier");
    assert_eq!(of_tier.payload["invariant"], "stock_movements");
    assert_eq!(of_tier.at, world.clock.now());
}
