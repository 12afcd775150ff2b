//! Windows, terms, caps and simulations on the real store.

use std::sync::Arc;

use chrono::Duration;
use posx_commissions::testing::{grades, level, plans_contract};
use posx_commissions::{
    AgentFacts, CommissionFilter, CommissionQueries as _, CommissionsTx, LevelRate, Limits, NewPlan,
    NewTerms, Period, SimulateError, Simulated, Terms, TierRate,
};
use posx_kernel::{Begin, Clock as _, OrderId, PlanId, TierId, Timestamp};
use posx_orders::PaymentApplied;
use posx_tenancy::Member;
use sqlx::Row as _;
use tokio::task::JoinSet;

use super::{given, page, stage};
use crate::server::superuser;
use crate::world::{World, usd};

#[tokio::test]
async fn commissions_pass_their_plans_contract() {
    let (stage, elsewhere) = (stage().await, World::new().await);
    let db: Arc<dyn Begin<dyn CommissionsTx>> = Arc::new(stage.world.database.clone());
    plans_contract(db, &given(&stage, elsewhere.scope)).await;
}

impl World {
    async fn new_version(&self, wish: NewPlan) -> PlanId {
        let made = self
            .commissions
            .create_plan(&self.scope, self.site.currency, wish, None);
        made.await.expect("a version").id
    }

    async fn activate(&self, plan: PlanId) {
        let activated = self.commissions.activate_plan(&self.scope, plan, None).await;
        activated.expect("activated");
    }

    async fn bought(&self, buyer: &Member, tier: TierId, quantity: u32) -> OrderId {
        let order = self.place(buyer, tier, quantity).await.expect("placed");
        assert_eq!(self.pay(&order).await, PaymentApplied::Paid);
        order.id
    }

    pub(crate) async fn terms(&self, agent: &Member, terms: Terms) {
        let wish = NewTerms {
            terms,
            effective_from: None,
        };
        let recorded = self
            .commissions
            .record_terms(&self.scope, agent.party, wish, None)
            .await;
        recorded.expect("recorded");
    }

    async fn simulated(&self, plan: PlanId, from: Timestamp, until: Timestamp) -> Simulated {
        let period = Period::new(from, until).expect("a period");
        let simulated = self.database.simulate(&self.scope, plan, period).await;
        simulated.expect("simulated")
    }

    /// Rows of everything that a share could leave.
    async fn rows(&self) -> Vec<i64> {
        let row = sqlx::query(
            "select (select count(*) from commissions where site_id = $1), (select count(*) from events where site_id = $1),
                    (select count(*) from commission_decisions where site_id = $1), (select count(*) from entries where site_id = $1)",
        )
        .bind(self.site.id.as_uuid())
        .fetch_one(&mut superuser().await)
        .await
        .expect("counts");
        (0..4).map(|at| row.get(at)).collect()
    }
}

fn capped(rate: &str, limits: Limits) -> NewPlan {
    let mut one = level(1, rate, 0);
    one.limits = limits;
    NewPlan {
        name: "Capped".to_owned(),
        levels: vec![one],
        difference: None,
        hold_days: 7,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_counted_at_once_do_not_pass_an_agents_cap_of_the_month() {
    let world = World::with_pool(8).await;
    let plan = capped(
        "0.1",
        Limits {
            cap_per_month: Some(usd(2500)),
            ..Limits::default()
        },
    );
    let plan = world.new_version(plan).await;
    world.activate(plan).await;
    let agent = world.member(None).await;
    let tier = world.tier(100, 10_000).await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        let buyer = world.member(Some(agent.referral_code.as_str())).await;
        orders.push(world.bought(&buyer, tier, 1).await);
    }
    let mut runs = JoinSet::new();
    for order in orders.clone() {
        let (service, scope) = (world.commissions.clone(), world.scope.clone());
        runs.spawn(async move { service.accrue(&scope, order).await.expect("accrued") });
    }
    runs.join_all().await;
    let mine = CommissionFilter {
        agent: Some(agent.party),
        ..CommissionFilter::default()
    };
    let shares = world.database.commissions(&world.scope, &mine, page(20)).await;
    let mut amounts: Vec<_> = shares
        .expect("a list")
        .items
        .iter()
        .map(|share| share.amount.minor())
        .collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [500, 1000, 1000]);
    for order in orders {
        let explained = world.database.explain_order(&world.scope, order).await;
        let explained = explained.expect("a look").expect("the order");
        assert!(
            explained.ancestors.iter().all(|ancestor| ancestor.agrees),
            "{explained:#?}"
        );
    }
}

