use chrono::Duration;
use posx_kernel::{
    ChainAssetId, Currency, Ids as _, Money, PartyId, PromoCodeId, Rate, Refusal as _, SeededIds,
    StoredAnswer, TierId, TokenAmount,
};
use posx_ledger::{Entry, Side};
use posx_tiers::{Bonus, Discount, PromoCode, PromoCodeText, PromoRefusal, PromoTerms, PromoUses, Tier};
use proptest::prelude::*;

use super::world::{ADDRESS, World, noon};
use crate::pricing::quote;
use crate::{
    Closed, Lifecycle, Order, OrderError, PaymentApplied, PaymentStatus, PlaceOrder, Placed, PromoFacts,
    PromoView, PromoWish, Quote, RefundReason, TierFacts, WishedLine,
};

fn rate(text: &str) -> Discount {
    Discount::Rate(text.parse::<Rate>().expect("a rate"))
}

fn code(currency: Currency, change: impl FnOnce(&mut PromoTerms)) -> PromoCode {
    let mut terms = PromoTerms {
        discount: Some(rate("0.1")),
        bonus: None,
        from: None,
        until: None,
        uses_max: None,
        uses_per_buyer: None,
        minimum: Money::zero(currency),
        tiers: Vec::new(),
        active: true,
    };
    change(&mut terms);
    PromoCode {
        id: PromoCodeId::from_uuid(SeededIds::new(3).uuid(noon())),
        code: PromoCodeText::parse("WELCOME").expect("a code"),
        terms,
        version: 1,
        created_at: noon(),
        updated_at: noon(),
    }
}

impl World {
    /// A site that has the code WELCOME.
    async fn with_code(price: i64, change: impl FnOnce(&mut PromoTerms)) -> Self {
        let world = Self::with("USD", price, 100).await;
        let code = code(world.site.currency, change);
        world
            .store
            .arrange(|state| {
                state.promo_codes.insert(code.id, code);
            })
            .await;
        world
    }

    async fn asset(&self) -> ChainAssetId {
        self.store.read(|state| state.tiers[&self.tier].0.asset).await
    }

    async fn bonus(&self, tokens: u128) {
        let asset = self.asset().await;
        let bonus = Bonus {
            asset,
            tokens: TokenAmount::from_base_units(tokens),
            tokens_max: None,
        };
        let change = |code: &mut PromoCode| code.terms.bonus = Some(bonus);
        self.store
            .arrange(|state| state.promo_codes.values_mut().for_each(change))
            .await;
    }

    async fn place_promo(
        &self,
        buyer: PartyId,
        typed: &str,
        required: bool,
    ) -> Result<(Order, serde_json::Value), OrderError> {
        let wish = PlaceOrder {
            site: &self.site,
            buyer,
            lines: vec![WishedLine {
                tier: self.tier,
                quantity: 2,
            }],
            wallet_address: Some(ADDRESS.to_owned()),
            referrer: None,
            promo: Some(PromoWish {
                code: typed.to_owned(),
                required,
            }),
            call: None,
        };
        let answer = |_: &Order, quote: &Quote| StoredAnswer {
            status: 201,
            body: serde_json::to_vec(&PromoView::of(quote)).expect("JSON"),
        };
        match self.orders.place(&self.scope, &wish, &answer).await? {
            Placed::New { order, answer } => {
                Ok((*order, serde_json::from_slice(&answer.body).expect("JSON")))
            }
            Placed::Replayed(_) => panic!("no key was given"),
        }
    }

    async fn uses(&self, buyer: PartyId) -> PromoUses {
        self.store
            .read(|state| {
                let code = state.promo_codes.keys().next().expect("a code");
                state.promo_uses(*code, buyer)
            })
            .await
    }

