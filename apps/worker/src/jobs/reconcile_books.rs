use async_trait::async_trait;
use chrono::NaiveDate;
use posx_kernel::{SiteScope, StoreError, StoreFault};
use posx_ledger::reconcile::{Provider, ReconcileError, Reconciled};
use posx_runtime::Services;
use posx_tenancy::Site;
use serde::Deserialize;

use crate::error::JobError;
use crate::scope;
use crate::task::{Lane, Task, Work};

/// By the clock: from two hours after a day is over by the site's time zone, the books are compared with what the providers say
/// of that day. A day that was compared is not compared again, and what a stop of the workers left out is made up for.
#[derive(Debug, Deserialize)]
pub(crate) struct ReconcileBooks {}

#[async_trait]
impl Task for ReconcileBooks {
    const NAME: &'static str = "reconcile_books";
    const LANE: Lane = Lane::Providers;

    /// One provider that is away does not keep the other one's day from being compared.
    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let scope = work.scope()?;
        let Some(site) = work.services.directory.site(scope.site()).await? else {
            return Err(JobError::NoSite);
        };
        let mut failure = None;
        for provider in Provider::ALL {
            if let Err(error) = reconcile(work, scope, &site, provider).await {
                failure.get_or_insert(error);
            }
        }
        match failure {
            Some(error) => Err(JobError::from(error)),
            None => Ok(()),
        }
    }
}

async fn reconcile(
    work: &Work<'_>,
    scope: &SiteScope,
    site: &Site,
    provider: Provider,
) -> Result<(), ReconcileError> {
    let (runs, zone) = (&work.services.reconciliations, site.time_zone);
    let due = runs.due(scope, zone, provider).await?;
    let mut failure = None;
    for day in due.days {
        let run = match runs.reconcile(scope, zone, provider, day).await {
            Ok(reconciled) => reconciled.run,
            // Nothing to compare with.
            Err(ReconcileError::NoAccount) => return Ok(()),
            // One day that cannot be read does not keep the next one from being compared.
            Err(error) => {
                failure.get_or_insert(error);
                continue;
            }
        };
        let provider = provider.as_str();
        metrics::counter!("posx_reconciliation_differences_total", "provider" => provider)
            .increment(u64::from(run.unexplained));
        if run.unexplained > 0 {
            tracing::error!(provider, %day, run = %run.id, unexplained = run.unexplained, "the books differ from the provider's account");
        } else {
            tracing::info!(provider, %day, lines = run.lines, booked = run.booked, "the books agree with the provider's account");
        }
    }
    if due.waiting > 0 {
        let (provider, days) = (provider.as_str(), due.waiting);
        metrics::counter!("posx_reconciliation_days_waiting_total", "provider" => provider)
            .increment(u64::try_from(days).unwrap_or(u64::MAX));
        tracing::error!(
            provider,
            days,
            "days before these were never compared with the provider's account: the next runs take them up"
        );
    }
    failure.map_or(Ok(()), Err)
}

/// Does the job's work now for one day, whether it was compared before or not. The site must be active.
pub async fn reconcile_day(
    services: &Services,
    site: &Site,
    provider: Provider,
    day: NaiveDate,
) -> Result<Reconciled, ReconcileError> {
    let scope = scope::open(services, site.id, false).await;
    let scope = scope.map_err(|refused| StoreError::new(StoreFault::Broken, refused))?;
    let runs = &services.reconciliations;
    runs.reconcile(&scope, site.time_zone, provider, day).await
}
