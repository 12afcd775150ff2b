//! What calls cost.

use serde::{Deserialize, Serialize};

/// Millionths of one unit of the price book's currency: 1 USD is 1,000,000. A call costs less than a cent, so minor units
/// are too coarse; costs are rounded up to the next millionth. Never a charge to anybody: a limit and a report.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Micros(u64);

impl Micros {
    pub const ZERO: Self = Self(0);
    /// As much as the store's signed 64 bits hold.
    pub const MAX: Self = Self(i64::MAX.cast_unsigned());

    /// Above [`MAX`](Self::MAX): `None`.
    pub const fn new(micros: u64) -> Option<Self> {
        if micros > Self::MAX.0 {
            None
        } else {
            Some(Self(micros))
        }
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// At most [`MAX`](Self::MAX): a worst case that is too large to count is refused by every budget.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        let sum = self.0.saturating_add(other.0);
        if sum > Self::MAX.0 { Self::MAX } else { Self(sum) }
    }

    /// At least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
