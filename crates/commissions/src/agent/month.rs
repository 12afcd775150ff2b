//! Months and days as a site's people count them.

use chrono::{DateTime, Datelike as _, Days as Span, Duration, NaiveDate, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use posx_kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// Statements are made this long after their month, when nobody waits for the database.
const REST: Duration = Duration::hours(2);

/// `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: NaiveDate,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a month like 2026-10")]
pub struct MonthError;

impl Month {
    /// Years 2000 to 9998: what an instant and a calendar can hold.
    pub fn new(year: i32, month: u32) -> Option<Self> {
        let first = NaiveDate::from_ymd_opt(year, month, 1)?;
        (2000..=9998).contains(&year).then_some(Self { first })
    }

    pub fn of(at: Timestamp, zone: Tz) -> Option<Self> {
        let local = at.with_timezone(&zone);
        Self::new(local.year(), local.month())
    }

    /// The last one that ended at least two hours ago.
    pub fn last_over(now: Timestamp, zone: Tz) -> Option<Self> {
        Self::of(now - REST, zone)?.before()
    }

    pub fn next(self) -> Option<Self> {
        let (year, month) = (self.first.year(), self.first.month());
        if month == 12 {
            Self::new(year + 1, 1)
        } else {
            Self::new(year, month + 1)
        }
    }

    pub fn before(self) -> Option<Self> {
        let last = self.first.pred_opt()?;
        Self::new(last.year(), last.month())
    }

    /// Its first instant.
    pub fn start(self, zone: Tz) -> Timestamp {
        midnight(self.first, zone)
    }

    /// The first instant after it.
    pub fn end(self, zone: Tz) -> Timestamp {
        midnight(self.first + chrono::Months::new(1), zone)
    }
}

/// Where a day begins. Some begin at 01:00, when the clock was put forward at midnight.
fn midnight(day: NaiveDate, zone: Tz) -> Timestamp {
    let begin: NaiveDateTime = day.and_hms_opt(0, 0, 0).unwrap_or_default();
    let quarters = (0..24 * 4).map(|quarter| begin + Duration::minutes(15 * quarter));
    let exists = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
    let first: Option<DateTime<Tz>> = quarters.into_iter().find_map(exists);
    first.map_or_else(|| begin.and_utc(), |first| first.with_timezone(&Utc))
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl std::str::FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        if !digits(year, 4) || !digits(month, 2) {
            return Err(MonthError);
        }
        let numbers = (year.parse().ok(), month.parse().ok());
        let (Some(year), Some(month)) = numbers else {
            return Err(MonthError);
        };
        Self::new(year, month).ok_or(MonthError)
    }
}

impl Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Month {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[0-9]{4}-(0[1-9]|1[0-2])$"))
            .examples([serde_json::json!("2026-10")])
            .into()
    }
}

impl utoipa::ToSchema for Month {}

/// Whole days of a site, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    pub first: NaiveDate,
    pub last: NaiveDate,
}

impl Days {
    /// The current month's, to today.
    pub fn this_month(now: Timestamp, zone: Tz) -> Self {
        let last = now.with_timezone(&zone).date_naive();
        let first = last.with_day(1).unwrap_or(last);
        Self { first, last }
    }

    /// `None` when they end before they begin, or are beyond the calendar.
    pub fn span(self, zone: Tz) -> Option<super::Span> {
        let good = |day: NaiveDate| (2000..=9998).contains(&day.year());
        let after = self.last.checked_add_days(Span::new(1))?;
        (self.first <= self.last && good(self.first) && good(self.last)).then(|| super::Span {
            from: midnight(self.first, zone),
            to: midnight(after, zone),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_month_begins_and_ends_where_the_site_is() {
        let month: Month = "2026-10".parse().expect("a month");
        let of = |zone| (month.start(zone), month.end(zone));
        assert_eq!(
            of(Tz::UTC),
            (at("2026-10-01T00:00:00Z"), at("2026-11-01T00:00:00Z"))
        );
        assert_eq!(
            of(Tz::Asia__Kuwait),
            (at("2026-09-30T21:00:00Z"), at("2026-10-31T21:00:00Z"))
        );
        assert_eq!(
            of(Tz::America__New_York),
            (at("2026-10-01T04:00:00Z"), at("2026-11-01T04:00:00Z"))
        );
    }

    #[test]
    fn a_day_whose_midnight_the_clock_skips_begins_when_it_begins() {
        // Beirut put its clocks forward at midnight of 26 March 2023.
        let day = NaiveDate::from_ymd_opt(2023, 3, 26).expect("a day");
        assert_eq!(midnight(day, Tz::Asia__Beirut), at("2023-03-25T22:00:00Z"));
        assert_eq!(
            midnight(day, Tz::Asia__Beirut)
                .with_timezone(&Tz::Asia__Beirut)
                .to_rfc3339(),
            "2023-03-26T01:00:00+03:00"
        );
    }

    #[test]
    fn the_last_month_is_over_two_hours_into_the_next_one_by_the_clock_of_the_site() {
        let last = |now: &str, zone| Month::last_over(at(now), zone).map(|month| month.to_string());
        let kuwait = Tz::Asia__Kuwait;
        assert_eq!(last("2026-10-31T22:59:59Z", kuwait).as_deref(), Some("2026-09"));
        assert_eq!(last("2026-10-31T23:00:00Z", kuwait).as_deref(), Some("2026-10"));
        assert_eq!(last("2026-10-31T23:00:00Z", Tz::UTC).as_deref(), Some("2026-09"));
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let mut month: Month = "2025-11".parse().expect("a month");
        for zone in [
            Tz::UTC,
            Tz::Asia__Kuwait,
            Tz::America__Sao_Paulo,
            Tz::Asia__Beirut,
        ] {
            for _ in 0..30 {
                let next = month.next().expect("a month");
                assert_eq!(month.end(zone), next.start(zone));
                assert_eq!(next.before(), Some(month));
                month = next;
            }
        }
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for bad in [
            "2026-13", "2026-00", "26-01", "2026-1", "2026", "", "1999-12", "2026-+1", "9999-12",
        ] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }

    #[test]
    fn days_that_end_before_they_begin_are_none() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let days = |first, last| Days {
            first: day(first),
            last: day(last),
        };
        assert!(days("2026-10-02", "2026-10-01").span(Tz::UTC).is_none());
        let one = days("2026-10-01", "2026-10-01").span(Tz::UTC).expect("a day");
        assert_eq!(
            (one.from, one.to),
            (at("2026-10-01T00:00:00Z"), at("2026-10-02T00:00:00Z"))
        );
    }
}
