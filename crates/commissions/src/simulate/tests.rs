use std::sync::Arc;

use chrono::Datelike as _;
use posx_kernel::{ManualClock, OrderId, SeededIds, SiteId, SiteScope};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::testing::{FakeDb, World, at, by_difference, grades, level, party, snapshot, usd};
use crate::{Commissions, Difference, Limits, PaidOrder, Terms};

/// The fake store's past, two orders at a time.
struct FakePast {
    world: World,
    period: Period,
    next: usize,
}

fn first_of_month(at: Timestamp) -> NaiveDate {
    at.date_naive().with_day(1).expect("a month has a first day")
}

impl FakePast {
    fn paid(&self) -> Vec<(Timestamp, &PaidOrder)> {
        let orders = self.world.orders.values();
        let mut paid: Vec<_> = orders.filter_map(|order| Some((order.paid_at?, order))).collect();
        paid.sort_by_key(|(paid_at, order)| (*paid_at, order.order));
        paid
    }

    fn within(&self, at: Timestamp) -> bool {
        self.period.from <= at && at < self.period.until
    }

    fn above(&self, buyer: PartyId, at: Timestamp) -> Vec<PartyId> {
        let up = |party: &PartyId| {
            let (referrer, since) = self.world.referrals.get(party)?;
            (*since <= at).then_some(*referrer)
        };
        std::iter::successors(up(&buyer), up).collect()
    }
}

#[async_trait]
impl Past for FakePast {
    async fn orders(&mut self) -> Result<Vec<PastOrder>, StoreError> {
        let paid = self.paid();
        let page: Vec<_> = paid
            .into_iter()
            .filter(|(at, _)| self.within(*at))
            .skip(self.next)
            .take(2)
            .map(|(paid_at, order)| PastOrder {
                buyer: order.buyer,
                total: order.total,
                sold: order.total.checked_sub(order.returned).expect("what is left"),
                lines: order.lines.clone(),
                paid_at,
                month: first_of_month(paid_at),
                above: self.above(order.buyer, paid_at),
            })
            .collect();
        self.next += page.len();
        Ok(page)
    }

    async fn parties(&mut self, parties: &[PartyId]) -> Result<Vec<PastParty>, StoreError> {
        let known = |party: &PartyId| {
            let before = self.paid().into_iter().filter(|(at, order)| {
                *at < self.period.from && self.above(order.buyer, self.period.from).first() == Some(party)
            });
            let sold: i64 = before
                .map(|(_, order)| order.total.minor() - order.returned.minor())
                .sum();
            let terms = self.world.terms.iter().filter(|terms| terms.agent == *party);
            PastParty {
                sales: vec![usd(sold)],
                earned: Vec::new(),
                terms: terms.cloned().collect(),
                suspensions: Vec::new(),
            }
        };
        Ok(parties.iter().map(known).collect())
    }

    async fn moved(&mut self) -> Result<Vec<SalesMoved>, StoreError> {
        let mut moved = Vec::new();
        for (party, (referrer, since)) in &self.world.referrals {
            let earlier = self
                .paid()
                .into_iter()
                .filter(|(at, order)| order.buyer == *party && at < since);
            let sold: i64 = earlier
                .map(|(_, order)| order.total.minor() - order.returned.minor())
                .sum();
            if self.within(*since) && *since > self.period.from && sold > 0 {
                moved.push(SalesMoved {
                    at: *since,
                    agent: *referrer,
                    sales: usd(sold),
                });
            }
        }
        moved.sort_by_key(|moved| moved.at);
        Ok(moved)
    }

    async fn stored(&mut self) -> Result<Vec<Stored>, StoreError> {
        let mut stored: BTreeMap<PartyId, (i64, u64)> = BTreeMap::new();
        for share in self.world.commissions.values() {
            let order = &self.world.orders[&share.order];
            if order.paid_at.is_some_and(|at| self.within(at)) {
                let sum = stored.entry(share.agent).or_default();
                sum.0 += share.amount.minor();
                sum.1 += 1;
            }
        }
        let one = |(agent, (minor, shares))| Stored {
            agent,
            amount: usd(minor),
            shares,
        };
        Ok(stored.into_iter().map(one).collect())
    }
}

fn site() -> SiteScope {
    SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(1)))
}

