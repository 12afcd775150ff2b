//! Whatever happens at the provider, and in whatever order, however often and how late its events come: what stands in the end
//! is a function of what happened.

use posx_kernel::Money;
use proptest::prelude::*;

use super::world::World;
use crate::gateway::{IntentId, ProviderDisputeState as At};
use crate::{Order, RefundState};

#[derive(Debug, Clone)]
enum Step {
    StaffRefund(i64),
    RefundByHand(i64),
    SendRefunds,
    RefundBecomes(usize, RefundState),
    Dispute(i64, At),
    Withdraw(usize),
    Reinstate(usize),
    Decide(usize, At),
    HearOfRefunds,
    HearOfDispute(usize),
    LoseAnswers(u32),
}

fn at() -> impl Strategy<Value = At> {
    prop::sample::select(
        At::ALL
            .iter()
            .copied()
            .filter(|at| at.ours().is_some())
            .collect::<Vec<_>>(),
    )
}

fn step() -> impl Strategy<Value = Step> {
    let amount = 1..=10_000_i64;
    prop_oneof![
        amount.clone().prop_map(Step::StaffRefund),
        amount.clone().prop_map(Step::RefundByHand),
        Just(Step::SendRefunds),
        (0..6_usize, prop::sample::select(RefundState::ALL))
            .prop_map(|(at, state)| Step::RefundBecomes(at, state)),
        (amount, at()).prop_map(|(amount, at)| Step::Dispute(amount, at)),
        (0..3_usize).prop_map(Step::Withdraw),
        (0..3_usize).prop_map(Step::Reinstate),
        (0..3_usize, at()).prop_map(|(dispute, at)| Step::Decide(dispute, at)),
        Just(Step::HearOfRefunds),
        (0..3_usize).prop_map(Step::HearOfDispute),
        (0..3_u32).prop_map(Step::LoseAnswers),
    ]
}

/// One paid order at a provider, and what happened there.
struct Scene {
    world: World,
    order: Order,
    intent: IntentId,
    disputes: Vec<(String, i64, bool)>,
}

impl Scene {
    async fn set() -> Self {
        let world = World::with("USD", 10_000, 10).await;
        let (order, intent) = world.sold(1).await;
        Self {
            world,
            order,
            intent,
            disputes: Vec::new(),
        }
    }

    fn usd(&self, minor: i64) -> Money {
        Money::from_minor(minor, self.order.currency())
    }

    /// No provider refunds more than it has.
    fn left_at_provider(&self) -> i64 {
        let refunds = self.world.gateway.refunded();
        let counted = refunds.iter().filter(|refund| refund.state.counts());
        10_000 - counted.map(|refund| refund.amount.minor()).sum::<i64>()
    }

    async fn take(&mut self, step: &Step) {
        let gateway = self.world.gateway.clone();
        match step {
            Step::StaffRefund(minor) => drop(self.world.ask_refund(&self.order, Some(*minor)).await),
            Step::RefundByHand(minor) => {
                if *minor <= self.left_at_provider() {
                    gateway.refunds_by_hand(&self.intent, self.usd(*minor), None);
                }
            }
            Step::SendRefunds => self.send().await,
            Step::RefundBecomes(at, state) => {
                let refunds = gateway.refunded();
                if let Some(refund) = refunds.get(*at)
                    && refund.state.may_become(*state)
                {
                    gateway.refund_becomes(&refund.id, *state);
                }
            }
            Step::Dispute(minor, at) if self.disputes.len() < 3 => {
                let id = gateway.disputes(&self.intent, self.usd(*minor), *at);
                self.disputes.push((id, *minor, false));
            }
            Step::Dispute(..) => {}
            Step::Withdraw(at) => self.move_money(*at, true),
            Step::Reinstate(at) => self.move_money(*at, false),
            Step::Decide(at, state) => {
                if let Some((id, ..)) = self.disputes.get(*at) {
                    gateway.decides(id, *state);
                }
            }
            Step::HearOfRefunds => {
                drop(
                    self.world
                        .orders
                        .apply_refunds(&self.world.scope, &self.intent)
                        .await,
                );
            }
            Step::HearOfDispute(at) => {
                if let Some((id, ..)) = self.disputes.get(*at) {
                    drop(self.world.orders.apply_dispute(&self.world.scope, id).await);
                }
            }
            Step::LoseAnswers(count) => gateway.lose_answers(*count),
        }
    }

