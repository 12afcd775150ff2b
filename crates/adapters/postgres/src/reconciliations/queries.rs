//! Runs as they are shown.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::NaiveDate;
use posx_kernel::{EntryId, Page, PageRequest, ReconciliationId, SiteScope, StoreError};
use posx_ledger::reconcile::{
    DifferenceView, DifferingEntry, DifferingLine, Provider, Reason, ReconciliationQueries,
    ReconciliationView,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;

#[async_trait]
impl ReconciliationQueries for Database {
    async fn reconciliations(
        &self,
        scope: &SiteScope,
        provider: Option<Provider>,
        page: PageRequest,
    ) -> Result<Page<ReconciliationView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select id, provider, day, reconciled_at, lines, entries, matched, booked, explained, unexplained
             from reconciliations where ($1::uuid is null or id < $1) and ($2::text is null or provider = $2)
             order by id desc limit $3",
        )
        .bind(page.after_id())
        .bind(provider.map(Provider::as_str))
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let runs = rows.iter().map(run).collect::<Result<_, _>>()?;
        Ok(Page::from_rows(runs, page, |run: &ReconciliationView| {
            run.id.as_uuid()
        }))
    }

    async fn reconciliation(
        &self,
        scope: &SiteScope,
        id: ReconciliationId,
    ) -> Result<Option<ReconciliationView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(
            "select id, provider, day, reconciled_at, lines, entries, matched, booked, explained, unexplained
             from reconciliations where id = $1",
        )
        .bind(id.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
        row.as_ref().map(run).transpose()
    }

    async fn differences(
        &self,
        scope: &SiteScope,
        id: ReconciliationId,
        page: PageRequest,
    ) -> Result<Option<Page<DifferenceView>>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select d.*, d.line_amount::text as line_moved, d.entry_amount::text as entry_moved
             from reconciliations r left join lateral (
               select * from reconciliation_differences d
               where d.site_id = r.site_id and d.reconciliation_id = r.id and ($2::uuid is null or d.id < $2)
               order by d.id desc limit $3) d on true
             where r.id = $1 order by d.id desc",
        )
        .bind(id.as_uuid())
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            // A run without differences is one row of nulls.
            if let Some(id) = row.try_get::<Option<Uuid>, _>("id").store()? {
                found.push((id, difference(row)?));
            }
        }
        let page = Page::from_rows(found, page, |(id, _)| *id);
        Ok(Some(Page {
            items: page.items.into_iter().map(|(_, difference)| difference).collect(),
            next: page.next,
        }))
    }

    async fn reconciled_days(
        &self,
        scope: &SiteScope,
        provider: Provider,
    ) -> Result<BTreeSet<NaiveDate>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query("select distinct day from reconciliations where provider = $1")
            .bind(provider.as_str())
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(|row| row.try_get("day").store()).collect()
    }
}

fn run(row: &PgRow) -> Result<ReconciliationView, StoreError> {
    let provider: String = row.try_get("provider").store()?;
    let count = |column: &str| {
        let stored: i64 = row.try_get(column).store()?;
        u32::try_from(stored).map_err(|_| StoreError::broken("a run's counts"))
    };
    Ok(ReconciliationView {
        id: ReconciliationId::from_uuid(row.try_get("id").store()?),
        provider: Provider::from_name(&provider).ok_or_else(|| StoreError::broken("a run's provider"))?,
        day: row.try_get("day").store()?,
        reconciled_at: row.try_get("reconciled_at").store()?,
        lines: count("lines")?,
        entries: count("entries")?,
        matched: count("matched")?,
        booked: count("booked")?,
        explained: count("explained")?,
        unexplained: count("unexplained")?,
    })
}

fn difference(row: &PgRow) -> Result<DifferenceView, StoreError> {
    let reason: String = row.try_get("reason").store()?;
    let line = match row.try_get::<Option<String>, _>("line_id").store()? {
        Some(id) => Some(DifferingLine {
            id,
            movement: row.try_get("line_movement").store()?,
            reference: row.try_get("line_reference").store()?,
            unit: row.try_get("line_unit").store()?,
            amount: row.try_get("line_moved").store()?,
            at: row.try_get("line_at").store()?,
        }),
        None => None,
    };
    let entry = match row.try_get::<Option<Uuid>, _>("entry_id").store()? {
        Some(id) => Some(DifferingEntry {
            id: EntryId::from_uuid(id),
            kind: row.try_get("entry_kind").store()?,
            reference: row.try_get("entry_reference").store()?,
            unit: row.try_get("entry_unit").store()?,
            amount: row.try_get("entry_moved").store()?,
            posted_at: row.try_get("entry_at").store()?,
        }),
        None => None,
    };
    Ok(DifferenceView {
        reason: Reason::from_name(&reason).ok_or_else(|| StoreError::broken("a difference's reason"))?,
        line,
        entry,
    })
}
