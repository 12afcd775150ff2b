//! A line's schedule, and one release of it.

use chrono::NaiveDate;
use posx_kernel::{
    AllocationId, ChainAssetId, LineId, OrderId, PartyId, Timestamp, TokenAmount, VestingPolicyId,
    VestingReleaseId, VestingScheduleId,
};
use serde::{Deserialize, Serialize};

use crate::Applied;

/// By which policy a paid order line is delivered. Made once, with all of its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VestingSchedule {
    pub id: VestingScheduleId,
    pub order: OrderId,
    pub line: LineId,
    pub party: PartyId,
    pub asset: ChainAssetId,
    pub policy: VestingPolicyId,
    pub total: TokenAmount,
    pub created_at: Timestamp,
    /// What was locked then never unlocks.
    pub revoked_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseState {
    /// Its day, which the policy tells, has not come.
    Locked,
    /// Its day came, and all of it was cut: there is nothing to send.
    Due { unlocked_on: NaiveDate },
    /// The allocation says what becomes of it.
    Allocated {
        unlocked_on: NaiveDate,
        allocation: AllocationId,
    },
    /// Taken back by the site before it unlocked.
    Revoked,
}

/// A [`ReleaseState`] without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseName {
    Locked,
    Due,
    Allocated,
    Revoked,
}

impl ReleaseName {
    pub const ALL: &'static [Self] = &[Self::Locked, Self::Due, Self::Allocated, Self::Revoked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Due => "due",
            Self::Allocated => "allocated",
            Self::Revoked => "revoked",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }
}

impl ReleaseState {
    pub const fn name(self) -> ReleaseName {
        match self {
            Self::Locked => ReleaseName::Locked,
            Self::Due { .. } => ReleaseName::Due,
            Self::Allocated { .. } => ReleaseName::Allocated,
            Self::Revoked => ReleaseName::Revoked,
        }
    }

    pub const fn unlocked_on(self) -> Option<NaiveDate> {
        match self {
            Self::Due { unlocked_on } | Self::Allocated { unlocked_on, .. } => Some(unlocked_on),
            Self::Locked | Self::Revoked => None,
        }
    }

    pub const fn allocation(self) -> Option<AllocationId> {
        match self {
            Self::Allocated { allocation, .. } => Some(allocation),
            _ => None,
        }
    }
}

/// A part of a schedule. Locked → due → allocated; locked → revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: VestingReleaseId,
    pub schedule: VestingScheduleId,
    pub line: LineId,
    pub asset: ChainAssetId,
    pub policy: VestingPolicyId,
    /// 0 unlocks at the start.
    pub number: u16,
    pub amount: TokenAmount,
    /// Not to be sent, because its money went back. Zero when there is an allocation, which then has it. Also of what is
    /// revoked: so it does not matter which of the two came first.
    pub cut: TokenAmount,
    /// How often tokens were taken from it or given back.
    pub changes: u32,
    pub state: ReleaseState,
}

impl Release {
    /// What is still to be sent of it.
    pub fn left(&self) -> TokenAmount {
        match self.state {
            ReleaseState::Locked | ReleaseState::Due { .. } => {
                TokenAmount::from_base_units(self.amount.base_units().saturating_sub(self.cut.base_units()))
            }
            ReleaseState::Allocated { .. } | ReleaseState::Revoked => TokenAmount::ZERO,
        }
    }

    pub const fn unlock(&mut self, day: NaiveDate) -> Applied {
        if !matches!(self.state, ReleaseState::Locked) {
            return Applied::AlreadyApplied;
        }
        self.state = ReleaseState::Due { unlocked_on: day };
        Applied::Applied
    }

    /// True: tokens were taken or given back; of what is revoked they are gone already.
    pub fn set_cut(&mut self, cut: TokenAmount) -> bool {
        let open = matches!(self.state, ReleaseState::Locked | ReleaseState::Due { .. });
        if self.state.allocation().is_some() || self.cut == cut || cut > self.amount {
            return false;
        }
        self.cut = cut;
        self.changes += u32::from(open);
        open
    }

