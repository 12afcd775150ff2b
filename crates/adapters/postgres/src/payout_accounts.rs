//! Where agents' money goes, and what a site allows of it.

use async_trait::async_trait;
use posx_commissions::{
    AccountMethod, AccountStanding, PayoutAccount, PayoutAccounts, PayoutRules, WriteOffRule,
};
use posx_kernel::{Currency, Money, PartyId, Sealed, StoreError, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};

use crate::error::StoreResult;
use crate::payouts::{claim, debtor};
use crate::site_tx::SiteTx;
use crate::tiers::currency;

const ACCOUNT: &str = "select party_id, method, version, details_sealed, masked, connect_account, created_at, usable_from, removed_at,
    payouts_enabled, charges_enabled, disabled_reason, standing_at, stuck_payout
    from payout_accounts a where true";
/// The last version of each.
const LATEST: &str = "and not exists (select from payout_accounts later where later.party_id = a.party_id
    and later.method = a.method and later.version > a.version)";
const RULES: &str = "select currency, minimum, maximum, write_off_up_to, write_off_after_days, debtor_name, debtor_iban, debtor_bic,
    version, updated_at from payout_rules where true";

#[async_trait]
impl PayoutAccounts for SiteTx {
    async fn latest(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
    ) -> Result<Option<PayoutAccount>, StoreError> {
        let text = format!("{ACCOUNT} and party_id = $1 and method = $2 order by version desc limit 1");
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(agent.as_uuid())
            .bind(method.as_str())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(account).transpose()
    }

    async fn version(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
        version: i32,
    ) -> Result<Option<PayoutAccount>, StoreError> {
        let text = format!("{ACCOUNT} and party_id = $1 and method = $2 and version = $3");
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(agent.as_uuid())
            .bind(method.as_str())
            .bind(version)
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(account).transpose()
    }

    async fn all(&mut self, method: AccountMethod) -> Result<Vec<PayoutAccount>, StoreError> {
        let text = format!("{ACCOUNT} and method = $1 and removed_at is null {LATEST} order by party_id");
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(method.as_str())
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(account).collect()
    }

    async fn insert(&mut self, account: &PayoutAccount) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into payout_accounts (party_id, method, version, details_sealed, masked, connect_account, created_at, usable_from)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (site_id, party_id, method, version) do nothing",
        )
        .bind(account.agent.as_uuid())
        .bind(account.method.as_str())
        .bind(account.version)
        .bind(account.details.as_ref().map(Sealed::as_bytes))
        .bind(&account.masked)
        .bind(&account.connect_account)
        .bind(account.created_at)
        .bind(account.usable_from)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn remove(&mut self, account: &PayoutAccount, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "update payout_accounts set removed_at = $4
             where party_id = $1 and method = $2 and version = $3 and removed_at is null",
        )
        .bind(account.agent.as_uuid())
        .bind(account.method.as_str())
        .bind(account.version)
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn connected(&mut self, connect_account: &str) -> Result<Option<PayoutAccount>, StoreError> {
        let text = format!("{ACCOUNT} and connect_account = $1 for no key update");
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(connect_account)
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(account).transpose()
    }

    async fn claim_connected(&mut self, connect_account: &str) -> Result<(), StoreError> {
        claim(self, connect_account).await
    }

    async fn save_standing(
        &mut self,
        account: &PayoutAccount,
        standing: &AccountStanding,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update payout_accounts set payouts_enabled = $4, charges_enabled = $5, disabled_reason = $6, standing_at = $7
             where party_id = $1 and method = $2 and version = $3 and (standing_at is null or standing_at <= $7)",
        )
        .bind(account.agent.as_uuid())
        .bind(account.method.as_str())
        .bind(account.version)
        .bind(standing.payouts_enabled)
        .bind(standing.charges_enabled)
        .bind(&standing.disabled_reason)
        .bind(standing.at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn save_stuck_payout(&mut self, account: &PayoutAccount) -> Result<(), StoreError> {
        sqlx::query(
            "update payout_accounts set stuck_payout = $4 where party_id = $1 and method = $2 and version = $3",
        )
        .bind(account.agent.as_uuid())
        .bind(account.method.as_str())
        .bind(account.version)
        .bind(&account.stuck_payout)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn rules(&mut self, currency: Currency) -> Result<PayoutRules, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!("{RULES} and currency = $1")))
            .bind(currency.code())
            .fetch_optional(self.connection())
            .await
            .store()?;
        let set = row.as_ref().map(rules).transpose()?;
        Ok(set.unwrap_or_else(|| PayoutRules::defaults(currency)))
    }

    async fn all_rules(&mut self) -> Result<Vec<PayoutRules>, StoreError> {
        all_rules(self).await
    }

    async fn save_rules(&mut self, rules: &PayoutRules, now: Timestamp) -> Result<bool, StoreError> {
        let debtor = rules.debtor.as_ref();
        let done = sqlx::query(
            "insert into payout_rules as r (currency, minimum, maximum, write_off_up_to, write_off_after_days, debtor_name,
                                            debtor_iban, debtor_bic, version, updated_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
             where $9 = 1 or exists (select from payout_rules where currency = $1)
             on conflict (site_id, currency) do update
             set minimum = excluded.minimum, maximum = excluded.maximum, write_off_up_to = excluded.write_off_up_to,
                 write_off_after_days = excluded.write_off_after_days, debtor_name = excluded.debtor_name,
                 debtor_iban = excluded.debtor_iban, debtor_bic = excluded.debtor_bic, version = excluded.version,
                 updated_at = excluded.updated_at
             where r.version = excluded.version - 1",
        )
        .bind(rules.minimum.currency().code())
        .bind(rules.minimum.minor())
        .bind(rules.maximum.map(Money::minor))
        .bind(rules.write_off.map(|rule| rule.up_to.minor()))
        .bind(rules.write_off.map(|rule| i32::from(rule.after_days)))
        .bind(debtor.map(|debtor| debtor.name.as_str()))
        .bind(debtor.map(|debtor| debtor.iban.as_str()))
        .bind(debtor.and_then(|debtor| debtor.bic.as_ref()).map(posx_commissions::Bic::as_str))
        .bind(rules.version)
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }
}

