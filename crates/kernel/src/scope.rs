//! Whose world a piece of work belongs to.

use crate::SiteId;

/// The right to work in one site. It is not made from an id that a caller sent: the two makers below are each called in
/// one place, and `cargo xtask tidy` fails when a third appears.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SiteScope {
    site: SiteId,
}

impl SiteScope {
    /// For a request whose site is resolved from host or header and, when signed in, agrees with a membership.
    pub const fn of_verified_request(site: SiteId) -> Self {
        Self { site }
    }

    /// For a job that the runner has claimed: the database stamped the site on it when it was added.
    pub const fn of_claimed_job(site: SiteId) -> Self {
        Self { site }
    }

    pub const fn site(&self) -> SiteId {
        self.site
    }
}
