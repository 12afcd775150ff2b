//! Nothing of one site is seen or changed from another. The tables come from the catalogue: a new one is walked without a
//! change here, and fails until a lived-in site has a row of it.

use posx_kernel::{Refusal as _, SiteId};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::server::{connect, shared, superuser};
use crate::world::World;

/// insufficient_privilege: a policy's WITH CHECK, or no grant at all.
const DENIED: &str = "42501";
const FOREIGN_KEY: &str = "23503";
const NEVER_CHANGES: &str = "23001";

struct Pair {
    here: World,
    elsewhere: World,
    tables: Vec<String>,
}

async fn two_sites() -> Pair {
    let (here, elsewhere) = (World::lived_in().await, World::lived_in().await);
    let tables = here.database.site_tables().await.expect("the catalogue");
    assert!(tables.len() >= 20, "{tables:?}");
    for table in &tables {
        let rows = here
            .database
            .rows_seen(table, here.site.id, Some(here.site.id))
            .await
            .expect("a look");
        assert!(
            rows > 0,
            "a lived-in site has no row in {table}: the tests here would prove nothing of it"
        );
    }
    Pair {
        here,
        elsewhere,
        tables,
    }
}

async fn app(site: Option<SiteId>) -> PgConnection {
    let mut connection = connect(&shared().app_url).await;
    let begin = site.map_or_else(
        || "begin".to_owned(),
        |site| format!("begin; set local app.current_site_id = '{}'", site.as_uuid()),
    );
    sqlx::raw_sql(AssertSqlSafe(begin))
        .execute(&mut connection)
        .await
        .expect("begun");
    connection
}

/// Runs one statement with the site as `$1` in a savepoint: rows that it touched, or its SQLSTATE.
async fn attempt(connection: &mut PgConnection, sql: &str, site: SiteId) -> Result<u64, String> {
    sqlx::query("savepoint s")
        .execute(&mut *connection)
        .await
        .expect("in a transaction");
    let done = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(site.as_uuid())
        .execute(&mut *connection)
        .await;
    sqlx::query("rollback to s")
        .execute(&mut *connection)
        .await
        .expect("rolled back");
    done.map(|done| done.rows_affected())
        .map_err(|error| sqlstate(&error))
}

fn sqlstate(error: &sqlx::Error) -> String {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.map_or_else(|| error.to_string(), Into::into)
}

/// Copies a row of the site `$1` into another site.
async fn copy(admin: &mut PgConnection, table: &str, into: SiteId, condition: &str) -> String {
    let columns = stored_columns(admin, table).await;
    format!(
        "insert into {table} ({columns}) overriding system value
         select {columns} from (
           select (jsonb_populate_record(r, jsonb_build_object('site_id', '{}'::uuid))).*
           from {table} r where r.site_id = $1 {condition} limit 1) copied",
        into.as_uuid()
    )
}

/// All but the generated ones, which no insert may name.
async fn stored_columns(admin: &mut PgConnection, table: &str) -> String {
    let row = sqlx::query(
        "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
         where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
    )
    .bind(table)
    .fetch_one(admin)
    .await;
    row.expect("the catalogue").get(0)
}

/// The site's first row of the table, as JSON that `jsonb_populate_record` takes.
async fn sample(admin: &mut PgConnection, table: &str, site: SiteId) -> serde_json::Value {
    let sql = format!("select to_jsonb(r) from {table} r where site_id = $1 limit 1");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(site.as_uuid())
        .fetch_one(admin)
        .await;
    row.expect("a row").get(0)
}

