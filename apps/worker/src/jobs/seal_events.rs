use async_trait::async_trait;
use posx_kernel::{SiteId, SiteScope, StoreError, StoreFault};
use posx_postgres::{SealedUpTo, TrailCheck};
use posx_runtime::Services;
use serde::Deserialize;

use crate::error::JobError;
use crate::scope;
use crate::task::{Lane, Task, Work};

/// By the clock: what happened is sealed into the site's chain.
#[derive(Debug, Deserialize)]
pub(crate) struct SealEvents {}

#[async_trait]
impl Task for SealEvents {
    const NAME: &'static str = "seal_events";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let now = work.services.clock.now();
        let database = &work.services.database;
        database.seal_events(work.scope()?, now, false).await?;
        Ok(())
    }
}

/// By the clock: the whole chain is checked, after whatever became visible late is sealed too.
#[derive(Debug, Deserialize)]
pub(crate) struct CheckTrail {}

#[async_trait]
impl Task for CheckTrail {
    const NAME: &'static str = "check_trail";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let check = check(work.services, work.scope()?, SealedUpTo::default()).await?;
        let (position, digest) = (check.good.position, check.good.digest_hex());
        match check.broken {
            // Kept with the logs, this line is a witness that no owner of the database can change.
            None => tracing::info!(position, digest, "the audit trail holds"),
            Some(broken) => {
                metrics::counter!("posx_audit_trail_broken_total").increment(1);
                tracing::error!(position, digest, broken, "the audit trail was tampered with");
            }
        }
        Ok(())
    }
}

async fn check(services: &Services, scope: &SiteScope, from: SealedUpTo) -> Result<TrailCheck, StoreError> {
    let now = services.clock.now();
    services.database.seal_events(scope, now, true).await?;
    services.database.check_trail(scope, from).await
}

/// Does the job's work now, from a place that is known to be good. The site must be active.
pub async fn check_trail(
    services: &Services,
    site: SiteId,
    from: SealedUpTo,
) -> Result<TrailCheck, StoreError> {
    let scope = scope::open(services, site, false).await;
    let scope = scope.map_err(|refused| StoreError::new(StoreFault::Broken, refused))?;
    check(services, &scope, from).await
}
