use chrono::{DateTime, Days, NaiveDate, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use posx_kernel::Timestamp;

/// So long after its end a day is compared by itself: what was late is booked then.
const REST: TimeDelta = TimeDelta::hours(2);

/// A day of a site's time zone. It may have 23 or 25 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    pub date: NaiveDate,
    pub from: Timestamp,
    /// Not in it any more.
    pub until: Timestamp,
}

impl Day {
    /// `None` at the end of the calendar.
    pub fn of(date: NaiveDate, zone: Tz) -> Option<Self> {
        let next = date.checked_add_days(Days::new(1))?;
        Some(Self {
            date,
            from: midnight(date, zone),
            until: midnight(next, zone),
        })
    }

    /// The last one that ended at least two hours ago.
    pub fn last_over(now: Timestamp, zone: Tz) -> Option<Self> {
        let date = (now - REST).with_timezone(&zone).date_naive();
        Self::of(date.pred_opt()?, zone)
    }

    pub fn holds(&self, at: Timestamp) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// Where a day begins. Some begin at 01:00, when the clock was put forward at midnight.
fn midnight(day: NaiveDate, zone: Tz) -> Timestamp {
    let begin = day.and_hms_opt(0, 0, 0).unwrap_or_default();
    let quarters = (0..24 * 4).map(|quarter| begin + TimeDelta::minutes(15 * quarter));
    let first: Option<DateTime<Tz>> = quarters
        .into_iter()
        .find_map(|local| zone.from_local_datetime(&local).earliest());
    first.map_or_else(|| begin.and_utc(), |first| first.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(date: &str, zone: Tz) -> [String; 2] {
        let day = Day::of(date.parse().unwrap(), zone).unwrap();
        [day.from, day.until].map(|at| at.to_rfc3339())
    }

    #[test]
    fn a_day_is_the_sites_own_also_where_the_clock_changes() {
        assert_eq!(
            day("2026-06-01", Tz::Asia__Kuwait),
            ["2026-05-31T21:00:00+00:00", "2026-06-01T21:00:00+00:00"]
        );
        // 23 hours, and 25.
        assert_eq!(
            day("2026-03-29", Tz::Europe__Berlin),
            ["2026-03-28T23:00:00+00:00", "2026-03-29T22:00:00+00:00"]
        );
        assert_eq!(
            day("2026-10-25", Tz::Europe__Berlin),
            ["2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"]
        );
        // No midnight: the clock is put forward at 00:00.
        assert_eq!(
            day("2026-04-24", Tz::Africa__Cairo),
            ["2026-04-23T22:00:00+00:00", "2026-04-24T21:00:00+00:00"]
        );
    }

    #[test]
    fn days_follow_each_other_without_a_gap() {
        let mut day = Day::of("2026-01-01".parse().unwrap(), Tz::America__Havana).unwrap();
        for _ in 0..400 {
            let next = Day::of(day.date.succ_opt().unwrap(), Tz::America__Havana).unwrap();
            assert_eq!(day.until, next.from);
            assert!(day.holds(day.from) && !day.holds(day.until));
            day = next;
        }
    }

    #[test]
    fn a_day_is_compared_two_hours_after_it_is_over() {
        let last = |now: &str| Day::last_over(now.parse().unwrap(), Tz::Asia__Kuwait).map(|day| day.date);
        let expected = |date: &str| Some(date.parse().unwrap());
        assert_eq!(last("2026-06-01T22:59:59Z"), expected("2026-05-31"));
        assert_eq!(last("2026-06-01T23:00:00Z"), expected("2026-06-01"));
    }
}
