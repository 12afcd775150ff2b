//! Whatever happens to an order, tokens and money go together.

use super::*;

/// What happens to an order, in any order and any number of times.
#[derive(Debug, Clone)]
enum Step {
    Returned(i64),
    Adjust,
    Allocate,
    Send(usize),
    End(usize, &'static str),
    Retry(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..=100_i64).prop_map(Step::Returned),
        1 => Just(Step::Returned(0)),
        1 => Just(Step::Returned(100)),
        3 => Just(Step::Adjust),
        1 => Just(Step::Allocate),
        3 => (0..3_usize).prop_map(Step::Send),
        3 => (0..3_usize, prop::sample::select(vec!["COMPLETED", "FAILED", "CONFIRMING"])).prop_map(|(at, how)| Step::End(at, how)),
        1 => (0..3_usize).prop_map(Step::Retry),
    ];
    prop::collection::vec(step, 1..25)
}

impl Shop {
    /// With the custodian.
    fn on_its_way(&self, id: AllocationId) -> bool {
        (StateName::Unknown.rank()..=StateName::Confirming.rank()).contains(&self.state(id).rank())
    }

    async fn all_arrive(&self) {
        for id in self
            .world()
            .allocations
            .into_keys()
            .filter(|id| self.on_its_way(*id))
        {
            self.ends(id, "COMPLETED").await;
        }
    }

    async fn step(&self, order: OrderId, step: Step) {
        let nth = |at: usize| self.world().allocations.keys().nth(at).copied();
        // A refusal is an answer, too.
        match step {
            Step::Returned(minor) => self.change(order, |facts| facts.returned = money(minor)),
            Step::Adjust => drop(self.service.adjust(&self.scope, order).await),
            Step::Allocate => drop(self.service.allocate(&self.scope, order).await),
            Step::Send(at) => {
                if let Some(id) = nth(at) {
                    let draft = self.service.create_batch(&self.scope, actor(), &[id], None).await;
                    if let Ok(batch) = draft {
                        drop(self.approve(batch.id, &checkers()).await);
                        drop(self.service.begin_sending(&self.scope, batch.id).await);
                    }
                    drop(self.service.submit(&self.scope, id).await);
                }
            }
            Step::End(at, status) => {
                if let Some(id) = nth(at).filter(|id| self.on_its_way(*id)) {
                    self.ends(id, status).await;
                }
            }
            Step::Retry(at) => {
                if let Some(id) = nth(at) {
                    drop(self.service.retry(&self.scope, id).await);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn p15_whatever_happens_in_whatever_order_tokens_and_money_go_together(history in steps(), returned in 0..=100_i64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let shop = shop();
            let order = shop.sale(1);
            for step in history {
                shop.step(order, step).await;
                shop.check_books();
            }
            shop.all_arrive().await;
            for _ in 0..6 {
                for id in shop.world().allocations.into_keys() {
                    drop(shop.service.submit(&shop.scope, id).await);
                }
                shop.all_arrive().await;
                shop.returned(order, returned).await;
            }
            let last = shop.returned(order, returned).await;
            assert!(!last.waiting);
            shop.check_books();
            let parts: Vec<_> = shop.world().allocations.into_values().collect();
            let sum = |of: fn(&Allocation) -> u128| parts.iter().map(of).sum::<u128>();
            let back = u128::try_from(returned).expect("not negative") * 10;
            assert_eq!(sum(|one| one.amount.base_units()), 1000);
            assert_eq!(sum(|one| one.cut.base_units()) + sum(|one| one.owed.base_units()), back);
            let settled = shop.service.adjust(&shop.scope, order).await.expect("once more");
            assert_eq!(settled, crate::Adjusted::default());
        });
    }
}
