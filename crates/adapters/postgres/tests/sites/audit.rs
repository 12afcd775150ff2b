use posx_kernel::{Ids, SystemIds};
use posx_postgres::audit_isolation;
use posx_testkit::database;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

#[tokio::test]
async fn the_schema_passes_its_own_audit() {
    let report = audit_isolation(&database().app_url).await.expect("read");
    assert_eq!(report.findings, Vec::new());
    assert!(report.site_tables >= 20);
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

#[tokio::test]
async fn every_sabotage_of_the_schema_is_found() {
    let scratch = format!(
        "scratch_{}",
        SystemIds
            .uuid(posx_kernel::Clock::now(&posx_kernel::SystemClock))
            .simple()
    );
    let mut server = PgConnection::connect(&database().superuser_url)
        .await
        .expect("connected");
    let dump = std::process::Command::new(database().bindir.join("pg_dump"))
        .args(["--schema-only", &database().superuser_url])
        .output()
        .expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    server
        .execute(AssertSqlSafe(format!(
            "create database {scratch} owner posx_owner"
        )))
        .await
        .expect("made");
    let url = database().superuser_url.replace(&database().name, &scratch);
    let mut copy = PgConnection::connect(&url).await.expect("connected");
    let schema: String = String::from_utf8(dump.stdout)
        .expect("UTF-8")
        .lines()
        .filter(|line| !line.starts_with('\\'))
        .fold(String::new(), |all, line| all + line + "\n");
    copy.execute(AssertSqlSafe(schema))
        .await
        .expect("the schema loads");
    let clean = audit_isolation(&url).await.expect("read");
    assert_eq!(clean.findings, Vec::new(), "the copy is as sound as the original");
    for (check, sabotage) in SABOTAGE {
        // Seen only inside the transaction, so the audit must look from the same one: commit, look, and undo by a copy of its own.
        let one = format!("{scratch}_1");
        drop(copy);
        server
            .execute(AssertSqlSafe(format!(
                "create database {one} template {scratch} owner posx_owner"
            )))
            .await
            .expect("copied");
        let url = database().superuser_url.replace(&database().name, &one);
        let mut victim = PgConnection::connect(&url).await.expect("connected");
        victim
            .execute(*sabotage)
            .await
            .unwrap_or_else(|error| panic!("{sabotage}: {error}"));
        victim.close().await.expect("closed");
        let report = audit_isolation(&url).await.expect("read");
        assert!(
            report.findings.iter().any(|finding| finding.check == *check),
            "{sabotage} was not found: {report:?}"
        );
        server
            .execute(AssertSqlSafe(format!("drop database {one} with (force)")))
            .await
            .expect("dropped");
        copy = PgConnection::connect(&database().superuser_url.replace(&database().name, &scratch))
            .await
            .expect("connected");
    }
    drop(copy);
    server
        .execute(AssertSqlSafe(format!("drop database {scratch} with (force)")))
        .await
        .expect("dropped");
}
