use async_trait::async_trait;
use posx_commissions::Month;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// By the clock: from two hours after the end of a month by the site's time zone, the statements of its agents. What is made
/// is not made again, and what a stop of the workers left out is made up for.
#[derive(Debug, Deserialize)]
pub(crate) struct MakeStatements {}

#[async_trait]
impl Task for MakeStatements {
    const NAME: &'static str = "make_statements";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let (scope, services) = (work.scope()?, work.services);
        let Some(site) = services.directory.site(scope.site()).await? else {
            return Err(JobError::NoSite);
        };
        let zone = site.time_zone;
        let Some(month) = Month::last_over(services.clock.now(), zone) else {
            return Ok(());
        };
        let (mut after, mut made) = (None, 0);
        loop {
            let stated = services.agents.make_statements(scope, zone, month, after).await?;
            made += stated.statements;
            if stated.last.is_none() {
                break;
            }
            after = stated.last;
        }
        if made > 0 {
            tracing::info!(made, %month, "statements of agents made");
        }
        Ok(())
    }
}
