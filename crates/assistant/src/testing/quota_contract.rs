//! What every keeper of budgets must do.

mod limits;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{NaiveDate, TimeDelta};
use futures::future::join_all;
use posx_kernel::{CreditId, IdentityId, ModelCallId, SiteScope, Timestamp, VisitorId};
use uuid::Uuid;

use super::{reservation, spent};
use crate::{
    Asker, BudgetKey, BudgetScope, Counter, Limit, Micros, Period, Purpose, Quota, QuotaError, Reservation,
    day_of,
};

/// A site whose budgets are kept, in UTC, with no limits of the operator.
#[async_trait]
pub trait QuotaWorld: Send + Sync {
    fn quota(&self) -> Arc<dyn Quota>;
    fn scope(&self) -> SiteScope;
    /// Known to the store.
    fn member(&self) -> IdentityId;
    /// Replaces the site's own limits, as staff do.
    async fn set_limits(&self, limits: Vec<Limit>);
    /// As staff do.
    async fn add_credit(&self, amount: u64, expires_at: Option<Timestamp>) -> CreditId;
    async fn counter(&self, key: &BudgetKey) -> Counter;
    async fn credit(&self, id: CreditId) -> Counter;
    /// Events of this kind.
    async fn events(&self, kind: &str) -> usize;
    /// The present, by the clock of the use cases.
    fn now(&self) -> Timestamp;
}

fn call(number: u128) -> ModelCallId {
    ModelCallId::from_uuid(Uuid::from_u128((1 << 100) + number))
}

fn visitor(number: u128) -> Asker {
    Asker::Visitor(VisitorId::from_uuid(Uuid::from_u128((2 << 100) + number)))
}

pub(super) fn limit(scope: BudgetScope, period: Period, micros: u64) -> Limit {
    Limit {
        scope,
        purpose: (scope == BudgetScope::Purpose).then_some(Purpose::StaffChat),
        period,
        limit_micros: Micros::new(micros).expect("small"),
    }
}

struct Suite<'a> {
    world: &'a dyn QuotaWorld,
    quota: Arc<dyn Quota>,
    scope: SiteScope,
    at: Timestamp,
}

