//! Sites' models and consents.

use async_trait::async_trait;
use posx_assistant::{
    ModelAccount, ModelChoice, ModelConsent, ModelSetups, ModelsTx, OwnKey, Purpose, Setup, SetupQueries,
};
use posx_kernel::{Begin, IdentityId, Outbox, Sealed, SiteScope, StoreError, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const ACCOUNT: &str = "select purpose, provider, model, key_sealed, key_last4, fallback_provider, fallback_model, version, updated_at
    from model_accounts where true";
const CONSENT_COLUMNS: &str = "purpose, number, text_version, given_at, given_by, withdrawn_at, withdrawn_by";
const MODULE: &str = "select 'assistant' = any (modules) from app.site(app.current_site_id())";

#[async_trait]
impl Begin<dyn ModelsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ModelsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl ModelsTx for SiteTx {
    fn models(&mut self) -> &mut dyn ModelSetups {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl ModelSetups for SiteTx {
    async fn module_on(&mut self) -> Result<bool, StoreError> {
        module_on(self.connection()).await
    }

    async fn account(&mut self, purpose: Purpose) -> Result<Option<ModelAccount>, StoreError> {
        account_for(self.connection(), purpose).await
    }

    async fn save_account(&mut self, account: &ModelAccount) -> Result<bool, StoreError> {
        let (own, fallback) = (account.own_key.as_ref(), account.fallback.as_ref());
        let done = sqlx::query(
            "insert into model_accounts as a (purpose, provider, model, key_sealed, key_last4, fallback_provider, fallback_model,
                                              version, updated_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9
             where $8 = 1 or exists (select from model_accounts where purpose = $1)
             on conflict (site_id, purpose) do update
             set provider = excluded.provider, model = excluded.model, key_sealed = excluded.key_sealed,
                 key_last4 = excluded.key_last4, fallback_provider = excluded.fallback_provider,
                 fallback_model = excluded.fallback_model, version = excluded.version, updated_at = excluded.updated_at
             where a.version = excluded.version - 1",
        )
        .bind(account.purpose.as_str())
        .bind(&account.main.provider)
        .bind(&account.main.model)
        .bind(own.map(|key| key.sealed.as_bytes()))
        .bind(own.map(|key| key.last4.as_str()))
        .bind(fallback.map(|choice| choice.provider.as_str()))
        .bind(fallback.map(|choice| choice.model.as_str()))
        .bind(account.version)
        .bind(account.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn consent(&mut self, purpose: Purpose) -> Result<Option<ModelConsent>, StoreError> {
        let text = format!(
            "select {CONSENT_COLUMNS} from model_consents where purpose = $1 and withdrawn_at is null"
        );
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(purpose.as_str())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(consent).transpose()
    }

    async fn give_consent(
        &mut self,
        purpose: Purpose,
        text_version: u16,
        at: Timestamp,
    ) -> Result<ModelConsent, StoreError> {
        self.withdraw_consent(purpose, at).await?;
        let text = format!(
            "insert into model_consents (purpose, number, text_version, given_at)
             select $1, coalesce(max(number), 0) + 1, $2, $3 from model_consents where purpose = $1
             returning {CONSENT_COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(purpose.as_str())
            .bind(i32::from(text_version))
            .bind(at)
            .fetch_one(self.connection())
            .await
            .store()?;
        consent(&row)
    }

    async fn withdraw_consent(&mut self, purpose: Purpose, at: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update model_consents set withdrawn_at = $2,
               withdrawn_by = case when app.actor_part(1) in ('person', 'staff') then app.actor_part(2)::uuid end
             where purpose = $1 and withdrawn_at is null",
        )
        .bind(purpose.as_str())
        .bind(at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }
}

#[async_trait]
impl SetupQueries for Database {
    async fn setup(&self, scope: &SiteScope, purpose: Purpose) -> Result<Setup, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(
            "select 'assistant' = any (s.modules) as module_on, c.text_version
             from app.site(app.current_site_id()) s
             left join model_consents c on c.site_id = s.id and c.purpose = $1 and c.withdrawn_at is null",
        )
        .bind(purpose.as_str())
        .fetch_one(tx.connection())
        .await
        .store()?;
        let consent: Option<i32> = row.try_get("text_version").store()?;
        Ok(Setup {
            module_on: row.try_get("module_on").store()?,
            consent: consent.map(text_version).transpose()?,
            account: account_for(tx.connection(), purpose).await?,
        })
    }

    async fn accounts(&self, scope: &SiteScope) -> Result<Vec<ModelAccount>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(AssertSqlSafe(format!("{ACCOUNT} order by purpose")))
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(account).collect()
    }

    async fn consents(&self, scope: &SiteScope) -> Result<Vec<ModelConsent>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let text = format!(
            "select {CONSENT_COLUMNS} from model_consents order by given_at desc, purpose, number desc limit 200"
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(consent).collect()
    }
}

async fn module_on(connection: &mut PgConnection) -> Result<bool, StoreError> {
    sqlx::query_scalar(MODULE).fetch_one(connection).await.store()
}

async fn account_for(
    connection: &mut PgConnection,
    purpose: Purpose,
) -> Result<Option<ModelAccount>, StoreError> {
    let row = sqlx::query(AssertSqlSafe(format!("{ACCOUNT} and purpose = $1")))
        .bind(purpose.as_str())
        .fetch_optional(connection)
        .await
        .store()?;
    row.as_ref().map(account).transpose()
}

fn account(row: &PgRow) -> Result<ModelAccount, StoreError> {
    let sealed: Option<Vec<u8>> = row.try_get("key_sealed").store()?;
    let last4: Option<String> = row.try_get("key_last4").store()?;
    let fallback: (Option<String>, Option<String>) = (
        row.try_get("fallback_provider").store()?,
        row.try_get("fallback_model").store()?,
    );
    Ok(ModelAccount {
        purpose: purpose(row)?,
        main: ModelChoice {
            provider: row.try_get("provider").store()?,
            model: row.try_get("model").store()?,
        },
        own_key: sealed.zip(last4).map(|(sealed, last4)| OwnKey {
            sealed: Sealed::from_bytes(sealed),
            last4,
        }),
        fallback: fallback
            .0
            .zip(fallback.1)
            .map(|(provider, model)| ModelChoice { provider, model }),
        version: row.try_get("version").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

fn consent(row: &PgRow) -> Result<ModelConsent, StoreError> {
    let person = |column| -> Result<Option<IdentityId>, StoreError> {
        let id: Option<uuid::Uuid> = row.try_get(column).store()?;
        Ok(id.map(IdentityId::from_uuid))
    };
    Ok(ModelConsent {
        purpose: purpose(row)?,
        number: row.try_get("number").store()?,
        text_version: text_version(row.try_get("text_version").store()?)?,
        given_at: row.try_get("given_at").store()?,
        given_by: person("given_by")?,
        withdrawn_at: row.try_get("withdrawn_at").store()?,
        withdrawn_by: person("withdrawn_by")?,
    })
}

fn purpose(row: &PgRow) -> Result<Purpose, StoreError> {
    let name: String = row.try_get("purpose").store()?;
    Purpose::from_name(&name).ok_or_else(|| StoreError::broken("a purpose is none"))
}

fn text_version(stored: i32) -> Result<u16, StoreError> {
    u16::try_from(stored).map_err(|_| StoreError::broken("a text's version is none"))
}
