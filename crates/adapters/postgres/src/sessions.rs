//! Sessions of browsers: through narrow functions, because the app role cannot read their tables.

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::{IdentityId, SessionId, StoreError, Timestamp};
use posx_tenancy::{
    NewSession, Rotation, Salt, Session, SessionClient, SessionStore, SessionView, SignInFacts, TokenUse,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::PgInterval;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::inbox::JobsDatabase;

#[async_trait]
impl SessionStore for Database {
    async fn open(&self, new: &NewSession, max: usize) -> Result<Vec<SessionId>, StoreError> {
        let Session {
            id,
            facts,
            expires_at,
        } = &new.session;
        let rows = sqlx::query(
            "select app.open_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(id.as_uuid())
        .bind(facts.identity.as_uuid())
        .bind(&facts.issuer)
        .bind(new.token.as_bytes().as_slice())
        .bind(facts.authenticated_at)
        .bind(&facts.methods)
        .bind(facts.context.as_deref())
        .bind(facts.second_factor)
        .bind(new.at)
        .bind(new.idle_until)
        .bind(expires_at)
        .bind(new.client.user_agent())
        .bind(new.client.address.as_ref().map(<[u8; 16]>::as_slice))
        .bind(i32::try_from(max).unwrap_or(i32::MAX))
        .fetch_all(&self.pool)
        .await
        .store()?;
        ids(&rows)
    }

    async fn refresh(&self, shown: &TokenUse) -> Result<Rotation, StoreError> {
        let row = sqlx::query("select * from app.refresh_session($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(shown.shown.as_bytes().as_slice())
            .bind(shown.successor.as_bytes().as_slice())
            .bind(shown.salt.0.as_slice())
            .bind(shown.at)
            .bind(interval(shown.grace)?)
            .bind(interval(shown.idle)?)
            .bind(shown.client.user_agent())
            .bind(shown.client.address.as_ref().map(<[u8; 16]>::as_slice))
            .fetch_one(&self.pool)
            .await
            .store()?;
        rotation_of(&row)
    }

    async fn sign_in(&self, id: SessionId, now: Timestamp) -> Result<Option<SignInFacts>, StoreError> {
        let row = sqlx::query("select * from app.session_sign_in($1, $2)")
            .bind(id.as_uuid())
            .bind(now)
            .fetch_optional(&self.pool)
            .await
            .store()?;
        row.as_ref().map(facts_of).transpose()
    }

    async fn of_identity(
        &self,
        identity: IdentityId,
        now: Timestamp,
    ) -> Result<Vec<SessionView>, StoreError> {
        let rows = sqlx::query("select * from app.sessions_of($1, $2)")
            .bind(identity.as_uuid())
            .bind(now)
            .fetch_all(&self.pool)
            .await
            .store()?;
        rows.iter().map(view_of).collect()
    }

    async fn end(&self, id: SessionId, identity: IdentityId, now: Timestamp) -> Result<bool, StoreError> {
        Ok(!self.end_sessions(identity, Some(id), now).await?.is_empty())
    }

    async fn end_all(&self, identity: IdentityId, now: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        self.end_sessions(identity, None, now).await
    }
}

impl Database {
    async fn end_sessions(
        &self,
        identity: IdentityId,
        wanted: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let rows = sqlx::query("select app.end_sessions($1, $2, $3)")
            .bind(identity.as_uuid())
            .bind(wanted.map(SessionId::as_uuid))
            .bind(now)
            .fetch_all(&self.pool)
            .await
            .store()?;
        ids(&rows)
    }
}

impl JobsDatabase {
    /// Deletes refresh tokens that were spent and sessions that were over before `before`, at most 10,000 of each a call;
    /// returns how many rows.
    pub async fn purge_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        let row = sqlx::query("select app.purge_sessions($1)")
            .bind(before)
            .fetch_one(self.pool())
            .await
            .store()?;
        let gone: i64 = row.try_get(0).store()?;
        Ok(gone.unsigned_abs())
    }
}

fn ids(rows: &[PgRow]) -> Result<Vec<SessionId>, StoreError> {
    let id = |row: &PgRow| Ok(SessionId::from_uuid(row.try_get(0).store()?));
    rows.iter().map(id).collect()
}

fn interval(span: TimeDelta) -> Result<PgInterval, StoreError> {
    PgInterval::try_from(span).map_err(|_| StoreError::broken("a span that no interval has"))
}

fn rotation_of(row: &PgRow) -> Result<Rotation, StoreError> {
    let outcome: String = row.try_get("outcome").store()?;
    let id = || -> Result<_, StoreError> { Ok(SessionId::from_uuid(row.try_get("session_id").store()?)) };
    Ok(match outcome.as_str() {
        "successor" => Rotation::Successor {
            session: Session {
                id: id()?,
                facts: facts_of(row)?,
                expires_at: row.try_get("expires_at").store()?,
            },
            salt: Salt(fixed(row.try_get("salt").store()?)?),
            idle_until: row.try_get("idle_until").store()?,
        },
        "superseded" => Rotation::Superseded,
        "reused" => Rotation::Reused(id()?),
        "over" => Rotation::Over,
        _ => return Err(StoreError::broken("what became of a refresh token")),
    })
}

fn facts_of(row: &PgRow) -> Result<SignInFacts, StoreError> {
    Ok(SignInFacts {
        identity: IdentityId::from_uuid(row.try_get("identity_id").store()?),
        issuer: row.try_get("issuer").store()?,
        authenticated_at: row.try_get("authenticated_at").store()?,
        methods: row.try_get("methods").store()?,
        context: row.try_get("context").store()?,
        second_factor: row.try_get("second_factor").store()?,
    })
}

fn view_of(row: &PgRow) -> Result<SessionView, StoreError> {
    let user_agent: Option<String> = row.try_get("user_agent").store()?;
    let address: Option<Vec<u8>> = row.try_get("address_hash").store()?;
    Ok(SessionView {
        id: SessionId::from_uuid(row.try_get("id").store()?),
        created_at: row.try_get("created_at").store()?,
        last_used_at: row.try_get("last_used_at").store()?,
        expires_at: row.try_get("expires_at").store()?,
        client: SessionClient::new(user_agent.as_deref(), address.map(fixed).transpose()?),
    })
}

fn fixed<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::broken("bytes of another length"))
}
