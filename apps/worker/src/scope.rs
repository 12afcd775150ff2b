//! From a job's stamped site to the right to work in it: the one place.

use posx_kernel::{SiteId, SiteScope};
use posx_runtime::Services;
use posx_tenancy::SiteState;

use crate::error::JobError;

/// `site` comes from the database: stamped on the job by the transaction that added it, or found through an outside
/// system's id that we stored.
/// A suspension holds up all but the few jobs that are for suspended sites too.
pub(crate) async fn open(
    services: &Services,
    site: SiteId,
    suspended_too: bool,
) -> Result<SiteScope, JobError> {
    let found = services.directory.site(site).await?;
    match found.ok_or(JobError::UnknownSite)?.state {
        SiteState::Suspended if !suspended_too => Err(JobError::Suspended),
        SiteState::Active | SiteState::Suspended => Ok(SiteScope::of_claimed_job(site)),
    }
}