impl Suite<'_> {
    fn wish(&self, number: u128, worst_case: u64) -> Reservation {
        let asker = Asker::Member(self.world.member());
        reservation(call(number), asker, Purpose::StaffChat, worst_case, self.at)
    }

    async fn reserve(&self, wish: &Reservation) -> bool {
        self.refusal(wish).await.is_none()
    }

    /// Which budget refused it, and what was left of it.
    async fn refusal(&self, wish: &Reservation) -> Option<(BudgetScope, Period, u64)> {
        match self.quota.reserve(&self.scope, wish).await {
            Ok(()) => None,
            Err(QuotaError::UsedUp {
                scope,
                period,
                left,
                resets_at,
            }) => {
                assert!(resets_at > self.at);
                Some((scope, period, left.get()))
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn settle(&self, number: u128, cost: u64) {
        let spent = spent(cost, self.at);
        self.quota
            .settle(&self.scope, call(number), &spent)
            .await
            .expect("settled");
    }

    async fn release(&self, number: u128) {
        let spent = spent(0, self.at);
        let released = self.quota.release(&self.scope, call(number), &spent);
        released.await.expect("released");
    }

    async fn spend(&self, number: u128, cost: u64) {
        assert!(self.reserve(&self.wish(number, cost)).await);
        self.settle(number, cost).await;
    }

    async fn set_month(&self, scope: BudgetScope, micros: u64) {
        let limits = vec![limit(scope, Period::Month, micros)];
        self.world.set_limits(limits).await;
    }

    fn day(&self) -> NaiveDate {
        day_of(self.at, chrono_tz::UTC)
    }

    /// Reserved and spent of the call's budget of this scope.
    async fn counter(&self, asker: Asker, scope: BudgetScope, period: Period) -> (u64, u64) {
        let keys = BudgetKey::of_call(Purpose::StaffChat, asker, self.day());
        let key = keys
            .iter()
            .find(|key| (key.scope, key.period) == (scope, period))
            .expect("one of the call's");
        let counter = self.world.counter(key).await;
        (counter.reserved.get(), counter.spent.get())
    }

    async fn site(&self) -> (u64, u64) {
        self.counter(
            Asker::Member(self.world.member()),
            BudgetScope::Site,
            Period::Month,
        )
        .await
    }

    async fn credit(&self, id: CreditId) -> (u64, u64) {
        let counter = self.world.credit(id).await;
        (counter.reserved.get(), counter.spent.get())
    }
}

/// Each world is of a new site.
pub async fn contract<W: QuotaWorld>(fresh: impl AsyncFn() -> W) {
    let suite = async |test: &str| {
        let world = fresh().await;
        let of = Suite {
            quota: world.quota(),
            scope: world.scope(),
            at: world.now(),
            world: &world,
        };
        match test {
            "once" => what_is_held_is_settled_once_and_the_rest_goes_back(&of).await,
            "released" => what_is_released_cost_nothing(&of).await,
            "expired" => what_nobody_settles_expires_and_a_late_settlement_counts_once(&of).await,
            "scopes" => every_scope_refuses_by_its_own_budget(&of).await,
            "credits" => credits_are_burnt_after_the_month_by_expiry(&of).await,
            "lapsed" => a_lapsed_credit_gives_nothing(&of).await,
            "late" => a_late_settlement_is_the_months_alone(&of).await,
            "changed" => limits::a_call_under_way_ends_by_the_limits_in_force(&of).await,
            "zero" => limits::zero_means_nothing_though_it_is_free(&of).await,
            "warned" => limits::a_budget_warns_once_at_four_fifths(&of).await,
            "warned again" => limits::a_limit_that_is_changed_warns_by_itself(&of).await,
            "refused" => limits::refusals_are_forgotten_when_there_is_room_again(&of).await,
            _ => parallel_calls_never_pass_a_budget(&of).await,
        }
    };
    for test in [
        "once",
        "released",
        "expired",
        "scopes",
        "credits",
        "lapsed",
        "late",
        "changed",
        "zero",
        "warned",
        "warned again",
        "refused",
        "parallel",
    ] {
        suite(test).await;
    }
}

async fn what_is_held_is_settled_once_and_the_rest_goes_back(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 100)])
        .await;
    let wish = of.wish(1, 60);
    assert!(of.reserve(&wish).await);
    // L03: a call that is tried again has one reservation.
    assert!(of.reserve(&wish).await);
    assert_eq!(of.site().await, (60, 0));
    assert_eq!(
        of.refusal(&of.wish(2, 41)).await,
        Some((BudgetScope::Site, Period::Month, 40))
    );
    assert!(of.reserve(&of.wish(3, 40)).await, "to the last millionth");
    of.settle(1, 10).await;
    of.settle(1, 60).await;
    of.release(1).await;
    assert_eq!(of.site().await, (40, 10));
    // More than was held is never counted: the budget was asked for no more.
    of.settle(3, 1_000).await;
    assert_eq!(of.site().await, (0, 50));
    assert!(
        of.quota.reserve(&of.scope, &wish).await.is_err(),
        "a call that has ended is not begun again"
    );
}

async fn what_is_released_cost_nothing(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Day, 50)])
        .await;
    assert!(of.reserve(&of.wish(1, 50)).await);
    of.release(1).await;
    of.release(1).await;
    of.settle(1, 50).await;
    assert_eq!(of.site().await, (0, 0));
    assert!(of.reserve(&of.wish(2, 50)).await);
    // What is too large to count fits into nothing, though there is no limit.
    of.world.set_limits(Vec::new()).await;
    assert!(!of.reserve(&of.wish(3, u64::MAX)).await);
}