#[tokio::test]
async fn p01_from_another_site_or_from_none_no_row_is_seen_changed_deleted_or_made() {
    let Pair {
        here,
        elsewhere,
        tables,
    } = two_sites().await;
    let mut admin = superuser().await;
    for from in [Some(elsewhere.site.id), None] {
        let mut connection = app(from).await;
        for table in &tables {
            let seen = here
                .database
                .rows_seen(table, here.site.id, from)
                .await
                .expect("a look");
            assert_eq!(seen, 0, "select on {table} from {from:?}");
            for sql in [
                format!("update {table} set site_id = site_id where site_id = $1"),
                format!("delete from {table} where site_id = $1"),
            ] {
                let outcome = attempt(&mut connection, &sql, here.site.id).await;
                assert!(
                    matches!(&outcome, Ok(0)) || outcome == Err(DENIED.to_owned()),
                    "{sql}: {outcome:?}"
                );
            }
            let row = sample(&mut admin, table, here.site.id).await;
            let row = row.to_string().replace('\'', "''");
            let columns = stored_columns(&mut admin, table).await;
            let insert = format!(
                "insert into {table} ({columns}) overriding system value
                 select {columns} from jsonb_populate_record(null::{table}, '{row}') r where r.site_id = $1"
            );
            let outcome = attempt(&mut connection, &insert, here.site.id).await;
            assert_eq!(
                outcome,
                Err(DENIED.to_owned()),
                "insert into {table} from {from:?}"
            );
        }
    }
    // From its own site the same rows are there to be seen: the refusals above are not for want of rows.
    let mut own = app(Some(here.site.id)).await;
    let touched = attempt(
        &mut own,
        "update parties set referral_code = referral_code where site_id = $1",
        here.site.id,
    );
    let touched = touched.await;
    assert!(matches!(touched, Ok(rows) if rows > 0), "{touched:?}");
}

#[tokio::test]
async fn p01_without_a_site_the_narrow_functions_refuse_or_find_nothing() {
    let world = World::lived_in().await;
    let mut none = app(None).await;
    for sql in [
        "select app.add_job('t', '{}', 'k', 0, 0, 1) where $1::uuid is not null",
        "select app.claim_external_id('p', $1::text)",
    ] {
        assert_eq!(
            attempt(&mut none, sql, world.site.id).await,
            Err(DENIED.to_owned()),
            "{sql}"
        );
    }
    for sql in [
        "select * from app.jobs_of_site(false, null, 100) where $1::uuid is not null",
        "select * from app.webhooks_of_site(null, null, 100) where $1::uuid is not null",
    ] {
        assert_eq!(attempt(&mut none, sql, world.site.id).await, Ok(0), "{sql}");
    }
}

#[tokio::test]
async fn p03_the_app_role_cannot_turn_row_security_off_truncate_or_become_another_role() {
    let world = World::new().await;
    let mut connection = app(Some(world.site.id)).await;
    let mut statements = vec![
        "set role posx_owner".to_owned(),
        "set role posx_jobs".to_owned(),
        "set role posx_platform".to_owned(),
        "set session authorization postgres".to_owned(),
        "create table public.mine (site_id uuid)".to_owned(),
        "create table app.mine (site_id uuid)".to_owned(),
        "create schema mine".to_owned(),
        "create temp table mine (site_id uuid)".to_owned(),
        "select * from sites".to_owned(),
        "select * from webhook_inbox".to_owned(),
        "select * from external_ids".to_owned(),
        "select * from identities".to_owned(),
        "select * from graphile_worker._private_jobs".to_owned(),
        "select app.active_sites()".to_owned(),
        "select app.suspended_sites()".to_owned(),
        "select app.webhook(null)".to_owned(),
        "create or replace function app.current_site_id() returns uuid language sql as 'select null::uuid'"
            .to_owned(),
        "alter role posx_app bypassrls".to_owned(),
        "copy tiers to program 'true'".to_owned(),
    ];
    for table in world.database.site_tables().await.expect("the catalogue") {
        statements.push(format!("alter table {table} disable row level security"));
        statements.push(format!("alter table {table} no force row level security"));
        statements.push(format!("drop policy site_isolation on {table}"));
        statements.push(format!("truncate {table}"));
        statements.push(format!("alter table {table} disable trigger all"));
    }
    for sql in statements {
        let tried = format!("savepoint s; {sql}");
        let done = sqlx::raw_sql(AssertSqlSafe(tried)).execute(&mut connection).await;
        sqlx::query("rollback to s")
            .execute(&mut connection)
            .await
            .expect("rolled back");
        let error = done.expect_err(&sql);
        assert_eq!(sqlstate(&error), DENIED, "{sql}: {error}");
    }
    // This one is no error and no way around: with it off, a policy that applies is an error instead of a filter.
    sqlx::query("set local row_security = off")
        .execute(&mut connection)
        .await
        .expect("any role may");
    assert_eq!(
        attempt(
            &mut connection,
            "select from tiers where site_id = $1",
            world.site.id
        )
        .await,
        Err(DENIED.to_owned())
    );
}

