//! Plans: what one would have paid for a hundred thousand orders, and shares of ten levels as they are decided.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::load::Measured;
use crate::replay::numbered;
use crate::report::Row;
use crate::scene::Scene;

const SITE: &str = "018f0000-0000-7000-c000-000000000001";
const PLAN: &str = "018f0000-0000-7000-c000-000000000002";
const MEMBER_PREFIX: &str = "018f0000-0000-7000-c001-";
const ORDER_PREFIX: &str = "018f0000-0000-7000-c002-";
/// Each has two below. Everybody buys once, so that who stands above somebody has sales; then all but the first so many, who
/// have at least ten above.
const MEMBERS: u32 = 20_000;
const NOT_BUYERS: u32 = 1_024;
const ORDERS: u32 = 100_000;
const SIMULATED_S_MAX: f64 = 30.0;
const LEVELS: u32 = 10;
/// The last orders, by the worker; pgbench decides on those that come after everybody's first.
const DECIDED: u32 = 2_000;
const CONNECTIONS: usize = 4;
const PATIENCE: Duration = Duration::from_mins(5);

pub async fn measure(scene: &Scene, seconds: u64) -> Outcome<Vec<Row>> {
    println!("{ORDERS} paid orders below {LEVELS} levels of agents are put in …");
    scene.psql(orders()).await?;
    Ok(vec![simulated(scene).await?, decided(scene, seconds).await?])
}

/// Asked over HTTP; beside it, the plain SQL that reads the same rows.
async fn simulated(scene: &Scene) -> Outcome<Row> {
    let name = format!("simulate a plan of {LEVELS} levels over {ORDERS} orders");
    println!("{name} …");
    let begin = Instant::now();
    let read = scene.psql(rows_read()).await?;
    let limit_per_s = f64::from(ORDERS) / begin.elapsed().as_secs_f64();
    let staff = scene.staff(1).remove(0);
    let plan = PLAN.replace('-', "");
    let url = format!(
        "{}/api/v1/commission-plans/plan_{plan}/simulate",
        scene.api.base_url
    );
    let body = r#"{"from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}"#;
    let begin = Instant::now();
    let answer = staff
        .post(url)
        .header("X-Site-Code", "LISTSHARE")
        .timeout(PATIENCE)
        .body(body)
        .send()
        .await?
        .error_for_status()?;
    let said: serde_json::Value = answer.json().await?;
    let took = begin.elapsed().as_secs_f64();
    if said["orders"] != ORDERS || read.trim().is_empty() {
        return Err(format!("{} orders were simulated", said["orders"]).into());
    }
    let agents = said["agents"].as_array().map_or(0, Vec::len);
    println!("{ORDERS} orders, {agents} agents: {took:.1} s (at most {SIMULATED_S_MAX})");
    let measured = Measured {
        rate_per_s: f64::from(ORDERS) / took,
        p50_ms: took * 1000.0,
        p95_ms: took * 1000.0,
        p99_ms: took * 1000.0,
        failed: u64::from(took > SIMULATED_S_MAX),
    };
    Ok(Row::new(name, &measured, limit_per_s, None))
}

/// By the worker's jobs; beside it, pgbench, which writes the same rows with one statement for each order.
async fn decided(scene: &Scene, seconds: u64) -> Outcome<Row> {
    let name = format!("accrue {LEVELS} levels, {DECIDED} orders, by the job");
    println!("{name} …");
    let limit = scene.pgbench(&by_sql(), CONNECTIONS, seconds).await?;
    let worker = scene.worker().await?;
    let begin = Instant::now();
    scene.psql(jobs()).await?;
    scene.until_nothing_waits(PATIENCE).await?;
    let took = begin.elapsed().as_secs_f64();
    let failed = worker.failed_jobs().await?;
    drop(worker);
    let made = scene.psql(made()).await?;
    if made.trim() != (DECIDED * LEVELS).to_string() {
        return Err(format!("{} commissions were made", made.trim()).into());
    }
    let each_ms = took * 1000.0 / f64::from(DECIDED);
    let measured = Measured {
        rate_per_s: f64::from(DECIDED) / took,
        p50_ms: each_ms,
        p95_ms: each_ms,
        p99_ms: each_ms,
        failed,
    };
    Ok(Row::new(name, &measured, limit.rate_per_s, None))
}

fn levels() -> String {
    let level = |level| {
        format!(
            r#"{{"level": {level}, "rate": "0.01", "minimum_sales": {{"amount": "0.01", "currency": "USD"}}}}"#
        )
    };
    let levels: Vec<_> = (1..=LEVELS).map(level).collect();
    format!("[{}]", levels.join(","))
}

