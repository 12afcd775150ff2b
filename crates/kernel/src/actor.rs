//! Who works in a site, as the audit keeps it.

use crate::{ApiKeyId, DeviceId, GrantId, IdentityId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Someone without a token, or a provider's server.
    Visitor,
    Person(IdentityId),
    /// Platform staff, under a grant that the site's owner sees.
    Staff {
        identity: IdentityId,
        grant: GrantId,
    },
    Key(ApiKeyId),
    /// A kiosk when nobody stands at it.
    Device {
        device: DeviceId,
        cashier: Option<IdentityId>,
    },
    /// A job or the schedule.
    System,
}

impl Who {
    /// The person behind it, if there is one.
    pub const fn identity(self) -> Option<IdentityId> {
        match self {
            Self::Person(identity) | Self::Staff { identity, .. } => Some(identity),
            Self::Device { cashier, .. } => cashier,
            Self::Visitor | Self::Key(_) | Self::System => None,
        }
    }
}

/// Its id, without what it may do: the owner of an idempotency key.
impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Visitor => f.write_str("visitor"),
            Self::Person(identity) | Self::Staff { identity, .. } => identity.fmt(f),
            Self::Key(key) => key.fmt(f),
            Self::Device { device, .. } => device.fmt(f),
            Self::System => f.write_str("system"),
        }
    }
}

/// Who does a piece of work, and the request that it came by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    pub who: Who,
    /// The request's id, as in the log; at most 128 characters.
    pub request: Option<String>,
    /// A salted hash of the caller's address: two acts from one place show as such, the place does not.
    pub address: Option<[u8; 16]>,
}

impl Actor {
    pub const SYSTEM: Self = Self::of(Who::System);

    pub const fn of(who: Who) -> Self {
        Self {
            who,
            request: None,
            address: None,
        }
    }
}
