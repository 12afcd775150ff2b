//! The books.

mod statements;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{EntryId, Page, PageRequest, SiteScope, StoreError, Timestamp};
use posx_ledger::{
    AccountStatement, AccountView, Entry, EntryFilter, EntryView, LedgerQueries, LedgerRepository, Posted,
    PostingView, Side, StatementOf, TrialBalanceRow,
};
use sqlx::Row;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// Entries as columns for `unnest`: one statement stores any number of them.
#[derive(Debug, Default)]
pub(crate) struct EntryColumns {
    pub ids: Vec<Uuid>,
    pub kinds: Vec<&'static str>,
    pub causes: Vec<Uuid>,
    pub parts: Vec<String>,
    pub at: Vec<DateTime<Utc>>,
    pub posting_entries: Vec<Uuid>,
    pub lines: Vec<i16>,
    pub accounts: Vec<String>,
    pub units: Vec<String>,
    pub classes: Vec<&'static str>,
    pub parties: Vec<Option<Uuid>>,
    pub amounts: Vec<String>,
}

impl EntryColumns {
    pub(crate) fn of(entries: &[Entry]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for entry in entries.iter().filter(|entry| !entry.postings().is_empty()) {
            columns.ids.push(entry.id().as_uuid());
            columns.kinds.push(entry.kind().as_str());
            columns.causes.push(entry.cause());
            columns.parts.push(entry.part().to_owned());
            columns.at.push(entry.at());
            for (line, posting) in entry.postings().iter().enumerate() {
                columns.posting_entries.push(entry.id().as_uuid());
                columns.lines.push(
                    i16::try_from(line).map_err(|_| StoreError::broken("an entry of too many postings"))?,
                );
                columns.accounts.push(posting.account.code());
                columns.units.push(posting.unit.to_string());
                columns.classes.push(posting.account.class().as_str());
                columns
                    .parties
                    .push(posting.account.party().map(posx_kernel::PartyId::as_uuid));
                let sign = if posting.side == Side::Debit { "" } else { "-" };
                columns.amounts.push(format!("{sign}{}", posting.amount));
            }
        }
        Ok(columns)
    }
}

/// `$1`… are the columns of [`EntryColumns`] in their order. Accounts come to be with their first posting; an entry that is
/// in the books already is left out with its postings.
macro_rules! post_entries {
    () => {
        "made as (
           insert into accounts (code, unit, class, party_id)
           select distinct code, unit, class, party from unnest($8::text[], $9::text[], $10::text[], $11::uuid[]) as a (code, unit, class, party)
           on conflict do nothing),
         posted as (
           insert into entries (id, kind, cause_id, cause_part, posted_at)
           select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::timestamptz[])
           on conflict do nothing
           returning id, posted_at),
         lines as (
           insert into postings (entry_id, line, account, unit, amount, posted_at)
           select p.entry, p.line, p.account, p.unit, p.amount, posted.posted_at
           from unnest($6::uuid[], $7::smallint[], $8::text[], $9::text[], $12::text[]::numeric[])
             as p (entry, line, account, unit, amount)
           join posted on posted.id = p.entry)"
    };
}
pub(crate) use post_entries;

/// Binds [`EntryColumns`] as `$1` to `$12`.
macro_rules! bind_entries {
    ($query:expr, $columns:expr) => {
        $query
            .bind($columns.ids)
            .bind($columns.kinds)
            .bind($columns.causes)
            .bind($columns.parts)
            .bind($columns.at)
            .bind($columns.posting_entries)
            .bind($columns.lines)
            .bind($columns.accounts)
            .bind($columns.units)
            .bind($columns.classes)
            .bind($columns.parties)
            .bind($columns.amounts)
    };
}
pub(crate) use bind_entries;
pub(crate) use statements::{trial_balance, trial_balance_row};

#[async_trait]
impl LedgerRepository for SiteTx {
    async fn post(&mut self, entry: &Entry) -> Result<Posted, StoreError> {
        if entry.postings().is_empty() {
            return Ok(Posted::New);
        }
        let columns = EntryColumns::of(std::slice::from_ref(entry))?;
        let query = sqlx::query(concat!("with ", post_entries!(), " select count(*) from posted"));
        let row = bind_entries!(query, columns)
            .fetch_one(self.connection())
            .await
            .store()?;
        let posted: i64 = row.try_get(0).store()?;
        Ok(if posted == 1 { Posted::New } else { Posted::Already })
    }
}

#[async_trait]
impl LedgerQueries for Database {
    async fn entries(
        &self,
        scope: &SiteScope,
        filter: &EntryFilter,
        page: PageRequest,
    ) -> Result<Page<EntryView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select id, kind, cause_id, cause_part, posted_at from entries
             where ($1::uuid is null or id < $1) and ($2::uuid is null or cause_id = $2) and ($3::text is null or kind = $3)
             order by id desc limit $4",
        )
        .bind(page.after_id())
        .bind(filter.cause)
        .bind(&filter.kind)
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(EntryView {
                id: EntryId::from_uuid(row.try_get("id").store()?),
                kind: row.try_get("kind").store()?,
                cause: row.try_get("cause_id").store()?,
                part: row.try_get("cause_part").store()?,
                posted_at: row.try_get("posted_at").store()?,
                postings: Vec::new(),
            });
        }
        let mut page = Page::from_rows(entries, page, |entry| entry.id.as_uuid());
        let ids: Vec<Uuid> = page.items.iter().map(|entry| entry.id.as_uuid()).collect();
        let mut postings = postings_of(&mut tx, &ids).await?;
        for entry in &mut page.items {
            entry.postings = postings.remove(&entry.id.as_uuid()).unwrap_or_default();
        }
        Ok(page)
    }

    async fn accounts(
        &self,
        scope: &SiteScope,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<AccountView>, StoreError> {
        let rows = LedgerQueries::trial_balance(self, scope, as_of).await?;
        let view = |row: TrialBalanceRow| AccountView {
            code: row.account,
            unit: row.unit,
            class: row.class,
            balance: row.balance,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    async fn trial_balance(
        &self,
        scope: &SiteScope,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<TrialBalanceRow>, StoreError> {
        statements::trial_balance(&mut self.read_site(scope).await?, as_of).await
    }

    async fn statement(
        &self,
        scope: &SiteScope,
        of: &StatementOf,
        page: PageRequest,
    ) -> Result<Option<AccountStatement>, StoreError> {
        statements::statement(&mut self.read_site_at_once(scope).await?, of, page).await
    }
}

async fn postings_of(
    tx: &mut SiteTx,
    entries: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<PostingView>>, StoreError> {
    let rows = sqlx::query(
        "select entry_id, account, unit, amount::text as amount from postings where entry_id = any ($1) order by entry_id, line",
    )
    .bind(entries)
    .fetch_all(tx.connection())
    .await
    .store()?;
    let mut postings: BTreeMap<Uuid, Vec<PostingView>> = BTreeMap::new();
    for row in rows {
        let view = PostingView {
            account: row.try_get("account").store()?,
            unit: row.try_get("unit").store()?,
            amount: row.try_get("amount").store()?,
        };
        postings
            .entry(row.try_get("entry_id").store()?)
            .or_default()
            .push(view);
    }
    Ok(postings)
}
