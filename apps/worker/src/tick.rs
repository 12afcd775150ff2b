//! The schedule. A tick adds one job per active site, and retention per suspended one; the job's key makes it one job, however many
//! add it.

use posx_kernel::{SiteId, StoreError};
use posx_runtime::Services;

use crate::jobs::{
    CheckBooks, CheckTrail, ExpireModelCalls, ExpireOrders, ForgetDocuments, MakeStatements,
    MatureCommissions, Purge, ReconcileAllocations, ReconcileBooks, ReconcilePayments, ReconcilePayouts,
    RecoverEvents, SealEvents, UnlockVesting, WatchDisputes, WriteOffBalances,
};
use crate::registry;
use crate::task::Task;

/// After everything that somebody waits for.
const PRIORITY: i32 = 10;
/// The next tick adds the job anew, with all its tries: few are enough.
const TRIES: i32 = 5;

/// What happens by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// Each minute: orders and reservations of budgets whose time is up.
    Expire,
    /// Each 5 minutes: what providers did not tell us.
    Reconcile,
    /// Hourly: commissions whose hold is over.
    Mature,
    /// Hourly: events that a provider could not deliver.
    Recover,
    /// Daily: rows that nobody needs any more, whether the audit trail and the books hold, debts that are given up.
    Purge,
    /// Each minute: the audit trail grows.
    Seal,
    /// Daily, when a day begins by UTC: what vests.
    Unlock,
    /// Each 15 minutes, as time zones differ by quarters of an hour: statements of the month that is over, and the comparison of
    /// the day that is over with the providers' accounts.
    Statements,
}

impl Tick {
    pub const ALL: [Self; 8] = [
        Self::Expire,
        Self::Reconcile,
        Self::Mature,
        Self::Recover,
        Self::Purge,
        Self::Seal,
        Self::Unlock,
        Self::Statements,
    ];

    const fn tasks(self) -> &'static [&'static str] {
        match self {
            Self::Expire => &[ExpireOrders::NAME, ExpireModelCalls::NAME],
            Self::Reconcile => &[
                ReconcilePayments::NAME,
                ReconcileAllocations::NAME,
                ReconcilePayouts::NAME,
                WatchDisputes::NAME,
            ],
            Self::Mature => &[MatureCommissions::NAME],
            Self::Recover => &[RecoverEvents::NAME],
            Self::Purge => &[
                Purge::NAME,
                ForgetDocuments::NAME,
                CheckTrail::NAME,
                WriteOffBalances::NAME,
                CheckBooks::NAME,
            ],
            Self::Seal => &[SealEvents::NAME],
            Self::Unlock => &[UnlockVesting::NAME],
            Self::Statements => &[MakeStatements::NAME, ReconcileBooks::NAME],
        }
    }
}

/// By UTC. What was missed while no worker ran is caught up on by the rare ones; the frequent ones come soon enough.
pub(crate) const CRONTAB: &str = "\
* * * * * tick_expire
* * * * * tick_seal
*/5 * * * * tick_reconcile
*/15 * * * * tick_statements ?fill=1h
7 * * * * tick_mature ?fill=1h
37 * * * * tick_recover ?fill=1h
23 3 * * * tick_purge ?fill=1d
1 0 * * * tick_unlock ?fill=1d
";

/// Adds the tick's jobs now, for every active site; for the suspended ones those that do not wait.
pub async fn tick(services: &Services, tick: Tick) -> Result<(), StoreError> {
    for site in services.jobs_database.active_sites().await? {
        tick_site(services, site, tick).await?;
    }
    let not_waiting = |task: &&str| registry::find(task).is_some_and(|task| task.suspended_too);
    let tasks: Vec<_> = tick.tasks().iter().copied().filter(not_waiting).collect();
    if !tasks.is_empty() {
        for site in services.jobs_database.suspended_sites().await? {
            add(services, site, &tasks).await?;
        }
    }
    Ok(())
}

/// Adds the tick's jobs now, for one active site.
pub async fn tick_site(services: &Services, site: SiteId, tick: Tick) -> Result<(), StoreError> {
    add(services, site, tick.tasks()).await
}

async fn add(services: &Services, site: SiteId, tasks: &[&str]) -> Result<(), StoreError> {
    for task in tasks {
        services
            .jobs_database
            .add_job_for_site(site, task, task, PRIORITY, TRIES)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crontab_names_tasks_that_exist() {
        let parsed = graphile_worker::parse_crontab(CRONTAB).unwrap();
        assert_eq!(parsed.len(), Tick::ALL.len());
        for line in CRONTAB.lines() {
            let task = line.split(' ').nth(5).unwrap();
            assert!(crate::registry::find(task).is_some(), "{task}");
        }
    }

    #[test]
    fn every_tick_adds_tasks_that_exist() {
        for task in Tick::ALL.iter().flat_map(|tick| tick.tasks()) {
            assert!(crate::registry::find(task).is_some(), "{task}");
        }
    }
}
