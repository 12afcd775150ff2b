//! A vesting policy: how much of a line unlocks when.

use std::ops::RangeInclusive;

use chrono::{Datelike as _, Days, Months, NaiveDate};
use posx_kernel::{Rate, Timestamp, TokenAmount, VestingPolicyId};
use serde::{Deserialize, Serialize};

use super::VestingError;

pub const CLIFF_MONTHS_MAX: u16 = 120;
pub const PERIODS_MAX: u16 = 366;
/// So that every day of every release is one that all around us can write.
pub(super) const START_YEARS: RangeInclusive<i32> = 2000..=2199;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeriodUnit {
    Day,
    Week,
    Month,
}

impl PeriodUnit {
    pub const ALL: &'static [Self] = &[Self::Day, Self::Week, Self::Month];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|unit| unit.as_str() == name)
    }
}

/// One version of a policy. Only its start is ever changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VestingPolicy {
    pub id: VestingPolicyId,
    pub name: String,
    /// Of the name, from 1.
    pub version: u32,
    /// Unlocks on the start's day, as release 0.
    pub share_at_start: Rate,
    /// From the start on; the first period begins at its end.
    pub cliff_months: u16,
    /// Equal parts of what is left after the start, releases 1 and on, each at the end of its period.
    pub periods: u16,
    pub unit: PeriodUnit,
    /// Whether staff may take back what is still locked.
    pub revocable: bool,
    /// A day by UTC: it begins at midnight. `None`: nothing unlocks yet.
    pub starts_on: Option<NaiveDate>,
    /// Grows by one with each move of the start; a move names the one it saw.
    pub revision: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl VestingPolicy {
    pub fn check(&self) -> Result<(), VestingError> {
        match () {
            () if self.name.trim().is_empty() || self.name.chars().count() > 200 => Err(VestingError::Name),
            () if self.cliff_months > CLIFF_MONTHS_MAX => Err(VestingError::Cliff),
            () if self.periods > PERIODS_MAX || (self.periods == 0) != (self.share_at_start == Rate::ONE) => {
                Err(VestingError::Periods)
            }
            () if self
                .starts_on
                .is_some_and(|day| !START_YEARS.contains(&day.year())) =>
            {
                Err(VestingError::Start)
            }
            () => Ok(()),
        }
    }

    /// Number and tokens of each release, in order; they sum to `total`. One of nothing is left out. By cumulative share, so
    /// two periods differ by at most one base unit.
    pub fn amounts(&self, total: TokenAmount) -> Vec<(u16, TokenAmount)> {
        let units = TokenAmount::base_units;
        let share =
            |amount: TokenAmount, part: u64, whole: u64| amount.fraction(part, whole).unwrap_or_default();
        let at_start = share(total, u64::from(self.share_at_start.millionths()), 1_000_000);
        let rest = TokenAmount::from_base_units(units(total) - units(at_start));
        let after = |number: u16| units(share(rest, u64::from(number), u64::from(self.periods)));
        let linear = (1..=self.periods).map(|number| (number, after(number) - after(number - 1)));
        std::iter::once((0, units(at_start)))
            .chain(linear)
            .filter(|(_, amount)| *amount > 0)
            .map(|(number, amount)| (number, TokenAmount::from_base_units(amount)))
            .collect()
    }

    /// The day on which a release unlocks. Months are counted from the start itself, and a day that a month lacks is its
    /// last: the 31st of January, the 28th of February, the 31st of March. `None`: there is no start, or no such day.
    pub fn day_of(&self, number: u16) -> Option<NaiveDate> {
        let start = self.starts_on?;
        if number == 0 {
            return Some(start);
        }
        let months = |count: u16| start.checked_add_months(Months::new(u32::from(count)));
        let days = |count: u16| months(self.cliff_months)?.checked_add_days(Days::new(u64::from(count)));
        match self.unit {
            PeriodUnit::Month => months(self.cliff_months + number),
            PeriodUnit::Week => days(7 * number),
            PeriodUnit::Day => days(number),
        }
    }

    /// The last release whose day has come.
    pub fn last_due(&self, today: NaiveDate) -> Option<u16> {
        let come = |number: &u16| self.day_of(*number).is_some_and(|day| day <= today);
        (0..=self.periods).take_while(come).last()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::policy;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn days_of(policy: &VestingPolicy) -> Vec<String> {
        (0..=policy.periods)
            .map(|number| policy.day_of(number).expect("a day").to_string())
            .collect()
    }

    #[test]
    fn p25_a_month_that_lacks_the_day_gives_its_last() {
        let mut policy = policy(3, PeriodUnit::Month);
        policy.starts_on = Some(day("2027-12-31"));
        assert_eq!(
            days_of(&policy),
            ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"]
        );
        policy.cliff_months = 2;
        assert_eq!(
            days_of(&policy),
            ["2027-12-31", "2028-03-31", "2028-04-30", "2028-05-31"]
        );
        policy.unit = PeriodUnit::Week;
        assert_eq!(
            days_of(&policy),
            ["2027-12-31", "2028-03-07", "2028-03-14", "2028-03-21"]
        );
        policy.unit = PeriodUnit::Day;
        assert_eq!(
            days_of(&policy),
            ["2027-12-31", "2028-03-01", "2028-03-02", "2028-03-03"]
        );
    }

    #[test]
    fn a_release_is_due_from_its_day_on() {
        let mut policy = policy(3, PeriodUnit::Month);
        assert_eq!(
            policy.last_due(day("2030-01-01")),
            None,
            "nothing starts without a start"
        );
        policy.starts_on = Some(day("2026-01-31"));
        let due = |today: &str| policy.last_due(day(today));
        assert_eq!(due("2026-01-30"), None);
        assert_eq!(due("2026-01-31"), Some(0));
        assert_eq!(due("2026-02-27"), Some(0));
        assert_eq!(due("2026-02-28"), Some(1));
        assert_eq!(due("2099-01-01"), Some(3));
    }

    #[test]
    fn p25_a_share_at_the_start_and_equal_parts_of_the_rest() {
        let policy = VestingPolicy {
            share_at_start: "0.1".parse().expect("a rate"),
            ..policy(3, PeriodUnit::Month)
        };
        let of = |total| -> Vec<_> {
            let amounts = policy.amounts(TokenAmount::from_base_units(total));
            amounts
                .into_iter()
                .map(|(number, amount)| (number, amount.base_units()))
                .collect()
        };
        assert_eq!(of(1000), [(0, 100), (1, 300), (2, 300), (3, 300)]);
        assert_eq!(of(1), [(2, 1)], "a release of nothing is none");
        assert_eq!(of(112), [(0, 11), (1, 34), (2, 33), (3, 34)]);
    }

    #[test]
    fn a_policy_that_unlocks_more_or_less_than_all_is_refused() {
        use posx_kernel::Refusal as _;
        let code = |change: fn(&mut VestingPolicy)| {
            let mut policy = policy(3, PeriodUnit::Month);
            change(&mut policy);
            policy
                .check()
                .map_err(|error| (error.code(), error.field().map(String::from)))
        };
        assert_eq!(code(|_| {}), Ok(()));
        assert_eq!(
            code(|policy| (policy.periods, policy.share_at_start) = (0, Rate::ONE)),
            Ok(())
        );
        let periods = || Err(("vesting_periods_invalid", Some("periods".to_owned())));
        assert_eq!(code(|policy| policy.periods = 0), periods());
        assert_eq!(code(|policy| policy.periods = PERIODS_MAX + 1), periods());
        assert_eq!(code(|policy| policy.share_at_start = Rate::ONE), periods());
        let cliff = Err(("vesting_cliff_invalid", Some("cliff_months".to_owned())));
        assert_eq!(code(|policy| policy.cliff_months = CLIFF_MONTHS_MAX + 1), cliff);
        let start = Err(("vesting_start_invalid", Some("starts_on".to_owned())));
        assert_eq!(code(|policy| policy.starts_on = Some(day("1999-12-31"))), start);
        assert_eq!(code(|policy| policy.starts_on = Some(day("2200-01-01"))), start);
        let name = Err(("vesting_name_invalid", Some("name".to_owned())));
        assert_eq!(code(|policy| " ".clone_into(&mut policy.name)), name);
    }

    prop_compose! {
        fn any_policy()(
            share in 0..=999_999_u32, cliff_months in 0..=CLIFF_MONTHS_MAX, periods in 1..=PERIODS_MAX,
            unit in prop::sample::select(PeriodUnit::ALL), start in 0..40_000_u64,
        ) -> VestingPolicy {
            VestingPolicy {
                share_at_start: format!("0.{share:06}").parse().expect("a rate"),
                cliff_months,
                starts_on: NaiveDate::from_ymd_opt(2020, 1, 1).and_then(|first| first.checked_add_days(Days::new(start))),
                ..policy(periods, unit)
            }
        }
    }

    fn any_total() -> impl Strategy<Value = u128> {
        prop_oneof![
            1..=1000_u128,
            any::<u128>().prop_map(|any| any.max(1)),
            Just(u128::MAX)
        ]
    }

    proptest! {
        #[test]
        fn p25_releases_are_not_negative_and_sum_to_the_whole(policy in any_policy(), total in any_total()) {
            policy.check().expect("a policy");
            let amounts = policy.amounts(TokenAmount::from_base_units(total));
            let sum = amounts.iter().try_fold(0_u128, |sum, (_, amount)| sum.checked_add(amount.base_units()));
            prop_assert_eq!(sum, Some(total));
            prop_assert!(amounts.iter().all(|(_, amount)| !amount.is_zero()));
            prop_assert!(amounts.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let linear: Vec<_> = amounts.iter().filter(|(number, _)| *number > 0).map(|(_, amount)| amount.base_units()).collect();
            if let (Some(least), Some(most)) = (linear.iter().min(), linear.iter().max()) {
                prop_assert!(most - least <= 1, "equal parts");
            }
        }

        #[test]
        fn p25_days_never_go_back_and_tell_what_is_due(policy in any_policy()) {
            let days: Vec<_> = (0..=policy.periods).map(|number| policy.day_of(number).expect("a day")).collect();
            prop_assert!(days.windows(2).all(|pair| pair[0] <= pair[1]));
            let before = days[0].pred_opt().expect("a day");
            prop_assert_eq!(policy.last_due(before), None);
            for (number, day) in days.iter().enumerate() {
                prop_assert!(policy.last_due(*day).map(usize::from) >= Some(number));
            }
        }

        #[test]
        fn p25_a_month_keeps_the_day_of_the_start_or_is_at_its_end(mut policy in any_policy()) {
            policy.unit = PeriodUnit::Month;
            let start = policy.starts_on.expect("a start");
            for number in 1..=policy.periods {
                let day = policy.day_of(number).expect("a day");
                let last = day.succ_opt().is_some_and(|next| next.day() == 1);
                prop_assert!(day.day() == start.day() || (last && day.day() < start.day()));
                let months = |day: NaiveDate| day.year() * 12 + i32::try_from(day.month()).expect("a month");
                prop_assert_eq!(months(day) - months(start), i32::from(policy.cliff_months + number));
            }
        }
    }
}
