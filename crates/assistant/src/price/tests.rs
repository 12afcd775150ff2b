use chrono::{DateTime, TimeDelta};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn micros(value: u64) -> Micros {
    Micros::new(value).unwrap()
}

fn tier(from_input_tokens: u64, input: u64, cached_input: u64, output: u64) -> PriceTier {
    PriceTier {
        from_input_tokens,
        input: micros(input),
        cached_input: micros(cached_input),
        output: micros(output),
    }
}

fn price(version: u32, begins_h: i64, tiers: Vec<PriceTier>) -> Price {
    Price {
        version,
        provider: "groq".into(),
        model: "large".into(),
        valid_from: DateTime::UNIX_EPOCH + TimeDelta::hours(begins_h),
        tiers,
    }
}

fn usage(input: u64, cached_input: u64, output: u64) -> Usage {
    Usage {
        input,
        cached_input,
        output,
        reasoning: 0,
    }
}

#[test]
fn a_call_is_priced_by_the_tier_of_its_input_and_rounded_up_once() {
    let price = price(
        1,
        0,
        vec![
            tier(0, 3_000_000, 300_000, 15_000_000),
            tier(200_000, 6_000_000, 600_000, 22_500_000),
        ],
    );
    // 900 × 3 + 100 × 0.3 + 500 × 15
    assert_eq!(price.cost(&usage(1_000, 100, 500)), micros(10_230));
    assert_eq!(price.cost(&usage(200_000, 0, 0)), micros(1_200_000));
    assert_eq!(price.cost(&usage(199_999, 0, 0)), micros(599_997));
    assert_eq!(price.cost(&usage(0, 0, 0)), Micros::ZERO);
    // 0.3 of a millionth.
    assert_eq!(price.cost(&usage(1, 1, 0)), micros(1));
    assert_eq!(price.cost(&usage(u64::MAX, 0, u64::MAX)), Micros::MAX);
}

#[test]
fn more_from_the_cache_than_was_sent_or_more_reasoning_than_was_written_makes_nothing_cheaper() {
    let price = price(1, 0, vec![tier(0, 2_000_000, 0, 1_000_000)]);
    assert_eq!(price.cost(&usage(10, 50, 0)), Micros::ZERO);
    let odd = Usage {
        reasoning: 7,
        ..usage(10, 0, 3)
    };
    assert_eq!(price.cost(&odd), micros(27));
}

/// L06: the version that was reserved with is found whatever came after it.
#[test]
fn l06_a_price_that_changes_meanwhile_changes_nothing_of_a_call_that_was_reserved() {
    let book = PriceBook::new(vec![
        price(2, 10, vec![tier(0, 9_000_000, 0, 0)]),
        price(1, 0, vec![tier(0, 1_000_000, 0, 0)]),
    ])
    .unwrap();
    let at = |hour| DateTime::UNIX_EPOCH + TimeDelta::hours(hour);
    assert_eq!(book.price("groq", "large", at(-1)), None);
    let reserved = book.price("groq", "large", at(9)).unwrap();
    assert_eq!(reserved.version, 1);
    assert_eq!(book.price("groq", "large", at(10)).unwrap().version, 2);
    let settled = book.of_version(reserved.version, "groq", "large").unwrap();
    assert_eq!(settled.cost(&usage(10, 0, 0)), micros(10));
    assert_eq!(book.price("groq", "small", at(10)), None);
}

#[test]
fn a_book_with_a_price_twice_a_version_out_of_order_or_odd_tiers_is_none() {
    let good = || vec![tier(0, 1, 1, 1)];
    let twice = PriceBook::new(vec![price(1, 0, good()), price(1, 0, good())]);
    assert!(matches!(twice, Err(PriceBookError::Twice { version: 1, .. })));
    let early = PriceBook::new(vec![price(1, 5, good()), price(2, 0, good())]);
    assert_eq!(early, Err(PriceBookError::Order { version: 2 }));
    for tiers in [
        Vec::new(),
        vec![tier(1, 1, 1, 1)],
        vec![tier(0, 1, 1, 1), tier(0, 1, 1, 1)],
        vec![tier(0, RATE_MAX.get() + 1, 1, 1)],
    ] {
        let book = PriceBook::new(vec![price(3, 0, tiers)]);
        assert!(matches!(book, Err(PriceBookError::Tiers { version: 3, .. })));
    }
}

prop_compose! {
    fn prices()(
        steps in vec((1..50_000_u64, 0..20_000_000_u64, 0..20_000_000_u64, 0..80_000_000_u64), 1..5)
    ) -> Price {
        let mut from = 0;
        let tiers = steps.into_iter().map(|(step, input, cached, output)| {
            let made = tier(from, input, cached, output);
            from += step;
            made
        });
        price(1, 0, tiers.collect())
    }
}

proptest! {
    /// L01: no usage within the estimate costs more than what was reserved for it, tiers, cache and reasoning included.
    #[test]
    fn l01_what_a_call_within_its_estimate_costs_is_at_most_what_is_reserved(
        price in prices(), input in 0..300_000_u64, output in 0..100_000_u64,
        used in (0..=100_u64, 0..=100_u64, 0..=150_u64, 0..=100_u64),
    ) {
        let part = |of: u64, percent: u64| of * percent / 100;
        let (sent, written) = (part(input, used.0), part(output, used.1));
        let usage = Usage {
            input: sent,
            cached_input: part(sent, used.2),
            output: written,
            reasoning: part(written, used.3),
        };
        prop_assert!(PriceBook::new(vec![price.clone()]).is_ok());
        let most = TokensMax { input, output };
        prop_assert!(price.cost(&usage) <= price.worst_case(most));
    }

    #[test]
    fn what_a_part_more_costs_is_never_less(price in prices(), input in 0..300_000_u64, output in 0..100_000_u64) {
        let most = |input, output| price.worst_case(TokensMax { input, output });
        prop_assert!(most(input, output) <= most(input + 1, output));
        prop_assert!(most(input, output) <= most(input, output + 1));
    }
}
