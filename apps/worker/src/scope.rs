//! From a job's stamped site to the right to work in it: the one place.

use posx_kernel::{SiteId, SiteScope};
use posx_runtime::Services;
use posx_tenancy::SiteState;

use crate::error::JobError;

/// `site` comes from the database: stamped on the job by the transaction that added it, or found through an outside
/// system's id that we stored.
pub(crate) async fn open(services: &Services, site: SiteId) -> Result<SiteScope, JobError> {
    let found = services
        .directory
        .site(site)
        .await?
        .ok_or(JobError::UnknownSite)?;
    match found.state {
        SiteState::Active => Ok(SiteScope::of_claimed_job(site)),
        SiteState::Suspended => Err(JobError::Suspended),
    }
}