    fn move_money(&mut self, at: usize, withdraw: bool) {
        let currency = self.order.currency();
        if let Some((id, minor, withdrawn)) = self.disputes.get_mut(at)
            && *withdrawn != withdraw
        {
            *withdrawn = withdraw;
            let (amount, fee) = if withdraw { (-*minor, 1_500) } else { (*minor, 0) };
            let money = |minor| Money::from_minor(minor, currency);
            self.world
                .gateway
                .moves_disputed_money(id, money(amount), money(fee));
        }
    }

    async fn send(&self) {
        let refunds = self
            .world
            .store
            .read(|state| state.refunds.keys().copied().collect::<Vec<_>>());
        for refund in refunds.await {
            drop(self.world.orders.send_refund(&self.world.scope, refund).await);
        }
    }

    /// In the end every event has come, in this order or the other.
    async fn settle(&self, refunds_first: bool) {
        self.world.gateway.lose_answers(0);
        self.send().await;
        for round in 0..2 {
            if refunds_first == (round == 0) {
                self.world.hear_of_refunds(&self.intent).await;
            }
            for (id, ..) in &self.disputes {
                self.world.hear_of_dispute(id).await;
            }
        }
    }

    async fn check(&self) {
        let world = &self.world;
        world.check_books().await;
        let balance = world.balance("provider:clearing").await;
        assert_eq!(
            balance,
            i128::from(world.gateway.balance()),
            "the provider's balance"
        );
        let order = world.order(self.order.id).await;
        let refunds = world.gateway.refunded();
        let counted: i64 = refunds
            .iter()
            .filter(|refund| refund.state.counts())
            .map(|refund| refund.amount.minor())
            .sum();
        // From the facts at the provider alone, where verdicts are not turned back to an open dispute.
        let disputes = world
            .store
            .read(|state| state.disputes.values().cloned().collect::<Vec<_>>())
            .await;
        let lost: i64 = disputes.iter().map(|dispute| dispute.lost.minor()).sum();
        for dispute in &disputes {
            let (_, minor, withdrawn) = self
                .disputes
                .iter()
                .find(|(id, ..)| *id == dispute.provider_dispute)
                .expect("a dispute of the scene");
            let held = if *withdrawn { *minor } else { 0 };
            assert_eq!(dispute.withdrawn.minor(), held);
            let is_lost = dispute.state == crate::DisputeState::Lost;
            assert_eq!(dispute.lost.minor(), if is_lost { held } else { 0 });
        }
        let returned = counted + lost.min(10_000 - counted);
        assert_eq!(order.returned.minor(), returned.min(10_000));
        let open = disputes
            .iter()
            .any(|dispute| dispute.state == crate::DisputeState::Open);
        assert_eq!(order.disputed, open);
        assert_eq!(
            world.balance("sales:returned").await,
            i128::from(counted + lost),
            "the books say what it cost"
        );
        let waiting: i64 = refunds
            .iter()
            .filter(|refund| refund.state.is_open())
            .map(|refund| refund.amount.minor())
            .sum();
        assert_eq!(world.balance("refunds:payable").await, -i128::from(waiting));
    }
}

async fn run(steps: &[Step], refunds_first: bool) {
    let mut scene = Scene::set().await;
    for step in steps {
        scene.take(step).await;
        scene.world.check_books().await;
    }
    scene.settle(refunds_first).await;
    scene.check().await;
    let before = scene.world.order(scene.order.id).await;
    let entries = scene.world.store.read(|state| state.entries.len()).await;
    // The same words once more, the other way round, change nothing.
    scene.settle(!refunds_first).await;
    assert_eq!(scene.world.order(scene.order.id).await, before);
    assert_eq!(scene.world.store.read(|state| state.entries.len()).await, entries);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]
    #[test]
    fn p11_p15_s25_s26_any_order_and_number_of_events_ends_in_the_same_books(
        steps in proptest::collection::vec(step(), 0..24), refunds_first in any::<bool>(),
    ) {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(run(&steps, refunds_first));
    }
}
