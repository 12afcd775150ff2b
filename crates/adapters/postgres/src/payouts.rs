//! Payouts, withdrawals among them, and the files that go to the bank.

mod queries;

use async_trait::async_trait;
use posx_commissions::{
    AgentBalances, Debtor, FileLine, Payout, PayoutAccounts, PayoutFile, PayoutFiles, PayoutRepository,
    PayoutState, PayoutsTx, SettlementRepository,
};
use posx_kernel::{
    Begin, Currency, IdentityId, Money, Outbox, PartyId, PayoutFileId, PayoutId, SettlementId, SiteScope,
    StoreError, Timestamp,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::settlements::method;
use crate::site_tx::SiteTx;
use crate::tiers::currency;

/// The provider that transfers, as ids of its objects are kept.
const PROVIDER: &str = "stripe";

const PAYOUT: &str =
    "select id, settlement_id, agent_id, currency, amount, method, account_version, state, tries, begun_at,
    reference, reason, reversed, decided_by, created_at, updated_at from payouts where true";

#[async_trait]
impl Begin<dyn PayoutsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn PayoutsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl PayoutsTx for SiteTx {
    fn balances(&mut self) -> &mut dyn AgentBalances {
        self
    }
    fn settlements(&mut self) -> &mut dyn SettlementRepository {
        self
    }
    fn payouts(&mut self) -> &mut dyn PayoutRepository {
        self
    }
    fn files(&mut self) -> &mut dyn PayoutFiles {
        self
    }
    fn accounts(&mut self) -> &mut dyn PayoutAccounts {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl PayoutRepository for SiteTx {
    async fn find(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError> {
        one(self, id, "").await
    }

    async fn for_update(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError> {
        one(self, id, " for update").await
    }

    async fn insert(&mut self, payouts: &[Payout]) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into payouts (id, settlement_id, agent_id, currency, amount, method, account_version, state, tries,
                                  decided_by, created_at, updated_at)
             select p.*, p.created_at from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[],
               $7::integer[], $8::text[], $9::integer[], $10::uuid[], $11::timestamptz[])
               as p (id, settlement_id, agent_id, currency, amount, method, account_version, state, tries, decided_by, created_at)
             on conflict (site_id, agent_id, currency)
               where settlement_id is null and state in ('requested', 'approved', 'sending', 'failed') do nothing",
        )
        .bind(payouts.iter().map(|one| one.id.as_uuid()).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.settlement.map(SettlementId::as_uuid)).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.agent.as_uuid()).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.amount.currency().code()).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.amount.minor()).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.method.as_str()).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.account_version).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.state.as_str()).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.tries).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.decided_by.map(IdentityId::as_uuid)).collect::<Vec<_>>())
        .bind(payouts.iter().map(|one| one.created_at).collect::<Vec<_>>())
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == u64::try_from(payouts.len()).unwrap_or(u64::MAX))
    }

    async fn save(&mut self, payout: &Payout) -> Result<(), StoreError> {
        let saved = sqlx::query(
            "update payouts set account_version = $2, state = $3, tries = $4, begun_at = $5, reference = $6, reason = $7,
                    reversed = $8, decided_by = $9, updated_at = $10 where id = $1",
        )
        .bind(payout.id.as_uuid())
        .bind(payout.account_version)
        .bind(payout.state.as_str())
        .bind(payout.tries)
        .bind(payout.begun_at)
        .bind(&payout.reference)
        .bind(&payout.reason)
        .bind(payout.reversed.minor())
        .bind(payout.decided_by.map(IdentityId::as_uuid))
        .bind(payout.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        if saved.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("a payout that is saved is not there"))
        }
    }

    async fn stuck(&mut self, untouched_since: Timestamp, limit: u16) -> Result<Vec<PayoutId>, StoreError> {
        let rows = sqlx::query(
            "select id from payouts where method = 'connect' and state in ('approved', 'sending') and updated_at < $1
             order by updated_at limit $2",
        )
        .bind(untouched_since)
        .bind(i32::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter()
            .map(|row| Ok(PayoutId::from_uuid(row.try_get(0).store()?)))
            .collect()
    }

    async fn of_transfer(&mut self, reference: &str) -> Result<Option<PayoutId>, StoreError> {
        let row = sqlx::query("select id from payouts where method = 'connect' and reference = $1")
            .bind(reference)
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.map(|row| Ok(PayoutId::from_uuid(row.try_get(0).store()?)))
            .transpose()
    }

    async fn claim_transfer(&mut self, reference: &str) -> Result<(), StoreError> {
        claim(self, reference).await
    }
}

/// What the provider tells of its object finds this site.
pub(crate) async fn claim(tx: &mut SiteTx, external_id: &str) -> Result<(), StoreError> {
    let row = sqlx::query("select app.claim_external_id($1, $2)")
        .bind(PROVIDER)
        .bind(external_id)
        .fetch_one(tx.connection())
        .await
        .store()?;
    let ours: bool = row.try_get(0).store()?;
    if ours {
        Ok(())
    } else {
        Err(StoreError::broken("another site owns the provider's object"))
    }
}