pub(crate) async fn all_rules(tx: &mut SiteTx) -> Result<Vec<PayoutRules>, StoreError> {
    let rows = sqlx::query(AssertSqlSafe(format!("{RULES} order by currency")))
        .fetch_all(tx.connection())
        .await
        .store()?;
    rows.iter().map(rules).collect()
}

/// Each of the agent's that is not taken away.
pub(crate) async fn accounts_of(tx: &mut SiteTx, agent: PartyId) -> Result<Vec<PayoutAccount>, StoreError> {
    let text = format!("{ACCOUNT} and party_id = $1 and removed_at is null {LATEST} order by method");
    let rows = sqlx::query(AssertSqlSafe(text))
        .bind(agent.as_uuid())
        .fetch_all(tx.connection())
        .await
        .store()?;
    rows.iter().map(account).collect()
}

fn account(row: &PgRow) -> Result<PayoutAccount, StoreError> {
    let details: Option<Vec<u8>> = row.try_get("details_sealed").store()?;
    let method = AccountMethod::from_name(row.try_get("method").store()?);
    Ok(PayoutAccount {
        agent: PartyId::from_uuid(row.try_get("party_id").store()?),
        method: method.ok_or_else(|| StoreError::broken("an account's method"))?,
        version: row.try_get("version").store()?,
        details: details.map(Sealed::from_bytes),
        masked: row.try_get("masked").store()?,
        connect_account: row.try_get("connect_account").store()?,
        created_at: row.try_get("created_at").store()?,
        usable_from: row.try_get("usable_from").store()?,
        removed_at: row.try_get("removed_at").store()?,
        standing: standing(row)?,
        stuck_payout: row.try_get("stuck_payout").store()?,
    })
}

fn standing(row: &PgRow) -> Result<Option<AccountStanding>, StoreError> {
    let Some(at) = row.try_get("standing_at").store()? else {
        return Ok(None);
    };
    Ok(Some(AccountStanding {
        payouts_enabled: row.try_get("payouts_enabled").store()?,
        charges_enabled: row.try_get("charges_enabled").store()?,
        disabled_reason: row.try_get("disabled_reason").store()?,
        at,
    }))
}

fn rules(row: &PgRow) -> Result<PayoutRules, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let money = |minor: i64| Money::from_minor(minor, currency);
    let maximum: Option<i64> = row.try_get("maximum").store()?;
    let up_to: Option<i64> = row.try_get("write_off_up_to").store()?;
    let after_days: Option<i32> = row.try_get("write_off_after_days").store()?;
    let write_off = match up_to.zip(after_days) {
        Some((up_to, days)) => Some(WriteOffRule {
            up_to: money(up_to),
            after_days: u16::try_from(days).map_err(|_| StoreError::broken("days of a rule"))?,
        }),
        None => None,
    };
    Ok(PayoutRules {
        minimum: money(row.try_get("minimum").store()?),
        maximum: maximum.map(money),
        write_off,
        debtor: debtor(row)?,
        version: row.try_get("version").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}
