use chrono::{DateTime, NaiveDate};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse::<DateTime<chrono::Utc>>().unwrap()
}

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn member() -> Asker {
    Asker::Member(IdentityId::from_uuid(Uuid::from_u128(1)))
}

fn limit(scope: BudgetScope, purpose: Option<Purpose>, micros: u64) -> Limit {
    Limit {
        scope,
        purpose,
        period: Period::Day,
        limit_micros: Micros::new(micros).unwrap(),
    }
}

#[test]
fn every_call_falls_under_its_own_budgets_and_the_sites_month_comes_last() {
    let visitor = Asker::Visitor(VisitorId::from_uuid(Uuid::from_u128(2)));
    for (asker, budgets) in [(member(), 6), (visitor, 8)] {
        let keys = BudgetKey::of_call(Purpose::Documents, asker, day(2026, 3, 31));
        assert_eq!(keys.len(), budgets);
        let last = keys.last().unwrap();
        assert!(last.takes_credits());
        assert_eq!(last.starts_on, day(2026, 3, 1));
        assert_eq!(keys.iter().filter(|key| key.takes_credits()).count(), 1);
    }
}

#[test]
fn days_and_months_are_those_of_the_sites_calendar() {
    let zone = chrono_tz::Asia::Kuwait;
    let now = at("2026-02-28T21:30:00Z");
    assert_eq!(day_of(now, zone), day(2026, 3, 1));
    let keys = BudgetKey::of_call(Purpose::StaffChat, member(), day_of(now, zone));
    let resets: Vec<_> = keys.iter().map(|key| key.resets_at(zone)).collect();
    assert_eq!(resets[0], at("2026-03-01T21:00:00Z"));
    assert_eq!(resets[1], at("2026-03-31T21:00:00Z"));
}

#[test]
fn a_day_begins_later_where_the_clocks_go_forward_at_midnight() {
    let key = BudgetKey {
        scope: BudgetScope::Site,
        subject: Subject::All,
        period: Period::Day,
        starts_on: day(2026, 3, 28),
    };
    // Beirut: 00:00 to 01:00 of 29 March 2026 does not exist.
    assert_eq!(key.resets_at(chrono_tz::Asia::Beirut), at("2026-03-28T22:00:00Z"));
}

#[test]
fn what_the_site_set_wins_over_the_operator_and_zero_is_no_absence() {
    let own = Limits::new(vec![limit(BudgetScope::Purpose, Some(Purpose::Documents), 0)]).unwrap();
    let defaults = Limits::new(vec![
        limit(BudgetScope::Purpose, Some(Purpose::Documents), 7),
        limit(BudgetScope::Purpose, Some(Purpose::StaffChat), 8),
    ])
    .unwrap();
    let of = |purpose, period| {
        let key = BudgetKey {
            scope: BudgetScope::Purpose,
            subject: Subject::Purpose(purpose),
            period,
            starts_on: day(2026, 1, 1),
        };
        own.in_force(&defaults, &key, true).get()
    };
    assert_eq!(of(Purpose::Documents, Period::Day), 0);
    assert_eq!(of(Purpose::StaffChat, Period::Day), 8);
    assert_eq!(of(Purpose::StorefrontChat, Period::Day), Micros::MAX.get());
    assert_eq!(of(Purpose::Documents, Period::Month), Micros::MAX.get());
}

#[test]
fn who_is_limited_raises_no_limit_while_the_operator_pays() {
    let all = |micros| Limits::new(vec![limit(BudgetScope::Site, None, micros)]).unwrap();
    let key = BudgetKey {
        scope: BudgetScope::Site,
        subject: Subject::All,
        period: Period::Day,
        starts_on: day(2026, 1, 1),
    };
    for (own, operator_pays, in_force) in [(9, true, 7), (9, false, 9), (5, true, 5), (5, false, 5)] {
        let limit = all(own).in_force(&all(7), &key, operator_pays);
        assert_eq!(limit.get(), in_force, "{own}, {operator_pays}");
    }
    let none = Limits::default();
    assert_eq!(none.in_force(&all(7), &key, false).get(), 7);
    assert_eq!(all(9).in_force(&none, &key, true).get(), 9);
}

#[test]
fn a_limit_of_a_purpose_names_it_and_none_is_there_twice() {
    let purpose = limit(BudgetScope::Purpose, None, 1);
    assert_eq!(Limits::new(vec![purpose]), Err(LimitsError::Purpose { at: 0 }));
    let odd = limit(BudgetScope::Site, Some(Purpose::Documents), 1);
    assert_eq!(Limits::new(vec![odd]), Err(LimitsError::Purpose { at: 0 }));
    let site = limit(BudgetScope::Site, None, 1);
    assert_eq!(Limits::new(vec![site, site]), Err(LimitsError::Twice { at: 1 }));
    let large: Limit =
        serde_json::from_str(r#"{"scope":"site","period":"day","limit_micros":9223372036854775808}"#)
            .unwrap();
    assert_eq!(Limits::new(vec![large]), Err(LimitsError::TooLarge { at: 0 }));
}

proptest! {
    #[test]
    fn a_warning_is_due_from_four_fifths_on_and_never_without_a_limit(limit in 1..1_000_000_u64, spent in 0..2_000_000_u64) {
        let micros = |value| Micros::new(value).unwrap();
        prop_assert_eq!(is_warning(micros(spent), micros(limit)), spent * 100 >= limit * 80);
        prop_assert!(!is_warning(micros(spent), Micros::MAX));
    }
}
