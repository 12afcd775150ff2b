//! Walks the catalogue and says where one site could see or touch another's rows.

use posx_kernel::StoreError;
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};

use crate::error::StoreResult;

/// What every statement is given, by name.
macro_rules! params {
    () => {
        "with p as (select $1::text[] as tables, $2::text[] as functions, $3::text[] as deletable, $4::text[] as roles)"
    };
}

/// …and every table of sites.
macro_rules! site_tables {
    () => {
        concat!(
            params!(),
            ", t as (
               select c.oid, c.relname::text as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced
               from pg_class c join pg_namespace n on n.oid = c.relnamespace
               join pg_attribute a on a.attrelid = c.oid and a.attname = 'site_id' and not a.attisdropped
               where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> 'site_hosts')"
        )
    };
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub object: String,
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Tables of sites that were walked.
    pub site_tables: usize,
    pub other_tables: usize,
    pub functions: usize,
    pub findings: Vec<Finding>,
}

/// Tables without `site_id` of their own, each with the reason why that is right. Another one fails the audit.
const REVIEWED_TABLES: &[(&str, &str)] = &[
    (
        "sites",
        "the list of sites itself: the app role reaches it by app.find_site and app.site only",
    ),
    (
        "site_hosts",
        "host names are unique across sites: read by app.find_site only",
    ),
    (
        "identities",
        "who logs in, before any site is known: made by app.identity_of only",
    ),
    (
        "external_ids",
        "which site an outside object belongs to: written by app.claim_external_id, read by the inbox only",
    ),
    (
        "webhook_inbox",
        "stored before the site is known: written by app.store_webhook, read by the queue's role only",
    ),
    (
        "_sqlx_migrations",
        "which migrations were applied: the app role reads it for readiness",
    ),
];

/// SECURITY DEFINER functions: each does one narrow thing and has a fixed `search_path`.
const REVIEWED_FUNCTIONS: &[&str] = &[
    "app.find_site",
    "app.site",
    "app.identity_of",
    "app.active_sites",
    "app.claim_external_id",
    "app.store_webhook",
    "app.webhook",
    "app.finish_webhook",
    "app.purge_webhooks",
    "app.webhooks_of_site",
    "app.replay_webhook",
    "app.add_job",
    "app.jobs_of_site",
    "app.replay_job",
    "graphile_worker.enqueue_for_site",
    "graphile_worker.jobs_of_site",
    "graphile_worker.replay_job_of_site",
];

/// The only table of a site whose rows the app role deletes: answers of old calls.
const DELETABLE: &[&str] = &["idempotency_keys"];

const ROLES: &[&str] = &[
    "posx_owner",
    "posx_migrator",
    "posx_app",
    "posx_jobs",
    "posx_platform",
];

