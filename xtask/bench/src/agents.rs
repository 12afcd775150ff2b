//! Agents: a page of somebody's tree among a million members, and the statements of ten thousand agents.

use std::time::{Duration, Instant};

use crate::load::{Measured, closed_loop};
use crate::report::Row;
use crate::scene::Scene;
use crate::{Outcome, script};

const TREE_SITE: &str = "018f0000-0000-7000-b000-000000000001";
/// What is stated by the product, and the same by one statement of SQL.
const BOOKS_SITES: [&str; 2] = [
    "018f0000-0000-7000-b000-000000000002",
    "018f0000-0000-7000-b000-000000000003",
];
const MEMBER_PREFIX: &str = "018f0000-0000-7000-b001-";
const AGENT_PREFIX: &str = "018f0000-0000-7000-b002-";
const ENTRY_PREFIX: &str = "018f0000-0000-7000-b003-";
/// Each has three below: a member stands 12 levels deep, in the mean.
const MEMBERS: u32 = 1_000_000;
/// Whose tree is asked for: any of the first so many.
const ASKED: u32 = 1000;
const AGENTS: u32 = 10_000;
const POSTINGS_PER_AGENT: u32 = 10;
const DEPTH: u32 = 3;
const CONNECTIONS: usize = 8;
const PATIENCE: Duration = Duration::from_mins(5);
/// The first day of the month that is over, at UTC.
const MONTH: &str = "(date_trunc('month', now() at time zone 'UTC') - interval '1 month')";

pub async fn measure(scene: &Scene, seconds: u64) -> Outcome<Vec<Row>> {
    println!("a tree of {MEMBERS} members is put in …");
    scene.psql(tree()).await?;
    let page = tree_page(scene, seconds).await?;
    println!("the postings of {AGENTS} agents are put in …");
    for site in BOOKS_SITES {
        scene.psql(postings(site)).await?;
    }
    Ok(vec![page, statements(scene).await?])
}

async fn tree_page(scene: &Scene, seconds: u64) -> Outcome<Row> {
    let name =
        format!("a page of 100 of a tree, {DEPTH} levels, {MEMBERS} members, {CONNECTIONS} connections");
    println!("{name} …");
    let member = format!("('{MEMBER_PREFIX}' || lpad((:m)::text, 12, '0'))::uuid");
    let values = [
        &member,
        "3",
        "0",
        "'00000000-0000-0000-0000-000000000000'::uuid",
        "101",
    ]
    .map(str::to_owned);
    let page = script::with_values(posx_postgres::tree_statement(), &values);
    let script = format!(
        "\\set m random(1, {ASKED})\nbegin read only;\nset local app.current_site_id = '{TREE_SITE}';\n{page};\ncommit;\n"
    );
    let limit = scene.pgbench(&script, CONNECTIONS, seconds).await?;
    let staff = scene.staff(CONNECTIONS);
    let base_url = scene.api.base_url.clone();
    let measured = closed_loop(
        CONNECTIONS,
        Duration::from_secs(seconds),
        move |connection, number| {
            let member = (number * 7 + u64::try_from(connection).unwrap_or(0) * 31) % u64::from(ASKED) + 1;
            let party = format!("pty_{}{member:012}", MEMBER_PREFIX.replace('-', ""));
            let url = format!("{base_url}/api/v1/agents/{party}/tree?depth={DEPTH}&limit=100");
            let request = staff[connection].get(url).header("X-Site-Code", "LISTTREE");
            async move {
                match request.send().await {
                    Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
                    Err(_) => false,
                }
            }
        },
    )
    .await;
    Ok(Row::new(name, &measured, limit.rate_per_s, None))
}

/// The last month of all agents, by the worker's job; beside it, the same rows by one statement.
async fn statements(scene: &Scene) -> Outcome<Row> {
    let name = format!("statements of {AGENTS} agents, {POSTINGS_PER_AGENT} postings each, by the job");
    println!("{name} …");
    let [stated, plain] = BOOKS_SITES;
    let begin = Instant::now();
    scene.psql(stated_by_sql(plain)).await?;
    let limit_per_s = f64::from(AGENTS) / begin.elapsed().as_secs_f64();
    let worker = scene.worker().await?;
    let begin = Instant::now();
    scene.psql(job(stated)).await?;
    scene.until_nothing_waits(PATIENCE).await?;
    let took = begin.elapsed();
    let failed = worker.failed_jobs().await?;
    drop(worker);
    let differ = scene.psql(differences(stated, plain)).await?;
    if differ.trim() != "0" {
        return Err(format!(
            "{} statements are not as one statement of SQL makes them",
            differ.trim()
        )
        .into());
    }
    let took_ms = took.as_secs_f64() * 1000.0;
    let measured = Measured {
        rate_per_s: f64::from(AGENTS) / took.as_secs_f64(),
        p50_ms: took_ms,
        p95_ms: took_ms,
        p99_ms: took_ms,
        failed,
    };
    Ok(Row::new(name, &measured, limit_per_s, None))
}

