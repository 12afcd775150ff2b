//! What went back of a sale, on the in-memory store.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use posx_kernel::{Money, OrderId, PartyId};
use posx_ledger::{Account, EntryKind, Side};
use proptest::prelude::*;

use super::{ALICE, BOB, CAROL, Shop, given, shop, site};
use crate::testing::{GoesBack, adjusting_contract, at, usd};
use crate::{Adjustment, AdjustmentKind, Commission, CommissionState};

#[async_trait]
impl GoesBack for Shop {
    async fn goes_back(&self, order: OrderId, returned: Money, disputed: bool) {
        self.db.arrange(&self.scope, |world| {
            let order = world.orders.get_mut(&order).expect("the order");
            (order.returned, order.disputed) = (returned, disputed);
        });
    }
}

#[tokio::test]
async fn the_fake_passes_the_adjusting_contract() {
    let shop = shop();
    adjusting_contract(Arc::new(shop.db.clone()), &given(&shop), &shop).await;
}

impl Shop {
    /// An order of 100.00, by which Bob earned 12.00 and Alice 4.00.
    async fn sold(&self) -> OrderId {
        self.family();
        let order = self.paid(1, CAROL, 10_000, 0);
        self.accrue(order).await;
        order
    }

    async fn adjust(&self, order: OrderId) -> Vec<Adjustment> {
        self.service.adjust(&self.scope, order).await.expect("adjusted")
    }

    async fn returns(&self, order: OrderId, returned: i64, disputed: bool) -> Vec<Adjustment> {
        self.goes_back(order, usd(returned), disputed).await;
        self.adjust(order).await
    }

    async fn mature(&self) -> usize {
        self.service.mature(&self.scope, 100).await.expect("matured")
    }

    fn stand(&self, state: CommissionState) {
        self.db.arrange(&self.scope, |world| {
            for share in world.commissions.values_mut() {
                share.state = state;
            }
        });
    }

    /// By the books: what the site owes the agent.
    fn balance(&self, agent: PartyId) -> i128 {
        self.sum(&Account::CommissionPayable(agent))
    }

    /// Credits less debits.
    fn sum(&self, account: &Account) -> i128 {
        let world = self.db.world(&self.scope);
        let postings = world.entries.iter().flat_map(posx_ledger::Entry::postings);
        let amount = |side, amount: u128| {
            let amount = i128::try_from(amount).expect("an amount");
            if side == Side::Credit { amount } else { -amount }
        };
        postings
            .filter(|posting| posting.account == *account)
            .map(|posting| amount(posting.side, posting.amount))
            .sum()
    }

    fn states(&self) -> Vec<CommissionState> {
        let world = self.db.world(&self.scope);
        world.commissions.values().map(|share| share.state).collect()
    }
}

#[tokio::test]
async fn p22_a_lost_dispute_takes_every_level_back_and_nets_to_zero() {
    let shop = shop();
    let order = shop.sold().await;
    shop.returns(order, 0, true).await;
    assert_eq!(shop.states(), [CommissionState::Frozen; 2]);
    assert_eq!(
        (shop.balance(BOB), shop.balance(ALICE)),
        (1200, 400),
        "nothing is taken yet"
    );
    let steps = shop.returns(order, 10_000, false).await;
    assert_eq!(steps.len(), 2);
    assert_eq!(shop.states(), [CommissionState::Void; 2]);
    assert_eq!((shop.balance(BOB), shop.balance(ALICE)), (0, 0));
    assert_eq!(shop.sum(&Account::CommissionExpense), 0);
}

#[tokio::test]
async fn p22_s40_a_won_dispute_leaves_everything_as_it_was() {
    let shop = shop();
    let order = shop.sold().await;
    let before = shop.db.world(&shop.scope);
    assert_eq!(shop.returns(order, 0, true).await, []);
    assert_eq!(shop.returns(order, 0, false).await, []);
    let after = shop.db.world(&shop.scope);
    let expected = ["accrued", "accrued", "frozen", "frozen", "unfrozen", "unfrozen"]
        .map(|kind| format!("commission.{kind}"));
    assert_eq!(shop.event_kinds(), expected);
    assert_eq!(
        (after.commissions, after.entries),
        (before.commissions, before.entries)
    );
}