async fn what_nobody_settles_expires_and_a_late_settlement_counts_once(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 100)])
        .await;
    let wish = of.wish(1, 100);
    assert!(of.reserve(&wish).await);
    let later = Reservation {
        made_at: wish.expires_at,
        expires_at: wish.expires_at + TimeDelta::minutes(2),
        ..of.wish(2, 90)
    };
    let early = of
        .quota
        .expire(&of.scope, wish.expires_at - TimeDelta::microseconds(1))
        .await;
    assert_eq!(early.expect("expired"), 0);
    // No sweep has come by: what is over makes room all the same.
    assert!(of.reserve(&later).await);
    assert_eq!(of.site().await, (90, 0));
    assert_eq!(
        of.quota
            .expire(&of.scope, wish.expires_at)
            .await
            .expect("expired"),
        0
    );
    of.settle(1, 30).await;
    of.settle(1, 30).await;
    of.release(1).await;
    // The one way past a limit: what it did not hold any more was promised to another. It is 90 + 30 of 100.
    assert_eq!(
        of.site().await,
        (90, 30),
        "counted once, and nothing given back twice"
    );
    assert!(!of.reserve(&of.wish(3, 1)).await, "it is made up for first");
    of.settle(2, 5).await;
    assert_eq!(of.site().await, (0, 35));
}

async fn every_scope_refuses_by_its_own_budget(of: &Suite<'_>) {
    let mut number = 0;
    for scope in BudgetScope::ALL {
        for period in Period::ALL {
            of.world.set_limits(vec![limit(scope, period, 1_000)]).await;
            let asker = match scope {
                BudgetScope::Visitor | BudgetScope::Visitors => visitor(1),
                _ => Asker::Member(of.world.member()),
            };
            let wish = |number, cost| reservation(call(number), asker, Purpose::StaffChat, cost, of.at);
            assert!(of.reserve(&wish(number, 900)).await, "{scope:?} {period:?}");
            assert_eq!(
                of.refusal(&wish(number + 1, 101)).await,
                Some((scope, period, 100))
            );
            assert_eq!(of.counter(asker, scope, period).await, (900, 0));
            of.release(number).await;
            assert_eq!(of.counter(asker, scope, period).await, (0, 0));
            number += 2;
        }
    }
    // Each visitor has a budget, and all have one together.
    let limits = vec![
        limit(BudgetScope::Visitor, Period::Day, 10),
        limit(BudgetScope::Visitors, Period::Day, 25),
    ];
    of.world.set_limits(limits).await;
    for (visited, fits) in [(11, true), (12, true), (13, false)] {
        let wish = reservation(
            call(100 + visited),
            visitor(visited),
            Purpose::StorefrontChat,
            10,
            of.at,
        );
        assert_eq!(of.reserve(&wish).await, fits);
    }
}

async fn credits_are_burnt_after_the_month_by_expiry(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 50)])
        .await;
    let in_days = |days| Some(of.at + TimeDelta::days(days));
    let never = of.world.add_credit(30, None).await;
    let late = of.world.add_credit(30, in_days(20)).await;
    let early = of.world.add_credit(30, in_days(10)).await;
    assert!(of.reserve(&of.wish(1, 100)).await);
    assert_eq!(of.site().await, (50, 0));
    assert_eq!(
        (
            of.credit(early).await,
            of.credit(late).await,
            of.credit(never).await
        ),
        ((30, 0), (20, 0), (0, 0))
    );
    assert_eq!(
        of.refusal(&of.wish(2, 41)).await,
        Some((BudgetScope::Site, Period::Month, 40))
    );
    assert!(of.reserve(&of.wish(3, 40)).await);
    // 65: the month's 50, then 15 of the credit that lapses first; what was held of the others is free.
    of.settle(1, 65).await;
    assert_eq!(of.site().await, (0, 50));
    assert_eq!(
        (
            of.credit(early).await,
            of.credit(late).await,
            of.credit(never).await
        ),
        ((0, 15), (10, 0), (30, 0))
    );
    of.release(3).await;
    assert_eq!((of.credit(late).await, of.credit(never).await), ((0, 0), (0, 0)));
    // What went back to the month meanwhile is used before a credit.
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 60)])
        .await;
    assert!(of.reserve(&of.wish(4, 10)).await);
    assert!(of.reserve(&of.wish(5, 10)).await);
    assert_eq!(of.credit(early).await, (10, 15));
    of.settle(4, 0).await;
    of.settle(5, 10).await;
    assert_eq!((of.site().await, of.credit(early).await), ((0, 60), (0, 15)));
}