/// The bench's first client reads it as a viewer.
fn tree() -> String {
    format!(
        "set session_replication_role = replica;
         insert into sites (id, code, name, host_names, currency, time_zone, created_at)
         values ('{TREE_SITE}', 'LISTTREE', 'Tree', '{{}}', 'USD', 'UTC', '2026-01-01');
         set app.current_site_id = '{TREE_SITE}';
         insert into parties (id, identity_id, referral_code, created_at)
         select '{TREE_SITE}', i.id, 'LISTTREE-AAAAAA', '2026-01-01' from identities i where i.subject = 'bench|0';
         insert into memberships (identity_id, party_id, role, created_at)
         select identity_id, id, 'viewer', '2026-01-01' from parties where id = '{TREE_SITE}';
         create temporary table m as select n, ('{MEMBER_PREFIX}' || lpad(n::text, 12, '0'))::uuid as id
         from generate_series(1, {MEMBERS}) n;
         create unique index on m (n);
         insert into parties (id, referral_code, created_at) select id, 'LISTTREE-' || n, '2026-01-01' from m;
         insert into referral_paths (ancestor_id, descendant_id, depth, since)
         with recursive up (descendant, ancestor, depth) as (
           select n, (n + 1) / 3, 1 from generate_series(2, {MEMBERS}) n
           union all
           select descendant, (ancestor + 1) / 3, depth + 1 from up where ancestor > 1)
         select a.id, d.id, up.depth, '2026-01-01' from up join m a on a.n = up.ancestor join m d on d.n = up.descendant;
         set session_replication_role = origin;
         vacuum analyze referral_paths, parties;"
    )
}

/// Credits of the last month.
fn postings(site: &str) -> String {
    format!(
        "set session_replication_role = replica;
         insert into sites (id, code, name, host_names, currency, time_zone, created_at)
         values ('{site}', 'BOOKS' || right('{site}', 1), 'Books', '{{}}', 'USD', 'UTC', '2026-01-01');
         set app.current_site_id = '{site}';
         create temporary table a as
         select n, ('{AGENT_PREFIX}' || lpad(n::text, 12, '0'))::uuid as id from generate_series(1, {AGENTS}) n;
         insert into parties (id, referral_code, created_at) select id, 'BOOKS-' || n, '2026-01-01' from a;
         insert into accounts (code, unit, class, party_id)
         select 'commission:payable:pty_' || replace(id::text, '-', ''), 'USD', 'liability', id from a
         union all select 'commission:expense', 'USD', 'expense', null;
         create temporary table e as
         select a.id as agent, p, ('{ENTRY_PREFIX}' || lpad((a.n * {POSTINGS_PER_AGENT} + p)::text, 12, '0'))::uuid as id
         from a, generate_series(0, {POSTINGS_PER_AGENT} - 1) p;
         insert into entries (id, kind, cause_id, posted_at)
         select id, 'commission.accrued', id, ({MONTH} + p * interval '1 day') at time zone 'UTC' from e;
         insert into postings (entry_id, line, account, unit, amount, posted_at)
         select id, 0, 'commission:expense', 'USD', 100 + p, ({MONTH} + p * interval '1 day') at time zone 'UTC' from e
         union all
         select id, 1, 'commission:payable:pty_' || replace(agent::text, '-', ''), 'USD', -100 - p,
                ({MONTH} + p * interval '1 day') at time zone 'UTC' from e;
         set session_replication_role = origin;
         vacuum analyze accounts, entries, postings, parties;"
    )
}

/// What the job does, set against it.
fn stated_by_sql(site: &str) -> String {
    let (from, to) = (
        format!("{MONTH} at time zone 'UTC'"),
        format!("({MONTH} + interval '1 month') at time zone 'UTC'"),
    );
    format!(
        "begin;
         set local role posx_app;
         set local app.current_site_id = '{site}';
         insert into agent_statements (id, agent_id, account, currency, number, month, time_zone, from_at, to_at, opening, credits,
                                       debits, closing, lines, created_at)
         select gen_random_uuid(), a.party_id, a.code, a.unit, 1, to_char({MONTH}, 'YYYY-MM'), 'UTC', {from}, {to}, 0,
                coalesce(-sum(p.amount) filter (where p.amount < 0), 0), coalesce(sum(p.amount) filter (where p.amount > 0), 0),
                -sum(p.amount), count(*), now()
         from accounts a join postings p on p.account = a.code and p.unit = a.unit
         join entries e on e.site_id = p.site_id and e.id = p.entry_id
         where a.code like 'commission:payable:%' and e.posted_at >= {from} and e.posted_at < {to}
         group by a.party_id, a.code, a.unit;
         commit;"
    )
}

fn job(site: &str) -> String {
    format!(
        "set app.current_site_id = '{site}';
         select app.add_job('make_statements', '{{}}'::jsonb, 'bench_statements', 0, 0, 1);"
    )
}

fn differences(one: &str, other: &str) -> String {
    let of = |site: &str| {
        format!(
            "select agent_id, number, month, opening, credits, debits, closing, lines from agent_statements where site_id = '{site}'"
        )
    };
    format!(
        "select (select count(*) from (({0} except {1}) union all ({1} except {0})) differs)
                + abs({AGENTS} - (select count(*) from agent_statements where site_id = '{one}'));",
        of(one),
        of(other)
    )
}
