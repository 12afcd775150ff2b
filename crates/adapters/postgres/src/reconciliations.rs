//! Runs that compared the books with a provider's account, and what the books say of that account.

mod queries;

use std::collections::BTreeMap;

use async_trait::async_trait;
use posx_kernel::Begin;
use posx_kernel::{ChainAssetId, EntryId, Outbox, SiteScope, StoreError, Timestamp};
use posx_ledger::reconcile::{
    Booked, BooksToReconcile, Moved, Movement, Provider, Reconciled, ReconciliationRepository,
    ReconciliationsTx, Unbooked, Wallet,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// Entries on `provider:clearing` with what the provider calls the thing that they are about. A kind that is not known here has
/// no reference, and so no line; nor has an entry whose cause is not there.
macro_rules! at_stripe {
    () => {
        "(select e.id, e.kind, p.posted_at, p.unit, p.amount, a.intent_id as reference, null::text as line,
                 coalesce(a.created_at, p.posted_at) as since
          from entries e left join payment_attempts a on a.site_id = e.site_id and a.id = e.cause_id
          join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing'
          where e.kind in ('payment.captured', 'refund.owed')
          union all
          select e.id, e.kind, p.posted_at, p.unit, p.amount, r.provider_refund_id, null, coalesce(r.created_at, p.posted_at)
          from entries e left join refunds r on r.site_id = e.site_id and r.id = e.cause_id
          join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing'
          where e.kind in ('refund.paid', 'refund.bounced')
          union all
          select e.id, e.kind, p.posted_at, p.unit, p.amount, d.provider_dispute_id, e.cause_part, coalesce(d.opened_at, p.posted_at)
          from entries e left join disputes d on d.site_id = e.site_id and d.id = e.cause_id
          join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing'
          where e.kind in ('dispute.withdrawn', 'dispute.reinstated', 'dispute.fee')
          union all
          select e.id, e.kind, p.posted_at, p.unit, p.amount, o.reference, null, coalesce(o.created_at, p.posted_at)
          from entries e left join payouts o on o.site_id = e.site_id and o.id = e.cause_id
          join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing'
          where e.kind in ('payout.paid', 'payout.returned')
          union all
          select e.id, e.kind, p.posted_at, p.unit, p.amount, e.cause_part, e.cause_part, p.posted_at
          from entries e
          join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing'
          where e.kind in ('provider.fee', 'provider.paid_out') and e.cause_id = (select app.current_site_id())
          union all
          select e.id, e.kind, p.posted_at, p.unit, p.amount, null, null, p.posted_at
          from entries e
          join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing'
          where e.kind not in ('payment.captured', 'refund.owed', 'refund.paid', 'refund.bounced', 'dispute.withdrawn',
            'dispute.reinstated', 'dispute.fee', 'payout.paid', 'payout.returned', 'provider.fee', 'provider.paid_out')) as b"
    };
}

/// What is booked as delivered, by our external id of the transfer.
macro_rules! at_fireblocks {
    () => {
        "(select e.id, e.kind, p.posted_at, p.unit, p.amount, al.external_id as reference, null::text as line,
                 coalesce(t.created_at, al.created_at, p.posted_at) as since
          from entries e left join allocations al on al.site_id = e.site_id and al.id = e.cause_id
          left join allocation_batches t on t.site_id = al.site_id and t.id = al.batch_id
          join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'tokens:delivered'
          where e.kind = 'tokens.delivered') as b"
    };
}

/// Those that a run booked from a line belong to their line's day.
macro_rules! booked_between {
    ($from:expr) => {
        concat!(
            "select b.id, b.kind, b.posted_at, b.unit, b.amount::text as amount, b.reference, b.line, b.since from ",
            $from,
            " where b.posted_at >= $1 and b.posted_at < $2 and b.kind not in ('provider.fee', 'provider.paid_out')"
        )
    };
}

macro_rules! booked_about {
    ($from:expr) => {
        concat!(
            "select b.id, b.kind, b.posted_at, b.unit, b.amount::text as amount, b.reference, b.line, b.since from ",
            $from,
            " where b.reference = any ($1)"
        )
    };
}

