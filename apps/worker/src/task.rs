//! What a job is to this crate.

use async_trait::async_trait;
use posx_kernel::SiteScope;
use posx_runtime::Services;
use serde::de::DeserializeOwned;

use crate::error::JobError;

/// Kinds of work that must not starve each other: each has its own concurrency, its own fetching and its own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Follow an event of ours or of a provider. Short.
    Events,
    /// Call a provider, and wait as long as it takes.
    Providers,
    /// By the clock.
    Sweeps,
}

impl Lane {
    pub(crate) const ALL: [Self; 3] = [Self::Events, Self::Providers, Self::Sweeps];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Providers => "providers",
            Self::Sweeps => "sweeps",
        }
    }
}

/// One kind of job: the type is its payload.
#[async_trait]
pub(crate) trait Task: DeserializeOwned + Send + 'static {
    const NAME: &'static str;
    const LANE: Lane;
    /// Also for a site that is suspended: what is kept no longer goes all the same.
    const SUSPENDED_TOO: bool = false;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError>;
}

/// What a running job may use.
pub(crate) struct Work<'a> {
    pub services: &'a Services,
    scope: Option<SiteScope>,
    /// After this run there is no other.
    pub last_try: bool,
}

impl<'a> Work<'a> {
    pub(crate) const fn new(services: &'a Services, scope: Option<SiteScope>, last_try: bool) -> Self {
        Self {
            services,
            scope,
            last_try,
        }
    }

    /// The site that is stamped on the job.
    pub(crate) fn scope(&self) -> Result<&SiteScope, JobError> {
        self.scope.as_ref().ok_or(JobError::NoSite)
    }
}
