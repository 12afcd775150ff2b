use posx_kernel::{Ids as _, Refusal as _, SeededIds};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn noon() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

fn currency(code: &str) -> Currency {
    Currency::from_code(code).expect("a currency")
}

fn rate(text: &str) -> Rate {
    text.parse().expect("a rate")
}

fn tier(name: u128) -> TierId {
    TierId::from_uuid(uuid::Uuid::from_u128(name))
}

fn asset(name: u128) -> ChainAssetId {
    ChainAssetId::from_uuid(uuid::Uuid::from_u128(name))
}

fn code(currency: Currency, change: impl FnOnce(&mut PromoTerms)) -> PromoCode {
    let mut terms = PromoTerms {
        discount: Some(Discount::Rate(rate("0.1"))),
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
        id: PromoCodeId::from_uuid(SeededIds::new(5).uuid(noon())),
        code: PromoCodeText::parse("WELCOME").expect("a code"),
        terms,
        version: 1,
        created_at: noon(),
        updated_at: noon(),
    }
}

/// A line of the tier, and of the asset, of this number.
fn line(name: u128, minor: i64, currency: Currency) -> PromoLine {
    PromoLine {
        tier: tier(name),
        asset: asset(name),
        amount: Money::from_minor(minor, currency),
    }
}

fn give(code: &PromoCode, lines: &[PromoLine]) -> Result<PromoGift, PromoRefusal> {
    let sum = lines.iter().map(|line| line.amount.minor()).sum();
    let subtotal = Money::from_minor(sum, lines[0].amount.currency());
    code.give(lines, subtotal, PromoUses::default(), noon())
}

type Change = fn(&mut PromoTerms);

const fn units(count: u128) -> TokenAmount {
    TokenAmount::from_base_units(count)
}

#[test]
fn blanks_and_the_case_of_letters_say_nothing() {
    let text = |typed| PromoCodeText::parse(typed).map(|code| code.as_str().to_owned());
    assert_eq!(text("  welcome-10 ").as_deref(), Some("WELCOME-10"));
    assert_eq!(text("Welcome-10"), text("WELCOME-10"));
    for none in ["", "ab", "two words", "ünï", "a'b", &"x".repeat(41)] {
        assert_eq!(text(none), None, "{none}");
    }
}

#[test]
fn each_refusal_has_its_own_code() {
    let usd = currency("USD");
    let lines = [line(1, 10_000, usd)];
    let subtotal = Money::from_minor(10_000, usd);
    let told = |change: fn(&mut PromoTerms), uses: PromoUses| {
        let code = code(currency("USD"), change);
        code.give(&lines, subtotal, uses, noon())
            .map_err(PromoRefusal::code)
    };
    let (none, taken) = (PromoUses::default(), |used, by_buyer| PromoUses {
        used,
        by_buyer,
        bonus_given: units(90),
    });
    let cases: &[(Change, PromoUses, &str)] = &[
        (|terms| terms.active = false, none, "promo_code_inactive"),
        (
            |terms| terms.from = Some(at("2026-06-01T12:00:01Z")),
            none,
            "promo_code_not_yet_valid",
        ),
        (|terms| terms.until = Some(noon()), none, "promo_code_expired"),
        (
            |terms| terms.uses_max = Some(3),
            taken(3, 0),
            "promo_code_exhausted",
        ),
        (
            |terms| terms.uses_per_buyer = Some(1),
            taken(1, 1),
            "promo_code_buyer_limit",
        ),
        (
            |terms| terms.minimum = Money::from_minor(10_001, currency("USD")),
            none,
            "promo_code_minimum_not_met",
        ),
        (
            |terms| terms.tiers = vec![tier(2)],
            none,
            "promo_code_tier_not_applicable",
        ),
        (
            |terms| terms.bonus = Some(bonus(2, 5, None)),
            none,
            "promo_code_tier_not_applicable",
        ),
        (
            |terms| terms.bonus = Some(bonus(1, 11, Some(100))),
            taken(0, 0),
            "promo_code_exhausted",
        ),
        (
            |terms| terms.minimum = Money::zero(currency("KWD")),
            none,
            "promo_code_currency",
        ),
    ];
    for (change, uses, refusal) in cases {
        assert_eq!(told(*change, *uses), Err(*refusal));
    }
    assert_eq!(PromoRefusal::NotFound.code(), "promo_code_not_found");
}

