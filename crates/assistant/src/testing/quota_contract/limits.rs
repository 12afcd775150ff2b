//! Limits as they are, as they change, and what is told of them.

use super::{Suite, limit};
use crate::{BudgetScope, Period};

pub(super) async fn a_call_under_way_ends_by_the_limits_in_force(of: &Suite<'_>) {
    of.set_month(BudgetScope::Site, 50).await;
    let credit = of.world.add_credit(30, None).await;
    assert!(of.reserve(&of.wish(1, 60)).await);
    assert_eq!((of.site().await, of.credit(credit).await), ((50, 0), (10, 0)));
    // Raised, the month has room for all of it.
    of.set_month(BudgetScope::Site, 110).await;
    of.settle(1, 60).await;
    assert_eq!((of.site().await, of.credit(credit).await), ((0, 60), (0, 0)));
    assert!(of.reserve(&of.wish(2, 60)).await);
    // Lowered, it keeps what it holds, and takes nothing more.
    of.set_month(BudgetScope::Site, 20).await;
    of.settle(2, 60).await;
    assert_eq!((of.site().await, of.credit(credit).await), ((0, 110), (0, 10)));
}

pub(super) async fn zero_means_nothing_though_it_is_free(of: &Suite<'_>) {
    for (number, period) in (0..).zip(Period::ALL) {
        of.world
            .set_limits(vec![limit(BudgetScope::Site, period, 0)])
            .await;
        let refused = of.refusal(&of.wish(number, 0)).await;
        assert_eq!(refused, Some((BudgetScope::Site, period, 0)));
    }
    of.world.add_credit(5, None).await;
    assert!(of.reserve(&of.wish(10, 0)).await, "there is something to spend");
    of.set_month(BudgetScope::Member, 10).await;
    of.spend(11, 10).await;
    assert!(
        of.reserve(&of.wish(12, 0)).await,
        "a limit that is used up holds it"
    );
}

pub(super) async fn a_limit_that_is_changed_warns_by_itself(of: &Suite<'_>) {
    use BudgetScope::{Purpose, Site};

    for (number, (scope, limit, cost, warnings)) in (0..).zip([
        (Site, 100, 85, 1),
        // Raised: 95 is less than four fifths, 175 is not.
        (Site, 200, 10, 1),
        (Site, 200, 80, 2),
        // From before them to beyond them in one call.
        (Site, 300, 70, 3),
        // Lowered: it was told of already.
        (Site, 250, 1, 3),
        // Of a purpose, nothing was.
        (Purpose, 1_000, 1, 3),
        (Purpose, 300, 1, 4),
        (Purpose, 300, 1, 4),
    ]) {
        of.set_month(scope, limit).await;
        of.spend(number, cost).await;
        let told = of.world.events("model_budget.warned").await;
        assert_eq!(told, warnings, "{cost} more of {limit}");
    }
    // What costs nothing does not bring it there.
    of.set_month(Purpose, 250).await;
    assert!(of.reserve(&of.wish(20, 1)).await);
    of.release(20).await;
    assert_eq!(of.world.events("model_budget.warned").await, 4);
}

pub(super) async fn a_budget_warns_once_at_four_fifths(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 100)])
        .await;
    for (number, cost, warnings) in [(1, 79, 0), (2, 1, 1), (3, 20, 1)] {
        assert!(of.reserve(&of.wish(number, cost)).await);
        of.settle(number, cost).await;
        assert_eq!(
            of.world.events("model_budget.warned").await,
            warnings,
            "after {cost} more"
        );
    }
}

pub(super) async fn refusals_are_forgotten_when_there_is_room_again(of: &Suite<'_>) {
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 10)])
        .await;
    assert!(of.reserve(&of.wish(1, 10)).await);
    for number in 2..6 {
        assert!(!of.reserve(&of.wish(number, 10)).await);
    }
    of.settle(1, 3).await;
    assert!(!of.reserve(&of.wish(6, 8)).await);
    assert!(of.reserve(&of.wish(7, 7)).await, "the rest went back");
    assert!(!of.reserve(&of.wish(8, 5)).await);
    of.world.add_credit(5, None).await;
    assert!(of.reserve(&of.wish(9, 5)).await, "there is a credit now");
    assert!(!of.reserve(&of.wish(10, 5)).await);
    of.world
        .set_limits(vec![limit(BudgetScope::Site, Period::Month, 20)])
        .await;
    assert!(of.reserve(&of.wish(11, 5)).await, "the limit is higher now");
}