#[tokio::test]
async fn s40_a_dispute_that_was_lost_and_is_won_after_all_restores_exactly() {
    let shop = shop();
    let order = shop.sold().await;
    let before = shop.db.world(&shop.scope).commissions;
    shop.returns(order, 10_000, false).await;
    let steps = shop.returns(order, 0, false).await;
    assert!(steps.iter().all(|step| step.kind == AdjustmentKind::Restoration));
    assert_eq!(shop.db.world(&shop.scope).commissions, before);
    assert_eq!((shop.balance(BOB), shop.balance(ALICE)), (1200, 400));
}

#[tokio::test]
async fn any_number_and_order_of_partial_refunds_takes_the_same() {
    for way in [
        &[3333, 6666, 5000][..],
        &[5000],
        &[10_000, 1, 5000, 5000],
        &[0, 4999, 5000],
    ] {
        let shop = shop();
        let order = shop.sold().await;
        for returned in way {
            shop.returns(order, *returned, false).await;
        }
        assert_eq!((shop.balance(BOB), shop.balance(ALICE)), (600, 200), "{way:?}");
        assert_eq!(shop.states(), [CommissionState::Held; 2]);
        let world = shop.db.world(&shop.scope);
        for share in world.commissions.values() {
            let of_it = world
                .adjustments
                .iter()
                .filter(|step| step.commission == share.id);
            let sum: i64 = of_it
                .map(|step| step.reversed_after.minor() - step.reversed_before.minor())
                .sum();
            assert_eq!(share.reversed.minor(), sum);
        }
    }
}

#[tokio::test]
async fn the_same_facts_again_change_nothing() {
    let shop = shop();
    let order = shop.sold().await;
    shop.returns(order, 2500, true).await;
    let before = shop.db.world(&shop.scope);
    shop.clock.advance(Duration::days(1));
    for _ in 0..3 {
        assert_eq!(shop.adjust(order).await, []);
    }
    let after = shop.db.world(&shop.scope);
    assert_eq!(after.commissions, before.commissions);
    assert_eq!((after.entries, after.events), (before.entries, before.events));
}

#[tokio::test]
async fn each_step_is_one_entry_and_one_event_and_says_what_it_was_counted_from() {
    let shop = shop();
    let order = shop.sold().await;
    let steps = shop.returns(order, 2500, false).await;
    let world = shop.db.world(&shop.scope);
    assert_eq!(steps, world.adjustments);
    for step in &steps {
        assert_eq!(
            (step.kind, step.returned, step.total),
            (AdjustmentKind::Reversal, usd(2500), usd(10_000))
        );
        let entries = world
            .entries
            .iter()
            .filter(|entry| entry.cause() == step.id.as_uuid());
        assert_eq!(
            entries.map(posx_ledger::Entry::kind).collect::<Vec<_>>(),
            [EntryKind::CommissionReversed]
        );
        let told = world.events.iter().filter(|event| {
            event.kind == "commission.reversed" && event.subject == step.commission.as_uuid()
        });
        assert_eq!(told.count(), 1);
    }
}

#[tokio::test]
async fn s34_s40_what_was_paid_out_is_clawed_back_and_the_balance_bears_it() {
    for state in [CommissionState::Paid, CommissionState::Batched] {
        let shop = shop();
        let order = shop.sold().await;
        shop.stand(state);
        let steps = shop.returns(order, 10_000, false).await;
        assert!(steps.iter().all(|step| step.kind == AdjustmentKind::Clawback));
        assert_eq!(shop.states(), [state; 2]);
        assert_eq!(shop.sum(&Account::CommissionExpense), 0);
    }
}

#[tokio::test]
async fn p22_an_order_that_went_back_before_the_decision_is_decided_and_followed_at_once() {
    let shop = shop();
    shop.family();
    let order = shop.paid(1, CAROL, 10_000, 0);
    assert_eq!(
        shop.returns(order, 2500, true).await,
        [],
        "there is nothing to take from"
    );
    shop.accrue(order).await;
    assert_eq!(shop.states(), [CommissionState::Frozen; 2]);
    assert_eq!((shop.balance(BOB), shop.balance(ALICE)), (900, 300));
    assert_eq!(
        shop.shares(),
        [(ALICE, 400), (BOB, 1200)],
        "what was earned is not rewritten"
    );
    assert_eq!(shop.adjust(order).await, []);
}