    /// What it hands to the allocation that is to send it: amount and cut. `None`: there is nothing to send now.
    pub fn allocate(&mut self, allocation: AllocationId) -> Option<(TokenAmount, TokenAmount)> {
        let ReleaseState::Due { unlocked_on } = self.state else {
            return None;
        };
        if self.left().is_zero() {
            return None;
        }
        self.state = ReleaseState::Allocated {
            unlocked_on,
            allocation,
        };
        Some((self.amount, std::mem::take(&mut self.cut)))
    }

    /// Locked → revoked. Says how many tokens are taken back by it.
    pub fn revoke(&mut self) -> Option<TokenAmount> {
        if self.state != ReleaseState::Locked {
            return None;
        }
        let taken = self.left();
        self.state = ReleaseState::Revoked;
        self.changes += u32::from(!taken.is_zero());
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const fn tokens(units: u128) -> TokenAmount {
        TokenAmount::from_base_units(units)
    }

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 31).expect("a day")
    }

    fn in_every_state() -> Vec<Release> {
        let one = Uuid::from_u128(1);
        let allocation = AllocationId::from_uuid(one);
        let states = [
            ReleaseState::Locked,
            ReleaseState::Due { unlocked_on: day() },
            ReleaseState::Allocated {
                unlocked_on: day(),
                allocation,
            },
            ReleaseState::Revoked,
        ];
        let in_state = |state| Release {
            id: VestingReleaseId::from_uuid(one),
            schedule: VestingScheduleId::from_uuid(one),
            line: LineId::from_uuid(one),
            asset: ChainAssetId::from_uuid(one),
            policy: VestingPolicyId::from_uuid(one),
            number: 1,
            amount: tokens(10),
            cut: TokenAmount::ZERO,
            changes: 0,
            state,
        };
        states.map(in_state).to_vec()
    }

    #[test]
    fn p16_only_the_listed_moves_of_a_release_succeed() {
        use ReleaseName::{Allocated, Due, Locked, Revoked};
        let allocation = AllocationId::from_uuid(Uuid::from_u128(2));
        for release in in_every_state() {
            let from = release.state.name();
            let after = |change: &dyn Fn(&mut Release)| {
                let mut release = release.clone();
                change(&mut release);
                release.state.name()
            };
            let unlocked = after(&|release| {
                release.unlock(day());
            });
            assert_eq!(unlocked, if from == Locked { Due } else { from });
            let allocated = after(&|release| {
                release.allocate(allocation);
            });
            assert_eq!(allocated, if from == Due { Allocated } else { from });
            let revoked = after(&|release| {
                release.revoke();
            });
            assert_eq!(revoked, if from == Locked { Revoked } else { from });
            let cut = after(&|release| {
                release.set_cut(tokens(10));
            });
            assert_eq!(cut, from, "a cut moves nothing");
        }
    }

    #[test]
    fn nothing_left_is_not_allocated_and_restored_it_is() {
        let mut due = in_every_state().remove(1);
        assert!(due.set_cut(tokens(10)));
        let allocation = AllocationId::from_uuid(Uuid::from_u128(2));
        assert_eq!(due.allocate(allocation), None);
        assert!(due.set_cut(tokens(4)));
        assert_eq!(due.allocate(allocation), Some((tokens(10), tokens(4))));
        assert_eq!(
            (due.cut, due.left()),
            (TokenAmount::ZERO, TokenAmount::ZERO),
            "the allocation has it"
        );
        assert!(!due.set_cut(tokens(1)));
    }

    #[test]
    fn what_is_revoked_is_taken_once_whatever_is_cut_before_or_after() {
        let mut locked = in_every_state().remove(0);
        assert!(locked.set_cut(tokens(4)));
        assert_eq!(locked.revoke(), Some(tokens(6)));
        assert_eq!(locked.revoke(), None);
        assert!(!locked.set_cut(tokens(9)), "its tokens are gone already");
        assert_eq!((locked.cut, locked.left()), (tokens(9), TokenAmount::ZERO));
    }
}
