//! Pools.

use std::time::Duration;

use posx_kernel::{SiteScope, StoreError, StoreFault};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, SqlSafeStr, SqlStr};
use tracing::Instrument as _;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[derive(Debug, Clone, Copy)]
pub struct DatabaseOptions {
    /// Connections; 8 beat 16, 32 and 64 on two cores.
    pub pool_size: u32,
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
    pub lock_timeout: Duration,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            pool_size: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
        }
    }
}

/// The site plane's pool, on the role `posx_app`.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) pool: PgPool,
}

impl Database {
    /// Opens the pool and one connection, so that a wrong address is noticed at the start.
    pub async fn connect(url: &str, options: DatabaseOptions) -> Result<Self, StoreError> {
        Ok(Self {
            pool: connect(url, "posx", options).await?,
        })
    }

    pub(crate) async fn begin_site(&self, scope: &SiteScope) -> Result<SiteTx, StoreError> {
        SiteTx::begin_by(&self.pool, scope).await
    }

    /// For reads of screens: one short transaction that cannot write.
    pub(crate) async fn read_site(&self, scope: &SiteScope) -> Result<SiteTx, StoreError> {
        SiteTx::begin(&self.pool, scope.site(), "BEGIN READ ONLY").await
    }

    /// For reads of several statements that must see one state: nothing of it can write either.
    pub(crate) async fn read_site_at_once(&self, scope: &SiteScope) -> Result<SiteTx, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        SiteTx::begin(&self.pool, scope.site(), begin).await
    }

    /// Waits until every connection is back and closes them.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// One round trip: whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await.store()?;
        Ok(())
    }
}

/// Whether settings may hold it: an address that a connection can be opened with, not whether anybody answers there.
pub fn is_database_url(url: &str) -> bool {
    url.parse::<PgConnectOptions>().is_ok()
}

/// Under load no connection lies idle for so long.
const IDLE_TRUSTED: Duration = Duration::from_secs(1);

pub(crate) async fn connect(url: &str, name: &str, options: DatabaseOptions) -> Result<PgPool, StoreError> {
    let ms = |duration: Duration| format!("{}ms", duration.as_millis());
    let parsed: PgConnectOptions = url.parse().store()?;
    let parsed = parsed
        .application_name(name)
        .statement_cache_capacity(256)
        .options([
            ("statement_timeout", ms(options.statement_timeout)),
            ("lock_timeout", ms(options.lock_timeout)),
            ("idle_in_transaction_session_timeout", "30s".to_owned()),
        ]);
    PgPoolOptions::new()
        .max_connections(options.pool_size)
        .acquire_timeout(options.acquire_timeout)
        // A round trip each time would cost more than what it finds; one that lay idle may have been closed by the server meanwhile.
        .test_before_acquire(false)
        .before_acquire(|connection, held| {
            Box::pin(async move { Ok(held.idle_for < IDLE_TRUSTED || connection.ping().await.is_ok()) })
        })
        .connect_with(parsed)
        .await
        .store()
}

/// Opens a transaction in a task of its own, so that a caller who is cancelled meanwhile (a client hangs up, a timeout) does not
/// cancel it: sqlx 0.9.0 would hand the connection to the next one with this transaction still open, site and all
/// (<https://github.com/transact-rs/sqlx/issues/4393>). What comes too late is dropped whole, and rolled back.
pub(crate) async fn begin(
    pool: &PgPool,
    text: impl SqlSafeStr + Send + 'static,
) -> Result<sqlx::Transaction<'static, Postgres>, StoreError> {
    let (pool, text) = (pool.clone(), text.into_sql_str());
    let opening = tokio::spawn(open(pool, text).in_current_span());
    match opening.await {
        Ok(opened) => opened.store(),
        Err(lost) => Err(StoreError::new(StoreFault::Unavailable, lost)),
    }
}

/// A connection that the server closed while it was idle shows it at BEGIN, which has done nothing yet: the next one is tried. After
/// a restart of the server nobody's work fails because of the connections that were left.
async fn open(pool: PgPool, text: SqlStr) -> Result<sqlx::Transaction<'static, Postgres>, sqlx::Error> {
    for _ in 0..pool.options().get_max_connections() {
        match pool.begin_with(text.clone()).await {
            Err(error) if was_closed(&error) => {}
            outcome => return outcome,
        }
    }
    pool.begin_with(text).await
}

fn was_closed(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // admin_shutdown, crash_shutdown
        sqlx::Error::Database(told) => matches!(told.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}
