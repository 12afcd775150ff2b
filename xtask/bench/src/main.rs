//! Measures the product against the limit of the same machine in the same run: the API beside pgbench, which sends the same
//! statements to the same server. Called by `cargo xtask bench`; prints a table and writes `target/bench.json`.
#![expect(clippy::print_stdout, reason = "its output is a table for a person")]

mod agents;
mod capture;
mod flood;
mod load;
mod models;
mod payments;
mod pgbench;
mod plans;
mod replay;
mod report;
mod scene;
mod script;
mod seed;
mod stripe;
mod tokens;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use load::{Measured, closed_loop};
use payments::Payments;
use posx_stage::Outcome;
use report::Row;
use scene::Scene;

/// Connections of the placing scenarios; the last is the one that has to reach its ratio.
const CONNECTIONS: [usize; 3] = [1, 8, 32];
const SPREAD_REACH: f64 = 0.5;
const HOT_REACH: f64 = 0.8;
const LIST_P50_MS_MAX: f64 = 5.0;
const TOKENS_PER_S_MIN: f64 = 20_000.0;

#[tokio::main]
async fn main() -> ExitCode {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(10);
    match run(seconds).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the bench could not run: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                println!("  because {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(seconds: u64) -> Outcome<bool> {
    let target = target_dir();
    println!("PostgreSQL starts, with its default durability …");
    let scene = Scene::set(&target.join("release")).await?;
    println!(
        "the API answered {} ms after its start",
        scene.api.started_in.as_millis()
    );
    let tokens = tokens::measure(&scene.world, seconds).await?;
    let tokens_per_s = tokens.rate_per_s;
    let mut rows = vec![tokens];
    for (what, first, last, reach) in [
        ("1,000 tiers", 1, seed::TIERS, SPREAD_REACH),
        ("one hot tier", seed::HOT_TIER, seed::HOT_TIER, HOT_REACH),
    ] {
        for connections in CONNECTIONS {
            let name = format!("place an order, {what}, {connections} connections");
            println!("{name} …");
            let script = script::placing(
                seed::SITE,
                seed::BUYER,
                seed::TIER_PREFIX,
                seed::ASSET,
                first,
                last,
            );
            let limit = scene.pgbench(&script, connections, seconds).await?;
            let measured = place(&scene, connections, seconds, first, last).await;
            let reach = (connections == 32).then_some(reach);
            rows.push(Row::new(name, &measured, limit.rate_per_s, reach));
        }
    }
    println!("peak memory of the API: {}", scene.api.peak_memory());
    let placed_per_s: Vec<f64> = rows[1..].iter().map(|row| row.limit_per_s).collect();
    rows.extend(models::measure(&scene.world, &scene.app_url(), seconds).await?);
    let payments = Payments::prepare(&scene, seconds).await?;
    rows.extend(
        payments
            .measure(CONNECTIONS.into_iter().zip(placed_per_s))
            .await?,
    );
    println!("a million orders of a hundred sites are put in …");
    scene.psql(seed::orders()).await?;
    scene.psql(seed::viewer()).await?;
    rows.push(list(&scene, seconds).await?);
    rows.extend(agents::measure(&scene, seconds).await?);
    rows.extend(plans::measure(&scene, seconds).await?);
    let page = script::first_page(seed::LIST_SITE_PREFIX, seed::LIST_SITES);
    let p50_ms = scene.pgbench(&page, 1, seconds).await?.p50_ms;
    let kept = flood::measure(&scene, seconds).await?;
    println!("{}", report::table(&rows));
    let quick = p50_ms <= LIST_P50_MS_MAX;
    println!(
        "first page of a list on the million rows: {p50_ms:.2} ms p50 in the database (at most {LIST_P50_MS_MAX}): {}",
        said(quick)
    );
    let many = tokens_per_s >= TOKENS_PER_S_MIN;
    println!(
        "tokens verified by one core: {tokens_per_s:.0} per second (at least {TOKENS_PER_S_MIN}): {}",
        said(many)
    );
    println!("peak memory of the API: {}", scene.api.peak_memory());
    report::write_json(&rows, &target.join("bench.json"))?;
    scene.stop().await;
    Ok(quick && many && kept && rows.iter().all(Row::is_good))
}

const fn said(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

fn target_dir() -> PathBuf {
    // xtask/bench is two folders below the workspace's root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Each connection is a buyer of its own; each request has a key of its own.
async fn place(scene: &Scene, connections: usize, seconds: u64, first: u32, last: u32) -> Measured {
    let buyers = scene.clients(connections);
    let url = format!("{}/api/v1/orders", scene.api.base_url);
    closed_loop(
        connections,
        Duration::from_secs(seconds),
        move |connection, number| {
            let spread = u64::from(last - first) + 1;
            // Coprime with a thousand, so that the connections walk through all tiers and not behind each other.
            let tier = u64::from(first) + (number * 7 + u64::try_from(connection).unwrap_or(0) * 31) % spread;
            let body = format!(
                r#"{{"lines":[{{"tier_id":"{}","quantity":1}}],"wallet_address":"{}"}}"#,
                seed::tier_id(tier),
                seed::WALLET
            );
            let request = buyers[connection]
                .post(&url)
                .header("Idempotency-Key", scene::fresh_key())
                .body(body);
            async move {
                match request.send().await {
                    Ok(answer) => answer.status().as_u16() == 201 && answer.bytes().await.is_ok(),
                    Err(_) => false,
                }
            }
        },
    )
    .await
}

/// One viewer, who is a member of each of the hundred sites.
async fn list(scene: &Scene, seconds: u64) -> Outcome<Row> {
    let connections = 8;
    println!("list a site's orders, {connections} connections …");
    let script = script::first_page(seed::LIST_SITE_PREFIX, seed::LIST_SITES);
    let limit = scene.pgbench(&script, connections, seconds).await?;
    let staff = scene.staff(connections);
    let url = format!("{}/api/v1/orders?all=true", scene.api.base_url);
    let measured = closed_loop(
        connections,
        Duration::from_secs(seconds),
        move |connection, number| {
            let site = number % u64::from(seed::LIST_SITES) + 1;
            let request = staff[connection]
                .get(&url)
                .header("X-Site-Code", format!("LIST{site}"));
            async move {
                match request.send().await {
                    Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
                    Err(_) => false,
                }
            }
        },
    )
    .await;
    Ok(Row::new(
        "list a site's orders, first page of 1,000,000 rows, 8 connections",
        &measured,
        limit.rate_per_s,
        None,
    ))
}
