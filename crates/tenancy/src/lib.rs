//! Sites, the people who log in, what they may do, and who referred whom.
//!
//! Invariants:
//! * An [`Identity`](IdentityId) is one (issuer, subject); what it may do in a site comes from its membership there and from
//!   nothing that a token claims.
//! * Routes ask for a [`Capability`]; roles map to capabilities in one table, [`Role::capabilities`].
//! * A referral binds once, at the first paid order of the referred party; never self, never a cycle, never changed.

mod capability;
mod error;
mod join;
mod platform;
mod ports;
mod referral_code;
mod site;

pub use capability::{Capability, Role};
pub use error::{JoinError, PlatformError, SiteError};
pub use join::{Join, Joined, ReferralClaim, Tenancy};
pub use platform::{CreateSite, Platform};
pub use ports::{
    Directory, FirstPayment, Member, MemberRepository, NewMember, PlatformDirectory, RateLimiter,
    RateVerdict, ReferralEntry, ReferralQueries, ReferralRepository, ReferralTree, TenancyTx,
};
pub use posx_kernel::IdentityId;
pub use referral_code::{ReferralCode, ReferralCodeError};
pub use site::{Module, Site, SiteCode, SiteState};