    /// The bonus is nowhere but on the side of what was issued for orders.
    async fn tokens(&self, account: &str) -> i128 {
        self.store
            .read(|state| {
                let postings = state.entries.iter().flat_map(Entry::postings);
                let own = postings.filter(|posting| posting.account.code() == account);
                own.map(|posting| {
                    let amount = i128::try_from(posting.amount).expect("a small amount");
                    if posting.side == Side::Debit {
                        amount
                    } else {
                        -amount
                    }
                })
                .sum()
            })
            .await
    }
}

#[tokio::test]
async fn a_code_lowers_the_total_and_says_so() {
    let world = World::with_code(10_000, |_| {}).await;
    let (order, promo) = world
        .place_promo(world.buyer(), " welcome ", true)
        .await
        .expect("placed");
    assert_eq!(
        (
            order.subtotal.minor(),
            order.discount.minor(),
            order.total.minor()
        ),
        (20_000, 2_000, 18_000)
    );
    assert_eq!(
        (&promo["applied"], &promo["discount"]["amount"]),
        (&true.into(), &"20.00".into())
    );
    assert_eq!(world.uses(order.buyer).await.used, 1);
    world.check_books().await;
}

#[tokio::test]
async fn a_code_that_gives_nothing_does_not_stop_an_order_unless_it_is_required() {
    let world = World::with_code(10_000, |terms| terms.active = false).await;
    let buyer = world.buyer();
    for (typed, reason) in [
        ("welcome", "promo_code_inactive"),
        ("NO-SUCH", "promo_code_not_found"),
        ("?", "promo_code_not_found"),
    ] {
        let refused = world.place_promo(buyer, typed, true).await.expect_err(reason);
        assert_eq!(
            (refused.code(), refused.field().as_deref()),
            (reason, Some("promo_code"))
        );
        let (order, promo) = world.place_promo(buyer, typed, false).await.expect("placed");
        assert_eq!((order.total, order.promo_code), (order.subtotal, None));
        assert_eq!(
            (&promo["applied"], &promo["reason"]),
            (&false.into(), &reason.into())
        );
    }
    assert_eq!(world.store.read(|state| state.orders.len()).await, 3);
    assert_eq!(world.uses(buyer).await.used, 0);
}

