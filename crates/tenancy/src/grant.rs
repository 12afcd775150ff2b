//! Leave for platform staff to look around in one site.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{GrantId, IdentityId, SiteId, Timestamp};
use serde::Serialize;

use crate::{Capability, PlatformError};

const MINUTES: std::ops::RangeInclusive<u16> = 15..=8 * 60;
const REASON_CHARACTERS: std::ops::RangeInclusive<usize> = 10..=500;

/// What a visitor may do: read what explains a fault. Nothing that buys, moves money, changes something or needs a second
/// factor, and nothing that a viewer reads for business alone.
pub const GRANT_CAPABILITIES: &[Capability] = &[
    Capability::OrdersRead,
    Capability::CommissionsRead,
    Capability::AllocationsRead,
    Capability::LedgerRead,
    Capability::JobsRead,
    Capability::MembersRead,
    Capability::AuditRead,
];

/// One visit of one staff member. It is open until its time is up or somebody ends it: the staff member, the platform, or
/// the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub site: SiteId,
    pub staff: IdentityId,
    /// The site sees the name that they had then.
    pub staff_name: String,
    pub reason: String,
    pub opened_at: Timestamp,
    pub until: Timestamp,
}

/// What a staff member asks for.
#[derive(Debug, Clone)]
pub struct GrantWish<'a> {
    /// The site's code.
    pub site: &'a str,
    /// 10 to 500 characters, for the site's owner to read.
    pub reason: &'a str,
    /// 15 to 480.
    pub minutes: u16,
}

impl GrantWish<'_> {
    /// The reason without outer white space, and how long.
    pub(crate) fn check(&self) -> Result<(String, TimeDelta), PlatformError> {
        let reason = self.reason.trim();
        if !REASON_CHARACTERS.contains(&reason.chars().count()) || reason.contains('\0') {
            return Err(PlatformError::GrantReason);
        }
        if !MINUTES.contains(&self.minutes) {
            return Err(PlatformError::GrantLength);
        }
        Ok((reason.to_owned(), TimeDelta::minutes(i64::from(self.minutes))))
    }
}

/// A grant as site and platform see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GrantView {
    pub id: GrantId,
    pub staff_id: IdentityId,
    pub staff_name: String,
    pub reason: String,
    pub opened_at: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Before its time; absent otherwise.
    pub ended_at: Option<DateTime<Utc>>,
    /// The staff member, or the one of the site who showed them out; absent when the platform's operator did.
    pub ended_by: Option<IdentityId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Proof;

    #[test]
    fn a_visitor_reads_and_does_nothing_else() {
        for capability in GRANT_CAPABILITIES {
            assert!(capability.as_str().ends_with(":read"), "{capability:?}");
            assert_eq!(capability.proof(), Proof::SignedIn, "{capability:?}");
        }
    }

    #[test]
    fn a_grant_has_a_reason_and_an_end_time_within_bounds() {
        let wish = |reason: &str, minutes| {
            let checked = GrantWish {
                site: "NA",
                reason,
                minutes,
            };
            checked.check().map_err(|error| error.to_string())
        };
        let fine = "é".repeat(10);
        assert_eq!(
            wish(&format!(" {fine} "), 15),
            Ok((fine.clone(), TimeDelta::minutes(15)))
        );
        assert!(wish(&"x".repeat(500), 480).is_ok());
        for (reason, minutes) in [
            ("x".repeat(9), 15),
            (format!("{}   ", "x".repeat(9)), 15),
            ("x".repeat(501), 15),
            ("a reason\0 with a hole".to_owned(), 15),
            (fine.clone(), 14),
            (fine.clone(), 481),
            (fine, 0),
        ] {
            assert!(wish(&reason, minutes).is_err(), "{reason:?} {minutes}");
        }
    }
}
