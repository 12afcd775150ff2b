//! A document is announced, sent, and looked at.

use posx_kernel::{
    DocumentId, IdempotentCall, IdentityId, Made, SiteScope, StoreError, Timestamp, made_before_in_tx,
    remember_in_tx,
};
use serde_json::json;

use super::document::UPLOAD_TIME;
use super::{
    Announced, DOCUMENT_BYTES_MAX, Document, DocumentError, DocumentState, Documents, FilePlace, NewDocument,
    Unusable, UploadTarget, happened, sha256,
};

/// A document that was announced, and how its file is sent.
#[derive(Debug)]
pub struct Announcement {
    pub made: Made<DocumentId>,
    pub target: UploadTarget,
    pub until: Timestamp,
}

impl Documents {
    /// A repeated call gets the same document, and an address that is good until the first one's time is over.
    pub async fn announce(
        &self,
        scope: &SiteScope,
        who: IdentityId,
        wish: &NewDocument,
        call: Option<&IdempotentCall>,
    ) -> Result<Announcement, DocumentError> {
        let now = self.clock.now();
        let name = wish.check()?;
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, DocumentId, DocumentError>(tx.as_mut(), call).await? {
            let document = tx
                .documents()
                .for_update(made.id)
                .await?
                .ok_or(DocumentError::NotFound)?;
            if !document.awaits(now) {
                return Err(DocumentError::NotAwaited(document.state));
            }
            return self.announced(scope, &document, made, now);
        }
        let document = Document {
            id: DocumentId::from_uuid(self.id(now)),
            name,
            media_type: wish.media_type,
            bytes: wish.bytes,
            kind: wish.kind,
            state: DocumentState::AwaitingUpload,
            reason: None,
            upload_until: now + UPLOAD_TIME,
            uploaded_by: who,
            sha256: None,
            pages: None,
            created_at: now,
            uploaded_at: None,
            read_at: None,
            forgotten_at: None,
            file_gone_at: None,
        };
        let announced = self.announced(scope, &document, Made::now(document.id), now)?;
        tx.documents().insert(&document).await?;
        let payload = json!({ "media_type": document.media_type, "bytes": document.bytes });
        tx.outbox()
            .append(happened("document.announced", &document, payload, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &document.id).await?;
        tx.commit().await?;
        Ok(announced)
    }

    fn announced(
        &self,
        scope: &SiteScope,
        document: &Document,
        made: Made<DocumentId>,
        now: Timestamp,
    ) -> Result<Announcement, DocumentError> {
        let left = (document.upload_until - now).num_seconds().max(1);
        let announced = Announced {
            media_type: document.media_type,
            bytes: document.bytes,
            valid_s: u32::try_from(left).unwrap_or(u32::MAX),
        };
        Ok(Announcement {
            made,
            target: self.storage.upload_target(place(scope, document), announced)?,
            until: document.upload_until,
        })
    }

    /// Where its file goes and how long it is, where our own API takes files.
    pub async fn admit(
        &self,
        scope: &SiteScope,
        id: DocumentId,
    ) -> Result<(FilePlace, Document), DocumentError> {
        let document = self
            .queries
            .document(scope, id)
            .await?
            .ok_or(DocumentError::NotFound)?;
        if !document.awaits(self.clock.now()) {
            return Err(DocumentError::NotAwaited(document.state));
        }
        Ok((place(scope, &document), document))
    }

    /// Looks at what arrived: it has the size and the type that were announced, and is then read by a job; or it is deleted.
    /// Asked again it changes nothing.
    pub async fn uploaded(&self, scope: &SiteScope, id: DocumentId) -> Result<(), DocumentError> {
        let document = self
            .queries
            .document(scope, id)
            .await?
            .ok_or(DocumentError::NotFound)?;
        match document.state {
            DocumentState::AwaitingUpload => {}
            DocumentState::Uploaded | DocumentState::Read | DocumentState::Unreadable => return Ok(()),
            DocumentState::Refused => return Err(refused(&document)),
            DocumentState::Expired => return Err(DocumentError::NotAwaited(document.state)),
        }
        let arrived = self.look(scope, &document).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut document = tx
            .documents()
            .for_update(id)
            .await?
            .ok_or(DocumentError::NotFound)?;
        if document.state != DocumentState::AwaitingUpload {
            return match document.state {
                DocumentState::Refused => Err(refused(&document)),
                DocumentState::Expired => Err(DocumentError::NotAwaited(document.state)),
                _ => Ok(()),
            };
        }
        let event = match arrived {
            Ok(sha256) => {
                document.uploaded(sha256, now);
                happened("document.uploaded", &document, json!({}), now)
            }
            Err(reason) => {
                document.refuse(reason);
                happened("document.refused", &document, json!({ "reason": reason }), now)
            }
        };
        tx.documents().save(&document).await?;
        tx.outbox().append(event).await?;
        tx.commit().await?;
        if document.state == DocumentState::Refused {
            // What is not deleted here, or is sent again, the job deletes that forgets.
            self.delete_file(scope, &document).await?;
            return Err(refused(&document));
        }
        Ok(())
    }

    /// The hash of what arrived, or what is wrong with it.
    async fn look(
        &self,
        scope: &SiteScope,
        document: &Document,
    ) -> Result<Result<[u8; 32], Unusable>, DocumentError> {
        let place = place(scope, document);
        match self.storage.size(place).await? {
            None => return Err(DocumentError::NothingArrived),
            Some(size) if size != u64::from(document.bytes) => return Ok(Err(Unusable::SizeDiffers)),
            Some(_) => {}
        }
        let _held = self
            .in_memory
            .acquire()
            .await
            .map_err(|_| StoreError::broken("the semaphore is closed"))?;
        let bytes = self.storage.read(place, DOCUMENT_BYTES_MAX).await?;
        let bytes = bytes.ok_or(DocumentError::NothingArrived)?;
        Ok(
            if u64::try_from(bytes.len()).ok() != Some(u64::from(document.bytes)) {
                Err(Unusable::SizeDiffers)
            } else if document.media_type.matches(&bytes) {
                Ok(sha256(&bytes))
            } else {
                Err(Unusable::TypeDiffers)
            },
        )
    }
}

fn refused(document: &Document) -> DocumentError {
    DocumentError::Refused(document.reason.unwrap_or(Unusable::TypeDiffers))
}

pub(super) fn place(scope: &SiteScope, document: &Document) -> FilePlace {
    FilePlace {
        site: scope.site(),
        document: document.id,
    }
}