#[tokio::test]
async fn an_order_freezes_the_version_that_is_in_force_when_it_is_placed() {
    let world = World::new().await;
    let buyer = world.member(None).await;
    let tier = world.tier(100, 10_000).await;
    let frozen = async || {
        let order = world.place(&buyer, tier, 1).await.expect("placed");
        let explained = world.database.explain_order(&world.scope, order.id).await;
        let plan = explained.expect("a look").expect("the order").plan;
        plan.map(|plan| plan.version)
    };
    assert_eq!(frozen().await, None);
    let (first, second) = (
        world.new_version(capped("0.1", Limits::default())).await,
        world.new_version(capped("0.2", Limits::default())).await,
    );
    let now = world.clock.now();
    let schedule = posx_commissions::Schedule {
        from: now + Duration::hours(1),
        until: Some(now + Duration::hours(2)),
    };
    world.activate(first).await;
    let scheduled = world
        .commissions
        .schedule_plan(&world.scope, second, schedule, None)
        .await;
    scheduled.expect("scheduled");
    assert_eq!(frozen().await, Some(1));
    world.clock.advance(Duration::hours(1));
    assert_eq!(frozen().await, Some(2));
    world.clock.advance(Duration::hours(1));
    assert_eq!(frozen().await, None, "the last to begin has ended");
    let listed = world.database.plans(&world.scope, world.clock.now()).await;
    assert!(listed.expect("a list").iter().all(|plan| !plan.active));
}

/// Alice referred Bob and Dave, Bob referred Carol; each buys, some twice, over ten days. Bob and Alice are given terms on the
/// way.
struct Story {
    world: World,
    people: Vec<Member>,
    tiers: [TierId; 2],
    orders: Vec<OrderId>,
    from: Timestamp,
}

impl Story {
    async fn begin() -> Self {
        let world = World::with_pool(8).await;
        let alice = world.member(None).await;
        let bob = world.member(Some(alice.referral_code.as_str())).await;
        let carol = world.member(Some(bob.referral_code.as_str())).await;
        let dave = world.member(Some(alice.referral_code.as_str())).await;
        let tiers = [world.tier(100, 3333).await, world.tier(100, 1001).await];
        let from = world.clock.now();
        Self {
            world,
            people: vec![alice, bob, carol, dave],
            tiers,
            orders: Vec::new(),
            from,
        }
    }

    async fn goes_on(&mut self) {
        let own = |level: u8, rate: &str| LevelRate {
            level,
            rate: rate.parse().expect("a rate"),
        };
        for (day, (who, tier, quantity)) in [
            (1, 0, 1),
            (2, 1, 3),
            (3, 0, 1),
            (2, 0, 2),
            (1, 1, 1),
            (2, 1, 7),
            (3, 1, 2),
            (2, 0, 1),
            (0, 0, 1),
        ]
        .into_iter()
        .enumerate()
        {
            if day == 3 {
                let terms = Terms {
                    grade: Some("gold".to_owned()),
                    levels: vec![own(2, "0.07")],
                    ..Terms::default()
                };
                self.world.terms(&self.people[0], terms).await;
            }
            if day == 4 {
                let terms = Terms {
                    grade: Some("silver".to_owned()),
                    ..Terms::default()
                };
                self.world.terms(&self.people[1], terms).await;
            }
            self.world.clock.advance(Duration::hours(26));
            let buyer = &self.people[who];
            let order = self.world.bought(buyer, self.tiers[tier], quantity).await;
            self.orders.push(order);
        }
        self.world.clock.advance(Duration::hours(1));
    }

    async fn accrue(&self) {
        for order in &self.orders {
            let accrued = self.world.commissions.accrue(&self.world.scope, *order).await;
            accrued.expect("accrued");
        }
    }

    /// What each of the people would have earned, and did.
    async fn said(&self, plan: PlanId) -> Vec<(i64, i64)> {
        let until = self.world.clock.now();
        let simulated = self.world.simulated(plan, self.from, until).await;
        assert_eq!(simulated.orders, 9);
        let of = |person: &Member| {
            let found = simulated.agents.iter().find(|agent| agent.agent == person.party);
            found.map_or((0, 0), |agent| (agent.simulated.minor(), agent.stored.minor()))
        };
        self.people.iter().map(of).collect()
    }

    fn by_levels(&self) -> NewPlan {
        let (mut one, mut two) = (level(1, "0.1", 2000), level(2, "0.035", 0));
        one.tiers = vec![TierRate {
            tier: self.tiers[1],
            rate: "0.175".parse().expect("a rate"),
        }];
        one.limits = Limits {
            order_min: Some(usd(1002)),
            cap_per_month: Some(usd(1600)),
            ..Limits::default()
        };
        two.limits.cap_per_order = Some(usd(230));
        NewPlan {
            name: "Levels".to_owned(),
            levels: vec![one, two],
            difference: None,
            hold_days: 7,
        }
    }

    fn by_difference() -> NewPlan {
        NewPlan {
            name: "Solar".to_owned(),
            levels: vec![],
            difference: Some(grades(&[("bronze", "0.1"), ("silver", "0.155"), ("gold", "0.2")])),
            hold_days: 7,
        }
    }
}

