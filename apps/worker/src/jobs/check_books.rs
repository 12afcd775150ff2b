use async_trait::async_trait;
use posx_kernel::{SiteId, StoreError, StoreFault};
use posx_ledger::Fault;
use posx_runtime::Services;
use serde::Deserialize;

use crate::error::JobError;
use crate::scope;
use crate::task::{Lane, Task, Work};

/// By the clock: whatever must be true of the site's books is counted anew from all rows.
#[derive(Debug, Deserialize)]
pub(crate) struct CheckBooks {}

#[async_trait]
impl Task for CheckBooks {
    const NAME: &'static str = "check_books";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let faults = work.services.books.check_and_tell(work.scope()?).await?;
        if faults.is_empty() {
            tracing::info!("the books hold");
        }
        for fault in faults {
            metrics::counter!("posx_books_faults_total", "invariant" => fault.invariant).increment(1);
            let (invariant, detail) = (fault.invariant, fault.detail);
            tracing::error!(invariant, subject = ?fault.subject, detail, "an invariant of the books is broken");
        }
        Ok(())
    }
}

/// Looks now, and changes nothing. The site must be active.
pub async fn check_books(services: &Services, site: SiteId) -> Result<Vec<Fault>, StoreError> {
    let scope = scope::open(services, site, false).await;
    let scope = scope.map_err(|refused| StoreError::new(StoreFault::Broken, refused))?;
    services.books.check(&scope).await
}
