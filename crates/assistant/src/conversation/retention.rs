//! How long a site keeps what was said.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::Timestamp;
use serde::Serialize;

use super::ChatError;

/// Of a site that has not chosen: six months.
pub const RETENTION_DAYS: u16 = 183;
pub(super) const RETENTION_DAYS_MAX: u16 = 1_830;

/// Days after which prompts and answers are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Retention {
    /// 1 to 1830.
    pub days: u16,
    pub version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Retention {
    /// Of a site that has not chosen.
    pub const DEFAULT: Self = Self {
        days: RETENTION_DAYS,
        version: 1,
        updated_at: None,
    };

    pub(super) fn edited(self, days: u16, seen: i32, at: Timestamp) -> Result<Self, ChatError> {
        if !(1..=RETENTION_DAYS_MAX).contains(&days) {
            return Err(ChatError::Retention);
        }
        if self.version != seen {
            return Err(ChatError::Stale);
        }
        Ok(Self {
            days,
            version: seen.checked_add(1).ok_or(ChatError::Stale)?,
            updated_at: Some(at),
        })
    }

    /// What was said before then goes.
    pub fn cutoff(self, now: Timestamp) -> Timestamp {
        now - TimeDelta::days(i64::from(self.days))
    }
}