/// The bench's first client reads it as a viewer.
fn orders() -> String {
    let (levels, plan) = (levels(), PLAN.replace('-', ""));
    format!(
        "set session_replication_role = replica;
         insert into sites (id, code, name, host_names, currency, time_zone, created_at)
         values ('{SITE}', 'LISTSHARE', 'Shares', '{{}}', 'USD', 'UTC', '2026-01-01');
         set app.current_site_id = '{SITE}';
         insert into parties (id, identity_id, referral_code, created_at)
         select '{SITE}', i.id, 'LISTSHARE-AAAAAA', '2026-01-01' from identities i where i.subject = 'bench|0';
         insert into memberships (identity_id, party_id, role, created_at)
         select identity_id, id, 'viewer', '2026-01-01' from parties where id = '{SITE}';
         insert into commission_plans (id, name, version, levels, hold_days, created_at)
         values ('{PLAN}', 'Ten levels', 1, '{levels}', 7, '2026-01-01');
         create temporary table shm as select n, ('{MEMBER_PREFIX}' || lpad(n::text, 12, '0'))::uuid as id
         from generate_series(1, {MEMBERS}) n;
         create unique index on shm (n);
         insert into parties (id, referral_code, created_at) select id, 'LISTSHARE-' || n, '2026-01-01' from shm;
         insert into referral_paths (ancestor_id, descendant_id, depth, since)
         with recursive up (descendant, ancestor, depth) as (
           select n, n / 2, 1 from generate_series(2, {MEMBERS}) n
           union all
           select descendant, ancestor / 2, depth + 1 from up where ancestor > 1)
         select a.id, d.id, up.depth, '2026-01-01' from up join shm a on a.n = up.ancestor join shm d on d.n = up.descendant;
         insert into orders (id, number, kind, buyer_id, lifecycle, payment, delivery, currency, subtotal, total, captured, chain,
                             wallet_address, plan_snapshot, placed_at, expires_at, paid_at)
         select ('{ORDER_PREFIX}' || lpad(n::text, 12, '0'))::uuid, 'S-' || n, 'token',
                ('{MEMBER_PREFIX}' || lpad((case when n <= {MEMBERS} then n
                                                 else {NOT_BUYERS} + n % ({MEMBERS} - {NOT_BUYERS}) end)::text, 12, '0'))::uuid, 'confirmed', 'paid', 'done',
                'USD', 10000 + n % 777, 10000 + n % 777, 10000 + n % 777, 'POLYGON', '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
                case when n > {ORDERS} - {DECIDED} then '{{\"plan\": \"plan_{plan}\", \"name\": \"Ten levels\", \"version\": 1, \"levels\": {levels}, \"hold_days\": 7}}'::jsonb end,
                at, at, at
         from (select n, timestamptz '2026-01-02' + n * interval '5 minutes' as at from generate_series(1, {ORDERS}) n) paid;
         set session_replication_role = origin;
         vacuum analyze orders, referral_paths, parties;"
    )
}

/// Orders with who stood above, and the sales of those.
fn rows_read() -> String {
    format!(
        "begin read only;
         set local role posx_app;
         set local app.current_site_id = '{SITE}';
         select sum(cardinality(above)), sum(total) from (
           select o.total, array(select p.ancestor_id from referral_paths p
                                 where p.descendant_id = o.buyer_id and p.depth <= {LEVELS} and p.since <= o.paid_at
                                   and (p.until is null or p.until > o.paid_at) order by p.depth) as above
           from orders o where o.paid_at >= '2026-01-01' and o.paid_at < '2027-01-01' and o.lifecycle in ('confirmed', 'fulfilled')
           order by o.paid_at, o.id) read;
         commit;"
    )
}

fn jobs() -> String {
    format!(
        "set app.current_site_id = '{SITE}';
         select count(app.add_job('accrue_commissions', jsonb_build_object('order', id), id::text, 0, 0, 5)::text)
         from orders where site_id = '{SITE}' and plan_snapshot is not null;"
    )
}

fn made() -> String {
    format!(
        "select count(*) from commissions c join orders o on o.site_id = c.site_id and o.id = c.order_id
         where c.site_id = '{SITE}' and o.plan_snapshot is not null;"
    )
}

/// What an accrual keeps: the run, decisions, commissions, entries, events.
fn by_sql() -> String {
    let order = format!("{}::uuid", numbered(ORDER_PREFIX, "n"));
    // A colon in a literal would begin one of pgbench's variables.
    let (expense, payable) = (
        "'commission' || chr(58) || 'expense'",
        "'commission' || chr(58) || 'payable' || chr(58) || 'pty_' || replace(agent::text, '-', '')",
    );
    format!(
        "\\set i :i + 1\n\\set n {MEMBERS} + :i * {CONNECTIONS} + :client_id\nbegin;\nset local app.current_site_id = '{SITE}';\n\
         insert into commission_runs (order_id, at) values ({order}, now());\n\
         with earned as (
            select o.id as order_id, o.paid_at, o.total as base, p.ancestor_id as agent, p.depth as level, round(o.total * 0.01)::bigint as amount,
                   gen_random_uuid() as id, gen_random_uuid() as entry
            from orders o join referral_paths p on p.descendant_id = o.buyer_id and p.depth <= {LEVELS} and p.until is null
            where o.id = {order}),
          decided as (
            insert into commission_decisions (order_id, level, agent_id, agent_sales, outcome, at)
            select order_id, level, agent, 0, 'earned', now() from earned),
          made as (
            insert into commissions (id, order_id, agent_id, level, rate, currency, base, amount, state, hold_until, plan_id, created_at,
                                     updated_at, month)
            select id, order_id, agent, level, 0.01, 'USD', base, amount, 'held', paid_at, '{PLAN}', now(), now(),
                   date_trunc('month', paid_at)::date from earned),
          known as (
            insert into accounts (code, unit, class, party_id)
            select {payable}, 'USD', 'liability', agent from earned
            union all select {expense}, 'USD', 'expense', null
            on conflict do nothing),
          posted as (
            insert into entries (id, kind, cause_id, posted_at) select entry, 'commission.accrued', id, now() from earned),
          lines as (
            insert into postings (entry_id, line, account, unit, amount, posted_at)
            select entry, 0, {expense}, 'USD', amount, now() from earned
            union all select entry, 1, {payable}, 'USD', -amount, now() from earned)
          insert into events (kind, subject_id, payload, at)
          select 'commission.accrued', id, jsonb_build_object('order', order_id, 'agent', agent, 'level', level), now() from earned;\n\
         commit;\n"
    )
}
