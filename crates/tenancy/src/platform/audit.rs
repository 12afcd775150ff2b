//! What was done on the plane, and figures across sites: what it shows, and no row of a site.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{IdentityId, Money, SiteId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::PlatformError;
use crate::SiteCode;

/// One thing that was done. Who did it, by which request and from where is the transaction's.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    /// `site.suspended`: subject and past participle.
    pub action: &'static str,
    pub site: Option<SiteId>,
    pub subject: Option<Uuid>,
    /// Before and after of what changed.
    pub changes: Value,
}

impl Act {
    pub(super) fn at_site(self, site: SiteId) -> Self {
        Self {
            site: Some(site),
            ..self
        }
    }

    pub(super) fn on(self, subject: Uuid) -> Self {
        Self {
            subject: Some(subject),
            ..self
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct ActFilter {
    pub site: Option<SiteId>,
    pub actor: Option<IdentityId>,
}

/// A line of the plane's audit.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ActView {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub action: String,
    pub site: Option<SiteId>,
    /// A staff member's or member's identity, or a grant.
    pub subject: Option<Uuid>,
    #[schema(value_type = Object)]
    pub changes: Value,
    /// `person` and `staff` are of the platform's staff, `system` is the command line; another showed a visitor out of its
    /// site.
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub request_id: Option<String>,
    /// A salted hash in hexadecimal digits: two acts from one place show as such.
    pub address: Option<String>,
}

/// From a time until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub since: DateTime<Utc>,
    pub before: DateTime<Utc>,
}

impl Span {
    const DAYS_MAX: i64 = 366;
    const DAYS_DEFAULT: i64 = 30;

    /// The last 30 days where nothing else is said.
    pub fn new(
        since: Option<Timestamp>,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, PlatformError> {
        let before = before.unwrap_or(now);
        let since = since.or_else(|| before.checked_sub_signed(TimeDelta::days(Self::DAYS_DEFAULT)));
        let since = since.ok_or(PlatformError::Span)?;
        let length = before.signed_duration_since(since);
        if length <= TimeDelta::zero() || length > TimeDelta::days(Self::DAYS_MAX) {
            return Err(PlatformError::Span);
        }
        Ok(Self { since, before })
    }
}

/// Counts and sums of one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SiteFigures {
    pub site_id: SiteId,
    pub code: SiteCode,
    /// Active now.
    pub members: u64,
    pub currencies: Vec<CurrencyFigures>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CurrencyFigures {
    /// Placed in the time that was asked for.
    pub orders_placed: u64,
    /// Paid in that time; `captured` and `refunded` are theirs.
    pub orders_paid: u64,
    pub captured: Money,
    pub refunded: Money,
    /// Counted in that time and not void.
    pub commissions: Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_a_year_at_most() {
        let day = |n: i64| Timestamp::UNIX_EPOCH + TimeDelta::days(n);
        let span = Span::new(None, None, day(100)).expect("the default");
        assert_eq!((span.since, span.before), (day(70), day(100)));
        assert!(Span::new(Some(day(0)), Some(day(366)), day(0)).is_ok());
        for (since, before) in [(day(0), day(367)), (day(1), day(1)), (day(2), day(1))] {
            assert!(Span::new(Some(since), Some(before), day(0)).is_err());
        }
        assert!(Span::new(None, Some(Timestamp::MIN_UTC), day(0)).is_err());
    }
}