#[tokio::test]
async fn p22_nothing_matures_while_the_order_is_disputed_and_then_the_usual_job_does_it() {
    let shop = shop();
    let order = shop.sold().await;
    shop.clock.advance(Duration::days(8));
    shop.goes_back(order, usd(0), true).await;
    assert_eq!(shop.mature().await, 0, "before the job has frozen them");
    shop.adjust(order).await;
    assert_eq!(shop.mature().await, 0);
    shop.returns(order, 0, false).await;
    assert_eq!(shop.states(), [CommissionState::Held; 2]);
    assert_eq!(shop.mature().await, 2);
    shop.returns(order, 0, true).await;
    shop.returns(order, 0, false).await;
    assert_eq!(
        shop.states(),
        [CommissionState::Ready; 2],
        "and ready ones go back to ready"
    );
    assert_eq!(
        shop.db
            .world(&shop.scope)
            .commissions
            .values()
            .next()
            .map(|share| share.hold_until),
        Some(at(7))
    );
}

#[tokio::test]
async fn another_sites_order_has_nothing_to_follow() {
    let shop = shop();
    let order = shop.sold().await;
    shop.goes_back(order, usd(10_000), false).await;
    assert_eq!(shop.service.adjust(&site(2), order).await.expect("adjusted"), []);
    assert_eq!(shop.states(), [CommissionState::Held; 2]);
}

#[derive(Debug, Clone)]
enum Happens {
    Returns(i64, bool),
    Adjust,
    Mature,
    Days(i64),
    /// What is ready is paid out.
    PaidOut,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0_i64..=10_000, any::<bool>()).prop_map(|(returned, disputed)| Happens::Returns(returned, disputed)),
        2 => (prop_oneof![Just(0), Just(10_000)], any::<bool>())
            .prop_map(|(returned, disputed)| Happens::Returns(returned, disputed)),
        4 => Just(Happens::Adjust),
        1 => Just(Happens::Mature),
        1 => (1_i64..5).prop_map(Happens::Days),
        1 => Just(Happens::PaidOut),
    ]
}

impl Shop {
    async fn goes_through(&self, order: OrderId, story: &[Happens]) {
        for happens in story {
            match happens {
                Happens::Returns(returned, disputed) => {
                    self.goes_back(order, usd(*returned), *disputed).await;
                }
                Happens::Adjust => {
                    self.adjust(order).await;
                }
                Happens::Mature => {
                    self.mature().await;
                }
                Happens::Days(days) => self.clock.advance(Duration::days(*days)),
                Happens::PaidOut => self.db.arrange(&self.scope, |world| {
                    let ready = |share: &&mut Commission| share.state == CommissionState::Ready;
                    for share in world.commissions.values_mut().filter(ready) {
                        share.state = CommissionState::Paid;
                    }
                }),
            }
        }
        self.adjust(order).await;
    }

    /// Whatever happened: what is left is what the facts of now leave, and what the books say.
    fn comes_out_right(&self, order: OrderId) {
        let world = self.db.world(&self.scope);
        let facts = world.orders[&order].returns();
        for share in world.commissions.values() {
            let target = share.amount.proportion(facts.returned, facts.total);
            assert_eq!(Some(share.reversed), target);
            assert_eq!(self.balance(share.agent), i128::from(share.left().minor()));
            let open = share.back_to.unwrap_or(share.state);
            let expected = match (open, share.left().is_zero(), facts.disputed) {
                (CommissionState::Paid, ..) => CommissionState::Paid,
                (_, true, _) => CommissionState::Void,
                (_, false, true) => CommissionState::Frozen,
                (_, false, false) => open,
            };
            assert_eq!(share.state, expected);
        }
        assert_eq!(
            world.entries.len(),
            world.commissions.len() + world.adjustments.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn p22_whatever_happens_between_the_shares_follow_the_facts_of_now(
        before in prop::collection::vec(happens(), 0..4),
        after in prop::collection::vec(happens(), 0..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let shop = shop();
            shop.family();
            let order = shop.paid(1, CAROL, 10_000, 0);
            shop.goes_through(order, &before).await;
            shop.accrue(order).await;
            shop.comes_out_right(order);
            shop.goes_through(order, &after).await;
            shop.comes_out_right(order);
            shop.returns(order, 10_000, false).await;
            assert_eq!((shop.balance(BOB), shop.balance(ALICE)), (0, 0));
        });
    }
}
