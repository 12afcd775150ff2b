use async_trait::async_trait;
use posx_assistant::AssistantError;
use posx_assistant::documents::ReadError;
use posx_kernel::{DocumentId, Kind, Refusal as _};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `document.uploaded`: text, model, draft.
#[derive(Debug, Deserialize)]
pub(crate) struct ReadDocument {
    document: Uuid,
}

#[async_trait]
impl Task for ReadDocument {
    const NAME: &'static str = "read_document";
    const LANE: Lane = Lane::Providers;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let id = DocumentId::from_uuid(self.document);
        let (scope, services) = (work.scope()?, work.services);
        let site = services.directory.site(scope.site()).await?;
        let site = site.ok_or(JobError::UnknownSite)?;
        let read = services.documents.read(scope, &site, id).await;
        let read = read.map_err(|error| {
            if may_heal(&error) {
                JobError::worth_a_retry(error)
            } else {
                error.into()
            }
        })?;
        tracing::info!(document = %id, ?read, "document read");
        Ok(())
    }
}

/// A new month, a model that is chosen, an account that is paid.
fn may_heal(error: &ReadError) -> bool {
    matches!(error, ReadError::Assistant(refused) if !matches!(refused, AssistantError::Store(_)))
        && matches!(error.kind(), Kind::Conflict | Kind::UsedUp)
}
