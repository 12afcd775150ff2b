//! How much of each part of a line is cut or owed: a pure function of what went back, so that no number, order or
//! repetition of refunds changes the outcome.

use posx_kernel::TokenAmount;

use crate::Place;

/// A part of what a line delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub place: Place,
    pub amount: TokenAmount,
    /// As it stands.
    pub cut: TokenAmount,
}

/// What is to hold of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub cut: TokenAmount,
    pub owed: TokenAmount,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One for each part.
    pub shares: Vec<Share>,
    /// Cannot be taken before what is on its way has come to its end.
    pub waiting: TokenAmount,
    /// More is cut of what was sent, or is on its way, than went back: it is to be delivered by another part.
    pub surplus: TokenAmount,
}

/// Takes `target` from `parts`, the first one first: from what is open; then it waits for what is moving; what is left after
/// that the buyer owes of what was sent.
pub fn plan(parts: &[Part], target: TokenAmount) -> Plan {
    let mut shares: Vec<_> = parts.iter().map(settled).collect();
    let fixed: u128 = shares.iter().map(|share| share.cut.base_units()).sum();
    let mut rest = target.base_units().saturating_sub(fixed);
    let mut take = |most: u128| {
        let taken = most.min(rest);
        rest -= taken;
        TokenAmount::from_base_units(taken)
    };
    let at = |place: Place| move |(_, part): &(usize, &Part)| part.place == place;
    for (number, part) in parts.iter().enumerate().filter(at(Place::Open)) {
        shares[number].cut = take(part.amount.base_units());
    }
    let moving = parts
        .iter()
        .enumerate()
        .filter(at(Place::Moving))
        .map(|(_, part)| left(part))
        .sum();
    let waiting = take(moving);
    for (number, part) in parts.iter().enumerate().filter(at(Place::Sent)) {
        shares[number].owed = take(left(part));
    }
    Plan {
        shares,
        waiting,
        surplus: TokenAmount::from_base_units(fixed.saturating_sub(target.base_units())),
    }
}

/// What cannot be changed any more.
fn settled(part: &Part) -> Share {
    let cut = if part.place == Place::Open {
        TokenAmount::ZERO
    } else {
        part.cut
    };
    Share {
        cut,
        owed: TokenAmount::ZERO,
    }
}

fn left(part: &Part) -> u128 {
    part.amount.base_units().saturating_sub(part.cut.base_units())
}

/// Whole units whose tokens are all within `cut`, of a line of so many units.
pub fn whole_units(tokens: TokenAmount, quantity: u32, cut: TokenAmount) -> u32 {
    let within = |units: u32| {
        tokens
            .fraction(u64::from(units), u64::from(quantity))
            .is_some_and(|tokens| tokens <= cut)
    };
    let (mut most, mut too_many) = (0, quantity.saturating_add(1));
    while too_many - most > 1 {
        let middle = most + (too_many - most) / 2;
        if within(middle) {
            most = middle;
        } else {
            too_many = middle;
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn tokens(units: u128) -> TokenAmount {
        TokenAmount::from_base_units(units)
    }

    const fn part(place: Place, amount: u128, cut: u128) -> Part {
        Part {
            place,
            amount: tokens(amount),
            cut: tokens(cut),
        }
    }

    fn shares(plan: &Plan) -> Vec<(u128, u128)> {
        plan.shares
            .iter()
            .map(|share| (share.cut.base_units(), share.owed.base_units()))
            .collect()
    }

    #[test]
    fn what_is_open_is_cut_first_and_what_is_sent_is_owed_last() {
        let parts = [
            part(Place::Sent, 40, 0),
            part(Place::Open, 30, 0),
            part(Place::Moving, 20, 0),
            part(Place::Open, 10, 0),
        ];
        let planned = |target| plan(&parts, tokens(target));
        assert_eq!(shares(&planned(35)), [(0, 0), (30, 0), (0, 0), (5, 0)]);
        let (some, most) = (planned(55), planned(70));
        assert_eq!(shares(&some), [(0, 0), (30, 0), (0, 0), (10, 0)]);
        assert_eq!(some.waiting, tokens(15), "of what is on its way");
        assert_eq!(shares(&most), [(0, 10), (30, 0), (0, 0), (10, 0)]);
        assert_eq!(most.waiting, tokens(20));
    }

    #[test]
    fn what_was_cut_before_it_was_sent_counts_and_too_much_of_it_is_a_surplus() {
        let parts = [part(Place::Sent, 100, 50)];
        assert_eq!(shares(&plan(&parts, tokens(70))), [(50, 20)]);
        let less = plan(&parts, tokens(30));
        assert_eq!((shares(&less), less.surplus), (vec![(50, 0)], tokens(20)));
    }

    #[test]
    fn units_go_back_whole_and_exactly_with_their_money() {
        // 3 units of 7 tokens and a bonus of 1 in all.
        let units = |cut| whole_units(tokens(22), 3, tokens(cut));
        assert_eq!([0, 6, 7, 14, 15, 21, 22].map(units), [0, 0, 1, 1, 2, 2, 3]);
    }

    fn any_part() -> impl Strategy<Value = Part> {
        let places = prop::sample::select(vec![Place::Open, Place::Moving, Place::Sent]);
        (places, 1..=u128::MAX / 40, 0..=100_u64).prop_map(|(place, amount, share)| Part {
            place,
            amount: tokens(amount),
            cut: tokens(amount).fraction(share, 100).unwrap_or_default(),
        })
    }

    proptest! {
        #[test]
        fn p15_what_went_back_is_cut_or_owed_or_waits_exactly(
            parts in prop::collection::vec(any_part(), 1..20), share in 0..=1_000_000_u64,
        ) {
            let all = parts.iter().map(|part| part.amount.base_units()).sum();
            let target = tokens(all).fraction(share, 1_000_000).unwrap_or_default();
            let plan = plan(&parts, target);
            let (mut cut, mut owed) = (0, 0);
            for (part, share) in parts.iter().zip(&plan.shares) {
                let (part_cut, part_owed) = (share.cut.base_units(), share.owed.base_units());
                prop_assert!(part_cut + part_owed <= part.amount.base_units());
                prop_assert!(part_owed == 0 || part.place == Place::Sent);
                prop_assert!(part.place == Place::Open || share.cut == part.cut, "what is not here is not cut");
                cut += part_cut;
                owed += part_owed;
            }
            prop_assert_eq!(cut + owed + plan.waiting.base_units(), target.base_units() + plan.surplus.base_units());
            let again: Vec<_> = parts.iter().zip(&plan.shares).map(|(part, share)| Part { cut: share.cut, ..*part }).collect();
            prop_assert_eq!(super::plan(&again, target), plan, "once more changes nothing");
        }

        #[test]
        fn whole_units_never_take_more_tokens_than_were_cut(
            unit in 1..1_u128 << 100, bonus in 0..1_u128 << 100, quantity in 1..=1000_u32, share in 0..=1_000_000_u64,
        ) {
            let line = tokens(unit * u128::from(quantity) + bonus);
            let cut = line.fraction(share, 1_000_000).unwrap_or_default();
            let units = whole_units(line, quantity, cut);
            prop_assert!(units <= quantity);
            prop_assert!(unit * u128::from(units) <= cut.base_units());
            prop_assert_eq!(whole_units(line, quantity, line), quantity);
        }
    }
}