#[test]
fn each_limit_may_just_be_kept() {
    let usd = currency("USD");
    let code = code(usd, |terms| {
        terms.from = Some(noon());
        terms.until = Some(at("2026-06-01T12:00:01Z"));
        terms.uses_max = Some(4);
        terms.uses_per_buyer = Some(2);
        terms.minimum = Money::from_minor(10_000, usd);
        terms.tiers = vec![tier(2), tier(1)];
        terms.bonus = Some(bonus(1, 10, Some(100)));
    });
    let uses = PromoUses {
        used: 3,
        by_buyer: 1,
        bonus_given: units(90),
    };
    let lines = [line(1, 10_000, usd)];
    let gift = code.give(&lines, Money::from_minor(10_000, usd), uses, noon());
    assert_eq!(gift.expect("a gift").tokens, [units(10)]);
}

fn bonus(of: u128, tokens: u128, most: Option<u128>) -> Bonus {
    Bonus {
        asset: asset(of),
        tokens: units(tokens),
        tokens_max: most.map(units),
    }
}

#[test]
fn a_discount_is_of_the_lines_that_the_code_is_for_and_never_more_than_they_cost() {
    let usd = currency("USD");
    let lines = [line(1, 10_000, usd), line(2, 5_000, usd)];
    let discount = |change: fn(&mut PromoTerms)| {
        let gift = give(&code(currency("USD"), change), &lines).expect("a gift");
        gift.discount.minor()
    };
    assert_eq!(discount(|_| {}), 1500);
    assert_eq!(discount(|terms| terms.tiers = vec![tier(2)]), 500);
    assert_eq!(discount(|terms| terms.discount = Some(fixed_of("USD", 600))), 600);
    assert_eq!(
        discount(|terms| {
            terms.tiers = vec![tier(2)];
            terms.discount = Some(fixed_of("USD", 6_000));
        }),
        5_000
    );
}

fn fixed_of(name: &str, minor: i64) -> Discount {
    Discount::Amount(Money::from_minor(minor, currency(name)))
}

#[test]
fn a_percentage_is_rounded_half_even_once_to_what_can_be_charged() {
    let discount = |name, minor, share| {
        let of = currency(name);
        let code = code(of, |terms| terms.discount = Some(Discount::Rate(rate(share))));
        give(&code, &[line(1, minor, of)])
            .expect("a gift")
            .discount
            .minor()
    };
    assert_eq!(discount("USD", 105, "0.1"), 10, "10.5 is nearest to the even 10");
    assert_eq!(discount("USD", 115, "0.1"), 12);
    assert_eq!(discount("KWD", 12_350, "0.1"), 1240, "1235 between steps of ten");
    assert_eq!(discount("KWD", 12_450, "0.1"), 1240);
    assert_eq!(discount("JPY", 999, "1"), 999);
}

#[test]
fn a_bonus_on_lines_that_cost_nothing_goes_to_the_first() {
    let usd = currency("USD");
    let code = code(usd, |terms| terms.bonus = Some(bonus(1, 7, None)));
    let same = |minor, name| PromoLine {
        tier: tier(name),
        ..line(1, minor, usd)
    };
    let gift = give(&code, &[line(2, 50, usd), same(0, 3), same(0, 4)]).expect("a gift");
    assert_eq!(gift.tokens, [units(0), units(7), units(0)]);
}

