//! Whose world a piece of work belongs to, and who does it.

use crate::{Actor, SiteId, actor::Who};

/// The right to work in one site. It is not made from an id that a caller sent: the two makers below are each called in
/// one place, and `cargo xtask tidy` fails when a third appears.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SiteScope {
    site: SiteId,
    actor: Actor,
}

impl SiteScope {
    /// For a request whose site is resolved from host or header and, when signed in, agrees with a membership.
    pub const fn of_verified_request(site: SiteId) -> Self {
        Self {
            site,
            actor: Actor::of(Who::Visitor),
        }
    }

    /// For a job that the runner has claimed: the database stamped the site on it when it was added.
    pub const fn of_claimed_job(site: SiteId) -> Self {
        Self {
            site,
            actor: Actor::SYSTEM,
        }
    }

    /// The same site, with the name of who works there: what a transaction of this scope writes is theirs.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    pub const fn site(&self) -> SiteId {
        self.site
    }

    pub const fn actor(&self) -> &Actor {
        &self.actor
    }
}