async fn a_lapsed_credit_gives_nothing(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 0)])
        .await;
    let credit = of.world.add_credit(10, Some(of.at + TimeDelta::days(1))).await;
    let after = Reservation {
        made_at: of.at + TimeDelta::days(1),
        expires_at: of.at + TimeDelta::days(2),
        ..of.wish(1, 1)
    };
    assert!(of.reserve(&of.wish(2, 10)).await);
    assert_eq!(of.credit(credit).await, (10, 0));
    of.quota
        .expire(&of.scope, of.at + TimeDelta::days(1))
        .await
        .expect("expired");
    assert_eq!(of.credit(credit).await, (0, 0));
    assert!(!of.reserve(&after).await, "it is whole, and over");
}

/// Its credits were given back, and may be another's by now.
async fn a_late_settlement_is_the_months_alone(of: &Suite<'_>) {
    of.set_month(BudgetScope::Site, 50).await;
    let credit = of.world.add_credit(30, None).await;
    let wish = of.wish(1, 70);
    assert!(of.reserve(&wish).await);
    assert_eq!((of.site().await, of.credit(credit).await), ((50, 0), (20, 0)));
    let expired = of.quota.expire(&of.scope, wish.expires_at).await;
    assert_eq!(expired.expect("expired"), 1);
    of.settle(1, 65).await;
    assert_eq!((of.site().await, of.credit(credit).await), ((0, 65), (0, 0)));
}

/// 200 calls at once where 37 fit; every third is settled by less, every third is let go, and every third is forgotten.
async fn parallel_calls_never_pass_a_budget(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 379)])
        .await;
    let made = join_all((0..200).map(|number| async move { of.reserve(&of.wish(number, 10)).await })).await;
    let held: Vec<_> = (0..200)
        .zip(&made)
        .filter_map(|(number, made)| made.then_some(number))
        .collect();
    assert_eq!(held.len(), 37);
    assert_eq!(of.site().await, (370, 0));
    let ended = held.iter().enumerate().map(|(at, number)| async move {
        match at % 3 {
            0 => of.settle(*number, 4).await,
            1 => of.release(*number).await,
            _ => {}
        }
    });
    join_all(ended).await;
    assert_eq!(of.site().await, (120, 52));
    of.quota
        .expire(&of.scope, of.at + TimeDelta::hours(1))
        .await
        .expect("expired");
    assert_eq!(of.site().await, (0, 52));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeQuota;
    use crate::{Limits, ModelBudgets};

    struct Fake(FakeQuota);

    #[async_trait]
    impl QuotaWorld for Fake {
        fn quota(&self) -> Arc<dyn Quota> {
            Arc::new(self.0.clone())
        }
        fn scope(&self) -> SiteScope {
            SiteScope::of_claimed_job(posx_kernel::SiteId::from_uuid(Uuid::from_u128(1)))
        }
        fn member(&self) -> IdentityId {
            IdentityId::from_uuid(Uuid::from_u128(2))
        }
        async fn set_limits(&self, limits: Vec<Limit>) {
            self.0.set_limits(Limits::new(limits).unwrap());
        }
        async fn add_credit(&self, amount: u64, expires_at: Option<Timestamp>) -> CreditId {
            use posx_kernel::{ManualClock, SeededIds};
            let clock = Arc::new(ManualClock::stopped_at(self.now()));
            let db = Arc::new(self.0.clone());
            let ids = Arc::new(SeededIds::new(
                amount + expires_at.map_or(0, |at| at.timestamp().unsigned_abs()),
            ));
            let budgets = ModelBudgets::new(db, self.quota(), clock, ids);
            let wish = crate::AddCredit {
                kind: crate::CreditKind::Grant,
                amount: Micros::new(amount).unwrap(),
                note: None,
                expires_at,
            };
            budgets.add_credit(&self.scope(), wish, None).await.unwrap().id
        }
        async fn counter(&self, key: &BudgetKey) -> Counter {
            self.0.counter(key)
        }
        async fn credit(&self, id: CreditId) -> Counter {
            self.0.credit(id).unwrap()
        }
        async fn events(&self, kind: &str) -> usize {
            self.0.events().iter().filter(|event| event.kind == kind).count()
        }
        fn now(&self) -> Timestamp {
            "2026-03-15T12:00:00Z".parse().unwrap()
        }
    }

    #[tokio::test]
    async fn the_fake_keeps_the_contract_of_quotas() {
        contract(async || Fake(FakeQuota::new(chrono_tz::UTC, Limits::default()))).await;
    }
}