#[test]
fn a_code_that_staff_cannot_mean_is_refused_with_its_field() {
    let wrong: &[(Change, &str, &str)] = &[
        (
            |terms| terms.discount = None,
            "promo_code_gives_nothing",
            "discount",
        ),
        (
            |terms| terms.discount = Some(Discount::Rate(Rate::ZERO)),
            "promo_code_rate_invalid",
            "discount",
        ),
        (
            |terms| terms.discount = Some(fixed_of("KWD", 0)),
            "promo_code_amount_invalid",
            "discount",
        ),
        (
            |terms| terms.discount = Some(fixed_of("KWD", 5)),
            "price_not_chargeable",
            "discount",
        ),
        (
            |terms| terms.discount = Some(fixed_of("USD", 500)),
            "currency_mismatch",
            "discount",
        ),
        (
            |terms| terms.bonus = Some(bonus(1, 0, None)),
            "promo_code_bonus_invalid",
            "bonus",
        ),
        (
            |terms| terms.bonus = Some(bonus(1, 9, Some(8))),
            "promo_code_bonus_invalid",
            "bonus",
        ),
    ];
    refused(wrong);
}

#[test]
fn a_limit_that_nobody_can_keep_is_refused_with_its_field() {
    let wrong: &[(Change, &str, &str)] = &[
        (
            |terms| (terms.from, terms.until) = (Some(noon()), Some(noon())),
            "promo_code_window_invalid",
            "valid_until",
        ),
        (
            |terms| terms.uses_max = Some(0),
            "promo_code_uses_invalid",
            "uses_max",
        ),
        (
            |terms| terms.uses_per_buyer = Some(0),
            "promo_code_uses_invalid",
            "uses_per_buyer",
        ),
        (
            |terms| terms.minimum = Money::from_minor(-10, currency("KWD")),
            "promo_code_minimum_invalid",
            "minimum",
        ),
        (
            |terms| terms.tiers = vec![tier(1); 101],
            "promo_code_tiers_too_many",
            "tier_ids",
        ),
    ];
    refused(wrong);
}

fn refused(wrong: &[(Change, &str, &str)]) {
    let kwd = currency("KWD");
    code(kwd, |_| {})
        .terms
        .check()
        .expect("right before it is spoilt");
    for (spoil, told, field) in wrong {
        let refusal = code(kwd, *spoil).terms.check().expect_err(told);
        assert_eq!(
            (refusal.code(), refusal.field().as_deref()),
            (*told, Some(*field))
        );
    }
}

proptest! {
    #[test]
    fn p29_a_bonus_is_shared_exactly_and_nobodys_share_is_off_by_one(
        amounts in proptest::collection::vec(0_i64..1_000_000_000_000, 1..20), tokens in 1_u128..
    ) {
        let usd = currency("USD");
        let code = code(usd, |terms| terms.bonus = Some(bonus(1, tokens, None)));
        let lines: Vec<_> = amounts.iter().map(|minor| line(1, *minor, usd)).collect();
        let gift = give(&code, &lines).expect("a gift");
        let given: u128 = gift.tokens.iter().map(|part| part.base_units()).sum();
        prop_assert_eq!(given, tokens);
        let whole: i64 = amounts.iter().sum();
        for (minor, part) in amounts.iter().zip(&gift.tokens).filter(|_| whole > 0) {
            let exact = units(tokens).fraction(minor.unsigned_abs(), whole.unsigned_abs()).expect("a whole");
            prop_assert!(part.base_units().abs_diff(exact.base_units()) <= 1);
        }
    }

    #[test]
    fn p13_a_discount_is_chargeable_and_at_most_what_the_lines_cost(
        at in 0_usize..30, steps in proptest::collection::vec(0_i64..1_000_000_000, 1..20), millionths in 1_u32..=1_000_000
    ) {
        let of = Currency::all().nth(at).expect("a currency");
        let share = rate(&format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000));
        let code = code(of, |terms| terms.discount = Some(Discount::Rate(share)));
        let lines: Vec<_> = steps.iter().map(|steps| line(1, steps * of.charge_step(), of)).collect();
        let discount = give(&code, &lines).expect("a gift").discount.minor();
        let whole: i64 = lines.iter().map(|line| line.amount.minor()).sum();
        prop_assert!((0..=whole).contains(&discount));
        prop_assert_eq!(discount % of.charge_step(), 0);
        if millionths == 1_000_000 {
            prop_assert_eq!(discount, whole);
        }
    }
}
