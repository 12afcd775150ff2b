//! Second factors, their recovery codes, and which sign-ins have proven them.

use async_trait::async_trait;
use posx_kernel::{Begin, FactorId, IdentityId, Outbox, Sealed, SiteScope, StoreError, Timestamp};
use posx_tenancy::{FactorState, SecondFactor, SecondFactorRepository, SecondFactorsTx};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn SecondFactorsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn SecondFactorsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl SecondFactorsTx for SiteTx {
    fn second_factors(&mut self) -> &mut dyn SecondFactorRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

/// As the table keeps a state: name, secret, since when it counts, when it was removed.
type Columns<'a> = (
    &'static str,
    Option<&'a Sealed>,
    Option<Timestamp>,
    Option<Timestamp>,
);

fn columns(state: &FactorState) -> Columns<'_> {
    match state {
        FactorState::Pending { secret } => ("pending", Some(secret), None, None),
        FactorState::Active { secret, confirmed_at } => ("active", Some(secret), Some(*confirmed_at), None),
        FactorState::Removed { at, confirmed_at } => ("removed", None, *confirmed_at, Some(*at)),
    }
}

#[async_trait]
impl SecondFactorRepository for SiteTx {
    async fn find(&mut self, identity: IdentityId) -> Result<Vec<SecondFactor>, StoreError> {
        let rows = sqlx::query(
            "select id, identity_id, state, secret_sealed, last_step, failures, locked_until, created_at, confirmed_at
             from second_factors where identity_id = $1 and state <> 'removed' order by id",
        )
        .bind(identity.as_uuid())
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(factor).collect()
    }

    async fn for_update(&mut self, identity: IdentityId) -> Result<Vec<SecondFactor>, StoreError> {
        // Also where there is no factor yet, which could not be locked.
        sqlx::query("select from memberships where identity_id = $1 for no key update")
            .bind(identity.as_uuid())
            .execute(self.connection())
            .await
            .store()?;
        self.find(identity).await
    }

    async fn insert(&mut self, factor: &SecondFactor) -> Result<(), StoreError> {
        let (state, secret, confirmed_at, removed_at) = columns(&factor.state);
        sqlx::query(
            "insert into second_factors (id, identity_id, state, secret_sealed, last_step, failures, locked_until,
                                         created_at, confirmed_at, removed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(factor.id.as_uuid())
        .bind(factor.identity.as_uuid())
        .bind(state)
        .bind(secret.map(Sealed::as_bytes))
        .bind(factor.last_step)
        .bind(failures(factor))
        .bind(factor.locked_until)
        .bind(factor.created_at)
        .bind(confirmed_at)
        .bind(removed_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    /// The secret itself never changes here: it is only taken away.
    async fn save(&mut self, factor: &SecondFactor) -> Result<(), StoreError> {
        let (state, secret, confirmed_at, removed_at) = columns(&factor.state);
        let saved = sqlx::query(
            "update second_factors
             set state = $2, secret_sealed = case when $3 then secret_sealed end, last_step = $4, failures = $5,
                 locked_until = $6, confirmed_at = $7, removed_at = $8
             where id = $1",
        )
        .bind(factor.id.as_uuid())
        .bind(state)
        .bind(secret.is_some())
        .bind(factor.last_step)
        .bind(failures(factor))
        .bind(factor.locked_until)
        .bind(confirmed_at)
        .bind(removed_at)
        .execute(self.connection())
        .await
        .store()?;
        if saved.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("a second factor that is saved is not there"))
        }
    }

    async fn replace_codes(
        &mut self,
        factor: FactorId,
        hashes: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update second_factor_recovery_codes set void_at = $2
             where factor_id = $1 and used_at is null and void_at is null",
        )
        .bind(factor.as_uuid())
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
        sqlx::query(
            "insert into second_factor_recovery_codes (factor_id, code_hash, created_at) select $1, unnest($2::bytea[]), $3",
        )
        .bind(factor.as_uuid())
        .bind(hashes)
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn use_code(
        &mut self,
        factor: FactorId,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let used = sqlx::query(
            "update second_factor_recovery_codes set used_at = $3
             where factor_id = $1 and code_hash = $2 and used_at is null and void_at is null",
        )
        .bind(factor.as_uuid())
        .bind(hash.as_slice())
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(used.rows_affected() == 1)
    }

    async fn count_codes(&mut self, factor: FactorId) -> Result<u32, StoreError> {
        let row = sqlx::query(
            "select count(*) from second_factor_recovery_codes
             where factor_id = $1 and used_at is null and void_at is null",
        )
        .bind(factor.as_uuid())
        .fetch_one(self.connection())
        .await
        .store()?;
        let count: i64 = row.try_get(0).store()?;
        u32::try_from(count).map_err(|_| StoreError::broken("a count of recovery codes"))
    }

    async fn proven_at(
        &mut self,
        identity: IdentityId,
        sign_in: &[u8; 32],
    ) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(
            "select proven_at from second_factor_proofs where identity_id = $1 and sign_in_hash = $2",
        )
        .bind(identity.as_uuid())
        .bind(sign_in.as_slice())
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.map(|row| row.try_get(0).store()).transpose()
    }

    async fn prove(
        &mut self,
        identity: IdentityId,
        sign_in: &[u8; 32],
        now: Timestamp,
        expired: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("delete from second_factor_proofs where identity_id = $1 and proven_at < $2")
            .bind(identity.as_uuid())
            .bind(expired)
            .execute(self.connection())
            .await
            .store()?;
        sqlx::query(
            "insert into second_factor_proofs (identity_id, sign_in_hash, proven_at) values ($1, $2, $3)
             on conflict (site_id, identity_id, sign_in_hash) do update set proven_at = $3",
        )
        .bind(identity.as_uuid())
        .bind(sign_in.as_slice())
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn forget_proofs(&mut self, identity: IdentityId) -> Result<(), StoreError> {
        sqlx::query("delete from second_factor_proofs where identity_id = $1")
            .bind(identity.as_uuid())
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }
}

fn failures(factor: &SecondFactor) -> i32 {
    i32::try_from(factor.failures).unwrap_or(i32::MAX)
}

fn factor(row: &PgRow) -> Result<SecondFactor, StoreError> {
    let secret = || Ok(Sealed::from_bytes(row.try_get("secret_sealed").store()?));
    let state = match row.try_get("state").store()? {
        "pending" => FactorState::Pending { secret: secret()? },
        "active" => FactorState::Active {
            secret: secret()?,
            confirmed_at: row.try_get("confirmed_at").store()?,
        },
        _ => return Err(StoreError::broken("a second factor's state")),
    };
    let failures: i32 = row.try_get("failures").store()?;
    Ok(SecondFactor {
        id: FactorId::from_uuid(row.try_get("id").store()?),
        identity: IdentityId::from_uuid(row.try_get("identity_id").store()?),
        state,
        last_step: row.try_get("last_step").store()?,
        failures: u32::try_from(failures).map_err(|_| StoreError::broken("a count of failures"))?,
        locked_until: row.try_get("locked_until").store()?,
        created_at: row.try_get("created_at").store()?,
    })
}
