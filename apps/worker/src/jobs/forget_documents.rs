use async_trait::async_trait;
use chrono::TimeDelta;
use posx_assistant::documents::Forgotten;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Of 100 documents each; what is left goes the next day.
const ROUNDS_MAX: usize = 100;

/// By the clock: documents that the site keeps no longer, and files that no document needs. It calls the storage.
#[derive(Debug, Deserialize)]
pub(crate) struct ForgetDocuments {}

#[async_trait]
impl Task for ForgetDocuments {
    const NAME: &'static str = "forget_documents";
    const LANE: Lane = Lane::Providers;
    const SUSPENDED_TOO: bool = true;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let (services, scope) = (work.services, work.scope()?);
        let retention = services.conversation_queries.retention(scope).await?;
        let kept = TimeDelta::days(i64::from(retention.days));
        for _ in 0..ROUNDS_MAX {
            let done = services.documents.forget_old(scope, kept).await?;
            if done == Forgotten::default() {
                return Ok(());
            }
            tracing::info!(
                documents = done.documents,
                files = done.files,
                "old documents deleted"
            );
        }
        Ok(())
    }
}
