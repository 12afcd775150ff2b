//! The schema passes its audit, and no sabotage does.

use posx_postgres::{audit_connection, audit_isolation, migrate};
use sqlx::Connection as _;

use crate::server::{connect, empty_database, shared};

#[tokio::test]
async fn the_schema_passes_its_own_audit_in_the_eyes_of_every_role() {
    for url in [&shared().superuser_url, &shared().app_url] {
        let report = audit_isolation(url).await.expect("read");
        assert_eq!(report.findings, Vec::new());
        assert!(report.site_tables >= 20);
    }
}

/// Each would let one site see or touch another's rows, or be the first step to it.
const SABOTAGE: &[(&str, &str)] = &[
    ("row_security", "alter table orders no force row level security"),
    ("row_security", "alter table tiers disable row level security"),
    ("policy", "drop policy site_isolation on wallets"),
    ("policy", "create policy more on orders for select using (true)"),
    ("policy", "alter policy site_isolation on orders using (true)"),
    (
        "policy",
        "alter policy site_isolation on orders with check (true)",
    ),
    ("policy", "alter policy site_isolation on orders to posx_app"),
    (
        "policy",
        "alter policy site_isolation on orders using (site_id = app.current_site_id())",
    ),
    (
        "site_column",
        "alter table refunds alter column site_id drop default",
    ),
    (
        "site_never_changes",
        "drop trigger site_never_changes on commissions",
    ),
    (
        "site_never_changes",
        "alter table commissions disable trigger site_never_changes",
    ),
    ("keys", "create unique index on orders (number)"),
    (
        "primary_key",
        "create table loose (site_id uuid not null default app.current_site_id()); call app.isolate('loose', 'select')",
    ),
    (
        "foreign_keys",
        "alter table sites add constraint s unique (id); create unique index u on tiers (id); alter table order_lines add constraint f foreign key (tier_id) references tiers (id)",
    ),
    (
        "cascades",
        "alter table refunds add constraint f foreign key (site_id, order_id) references orders (site_id, id) on delete cascade",
    ),
    ("other_tables", "create table notes (id int primary key)"),
    ("app_reaches_others", "grant select on sites to posx_app"),
    ("app_grants", "grant truncate on orders to posx_app"),
    ("app_grants", "grant delete on orders to posx_app"),
    ("app_reaches_others", "grant select (code) on sites to posx_app"),
    ("other_roles_grants", "grant select on orders to posx_jobs"),
    ("other_roles_grants", "grant delete on sites to posx_platform"),
    ("other_schemas", "create schema aside; create table aside.notes (site_id uuid)"),
    ("other_schemas", "create table app.notes (site_id uuid)"),
    (
        "current_site",
        "create or replace function app.current_site_id() returns uuid language sql stable set search_path = pg_catalog
         as 'select null::uuid'",
    ),
    ("settings", "do $$ begin execute format('alter database %I set row_security = off', current_database()); end $$"),
    (
        "settings",
        "do $$ begin execute format('alter role posx_app in database %I set app.current_site_id = %L', current_database(),
         '018f0000-0000-7000-8000-000000000001'); end $$",
    ),
    ("database", "do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$"),
    ("owners", "alter table wallets owner to posx_migrator"),
    ("roles", "alter role posx_app bypassrls"),
    ("roles", "alter role posx_jobs superuser"),
    ("roles", "alter role posx_owner login"),
    ("memberships", "grant posx_owner to posx_app"),
    ("memberships", "grant posx_jobs to posx_platform"),
    ("views", "create view all_orders as select * from orders"),
    (
        "views",
        "create materialized view all_orders as select * from orders",
    ),
    (
        "definer_functions",
        "create function app.peek() returns bigint language sql security definer set search_path = pg_catalog as 'select 1::bigint'",
    ),
    ("search_path", "alter function app.site(uuid) reset search_path"),
    (
        "public_execute",
        "grant execute on function app.site(uuid) to public",
    ),
    ("schemas", "grant create on schema public to posx_app"),
    ("queue", "grant usage on schema graphile_worker to posx_app"),
];

/// Each in a transaction that is undone; in a database of its own, because others would wait for its locks.
#[tokio::test]
async fn every_sabotage_of_the_schema_or_a_role_is_found() {
    let urls = empty_database().await;
    migrate(&urls.migrator_url, &urls.jobs_url)
        .await
        .expect("migrated");
    let mut admin = connect(&urls.superuser_url).await;
    let clean = audit_connection(&mut admin).await.expect("read");
    assert_eq!(clean.findings, Vec::new());
    for (check, sabotage) in SABOTAGE {
        let mut tx = admin.begin().await.expect("a transaction");
        // Roles are the whole server's: another test that makes its database sets them meanwhile.
        if *check == "roles" || *check == "memberships" {
            let alone = "lock table pg_authid, pg_auth_members in share row exclusive mode";
            sqlx::raw_sql(alone).execute(&mut *tx).await.expect("locked");
        }
        let done = sqlx::raw_sql(*sabotage).execute(&mut *tx).await;
        done.unwrap_or_else(|error| panic!("{sabotage}: {error}"));
        let report = audit_connection(&mut tx).await.expect("read");
        tx.rollback().await.expect("undone");
        let found = report.findings.iter().any(|finding| finding.check == *check);
        assert!(found, "{sabotage} was not found: {report:?}");
    }
}
