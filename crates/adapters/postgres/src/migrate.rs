//! Roles, schema and queue: from an empty server to one that the product runs on.

use posx_kernel::StoreError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Row};

/// Plain SQL, forward only. Files without a number (roles.sql, queue.sql) are not migrations.
static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations");
const ROLES: &str = include_str!("../../../../migrations/roles.sql");
const QUEUE: &str = include_str!("../../../../migrations/queue.sql");
/// One migration at a time: `hashtext('posx:migrate')` would do, a number is easier to look for.
const LOCK: i64 = 0x706f_7378;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("{step} failed")]
    Database { step: &'static str, source: sqlx::Error },
    #[error("a migration failed; the ones before it are kept")]
    Migration(#[source] sqlx::migrate::MigrateError),
    #[error("the job queue's own migrations failed")]
    Queue(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the database name may hold a-z, 0-9 and _ only")]
    Name,
    #[error("a role's password may hold letters, digits, _ and - only, 16 at least")]
    Password,
}

fn step(step: &'static str) -> impl FnOnce(sqlx::Error) -> MigrateError {
    move |source| MigrateError::Database { step, source }
}

/// What each login role is given. Printed nowhere.
#[derive(Clone)]
pub struct Passwords {
    pub migrator: String,
    pub app: String,
    pub jobs: String,
    pub platform: String,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passwords(…)")
    }
}

/// Makes the roles with their passwords, the database and the queue's empty schema. Safe to run again. `superuser_url` names
/// any existing database of the server.
pub async fn bootstrap(
    superuser_url: &str,
    database: &str,
    passwords: &Passwords,
) -> Result<(), MigrateError> {
    if database.is_empty()
        || !database
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    {
        return Err(MigrateError::Name);
    }
    let logins = logins(passwords)?;
    let options: PgConnectOptions = superuser_url
        .parse()
        .map_err(step("reading the superuser's address"))?;
    // The passwords are part of the statements.
    let options = options.disable_statement_logging();
    let mut server = options.connect().await.map_err(step("connecting as superuser"))?;
    lock(&mut server).await?;
    run(&mut server, ROLES, "making the roles").await?;
    for (role, password) in logins {
        run(
            &mut server,
            &format!("alter role {role} password '{password}'"),
            "setting a role's password",
        )
        .await?;
    }
    let known = sqlx::query("select from pg_database where datname = $1")
        .bind(database)
        .fetch_optional(&mut server)
        .await;
    if known.map_err(step("looking for the database"))?.is_none() {
        run(
            &mut server,
            &format!("create database {database} owner posx_owner"),
            "making the database",
        )
        .await?;
    }
    let close = format!(
        "revoke all on database {database} from public;
         grant connect on database {database} to posx_migrator, posx_app, posx_jobs, posx_platform"
    );
    run(&mut server, &close, "closing the database to others").await?;
    let mut inside = options
        .database(database)
        .connect()
        .await
        .map_err(step("connecting to the new database"))?;
    run(
        &mut inside,
        "create schema if not exists graphile_worker authorization posx_jobs",
        "making the queue's schema",
    )
    .await
}

/// The roles that log in, with their passwords: checked before anything is done, because ALTER ROLE takes no parameters and
/// what is printed into it must hold no quote.
fn logins(passwords: &Passwords) -> Result<[(&'static str, &str); 4], MigrateError> {
    let logins = [
        ("posx_migrator", passwords.migrator.as_str()),
        ("posx_app", passwords.app.as_str()),
        ("posx_jobs", passwords.jobs.as_str()),
        ("posx_platform", passwords.platform.as_str()),
    ];
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if logins
        .iter()
        .all(|(_, password)| password.len() >= 16 && password.bytes().all(plain))
    {
        Ok(logins)
    } else {
        Err(MigrateError::Password)
    }
}

/// Whether [`migrate`] would get so far: the role logs in and may become the owner. Changes nothing.
pub async fn check_migrator(migrator_url: &str) -> Result<(), MigrateError> {
    let options: PgConnectOptions = migrator_url
        .parse()
        .map_err(step("reading the migrator's address"))?;
    let mut owner = options.connect().await.map_err(step("connecting as migrator"))?;
    run(&mut owner, "set role posx_owner", "becoming the owner").await?;
    owner.close().await.map_err(step("closing the connection"))
}

/// Brings schema and queue up to date. Safe to run again, and while another process does.
pub async fn migrate(migrator_url: &str, jobs_url: &str) -> Result<(), MigrateError> {
    let options: PgConnectOptions = migrator_url
        .parse()
        .map_err(step("reading the migrator's address"))?;
    let mut owner = options.connect().await.map_err(step("connecting as migrator"))?;
    lock(&mut owner).await?;
    run(&mut owner, "set role posx_owner", "becoming the owner").await?;
    MIGRATIONS
        .run_direct(None, &mut owner, false)
        .await
        .map_err(MigrateError::Migration)?;
    run(
        &mut owner,
        "grant select on _sqlx_migrations to posx_app",
        "showing the migrations to the app role",
    )
    .await?;
    migrate_queue(&mut owner, jobs_url).await?;
    owner.close().await.map_err(step("closing the connection"))
}

/// The queue's library makes its schema if it is not there, and PostgreSQL asks for the right to do so even where it is:
/// the owner lends that right for the moment.
async fn migrate_queue(owner: &mut PgConnection, jobs_url: &str) -> Result<(), MigrateError> {
    run(
        owner,
        "do $$ begin execute format('grant create on database %I to posx_jobs', current_database()); end $$",
        "lending the queue a right",
    )
    .await?;
    let migrated = migrate_queue_as_its_owner(jobs_url).await;
    run(owner, "do $$ begin execute format('revoke create on database %I from posx_jobs', current_database()); end $$", "taking the right back").await?;
    migrated
}

async fn migrate_queue_as_its_owner(jobs_url: &str) -> Result<(), MigrateError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(jobs_url)
        .await
        .map_err(step("connecting as the queue's role"))?;
    let queue = graphile_worker::WorkerUtils::new(pool.clone(), "graphile_worker");
    queue
        .migrate()
        .await
        .map_err(|error| MigrateError::Queue(error.into()))?;
    sqlx::raw_sql(QUEUE)
        .execute(&pool)
        .await
        .map_err(step("making the queue's functions"))?;
    pool.close().await;
    Ok(())
}

async fn lock(connection: &mut PgConnection) -> Result<(), MigrateError> {
    sqlx::query("select pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(connection)
        .await
        .map_err(step("waiting for another migration"))?;
    Ok(())
}

async fn run(connection: &mut PgConnection, sql: &str, name: &'static str) -> Result<(), MigrateError> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .map_err(step(name))?;
    Ok(())
}

/// How many migrations of this build the database does not have; readiness wants none. One that was never migrated has none.
pub(crate) async fn pending(pool: &PgPool) -> Result<usize, StoreError> {
    use crate::error::StoreResult;
    let known = sqlx::query("select to_regclass('public._sqlx_migrations') is not null");
    let applied: Vec<i64> = if known.fetch_one(pool).await.store()?.try_get(0).store()? {
        let rows = sqlx::query("select version from _sqlx_migrations where success")
            .fetch_all(pool)
            .await
            .store()?;
        rows.iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()
            .store()?
    } else {
        Vec::new()
    };
    Ok(MIGRATIONS
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .count())
}

/// Changes when any file of the schema does: a test database is made once for each.
pub fn schema_fingerprint() -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (ROLES, QUEUE).hash(&mut hasher);
    for migration in MIGRATIONS.iter() {
        migration.checksum.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
