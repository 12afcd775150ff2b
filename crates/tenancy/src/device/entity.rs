//! One device and its states.

use chrono::TimeDelta;
use posx_kernel::{DeviceId, IdentityId, PlaceId, Timestamp};

use super::DeviceError;
use crate::CredentialHash;

/// A cashier who forgets to sign off stands there no longer than this.
pub const CASHIER_HOURS_MAX: i64 = 12;
/// Three heartbeats.
const ONLINE: TimeDelta = TimeDelta::minutes(3);

/// A till, a tablet or a kiosk at a place of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub name: String,
    pub place: PlaceId,
    pub state: DeviceState,
    /// Finds the hash; may be shown.
    pub public_part: String,
    pub hash: CredentialHash,
    pub app_version: Option<String>,
    pub last_seen_at: Option<Timestamp>,
    pub paired_at: Timestamp,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It has its secret and was not heard of yet.
    Paired,
    Active {
        /// None: a kiosk.
        cashier: Option<Shift>,
    },
    Suspended,
    /// For good.
    Revoked,
}

/// Who stands at a device, and until when at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    pub cashier: IdentityId,
    pub until: Timestamp,
}

impl DeviceState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paired => "paired",
            Self::Active { .. } => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// Whether its secret opens anything.
    pub const fn is_let_in(self) -> bool {
        matches!(self, Self::Paired | Self::Active { .. })
    }

    const fn refusal(self) -> DeviceError {
        match self {
            Self::Paired | Self::Active { .. } => DeviceError::NotActive,
            Self::Suspended => DeviceError::Suspended,
            Self::Revoked => DeviceError::Revoked,
        }
    }
}

impl Device {
    /// Whoever's time is up stands there no more.
    pub fn shift(&self, now: Timestamp) -> Option<Shift> {
        match self.state {
            DeviceState::Active { cashier } => cashier.filter(|shift| now < shift.until),
            _ => None,
        }
    }

    pub fn is_online(&self, now: Timestamp) -> bool {
        self.state.is_let_in() && self.last_seen_at.is_some_and(|at| now < at + ONLINE)
    }

    /// True: it is active from now on.
    pub fn heartbeat(&mut self, app_version: &str, now: Timestamp) -> Result<bool, DeviceError> {
        if !self.state.is_let_in() {
            return Err(self.state.refusal());
        }
        self.app_version = Some(app_version.to_owned());
        self.last_seen_at = Some(now);
        let first = self.state == DeviceState::Paired;
        if first {
            self.state = DeviceState::Active { cashier: None };
        }
        Ok(first)
    }

    /// True: it was active until now. Whoever stood there does so no more.
    pub fn suspend(&mut self) -> Result<bool, DeviceError> {
        match self.state {
            DeviceState::Active { .. } => {
                self.state = DeviceState::Suspended;
                Ok(true)
            }
            DeviceState::Suspended => Ok(false),
            state => Err(state.refusal()),
        }
    }

    /// True: it was suspended until now.
    pub fn resume(&mut self) -> Result<bool, DeviceError> {
        match self.state {
            DeviceState::Suspended => {
                self.state = DeviceState::Active { cashier: None };
                Ok(true)
            }
            DeviceState::Active { .. } => Ok(false),
            state => Err(state.refusal()),
        }
    }

    /// True: it was not revoked until now. From every state: a stolen till goes with one call.
    pub fn revoke(&mut self) -> bool {
        let first = self.state != DeviceState::Revoked;
        self.state = DeviceState::Revoked;
        first
    }

    /// Whether it may be given another secret. Suspension is not got around by pairing again.
    pub const fn check_pairs_again(&self) -> Result<(), DeviceError> {
        if self.state.is_let_in() {
            Ok(())
        } else {
            Err(self.state.refusal())
        }
    }

    /// Another secret; the one before is worth nothing.
    pub fn pair_again(
        &mut self,
        public_part: String,
        hash: CredentialHash,
        now: Timestamp,
    ) -> Result<(), DeviceError> {
        self.check_pairs_again()?;
        (self.public_part, self.hash, self.paired_at) = (public_part, hash, now);
        self.state = DeviceState::Paired;
        Ok(())
    }

    /// The shift from now on, and whose it was until now. Signing on again begins a new one.
    pub fn sign_on(
        &mut self,
        cashier: IdentityId,
        now: Timestamp,
    ) -> Result<(Shift, Option<IdentityId>), DeviceError> {
        let before = self.shift(now).map(|shift| shift.cashier);
        let DeviceState::Active { cashier: place } = &mut self.state else {
            return Err(self.state.refusal());
        };
        let until = now + TimeDelta::hours(CASHIER_HOURS_MAX);
        let shift = Shift { cashier, until };
        *place = Some(shift);
        Ok((shift, before))
    }

    /// Who stood there until now.
    pub fn sign_off(&mut self, now: Timestamp) -> Result<Option<IdentityId>, DeviceError> {
        let before = self.shift(now).map(|shift| shift.cashier);
        match &mut self.state {
            DeviceState::Active { cashier } => *cashier = None,
            DeviceState::Paired => {}
            state => return Err(state.refusal()),
        }
        Ok(before)
    }
}