#[async_trait]
impl PayoutFiles for SiteTx {
    async fn waiting(
        &mut self,
        currency: Currency,
        settlement: Option<SettlementId>,
        limit: u16,
    ) -> Result<Vec<Payout>, StoreError> {
        let text = format!(
            "{PAYOUT} and method = 'bank' and state = 'approved' and currency = $1
             and ($2::uuid is null or settlement_id = $2) order by id limit $3 for update"
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(currency.code())
            .bind(settlement.map(SettlementId::as_uuid))
            .bind(i32::from(limit))
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(payout).collect()
    }

    async fn insert(&mut self, file: &PayoutFile) -> Result<(), StoreError> {
        let payments =
            i32::try_from(file.lines.len()).map_err(|_| StoreError::broken("too many payments in a file"))?;
        sqlx::query(
            "insert into payout_files (id, currency, debtor_name, debtor_iban, debtor_bic, payouts, total, created_by, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(file.id.as_uuid())
        .bind(file.total.currency().code())
        .bind(&file.debtor.name)
        .bind(file.debtor.iban.as_str())
        .bind(file.debtor.bic.as_ref().map(posx_commissions::Bic::as_str))
        .bind(payments)
        .bind(file.total.minor())
        .bind(file.created_by.as_uuid())
        .bind(file.created_at)
        .execute(self.connection())
        .await
        .store()?;
        sqlx::query(
            "insert into payout_file_lines (file_id, payout_id, try, account_version)
             select $1, l.* from unnest($2::uuid[], $3::integer[], $4::integer[]) l",
        )
        .bind(file.id.as_uuid())
        .bind(
            file.lines
                .iter()
                .map(|line| line.payout.as_uuid())
                .collect::<Vec<_>>(),
        )
        .bind(file.lines.iter().map(|line| line.attempt).collect::<Vec<_>>())
        .bind(
            file.lines
                .iter()
                .map(|line| line.account_version)
                .collect::<Vec<_>>(),
        )
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn find(&mut self, id: PayoutFileId) -> Result<Option<PayoutFile>, StoreError> {
        let row = sqlx::query(
            "select currency, debtor_name, debtor_iban, debtor_bic, total, created_by, created_at
             from payout_files where id = $1",
        )
        .bind(id.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        let Some(row) = row else { return Ok(None) };
        let lines = sqlx::query(
            "select l.payout_id, l.try, l.account_version, p.agent_id, p.currency, p.amount
             from payout_file_lines l join payouts p on p.site_id = l.site_id and p.id = l.payout_id
             where l.file_id = $1 order by l.payout_id",
        )
        .bind(id.as_uuid())
        .fetch_all(self.connection())
        .await
        .store()?;
        let lines = lines.iter().map(file_line).collect::<Result<_, _>>()?;
        file(id, &row, lines).map(Some)
    }
}

async fn one(tx: &mut SiteTx, id: PayoutId, lock: &str) -> Result<Option<Payout>, StoreError> {
    let row = sqlx::query(AssertSqlSafe(format!("{PAYOUT} and id = $1{lock}")))
        .bind(id.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
    row.as_ref().map(payout).transpose()
}

fn payout(row: &PgRow) -> Result<Payout, StoreError> {
    let settlement: Option<Uuid> = row.try_get("settlement_id").store()?;
    let decided_by: Option<Uuid> = row.try_get("decided_by").store()?;
    Ok(Payout {
        id: PayoutId::from_uuid(row.try_get("id").store()?),
        settlement: settlement.map(SettlementId::from_uuid),
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        amount: money(row, "amount")?,
        method: method(row)?,
        account_version: row.try_get("account_version").store()?,
        state: state(row)?,
        tries: row.try_get("tries").store()?,
        begun_at: row.try_get("begun_at").store()?,
        reference: row.try_get("reference").store()?,
        reason: row.try_get("reason").store()?,
        reversed: money(row, "reversed")?,
        decided_by: decided_by.map(IdentityId::from_uuid),
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

pub(crate) fn state(row: &PgRow) -> Result<PayoutState, StoreError> {
    let state = PayoutState::from_name(row.try_get("state").store()?);
    state.ok_or_else(|| StoreError::broken("a payout's state"))
}

fn money(row: &PgRow, column: &str) -> Result<Money, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    Ok(Money::from_minor(row.try_get(column).store()?, currency))
}

fn file_line(row: &PgRow) -> Result<FileLine, StoreError> {
    Ok(FileLine {
        payout: PayoutId::from_uuid(row.try_get("payout_id").store()?),
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        amount: money(row, "amount")?,
        attempt: row.try_get("try").store()?,
        account_version: row.try_get("account_version").store()?,
    })
}

fn file(id: PayoutFileId, row: &PgRow, lines: Vec<FileLine>) -> Result<PayoutFile, StoreError> {
    Ok(PayoutFile {
        id,
        debtor: debtor(row)?.ok_or_else(|| StoreError::broken("a file without a debtor"))?,
        total: money(row, "total")?,
        created_by: IdentityId::from_uuid(row.try_get("created_by").store()?),
        created_at: row.try_get("created_at").store()?,
        lines,
    })
}

/// Columns `debtor_name`, `debtor_iban`, `debtor_bic`.
pub(crate) fn debtor(row: &PgRow) -> Result<Option<Debtor>, StoreError> {
    let name: Option<&str> = row.try_get("debtor_name").store()?;
    let iban: Option<&str> = row.try_get("debtor_iban").store()?;
    let bic: Option<&str> = row.try_get("debtor_bic").store()?;
    let Some((name, iban)) = name.zip(iban) else {
        return Ok(None);
    };
    let debtor = Debtor::new(name, iban, bic);
    debtor
        .map(Some)
        .map_err(|_| StoreError::broken("a site's own bank account"))
}