#[tokio::test]
async fn p04_no_row_can_reference_another_sites_row() {
    let Pair { here, .. } = two_sites().await;
    // An empty one, so that no key of its own is in the way.
    let elsewhere = World::new().await;
    let mut admin = superuser().await;
    sqlx::query("begin").execute(&mut admin).await.expect("begun");
    let keys = sqlx::query(
        "select k.conrelid::regclass::text, k.conname::text,
           (select string_agg(' and r.' || quote_ident(a.attname) || ' is not null', '')
            from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey))
         from pg_constraint k
         where k.contype = 'f' and k.connamespace = 'public'::regnamespace
           and exists (select from pg_attribute a where a.attrelid = k.confrelid and a.attname = 'site_id')",
    )
    .fetch_all(&mut admin)
    .await
    .expect("the catalogue");
    assert!(keys.len() > 20);
    for key in keys {
        let (table, name, filled): (String, String, String) = (key.get(0), key.get(1), key.get(2));
        let sql = copy(&mut admin, &table, elsewhere.site.id, &filled).await;
        let outcome = attempt(&mut admin, &sql, here.site.id).await;
        assert_eq!(outcome, Err(FOREIGN_KEY.to_owned()), "{table}, {name}");
    }
}

#[tokio::test]
async fn p05_a_rows_site_never_changes_not_even_by_a_superuser() {
    let Pair {
        here,
        elsewhere,
        tables,
    } = two_sites().await;
    let mut admin = superuser().await;
    sqlx::query("begin").execute(&mut admin).await.expect("begun");
    for table in tables {
        let sql = format!(
            "update {table} set site_id = '{}' where site_id = $1",
            elsewhere.site.id.as_uuid()
        );
        assert_eq!(
            attempt(&mut admin, &sql, here.site.id).await,
            Err(NEVER_CHANGES.to_owned()),
            "{table}"
        );
    }
}

#[tokio::test]
async fn p06_two_sites_hold_the_same_symbol_wallet_plan_and_key() {
    // Both stories bind one wallet, remember one key and make one plan; what is unique is unique within a site.
    let Pair { here, elsewhere, .. } = two_sites().await;
    let mut admin = superuser().await;
    for (table, columns) in [
        ("wallets", "chain_family, address"),
        ("commission_plans", "name, version"),
        ("idempotency_keys", "actor, operation, key"),
        ("accounts", "code, unit"),
    ] {
        let sql = format!(
            "select count(*) from (select {columns} from {table} where site_id = $1
             intersect select {columns} from {table} where site_id = $2) same"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(here.site.id.as_uuid())
            .bind(elsewhere.site.id.as_uuid())
            .fetch_one(&mut admin)
            .await
            .expect("a count");
        assert!(row.get::<i64, _>(0) > 0, "{table}");
    }
    let symbol = sample(&mut admin, "chain_assets", here.site.id).await["symbol"].clone();
    let wish = posx_tiers::CreateAsset {
        chain: posx_tiers::Chain::Polygon,
        symbol: symbol.as_str().expect("text").to_owned(),
        decimals: 6,
        provider_asset: "X".to_owned(),
        vault: elsewhere.site.id.to_string(),
    };
    elsewhere
        .tiers
        .create_asset(&elsewhere.scope, wish.clone(), None)
        .await
        .expect("another site may");
    let again = posx_tiers::CreateAsset {
        vault: here.site.id.to_string(),
        ..wish
    };
    let refused = here.tiers.create_asset(&here.scope, again, None).await;
    assert_eq!(
        refused.expect_err("the same site may not").code(),
        "chain_asset_taken"
    );
}
