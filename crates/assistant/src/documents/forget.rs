//! What nobody needs any more: files, names and texts of old documents. What was accepted stays as the order or the customer.

use chrono::TimeDelta;
use posx_kernel::{DocumentId, SiteScope};
use serde_json::json;

use super::upload::place;
use super::{Document, DocumentError, Documents, Saved, business_hash, happened};

/// After it was announced and never sent.
const ANNOUNCED_KEPT: TimeDelta = TimeDelta::days(1);
/// After its address has ceased to be good: an upload that began in time has ended by then.
const UPLOAD_ENDS_WITHIN: TimeDelta = TimeDelta::hours(1);
const ONE_ROUND: u16 = 100;

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub documents: usize,
    /// Gone for good.
    pub files: usize,
}

impl Documents {
    /// One round: whose time is over is forgotten, then files are deleted that no document needs. `kept` is the site's retention.
    pub async fn forget_old(&self, scope: &SiteScope, kept: TimeDelta) -> Result<Forgotten, DocumentError> {
        let now = self.clock.now();
        let mut done = Forgotten::default();
        for id in self
            .queries
            .due(scope, now - ANNOUNCED_KEPT, now - kept, ONE_ROUND)
            .await?
        {
            self.forget(scope, id).await?;
            done.documents += 1;
        }
        for id in self.queries.files_due(scope, ONE_ROUND).await? {
            if let Some(document) = self.queries.document(scope, id).await? {
                done.files += usize::from(self.delete_file(scope, &document).await?);
            }
        }
        if done == Forgotten::default() {
            self.storage.sweep(scope.site(), now - ANNOUNCED_KEPT).await?;
        }
        Ok(done)
    }

    async fn forget(&self, scope: &SiteScope, id: DocumentId) -> Result<(), DocumentError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let Some(mut document) = tx.documents().for_update(id).await? else {
            return Ok(());
        };
        document.forget(now);
        tx.documents().save(&document).await?;
        if let Some(mut draft) = tx.documents().draft_of(id).await? {
            let seen = draft.version;
            let business = draft.content.as_ref().and_then(business_hash);
            draft.forget(now);
            if tx.documents().save_draft(&draft, business, seen).await? != Saved::Yes {
                return Err(DocumentError::Stale);
            }
        }
        tx.outbox()
            .append(happened("document.forgotten", &document, json!({}), now))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// At the storage first: a file that is said to be gone is gone. False: whoever has its address may send it once more, so that
    /// a later round deletes again.
    pub(super) async fn delete_file(
        &self,
        scope: &SiteScope,
        document: &Document,
    ) -> Result<bool, DocumentError> {
        let now = self.clock.now();
        self.storage.delete(place(scope, document)).await?;
        if now < document.upload_until + UPLOAD_ENDS_WITHIN {
            return Ok(false);
        }
        let mut tx = self.db.begin(scope).await?;
        let Some(mut document) = tx.documents().for_update(document.id).await? else {
            return Ok(false);
        };
        document.file_gone_at = Some(now);
        tx.documents().save(&document).await?;
        tx.commit().await?;
        Ok(true)
    }
}
