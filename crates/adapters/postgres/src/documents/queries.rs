//! Reads of documents.

use async_trait::async_trait;
use posx_assistant::documents::{
    Document, DocumentFilter, DocumentQueries, DocumentState, DocumentView, Draft, DraftState,
};
use posx_kernel::{DocumentId, Page, PageRequest, SiteScope, StoreError, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{DOCUMENT, DRAFT, document, draft};
use crate::connection::Database;
use crate::error::StoreResult;

fn ids(rows: &[PgRow]) -> Result<Vec<DocumentId>, StoreError> {
    let id = |row: &PgRow| Ok(DocumentId::from_uuid(row.try_get(0).store()?));
    rows.iter().map(id).collect()
}

#[async_trait]
impl DocumentQueries for Database {
    async fn list(
        &self,
        scope: &SiteScope,
        filter: DocumentFilter,
        page: PageRequest,
    ) -> Result<Page<DocumentView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let documents = sqlx::query(
            "select o.id, o.name, o.media_type, o.bytes, o.kind, o.state, o.reason, o.upload_until,
               o.uploaded_by, o.sha256, null::jsonb as pages, o.created_at, o.uploaded_at, o.read_at, o.forgotten_at,
               o.file_gone_at
             from documents o left join document_drafts d on d.site_id = o.site_id and d.document_id = o.id
             where ($1::uuid is null or o.id < $1) and ($2::text is null or o.state = $2) and ($3::text is null or d.state = $3)
             order by o.id desc limit $4",
        )
        .bind(page.after_id())
        .bind(filter.state.map(DocumentState::as_str))
        .bind(filter.draft.map(DraftState::as_str))
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let documents = documents.iter().map(document).collect::<Result<Vec<_>, _>>()?;
        let wanted: Vec<Uuid> = documents.iter().map(|document| document.id.as_uuid()).collect();
        let drafts = sqlx::query(
            "select id, document_id, null::jsonb as content, findings, state, version, sha256, call_id, decided_by, decided_at,
               reject_reason, order_id, party_id, created_at, updated_at from document_drafts where document_id = any($1)",
        )
        .bind(wanted)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let mut drafts = drafts.iter().map(draft).collect::<Result<Vec<_>, _>>()?;
        let with_draft = |document: Document| {
            let at = drafts.iter().position(|draft| draft.document == document.id);
            let draft = at.map(|at| drafts.swap_remove(at));
            DocumentView::of(document, draft)
        };
        let views = documents.into_iter().map(with_draft).collect();
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn get(&self, scope: &SiteScope, id: DocumentId) -> Result<Option<DocumentView>, StoreError> {
        let Some(document) = DocumentQueries::document(self, scope, id).await? else {
            return Ok(None);
        };
        let draft = DocumentQueries::draft(self, scope, id).await?;
        Ok(Some(DocumentView::of(document, draft)))
    }

    async fn document(&self, scope: &SiteScope, id: DocumentId) -> Result<Option<Document>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(DOCUMENT)
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(document).transpose()
    }

    async fn draft(&self, scope: &SiteScope, id: DocumentId) -> Result<Option<Draft>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(DRAFT)
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(draft).transpose()
    }

    async fn due(
        &self,
        scope: &SiteScope,
        announced_before: Timestamp,
        made_before: Timestamp,
        limit: u16,
    ) -> Result<Vec<DocumentId>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select id from documents
             where forgotten_at is null and (created_at < $2 or (state = 'awaiting_upload' and created_at < $1))
             order by created_at limit $3",
        )
        .bind(announced_before)
        .bind(made_before)
        .bind(i64::from(limit))
        .fetch_all(tx.connection())
        .await
        .store()?;
        ids(&rows)
    }

    async fn files_due(&self, scope: &SiteScope, limit: u16) -> Result<Vec<DocumentId>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select id from documents where file_gone_at is null and (forgotten_at is not null or state = 'refused')
             order by created_at limit $1",
        )
        .bind(i64::from(limit))
        .fetch_all(tx.connection())
        .await
        .store()?;
        ids(&rows)
    }
}