#[tokio::test]
async fn a_buyers_second_use_and_the_use_after_the_last_are_refused() {
    let world = World::with_code(10_000, |terms| {
        (terms.uses_max, terms.uses_per_buyer) = (Some(2), Some(1));
    })
    .await;
    let (alice, bob, carol) = (world.buyer(), world.buyer(), world.buyer());
    let told = async |buyer| {
        let placed = world.place_promo(buyer, "welcome", true).await;
        placed.map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(told(alice).await, Ok(()));
    assert_eq!(told(alice).await, Err("promo_code_buyer_limit"));
    assert_eq!(told(bob).await, Ok(()));
    assert_eq!(told(carol).await, Err("promo_code_exhausted"));
}

#[tokio::test]
async fn a_use_and_its_bonus_come_back_once_when_the_order_closes_unpaid() {
    for expires in [true, false] {
        let world = World::with_code(10_000, |terms| terms.uses_max = Some(1)).await;
        world.bonus(7).await;
        let buyer = world.buyer();
        let (order, promo) = world.place_promo(buyer, "welcome", true).await.expect("placed");
        assert_eq!(promo["bonus_tokens"], "7");
        let line = &order.lines[0];
        assert_eq!(
            (line.tokens.base_units(), line.promo_tokens.base_units()),
            (2107, 7)
        );
        let reserved = (
            world.tokens("tokens:reserved").await,
            world.tokens("tokens:free").await,
        );
        assert_eq!(reserved, (2107, -2100), "the bonus was never free");
        assert_eq!(world.tokens("tokens:issued").await, -7);
        let close = async || {
            if expires {
                world.orders.expire(&world.scope, order.id).await
            } else {
                world.orders.cancel(&world.scope, order.id, Some(buyer)).await
            }
        };
        world.let_expire();
        assert_eq!(close().await.expect("closed"), Closed::Now);
        assert_eq!(close().await.expect("closed"), Closed::Already);
        assert_eq!(world.uses(buyer).await, PromoUses::default());
        for account in ["tokens:reserved", "tokens:free", "tokens:issued"] {
            assert_eq!(world.tokens(account).await, 0, "{account}");
        }
        world
            .place_promo(world.buyer(), "welcome", true)
            .await
            .expect("it is there again");
    }
}

#[tokio::test]
async fn a_late_payment_takes_the_use_again_or_is_owed_back() {
    for taken in [false, true] {
        let world = World::with_code(10_000, |terms| terms.uses_max = Some(1)).await;
        world.bonus(7).await;
        let (order, _) = world
            .place_promo(world.buyer(), "welcome", true)
            .await
            .expect("placed");
        let checkout = world.checkout(&order).await.expect("a checkout");
        world.let_expire();
        // The provider said "cancelled" and takes the money all the same: only the order's close happened.
        let attempts = world.store.read(|state| state.attempts.clone()).await;
        world.store.arrange(|state| state.attempts.clear()).await;
        world.orders.expire(&world.scope, order.id).await.expect("closed");
        world.store.arrange(|state| state.attempts = attempts).await;
        if taken {
            world
                .place_promo(world.buyer(), "welcome", true)
                .await
                .expect("another has it");
        }
        assert!(world.gateway.pays(&checkout.intent, order.total));
        let applied = world.orders.apply_intent(&world.scope, &checkout.intent).await;
        let applied = applied.expect("applied");
        if taken {
            assert_eq!(applied, PaymentApplied::RefundOwed(RefundReason::PaidTooLate));
            assert_eq!(world.tokens("tokens:sold").await, 0);
        } else {
            assert_eq!(applied, PaymentApplied::Paid);
            assert_eq!(world.tokens("tokens:sold").await, 2107);
        }
        assert_eq!(world.uses(order.buyer).await.used, 1);
        assert_eq!(world.tokens("tokens:issued").await, -7);
    }
}

#[tokio::test]
async fn an_order_that_a_code_makes_free_is_confirmed_at_once() {
    let world = World::with_code(10_000, |terms| terms.discount = Some(rate("1"))).await;
    let (order, _) = world
        .place_promo(world.buyer(), "welcome", true)
        .await
        .expect("placed");
    assert_eq!(
        (order.lifecycle, order.payment(), order.total.minor()),
        (Lifecycle::Confirmed, PaymentStatus::Paid, 0)
    );
    assert_eq!(world.uses(order.buyer).await.used, 1);
    world.check_books().await;
}

#[tokio::test]
async fn a_discount_leaves_nothing_or_what_a_card_can_be_charged() {
    let world = World::with_code(60, |terms| terms.discount = Some(rate("0.9"))).await;
    let (order, _) = world
        .place_promo(world.buyer(), "welcome", true)
        .await
        .expect("placed");
    assert_eq!((order.discount.minor(), order.total.minor()), (70, 50));
}

#[tokio::test]
async fn a_preview_says_what_a_code_would_do_and_counts_nothing() {
    let world = World::with_code(10_000, |terms| terms.until = Some(noon() + Duration::hours(1))).await;
    let lines = [WishedLine {
        tier: world.tier,
        quantity: 1,
    }];
    let buyer = world.buyer();
    let preview = async |code| {
        let quote = world
            .orders
            .preview(&world.scope, &world.site, buyer, &lines, code);
        let quote = quote.await.expect("a quote");
        (
            quote.total.minor(),
            quote.promo.map(|promo| promo.map(|code| code.id)),
        )
    };
    let id = code(world.site.currency, |_| {}).id;
    assert_eq!(preview(None).await, (10_000, None));
    assert_eq!(preview(Some("welcome")).await, (9_000, Some(Ok(id))));
    assert_eq!(
        preview(Some("?")).await,
        (10_000, Some(Err(PromoRefusal::NotFound)))
    );
    world.clock.advance(Duration::hours(1));
    assert_eq!(
        preview(Some("welcome")).await,
        (10_000, Some(Err(PromoRefusal::Expired)))
    );
    assert_eq!(world.uses(buyer).await.used, 0);
}

fn tier(name: u128, price: i64, currency: Currency, tokens: u128) -> TierFacts {
    let id = uuid::Uuid::from_u128(name);
    let asset = posx_tiers::ChainAsset {
        id: ChainAssetId::from_uuid(uuid::Uuid::from_u128(1)),
        chain: posx_tiers::Chain::Eth,
        symbol: "T".to_owned(),
        decimals: 18,
        provider_asset: "T".to_owned(),
        vault: "0".to_owned(),
        active: true,
        created_at: noon(),
    };
    let tier = Tier {
        id: TierId::from_uuid(id),
        name: "T".to_owned(),
        description: String::new(),
        asset: asset.id,
        list_price: Money::from_minor(price, currency),
        promotion: None,
        tokens_per_unit: TokenAmount::from_base_units(tokens),
        bonus_per_unit: TokenAmount::ZERO,
        max_per_order: 1000,
        max_per_buyer: None,
        active: true,
        position: 0,
        version: 1,
        created_at: noon(),
        updated_at: noon(),
    };
    TierFacts {
        tier,
        asset,
        available: 1000,
    }
}

proptest! {
    #[test]
    fn p13_with_a_code_the_lines_less_discount_are_a_total_that_can_be_charged(
        at in 0_usize..30, prices in proptest::collection::vec((1_i64..100_000, 1_u32..50), 1..6),
        share in prop_oneof![(1_u32..=1_000_000).prop_map(Ok), (1_i64..10_000_000).prop_map(Err)], bonus in 1_u128..1_000_000
    ) {
        let currency = Currency::all().nth(at).expect("a currency");
        let step = currency.charge_step();
        let tiers: Vec<_> = (1..).zip(&prices).map(|(name, (price, _))| tier(name, price * step, currency, 1000)).collect();
        let wished: Vec<_> = tiers.iter().zip(&prices)
            .map(|(facts, (_, quantity))| WishedLine { tier: facts.tier.id, quantity: *quantity }).collect();
        let code = code(currency, |terms| {
            terms.discount = match share {
                Ok(millionths) => Some(rate(&format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000))),
                Err(steps) => Some(Discount::Amount(Money::from_minor(steps * step, currency))),
            };
            terms.bonus = Some(Bonus {
                asset: tiers[0].asset.id, tokens: TokenAmount::from_base_units(bonus), tokens_max: None,
            });
        });
        let facts = PromoFacts { code, uses: PromoUses::default() };
        let without = quote(&wished, &tiers, None, currency, noon());
        match quote(&wished, &tiers, Some(Ok(&facts)), currency, noon()) {
            Ok(quote) => {
                let lines: i64 = quote.lines.iter().map(|line| line.amount.minor()).sum();
                let total = quote.total.minor();
                prop_assert_eq!(lines - quote.discount.minor() + quote.tax.minor() + quote.shipping.minor(), total);
                prop_assert!(total == 0 || total >= currency.minimum_charge());
                prop_assert!(quote.discount.minor() >= 0);
                prop_assert_eq!(total % step, 0);
                prop_assert_eq!(quote.promo_tokens().base_units(), bonus);
                for line in &quote.lines {
                    let plain = u128::from(line.quantity) * 1000;
                    prop_assert_eq!(line.tokens.base_units(), plain + line.promo_tokens.base_units());
                }
            }
            Err(error) => {
                prop_assert!(matches!(error, OrderError::BelowMinimumCharge(_)), "{:?}", error);
                prop_assert!(without.is_err(), "a code stops no order that would have been placed");
            }
        }
    }
}