#[tokio::test]
async fn a_simulation_writes_nothing_and_the_version_in_force_pays_the_same_numbers() {
    for mode in ["levels", "difference"] {
        let mut past = Story::begin().await;
        past.world.plan().await;
        past.goes_on().await;
        past.accrue().await;
        let wish = |story: &Story| match mode {
            "levels" => story.by_levels(),
            _ => Story::by_difference(),
        };
        let tried = past.world.new_version(wish(&past)).await;
        let before = past.world.rows().await;
        let said = past.said(tried).await;
        assert_eq!(past.world.rows().await, before, "nothing is written");

        let mut fresh = Story::begin().await;
        let plan = fresh.world.new_version(wish(&fresh)).await;
        fresh.world.activate(plan).await;
        fresh.goes_on().await;
        fresh.accrue().await;
        let done = fresh.said(plan).await;
        let simulated: Vec<_> = said.iter().map(|(simulated, _)| *simulated).collect();
        let paid: Vec<_> = done.iter().map(|(_, stored)| *stored).collect();
        assert_eq!(simulated, paid, "{mode}");
        assert!(paid.iter().sum::<i64>() > 0);
        assert!(done.iter().all(|(simulated, stored)| simulated == stored));
        assert!(
            said.iter().any(|(simulated, stored)| simulated != stored),
            "another plan"
        );
        for order in &fresh.orders {
            let explained = fresh
                .world
                .database
                .explain_order(&fresh.world.scope, *order)
                .await;
            let explained = explained.expect("a look").expect("the order");
            assert!(
                explained.ancestors.iter().all(|ancestor| ancestor.agrees),
                "{explained:#?}"
            );
        }
    }
}

#[tokio::test]
async fn a_simulation_counts_sales_and_months_from_before_its_period() {
    let mut story = Story::begin().await;
    let plan = story.world.new_version(story.by_levels()).await;
    story.world.activate(plan).await;
    story.goes_on().await;
    story.accrue().await;
    let (from, until) = (story.from + Duration::days(5), story.world.clock.now());
    let said = story.world.simulated(plan, from, until).await;
    assert!(said.orders < 9 && !said.agents.is_empty());
    assert!(
        said.agents.iter().all(|agent| agent.difference.is_zero()),
        "{said:#?}"
    );
}

#[tokio::test]
async fn whoever_staff_placed_elsewhere_took_their_sales_along() {
    let mut story = Story::begin().await;
    let plan = story.world.new_version(story.by_levels()).await;
    story.world.activate(plan).await;
    story.goes_on().await;
    // Carol, who has bought, goes from Bob to Dave.
    let (carol, dave) = (story.people[2].party, story.people[3].party);
    let moved = superuser().await;
    move_to(moved, &story, carol, dave).await;
    story.world.clock.advance(Duration::hours(1));
    for who in [2, 2] {
        let order = story.world.bought(&story.people[who], story.tiers[1], 3).await;
        story.orders.push(order);
        story.world.clock.advance(Duration::hours(1));
    }
    story.accrue().await;
    let said = story
        .world
        .simulated(plan, story.from, story.world.clock.now())
        .await;
    assert_eq!(said.orders, 11);
    assert!(
        said.agents.iter().any(|agent| agent.agent == dave),
        "by Carol's earlier sales Dave is above the minimum"
    );
    assert!(
        said.agents.iter().all(|agent| agent.difference.is_zero()),
        "{said:#?}"
    );
}

async fn move_to(
    mut connection: sqlx::PgConnection,
    story: &Story,
    party: posx_kernel::PartyId,
    parent: posx_kernel::PartyId,
) {
    let (site, now) = (story.world.site.id.as_uuid(), story.world.clock.now());
    sqlx::query(
        "update referral_paths set until = $3 where site_id = $1 and descendant_id = $2 and until is null",
    )
    .bind(site)
    .bind(party.as_uuid())
    .bind(now)
    .execute(&mut connection)
    .await
    .expect("cut");
    sqlx::query("select app.join_paths($1, $2, $3, $4)")
        .bind(site)
        .bind(party.as_uuid())
        .bind(parent.as_uuid())
        .bind(now)
        .execute(&mut connection)
        .await
        .expect("joined");
}

#[tokio::test]
async fn another_sites_plan_is_not_found_and_its_terms_are_not_seen() {
    let (story, elsewhere) = (Story::begin().await, World::new().await);
    let plan = story.world.new_version(Story::by_difference()).await;
    let period = Period::new(story.from, story.from + Duration::days(1)).expect("a period");
    let foreign = elsewhere.database.simulate(&elsewhere.scope, plan, period).await;
    assert!(matches!(foreign, Err(SimulateError::NoSuchPlan)), "{foreign:?}");
    let (agent, terms) = (
        &story.people[0],
        Terms {
            grade: Some("gold".to_owned()),
            ..Terms::default()
        },
    );
    story.world.terms(agent, terms.clone()).await;
    let seen = story.world.database.terms(&story.world.scope, agent.party).await;
    let seen = seen.expect("a look").expect("the agent");
    assert_eq!((seen.len(), seen[0].number, &seen[0].terms), (1, 1, &terms));
    let foreign = elsewhere.database.terms(&elsewhere.scope, agent.party).await;
    assert!(foreign.expect("a look").is_none());
    let db: &dyn Begin<dyn CommissionsTx> = &elsewhere.database;
    let mut tx = db.begin(&elsewhere.scope).await.expect("a transaction");
    let facts = tx.terms().facts_of(&[agent.party], story.from).await;
    assert_eq!(facts.expect("facts"), [AgentFacts::default()]);
}