fn order(name: u128, buyer: u128, minor: i64, day: i64) -> PaidOrder {
    PaidOrder {
        order: OrderId::from_uuid(Uuid::from_u128(name)),
        buyer: party(buyer),
        total: usd(minor),
        returned: usd(0),
        disputed: false,
        lines: Vec::new(),
        snapshot: None,
        paid_at: Some(at(day)),
    }
}

fn world(orders: Vec<PaidOrder>, referrals: &[(u128, u128, i64)]) -> World {
    let referral = |(below, above, day): &(u128, u128, i64)| (party(*below), (party(*above), at(*day)));
    let mut world = World::default();
    world.orders = orders.into_iter().map(|order| (order.order, order)).collect();
    world.referrals = referrals.iter().map(referral).collect();
    world
}

fn days(from: i64, until: i64) -> Period {
    Period::new(at(from), at(until)).expect("a period")
}

async fn simulated(world: &World, plan: PlanSnapshot, period: Period) -> Simulated {
    let mut past = FakePast {
        world: world.clone(),
        period,
        next: 0,
    };
    simulate(plan, period, &mut past).await.expect("simulated")
}

fn sums(simulated: &Simulated) -> Vec<(PartyId, i64)> {
    let earners = simulated.agents.iter().filter(|agent| agent.simulated_shares > 0);
    earners
        .map(|agent| (agent.agent, agent.simulated.minor()))
        .collect()
}

/// The same orders with the version frozen on each, decided in the order of their payment.
async fn applied(world: &World, plan: &PlanSnapshot) -> World {
    let (db, scope) = (FakeDb::default(), site());
    let mut orders: Vec<_> = world.orders.values().cloned().collect();
    db.arrange(&scope, |there| {
        there.clone_from(world);
        for order in there.orders.values_mut() {
            order.snapshot = Some(plan.clone());
        }
    });
    let clock = Arc::new(ManualClock::stopped_at(at(0)));
    let service = Commissions::new(Arc::new(db.clone()), clock, Arc::new(SeededIds::new(3)));
    orders.sort_by_key(|order| (order.paid_at, order.order));
    for order in orders {
        service.accrue(&scope, order.order).await.expect("accrued");
    }
    db.world(&scope)
}

#[test]
fn a_period_ends_after_it_begins_and_is_at_most_a_year() {
    assert!(Period::new(at(0), at(366)).is_ok());
    assert!(matches!(Period::new(at(0), at(0)), Err(SimulateError::Period)));
    assert!(matches!(Period::new(at(0), at(367)), Err(SimulateError::Period)));
}

#[tokio::test]
async fn only_what_was_paid_in_the_period_counts_and_what_was_stored_stands_beside_it() {
    let orders = vec![
        order(1, 3, 10_000, 0),
        order(2, 3, 20_000, 1),
        order(3, 3, 40_000, 2),
    ];
    let mut world = world(orders, &[(3, 2, 0), (2, 1, 0)]);
    let old = snapshot(vec![level(1, "0.05", 0)]);
    world = applied(&world, &old).await;
    let plan = snapshot(vec![level(1, "0.1", 0), level(2, "0.01", 0)]);
    let said = simulated(&world, plan, days(1, 2)).await;
    assert_eq!(said.orders, 1);
    assert_eq!(sums(&said), [(party(1), 200), (party(2), 2000)]);
    let bob = &said.agents[1];
    assert_eq!((bob.stored, bob.difference), (usd(1000), usd(1000)));
    assert_eq!(
        (said.totals[0].stored, said.totals[0].difference),
        (usd(1000), usd(1200))
    );
}

#[tokio::test]
async fn sales_before_the_period_count_and_those_of_one_moment_do_not_count_for_one_another() {
    let orders = vec![
        order(1, 3, 300, 0),
        order(2, 3, 200, 5),
        order(3, 4, 1000, 5),
        order(4, 3, 1000, 6),
    ];
    let world = world(orders, &[(3, 2, 0), (4, 2, 5)]);
    let plan = snapshot(vec![level(1, "0.1", 1000)]);
    // At day 5 the agent had sold 300; at day 6, 1500.
    let said = simulated(&world, plan.clone(), days(5, 7)).await;
    assert_eq!(sums(&said), [(party(2), 100)]);
    let less = snapshot(vec![level(1, "0.1", 300)]);
    let said = simulated(&world, less, days(5, 7)).await;
    assert_eq!(sums(&said), [(party(2), 220)]);
}

