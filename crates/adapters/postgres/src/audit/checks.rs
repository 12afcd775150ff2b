//! What the audit looks for: one statement per check. A new one comes with a sabotage in the tests that it finds.

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

/// Each statement returns (object, problem) for what is wrong.
pub(super) const CHECKS: &[(&str, &str)] = &[
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
      where n.nspname = 'public' and c.relkind in ('r', 'p', 'f') and c.relname <> all (p.tables)
        and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'site_id' and not a.attisdropped)")),
    ("other_schemas", concat!(params!(), "
      select n.nspname::text, 'a schema that nobody reviewed'
      from p, pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public', 'app', 'graphile_worker')
      union all
      select n.nspname || '.' || c.relname, 'tables are in the schema public, where they are audited'
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'app' and c.relkind in ('r', 'p', 'f')")),
    ("current_site", concat!(params!(), "
      select 'app.current_site_id', 'it must read the open transaction''s setting and nothing else' from p
      where not exists (
        select from pg_proc f where f.pronamespace = 'app'::regnamespace and f.proname = 'current_site_id' and f.pronargs = 0
          and not f.prosecdef and f.provolatile = 's'
          and btrim(f.prosrc) = 'select nullif(current_setting(''app.current_site_id'', true), '''')::uuid')")),
    ("settings", concat!(params!(), "
      select s.setrole::regrole::text, 'a stored setting that changes who sees what: ' || c
      from p, pg_db_role_setting s, unnest(s.setconfig) as c
      where (s.setrole = 0 or s.setrole::regrole::text = any (p.roles))
        and (s.setdatabase = 0 or s.setdatabase = (select d.oid from pg_database d where d.datname = current_database()))
        and c ~* '^(app[.]|row_security=|search_path=|role=|session_replication_role=)'")),
    ("app_reaches_others", concat!(params!(), "
      select c.relname::text, 'the app role has a direct grant on a table that is not a site''s own'
      from p, pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname = any (p.tables) and c.relname <> '_sqlx_migrations'
        and (has_table_privilege('posx_app', c.oid, 'delete, truncate, trigger')
          or has_any_column_privilege('posx_app', c.oid, 'select, insert, update, references'))")),
    ("other_roles_grants", concat!(params!(), "
      select c.relname::text, r.name || ' has a direct grant that nobody reviewed'
      from p, pg_class c join pg_namespace n on n.oid = c.relnamespace,
        (values ('posx_jobs', '{}'::text[]), ('posx_platform', '{sites, site_hosts, site_vaults, platform_staff, platform_audit, platform_grants}')) as r (name, reviewed)
      where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and (has_table_privilege(r.name, c.oid, 'delete, truncate, trigger')
          or has_any_column_privilege(r.name, c.oid, 'references')
          or (c.relname <> all (r.reviewed) and has_any_column_privilege(r.name, c.oid, 'select, insert, update')))")),
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
        and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication)
      union all
      select r.rolname::text, 'the owner must not log in: only the migrator becomes it' from pg_roles r
      where r.rolname = 'posx_owner' and r.rolcanlogin")),
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
    ("database", concat!(params!(), "
      select current_database()::text, r.name || ' may create schemas or temporary tables in it'
      from p, unnest(array['posx_app', 'posx_jobs', 'posx_platform']) as r (name)
      where has_database_privilege(r.name, current_database(), 'create, temporary')")),
    ("schemas", concat!(params!(), "
      select n.nspname::text, 'the app role may create in it' from p, pg_namespace n
      where n.nspname in ('public', 'app') and has_schema_privilege('posx_app', n.oid, 'create')")),
];
