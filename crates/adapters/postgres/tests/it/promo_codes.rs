//! Promo codes under many hands.

use std::sync::Arc;

use posx_kernel::{Clock, Money, PageRequest, PromoCodeId, Refusal as _, SystemIds, TierId, TokenAmount};
use posx_orders::{Closed, Order, OrderError, PaymentApplied, PlaceOrder, Placed, PromoWish};
use posx_tenancy::Member;
use posx_tiers::{
    Bonus, CreatePromoCode, Discount, PromoCodeError, PromoCodeQueries as _, PromoCodes, PromoTerms,
    TierQueries as _,
};
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::server::superuser;
use crate::world::{World, noon, usd};

impl World {
    pub fn promo_codes(&self) -> PromoCodes {
        let clock: Arc<dyn Clock> = self.clock.clone();
        PromoCodes::new(Arc::new(self.database.clone()), clock, Arc::new(SystemIds))
    }

    /// 10 %.
    pub async fn promo_code(&self, code: &str, change: impl FnOnce(&mut PromoTerms)) -> PromoCodeId {
        let mut terms = PromoTerms {
            discount: Some(Discount::Rate("0.1".parse().expect("a rate"))),
            bonus: None,
            from: None,
            until: None,
            uses_max: None,
            uses_per_buyer: None,
            minimum: Money::zero(self.site.currency),
            tiers: Vec::new(),
            active: true,
        };
        change(&mut terms);
        let wish = CreatePromoCode {
            code: code.to_owned(),
            terms,
        };
        let made = self
            .promo_codes()
            .create(&self.scope, self.site.currency, wish, None)
            .await;
        made.expect("a code").id
    }

    pub async fn place_promo(
        &self,
        buyer: &Member,
        tier: TierId,
        code: &str,
        required: bool,
    ) -> Result<Order, OrderError> {
        let promo = Some(PromoWish {
            code: code.to_owned(),
            required,
        });
        let wish = PlaceOrder {
            promo,
            ..self.wish(buyer, tier, 1)
        };
        match self.place_wish(&wish).await? {
            Placed::New { order, .. } => Ok(*order),
            Placed::Replayed(_) => panic!("no key was given"),
        }
    }
}

/// What the counters and the notes of a code say: used, sum of the buyers, used and released orders.
async fn counted(code: PromoCodeId) -> (i64, i64, i64, i64) {
    let row = sqlx::query(
        "select (select used from promo_code_counters where promo_code_id = $1),
           (select coalesce(sum(used), 0)::bigint from promo_code_buyers where promo_code_id = $1),
           (select count(*) from promo_code_usages where promo_code_id = $1 and state = 'used'),
           (select count(*) from promo_code_usages where promo_code_id = $1 and state = 'released')",
    )
    .bind(code.as_uuid())
    .fetch_one(&mut superuser().await)
    .await
    .expect("counters");
    (row.get(0), row.get(1), row.get(2), row.get(3))
}