/// `url` names a role that may read the catalogue: any role may. The report is an artefact to keep.
pub async fn audit_isolation(url: &str) -> Result<AuditReport, StoreError> {
    let options: PgConnectOptions = url.parse().store()?;
    let mut connection = options.connect().await.store()?;
    let mut findings = Vec::new();
    for (check, sql) in CHECKS {
        let query = sqlx::query(*sql)
            .bind(names(REVIEWED_TABLES.iter().map(|(name, _)| *name)))
            .bind(names(REVIEWED_FUNCTIONS.iter().copied()));
        let query = query
            .bind(names(DELETABLE.iter().copied()))
            .bind(names(ROLES.iter().copied()));
        for row in query.fetch_all(&mut connection).await.store()? {
            let (object, problem) = (row.try_get(0).store()?, row.try_get(1).store()?);
            findings.push(Finding {
                check,
                object,
                problem,
            });
        }
    }
    Ok(AuditReport {
        site_tables: count(&mut connection, "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'site_id' where n.nspname = 'public' and c.relkind in ('r', 'p')").await?,
        other_tables: REVIEWED_TABLES.len(),
        functions: REVIEWED_FUNCTIONS.len(),
        findings,
    })
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

async fn count(connection: &mut PgConnection, sql: &'static str) -> Result<usize, StoreError> {
    let row = sqlx::query(sql).fetch_one(connection).await.store()?;
    let count: i64 = row.try_get(0).store()?;
    usize::try_from(count).map_err(|_| StoreError::broken("a negative count"))
}

/// Each statement returns (object, problem) for what is wrong.
const CHECKS: &[(&str, &str)] = &[
    ("row_security", concat!(site_tables!(), "
      select t.name, 'row-level security is not ' || case when t.enabled then 'forced' else 'enabled' end
      from t where not (t.enabled and t.forced)")),
    ("policy", concat!(site_tables!(), "
      select t.name, 'it needs exactly one policy, permissive, for all commands and all roles, with USING and WITH CHECK on the current site'
      from t where (select count(*) from pg_policy p where p.polrelid = t.oid) <> 1
        or not exists (
          select from pg_policy p where p.polrelid = t.oid and p.polcmd = '*' and p.polpermissive and p.polroles = '{0}'
            and pg_get_expr(p.polqual, t.oid) ~ '^\\(site_id = \\( SELECT app\\.current_site_id\\(\\) AS current_site_id\\)\\)$'
            and pg_get_expr(p.polwithcheck, t.oid) = pg_get_expr(p.polqual, t.oid))")),
    ("site_column", concat!(site_tables!(), "
      select t.name, 'site_id must be a uuid, not null, with the current site as its default'
      from t join pg_attribute a on a.attrelid = t.oid and a.attname = 'site_id'
      left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
      where a.atttypid <> 'uuid'::regtype or not a.attnotnull
        or coalesce(pg_get_expr(d.adbin, d.adrelid), '') <> 'app.current_site_id()'")),
    ("site_never_changes", concat!(site_tables!(), "
      select t.name, 'the trigger that keeps site_id as it is is missing or off'
      from t where not exists (
        select from pg_trigger g join pg_proc f on f.oid = g.tgfoid
        where g.tgrelid = t.oid and f.proname = 'site_never_changes' and g.tgenabled = 'O')")),
    ("keys", concat!(site_tables!(), "
      select t.name, 'the key or unique index ' || i.indexrelid::regclass || ' does not begin with site_id'
      from t join pg_index i on i.indrelid = t.oid and i.indisunique
      join pg_attribute a on a.attrelid = t.oid and a.attname = 'site_id'
      where i.indkey[0] <> a.attnum")),
    ("primary_key", concat!(site_tables!(), "
      select t.name, 'it has no primary key' from t
      where not exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary)")),
    ("foreign_keys", concat!(site_tables!(), "
      select t.name, 'the foreign key ' || k.conname || ' could name another site''s row'
      from t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f'
      join pg_attribute a on a.attrelid = t.oid and a.attname = 'site_id'
      join t target on target.oid = k.confrelid
      join pg_attribute ta on ta.attrelid = target.oid and ta.attname = 'site_id'
      where not exists (
        select from unnest(k.conkey, k.confkey) as u (mine, theirs) where u.mine = a.attnum and u.theirs = ta.attnum)")),
    ("cascades", concat!(site_tables!(), "
      select t.name, 'the foreign key ' || k.conname || ' cascades: rows with financial meaning are never deleted'
      from t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' where k.confdeltype <> 'a' or k.confupdtype <> 'a'")),
    ("other_tables", concat!(params!(), "
      select c.relname::text, 'a table without site_id that nobody reviewed'
      from p, pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> all (p.tables)
        and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'site_id' and not a.attisdropped)")),
    ("app_reaches_others", concat!(params!(), "
      select c.relname::text, 'the app role has a direct grant on a table that is not a site''s own'
      from p, pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname = any (p.tables) and c.relname <> '_sqlx_migrations'
        and has_table_privilege('posx_app', c.oid, 'select, insert, update, delete, truncate, references, trigger')")),
    ("app_grants", concat!(site_tables!(), "
      select t.name, 'the app role may ' || right_name || ' it'
      from p, t cross join unnest(array['truncate', 'references', 'trigger', 'delete']) as right_name
      where has_table_privilege('posx_app', t.oid, right_name) and not (right_name = 'delete' and t.name = any (p.deletable))")),
    ("owners", concat!(params!(), "
      select c.relname::text, 'it belongs to ' || pg_get_userbyid(c.relowner) || ', not to posx_owner'
      from p, pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'app') and c.relkind in ('r', 'p', 'v', 'S') and pg_get_userbyid(c.relowner) <> 'posx_owner'")),
    ("views", concat!(params!(), "
      select c.relname::text, case c.relkind when 'm' then 'a materialised view keeps rows of all sites' else 'a view without security_invoker sees what its owner sees' end
      from p, pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'app') and (c.relkind = 'm' or (c.relkind = 'v'
        and not coalesce(c.reloptions::text ~ 'security_invoker=(true|on|1)', false)))")),
    ("definer_functions", concat!(params!(), "
      select n.nspname || '.' || f.proname, 'a SECURITY DEFINER function that nobody reviewed'
      from p, pg_proc f join pg_namespace n on n.oid = f.pronamespace
      where f.prosecdef and n.nspname in ('public', 'app', 'graphile_worker')
        and n.nspname || '.' || f.proname <> all (p.functions)")),
    ("search_path", concat!(params!(), "
      select n.nspname || '.' || f.proname, 'it has no fixed search_path'
      from p, pg_proc f join pg_namespace n on n.oid = f.pronamespace
      where n.nspname in ('public', 'app') and not coalesce(f.proconfig::text ~ 'search_path=', false)")),
    ("public_execute", concat!(params!(), "
      select n.nspname || '.' || f.proname, 'every role may call it'
      from p, pg_proc f join pg_namespace n on n.oid = f.pronamespace
      where n.nspname in ('public', 'app', 'graphile_worker')
        and exists (select from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) g where g.grantee = 0)")),
    ("roles", concat!(params!(), "
      select r.rolname::text, 'it is a superuser or has BYPASSRLS, CREATEROLE, CREATEDB or REPLICATION'
      from p, pg_roles r where r.rolname = any (p.roles)
        and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication)")),
    ("memberships", concat!(params!(), "
      select m.member::regrole::text, 'it is a member of ' || m.roleid::regrole
      from p, pg_auth_members m
      where m.member::regrole::text = any (p.roles) and not (m.member::regrole::text = 'posx_migrator' and m.roleid::regrole::text = 'posx_owner')")),
    ("queue", concat!(params!(), "
      select 'graphile_worker', 'the app role can reach into the queue''s schema' from p
      where has_schema_privilege('posx_app', 'graphile_worker', 'usage')
      union all
      select n.nspname::text, 'it belongs to ' || pg_get_userbyid(n.nspowner) || ', not to posx_jobs'
      from pg_namespace n where n.nspname = 'graphile_worker' and pg_get_userbyid(n.nspowner) <> 'posx_jobs'")),
    ("schemas", concat!(params!(), "
      select n.nspname::text, 'the app role may create in it' from p, pg_namespace n
      where n.nspname in ('public', 'app') and has_schema_privilege('posx_app', n.oid, 'create')")),
];