#[async_trait]
impl Begin<dyn ReconciliationsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ReconciliationsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl ReconciliationsTx for SiteTx {
    fn reconciliations(&mut self) -> &mut dyn ReconciliationRepository {
        self
    }

    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl BooksToReconcile for Database {
    /// Also what batches were sent from, when an asset has another vault by now; only vaults that are the site's now.
    async fn wallets(&self, scope: &SiteScope) -> Result<Vec<Wallet>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select * from (
               select id, provider_asset, vault, decimals from chain_assets
               union select distinct asset_id, provider_asset, vault, decimals from allocation_batch_lines) named
             where app.owns_vault(vault) order by vault, provider_asset",
        )
        .fetch_all(tx.connection())
        .await
        .store()?;
        let wallet = |row: &PgRow| {
            let decimals: i16 = row.try_get("decimals").store()?;
            Ok(Wallet {
                asset: ChainAssetId::from_uuid(row.try_get("id").store()?),
                provider_asset: row.try_get("provider_asset").store()?,
                vault: row.try_get("vault").store()?,
                decimals: u8::try_from(decimals).map_err(|_| StoreError::broken("an asset's decimals"))?,
            })
        };
        rows.iter().map(wallet).collect()
    }

    async fn booked_between(
        &self,
        scope: &SiteScope,
        provider: Provider,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Booked>, StoreError> {
        let sql = match provider {
            Provider::Stripe => booked_between!(at_stripe!()),
            Provider::Fireblocks => booked_between!(at_fireblocks!()),
        };
        let mut tx = self.read_site(scope).await?;
        let query = sqlx::query(sql).bind(from).bind(until);
        let rows = query.fetch_all(tx.connection()).await.store()?;
        rows.iter().map(booked).collect()
    }

    async fn booked_about(
        &self,
        scope: &SiteScope,
        provider: Provider,
        references: &[String],
    ) -> Result<Vec<Booked>, StoreError> {
        let sql = match provider {
            Provider::Stripe => booked_about!(at_stripe!()),
            Provider::Fireblocks => booked_about!(at_fireblocks!()),
        };
        let mut tx = self.read_site(scope).await?;
        let query = sqlx::query(sql).bind(references);
        let rows = query.fetch_all(tx.connection()).await.store()?;
        rows.iter().map(booked).collect()
    }

    async fn unbooked(
        &self,
        scope: &SiteScope,
        references: &[String],
    ) -> Result<BTreeMap<String, Unbooked>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select r.provider_refund_id, r.state in ('pending', 'requires_action') as open, r.created_at from refunds r
             where r.provider_refund_id = any ($1) and r.state <> 'succeeded'
               and not exists (select from entries e where e.site_id = r.site_id and e.cause_id = r.id and e.kind = 'refund.paid')",
        )
        .bind(references)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let unbooked = |row: &PgRow| {
            let open: bool = row.try_get("open").store()?;
            let why = if open {
                Unbooked::OnItsWay
            } else {
                Unbooked::CameToNothing {
                    since: row.try_get("created_at").store()?,
                }
            };
            Ok((row.try_get("provider_refund_id").store()?, why))
        };
        rows.iter().map(unbooked).collect()
    }
}

fn booked(row: &PgRow) -> Result<Booked, StoreError> {
    let kind: String = row.try_get("kind").store()?;
    let (amount, unit): (String, String) = (row.try_get("amount").store()?, row.try_get("unit").store()?);
    Ok(Booked {
        entry: EntryId::from_uuid(row.try_get("id").store()?),
        movement: Movement::of_kind(&kind),
        kind,
        reference: row.try_get("reference").store()?,
        line: row.try_get("line").store()?,
        moved: Moved::from_signed(&amount, unit).ok_or_else(|| StoreError::broken("an entry's amount"))?,
        at: row.try_get("posted_at").store()?,
        since: row.try_get("since").store()?,
    })
}

#[async_trait]
impl ReconciliationRepository for SiteTx {
    async fn keep(&mut self, reconciled: &Reconciled, ids: &[Uuid]) -> Result<(), StoreError> {
        let run = &reconciled.run;
        sqlx::query(
            "insert into reconciliations
               (id, provider, day, reconciled_at, lines, entries, matched, booked, explained, unexplained)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(run.id.as_uuid())
        .bind(run.provider.as_str())
        .bind(run.day)
        .bind(run.at)
        .bind(i64::from(run.lines))
        .bind(i64::from(run.entries))
        .bind(i64::from(run.matched))
        .bind(i64::from(run.booked))
        .bind(i64::from(run.explained))
        .bind(i64::from(run.unexplained))
        .execute(self.connection())
        .await
        .store()?;
        let found = &reconciled.differences;
        let lines: Vec<_> = found.iter().map(|one| one.line.as_ref()).collect();
        let entries: Vec<_> = found.iter().map(|one| one.entry.as_ref()).collect();
        sqlx::query(
            "insert into reconciliation_differences
               (reconciliation_id, id, reason, line_id, line_movement, line_reference, line_unit, line_amount, line_at,
                entry_id, entry_kind, entry_reference, entry_unit, entry_amount, entry_at)
             select $1, d.* from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
               $8::text[]::numeric[], $9::timestamptz[], $10::uuid[], $11::text[], $12::text[], $13::text[],
               $14::text[]::numeric[], $15::timestamptz[]) as d",
        )
        .bind(run.id.as_uuid())
        .bind(ids)
        .bind(found.iter().map(|one| one.reason.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| Some(line.as_ref()?.id.as_str())).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| Some(line.as_ref()?.movement.as_str())).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| Some(line.as_ref()?.reference.as_str())).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| Some(line.as_ref()?.moved.unit.as_str())).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| Some(line.as_ref()?.moved.signed())).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| Some(line.as_ref()?.at)).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| Some(entry.as_ref()?.entry.as_uuid())).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| Some(entry.as_ref()?.kind.as_str())).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.as_ref()?.reference.as_deref()).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| Some(entry.as_ref()?.moved.unit.as_str())).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| Some(entry.as_ref()?.moved.signed())).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| Some(entry.as_ref()?.at)).collect::<Vec<_>>())
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }
}
