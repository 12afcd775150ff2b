//! Statements of agents, made by the clock of the site.

use chrono::TimeDelta;
use posx_commissions::{Month, NewPlan, StatementView};
use posx_kernel::{Clock as _, PageRequest, PartyId};
use posx_worker::{Tick, drain_site, tick_site};
use serde_json::json;

use crate::world::World;

impl World {
    /// 200.00 are paid, of which an agent earns 12 %.
    async fn earns(&self) -> PartyId {
        let zero = json!({ "amount": "0.00", "currency": "USD" });
        let levels = json!([{ "level": 1, "rate": "0.12", "minimum_sales": zero }]);
        let wish = NewPlan {
            name: "Standard".to_owned(),
            levels: serde_json::from_value(levels).unwrap(),
            difference: None,
            hold_days: 7,
        };
        let (commissions, currency) = (&self.services.commissions, self.site.currency);
        let plan = commissions
            .create_plan(&self.scope, currency, wish, None)
            .await
            .unwrap();
        commissions
            .activate_plan(&self.scope, plan.id, None)
            .await
            .unwrap();
        let agent = self.joins("alice", None).await;
        let buyer = self.joins("carol", Some(agent.referral_code.as_str())).await;
        let order = self.order(&buyer, self.tier().await).await;
        let intent = self.checkout(&order).await.intent;
        self.gateway.pays(&intent, order.total);
        self.services
            .orders
            .apply_intent(&self.scope, &intent)
            .await
            .unwrap();
        drain_site(&self.services, self.site.id).await.unwrap();
        agent.party
    }

    async fn statements_after_a_tick(&self, agent: PartyId) -> Vec<StatementView> {
        tick_site(&self.services, self.site.id, Tick::Statements)
            .await
            .unwrap();
        let drained = drain_site(&self.services, self.site.id).await.unwrap();
        assert!(drained.failures.is_empty(), "{drained:?}");
        let page = PageRequest::new(None, None);
        let found = self
            .services
            .agent_queries
            .statements(&self.scope, agent, None, page);
        found.await.unwrap().items
    }
}

#[tokio::test]
async fn p21_statements_come_two_hours_after_the_end_of_a_month_and_once() {
    let world = World::shared().await;
    let agent = world.earns().await;
    let month = Month::of(world.clock.now(), world.site.time_zone).unwrap();
    let due = month.end(world.site.time_zone) + TimeDelta::hours(2);
    world
        .clock
        .advance(due - world.clock.now() - TimeDelta::minutes(1));
    assert_eq!(world.statements_after_a_tick(agent).await, []);
    world.clock.advance(TimeDelta::minutes(1));
    let made = world.statements_after_a_tick(agent).await;
    assert_eq!(made.len(), 1);
    assert_eq!(
        (made[0].month, made[0].closing.minor(), made[0].lines),
        (month, 2400, 1)
    );
    assert_eq!(world.statements_after_a_tick(agent).await, made);
    // The workers stood still for two months.
    world.clock.advance(TimeDelta::days(62));
    let made = world.statements_after_a_tick(agent).await;
    assert_eq!(made.len(), 3);
    assert!(
        made.windows(2).all(|pair| pair[0].opening == pair[1].closing),
        "newest first"
    );
}
