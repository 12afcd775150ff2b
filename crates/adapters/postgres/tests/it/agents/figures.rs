//! What agents' figures and the leaderboard count.

use chrono::Duration;
use posx_commissions::{AgentQueries as _, Board, Days, LeaderRow, Metric, Span};
use posx_kernel::Money;
use posx_tenancy::Member;

use super::page;
use crate::world::World;

/// The buyer stood below `old` when they first bought for 50.00, and below `new` when they did so twice again.
struct Moved {
    world: World,
    old: Member,
    new: Member,
    buyer: Member,
    days: Days,
    month: Span,
}

async fn moved() -> Moved {
    let world = World::new().await;
    world.plan().await;
    let (old, new) = (world.member(None).await, world.member(None).await);
    let buyer = world.member(None).await;
    let tier = world.tier(10, 5000).await;
    for (agent, orders) in [(&old, 1), (&new, 2)] {
        world
            .places(buyer.party, Some(agent.party))
            .await
            .expect("placed");
        world.clock.advance(Duration::hours(1));
        for _ in 0..orders {
            let order = world.place(&buyer, tier, 1).await.expect("placed");
            world.pay(&order).await;
            let accrued = world.commissions.accrue(&world.scope, order.id).await;
            accrued.expect("accrued");
        }
        world.clock.advance(Duration::hours(1));
    }
    let days = Days::this_month(world.clock_now(), world.site.time_zone);
    let month = days.span(world.site.time_zone).expect("a month");
    Moved {
        world,
        old,
        new,
        buyer,
        days,
        month,
    }
}

impl Moved {
    async fn leaders(&self, metric: Metric) -> Vec<LeaderRow> {
        let board = Board {
            metric,
            span: self.month,
            currency: self.world.site.currency,
            limit: 10,
        };
        let leaders = self.world.database.leaderboard(&self.world.scope, board).await;
        leaders.expect("leaders")
    }
}

#[tokio::test]
async fn figures_count_each_sale_for_who_stood_above_when_it_was_paid() {
    let moved = moved().await;
    let (database, scope) = (&moved.world.database, &moved.world.scope);
    for (agent, customers, orders, minor) in [(&moved.old, 0, 1, 5000), (&moved.new, 1, 2, 10_000)] {
        let figures = database
            .figures(scope, agent.party, moved.month, moved.days.first)
            .await;
        let figures = figures.expect("figures");
        assert_eq!(
            (figures.direct_customers, figures.total_customers),
            (customers, customers)
        );
        assert_eq!(figures.sales, figures.month.sales);
        let sales = &figures.sales[0];
        assert_eq!(
            (sales.direct.minor(), sales.team.minor(), sales.orders),
            (minor, minor, orders)
        );
        let earned = minor * 12 / 100;
        let sum = &figures.commissions[0];
        assert_eq!(
            (sum.state.as_str(), sum.count, sum.amount.minor()),
            ("held", orders, earned)
        );
        assert_eq!(figures.month.earned[0].minor(), earned);
        let balance = &figures.balances[0];
        let of = [
            balance.balance,
            balance.held_back,
            balance.available,
            balance.pending,
        ];
        assert_eq!(of.map(Money::minor), [earned, earned, 0, 0]);
    }
    let customers = database
        .customers(scope, moved.new.party, page(10))
        .await
        .expect("customers");
    let customer = &customers.items[0];
    assert_eq!(
        (customer.party, customer.orders, customer.sales[0].minor()),
        (moved.buyer.party, 2, 10_000)
    );
}

#[tokio::test]
async fn the_leaderboard_ranks_by_sales_commissions_or_new_customers() {
    let moved = moved().await;
    let (old, new) = (moved.old.party, moved.new.party);
    for (metric, best) in [(Metric::Sales, 10_000), (Metric::Commissions, 1200)] {
        let rows: Vec<_> = moved
            .leaders(metric)
            .await
            .iter()
            .map(|row| (row.rank, row.agent, row.amount.map(Money::minor), row.count))
            .collect();
        assert_eq!(rows, [(1, new, Some(best), 2), (2, old, Some(best / 2), 1)]);
    }
    let customers = moved.leaders(Metric::Customers).await;
    let rows: Vec<_> = customers
        .iter()
        .map(|row| (row.agent, row.amount, row.count))
        .collect();
    assert_eq!(rows, [(new, None, 1)], "who left again is not counted");
}