#[tokio::test]
async fn whoever_had_bought_before_brings_their_sales_when_they_come() {
    let orders = vec![order(1, 3, 1000, 1), order(2, 4, 500, 3)];
    // The third came on day 2, after their own order.
    let world = world(orders, &[(3, 2, 2), (4, 2, 3)]);
    let plan = snapshot(vec![level(1, "0.1", 1000)]);
    let said = simulated(&world, plan, days(0, 7)).await;
    assert_eq!(sums(&said), [(party(2), 50)]);
}

#[derive(Debug, Clone)]
struct Story {
    world: World,
    plan: PlanSnapshot,
}

fn plans() -> impl Strategy<Value = PlanSnapshot> {
    let limits = || {
        (prop::option::of(1_i64..3000), prop::option::of(1_i64..8000)).prop_map(|(order, month)| Limits {
            order_min: None,
            order_max: None,
            cap_per_order: order.map(usd),
            cap_per_month: month.map(usd),
        })
    };
    let levels = prop::collection::vec((0_u32..=20, 0_i64..30_000, limits()), 1..5).prop_map(|levels| {
        let one = |((rate, minimum, limits), number): ((u32, i64, Limits), u8)| {
            let mut one = level(number, &format!("0.{rate:02}"), minimum);
            one.limits = limits;
            one
        };
        snapshot(levels.into_iter().zip(1..).map(one).collect())
    });
    let difference = (limits(), prop::option::of(0_i64..20_000)).prop_map(|(limits, minimum)| {
        let mut terms = grades(&[("bronze", "0.10"), ("silver", "0.15"), ("gold", "0.2")]);
        terms.limits = limits;
        terms.minimum_sales = minimum.map(usd);
        PlanSnapshot {
            rules: Rules::Difference(Difference::new(terms).expect("grades")),
            ..by_difference(&[("bronze", "0.1")])
        }
    });
    prop_oneof![levels, difference]
}

prop_compose! {
    /// Everybody is referred by somebody with a lower number, some of them late; some have terms, from some day on.
    fn stories()(
        plan in plans(),
        above in prop::collection::vec((any::<prop::sample::Index>(), 0_i64..20, prop::option::of((0_i64..60, 0_usize..3))), 1..9),
        bought in prop::collection::vec((0_u128..9, 1_i64..20_000, 0_i64..60, 0_i64..3), 0..25),
    ) -> Story {
        let referrals: Vec<_> = above.iter().zip(1_u128..).map(|((index, day, _), name)| {
            (name, index.index(usize::try_from(name).expect("small")) as u128, *day)
        }).collect();
        let orders = bought.iter().zip(100..).map(|((buyer, minor, day, back), name)| {
            let mut paid = order(name, *buyer, *minor, *day);
            paid.returned = usd(minor / 3 * back);
            paid
        }).collect();
        let mut world = world(orders, &referrals);
        for ((_, _, terms), name) in above.iter().zip(1_u128..) {
            let Some((day, grade)) = terms else { continue };
            world.terms.push(AgentTerms {
                agent: party(name), number: 1, effective_from: at(*day), recorded_at: at(*day),
                terms: Terms { grade: Some(["silver", "gold", "tin"][*grade].to_owned()), ..Terms::default() },
            });
        }
        Story { world, plan }
    }
}

proptest! {
    #[test]
    fn what_a_simulation_says_of_all_orders_is_what_is_paid_when_the_version_is_in_force(story in stories()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let said = simulated(&story.world, story.plan.clone(), days(0, 60)).await;
            let done = applied(&story.world, &story.plan).await;
            let mut paid: BTreeMap<PartyId, i64> = BTreeMap::new();
            for share in done.commissions.values() {
                *paid.entry(share.agent).or_default() += share.amount.minor();
            }
            prop_assert_eq!(sums(&said), paid.into_iter().collect::<Vec<_>>());
            // Asked again when it is done, there is no difference.
            let after = simulated(&done, story.plan.clone(), days(0, 60)).await;
            prop_assert!(after.agents.iter().all(|agent| agent.difference.is_zero()));
            Ok(())
        })?;
    }
}