#[tokio::test(flavor = "multi_thread")]
async fn p07_of_a_thousand_parallel_buyers_of_a_code_of_ten_uses_exactly_ten_have_it() {
    let world = Arc::new(World::with_pool(8).await);
    let tier = world.tier(1000, 10_000).await;
    let code = world.promo_code("TEN", |terms| terms.uses_max = Some(10)).await;
    let buyer = world.member(None).await;
    let mut buyers = JoinSet::new();
    for n in 0..1000 {
        let (world, buyer) = (world.clone(), buyer.clone());
        // Half of them want the code or nothing.
        buyers.spawn(async move {
            (
                n % 2 == 0,
                world.place_promo(&buyer, tier, "ten", n % 2 == 0).await,
            )
        });
    }
    let (mut with, mut plain, mut refused) = (0, 0, 0);
    for (required, outcome) in buyers.join_all().await {
        match outcome {
            Ok(order) if order.promo_code == Some(code) => {
                assert_eq!(order.total, usd(9_000));
                with += 1;
            }
            Ok(order) => {
                assert_eq!((required, order.total), (false, usd(10_000)));
                plain += 1;
            }
            Err(error) => {
                assert_eq!(
                    (required, error.code()),
                    (true, "promo_code_exhausted"),
                    "{error:?}"
                );
                refused += 1;
            }
        }
    }
    assert_eq!(with, 10);
    assert_eq!(with + plain + refused, 1000);
    assert!(
        plain >= 490,
        "a code that is used up stops nobody who does not ask for that"
    );
    assert_eq!(counted(code).await, (10, 10, 10, 0));
    let stock = world
        .database
        .tier(&world.scope, tier, true, noon())
        .await
        .expect("a look");
    let stock = stock.and_then(|tier| tier.stock).expect("counters");
    assert_eq!(stock.reserved, with + plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_in_a_hurry_uses_a_code_as_often_as_one_buyer_may() {
    let world = Arc::new(World::with_pool(8).await);
    let tier = world.tier(100, 10_000).await;
    let code = world
        .promo_code("TWICE", |terms| terms.uses_per_buyer = Some(2))
        .await;
    let buyer = world.member(None).await;
    let mut tabs = JoinSet::new();
    for _ in 0..20 {
        let (world, buyer) = (world.clone(), buyer.clone());
        tabs.spawn(async move { world.place_promo(&buyer, tier, "twice", true).await });
    }
    let outcomes = tabs.join_all().await;
    let refused = |outcome: &&Result<Order, OrderError>| {
        outcome
            .as_ref()
            .is_err_and(|error| error.code() == "promo_code_buyer_limit")
    };
    assert_eq!(outcomes.iter().filter(refused).count(), 18, "{outcomes:?}");
    assert_eq!(counted(code).await, (2, 2, 2, 0));
    world
        .place_promo(&world.member(None).await, tier, "twice", true)
        .await
        .expect("another buyer");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_expire_and_are_placed_at_once_leave_the_counters_right() {
    let world = Arc::new(World::with_pool(8).await);
    let tier = world.tier(1000, 10_000).await;
    let code = world.promo_code("CHURN", |terms| terms.uses_max = Some(5)).await;
    let mut hands = JoinSet::new();
    for _ in 0..8 {
        let world = world.clone();
        hands.spawn(async move {
            let buyer = world.member(None).await;
            for _ in 0..6 {
                match world.place_promo(&buyer, tier, "churn", true).await {
                    Ok(order) => {
                        for tries in 0..2 {
                            let closed = world
                                .orders
                                .cancel(&world.scope, order.id, Some(buyer.party))
                                .await;
                            let expected = if tries == 0 { Closed::Now } else { Closed::Already };
                            assert_eq!(closed.expect("closed"), expected);
                        }
                    }
                    Err(error) => assert_eq!(error.code(), "promo_code_exhausted", "{error:?}"),
                }
            }
        });
    }
    hands.join_all().await;
    let (used, by_buyers, usages, released) = counted(code).await;
    assert_eq!((used, by_buyers, usages), (0, 0, 0), "each came back once");
    assert!(released > 0);
}

#[tokio::test]
async fn p31_a_bonus_is_issued_with_the_order_sold_with_it_and_taken_back_with_it() {
    let world = World::new().await;
    let tier = world.tier(10, 10_000).await;
    let view = world
        .database
        .tier(&world.scope, tier, true, noon())
        .await
        .expect("a look");
    let asset = view.expect("the tier").asset_id;
    world
        .promo_code("BONUS", |terms| {
            terms.bonus = Some(Bonus {
                asset,
                tokens: TokenAmount::from_base_units(77),
                tokens_max: Some(TokenAmount::from_base_units(200)),
            });
        })
        .await;
    let buyer = world.member(None).await;
    let balance = async |account: &'static str| {
        let row = sqlx::query(
            "select coalesce(sum(amount), 0)::bigint from postings where site_id = $1 and account = $2 and unit = $3",
        )
        .bind(world.site.id.as_uuid())
        .bind(account)
        .bind(asset.to_string())
        .fetch_one(&mut superuser().await)
        .await
        .expect("a sum");
        row.get::<i64, _>(0)
    };
    let paid = world
        .place_promo(&buyer, tier, "bonus", true)
        .await
        .expect("placed");
    let lapsed = world
        .place_promo(&buyer, tier, "bonus", true)
        .await
        .expect("placed");
    let third = world
        .place_promo(&buyer, tier, "bonus", true)
        .await
        .expect_err("231 of 200");
    assert_eq!(third.code(), "promo_code_exhausted");
    let line = &paid.lines[0];
    assert_eq!(
        (line.tokens.base_units(), line.promo_tokens.base_units()),
        (1127, 77)
    );
    assert_eq!(balance("tokens:issued").await, -10 * 1050 - 2 * 77);
    assert_eq!(world.pay(&paid).await, PaymentApplied::Paid);
    world
        .orders
        .cancel(&world.scope, lapsed.id, None)
        .await
        .expect("cancelled");
    assert_eq!(balance("tokens:sold").await, 1127);
    assert_eq!(balance("tokens:reserved").await, 0);
    assert_eq!(balance("tokens:free").await, 9 * 1050);
    assert_eq!(balance("tokens:issued").await, -10 * 1050 - 77);
}

#[tokio::test]
async fn what_came_of_a_code_is_summed_and_listed() {
    let world = World::new().await;
    let (tier, buyer) = (world.tier(10, 10_000).await, world.member(None).await);
    let code = world.promo_code("LISTED", |_| {}).await;
    let place = async || {
        world
            .place_promo(&buyer, tier, "listed", true)
            .await
            .expect("placed")
    };
    let (paid, lapsed) = (place().await, place().await);
    assert_eq!(world.pay(&paid).await, PaymentApplied::Paid);
    let cancelled = world.orders.cancel(&world.scope, lapsed.id, None).await;
    cancelled.expect("cancelled");
    let totals = world
        .database
        .totals(&world.scope, code)
        .await
        .expect("a read")
        .expect("totals");
    assert_eq!((totals.used, totals.released, totals.paid_orders), (1, 1, 1));
    assert_eq!((totals.discount, totals.sales), (usd(1_000), usd(9_000)));
    let (mut listed, mut after) = (Vec::new(), None);
    for _ in 0..2 {
        let page = PageRequest::new(Some(1), after);
        let page = world
            .database
            .usages(&world.scope, code, page)
            .await
            .expect("a page");
        listed.extend(page.items.into_iter().map(|usage| (usage.order_id, usage.state)));
        after = page.next;
    }
    assert!(after.is_none());
    assert!(listed.contains(&(lapsed.id, "released".to_owned())), "{listed:?}");
    assert!(listed.contains(&(paid.id, "used".to_owned())), "{listed:?}");
}

#[tokio::test]
async fn a_code_names_what_is_there_in_its_own_site() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let foreign = elsewhere.tier(1, 100).await;
    let terms = PromoTerms {
        discount: Some(Discount::Amount(usd(100))),
        bonus: None,
        from: None,
        until: None,
        uses_max: None,
        uses_per_buyer: None,
        minimum: usd(0),
        tiers: vec![foreign],
        active: true,
    };
    let wish = CreatePromoCode {
        code: "FOREIGN".to_owned(),
        terms,
    };
    let refused = world
        .promo_codes()
        .create(&world.scope, world.site.currency, wish, None)
        .await;
    assert!(
        matches!(refused, Err(PromoCodeError::UnknownTier { at: 0 })),
        "{refused:?}"
    );

    let own = elsewhere.promo_code("SHARED", |_| {}).await;
    let (tier, buyer) = (world.tier(5, 10_000).await, world.member(None).await);
    let told = world
        .place_promo(&buyer, tier, "shared", true)
        .await
        .expect_err("another site's");
    assert_eq!(told.code(), "promo_code_not_found");
    world.promo_code("SHARED", |_| {}).await;
    assert!(
        world.place_promo(&buyer, tier, "shared", true).await.is_ok(),
        "both may have it"
    );
    assert_eq!(counted(own).await.0, 0);
    assert!(
        world
            .database
            .totals(&world.scope, own)
            .await
            .expect("a read")
            .is_none()
    );
}

#[tokio::test]
async fn a_repeated_call_with_a_code_has_the_first_answer() {
    let world = World::new().await;
    let (tier, buyer) = (world.tier(5, 10_000).await, world.member(None).await);
    let code = world.promo_code("ONCE", |terms| terms.uses_max = Some(1)).await;
    let wish = || PlaceOrder {
        promo: Some(PromoWish {
            code: "once".to_owned(),
            required: false,
        }),
        call: Some(World::call("promo", 1)),
        ..world.wish(&buyer, tier, 1)
    };
    let Placed::New { answer, .. } = world.place_wish(&wish()).await.expect("placed") else {
        panic!("the first call is new")
    };
    match world.place_wish(&wish()).await.expect("replayed") {
        Placed::Replayed(again) => assert_eq!(again, answer),
        Placed::New { .. } => panic!("a second order"),
    }
    assert_eq!(counted(code).await, (1, 1, 1, 0));
}
