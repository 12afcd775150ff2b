//! One site floods, another goes on with its work: how long the other's answers take, alone, beside the flood under a
//! limit of each site, and beside the same flood without them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::load::{Measured, paced_loop};
use crate::scene::{PER_MINUTE, Scene};
use crate::{Outcome, said};

/// The quiet site's calls: 40 a second, within its limit.
const QUIET_CONNECTIONS: usize = 4;
const QUIET_EVERY: Duration = Duration::from_millis(100);
/// Of a site: 50 a second, far below what a machine can do, as an operator sets it who wants sites apart.
const SITE_PER_MINUTE: &str = "3000";
/// The flood: up to 800 a second, sixteen times that. What a machine cannot even refuse is no measure of the limits.
const FLOOD_CONNECTIONS: usize = 32;
const FLOOD_EVERY: Duration = Duration::from_millis(40);
/// As noise goes: what two runs of the same thing may differ by.
const RATIO_MAX: f64 = 1.5;

/// What came of the flood's own requests.
#[derive(Debug, Default)]
struct Flood {
    served: AtomicU64,
    refused: AtomicU64,
}

/// Whether the 95th percentile stayed as it was, while most of the flood was refused.
pub async fn measure(scene: &Scene, seconds: u64) -> Outcome<bool> {
    println!("one site's flood beside another's work …");
    let limited = scene
        .api_with("SERVER__RATE_LIMITS__SITE_PER_MINUTE", SITE_PER_MINUTE)
        .await?;
    let unlimited = scene
        .api_with("SERVER__RATE_LIMITS__SITE_PER_MINUTE", PER_MINUTE)
        .await?;
    let before = quiet(scene, &limited.base_url, seconds).await;
    let (beside, flood) = both(scene, &limited.base_url, seconds).await;
    let after = quiet(scene, &limited.base_url, seconds).await;
    let (without, unrefused) = both(scene, &unlimited.base_url, seconds).await;
    let alone_ms = before.p95_ms.max(after.p95_ms);
    let ratio = beside.p95_ms / alone_ms;
    let flooded = flood.refused.load(Ordering::Relaxed) > flood.served.load(Ordering::Relaxed);
    let kept = flooded && ratio <= RATIO_MAX && before.failed + after.failed + beside.failed == 0;
    println!(
        "another site's p95: {:.2} and {:.2} ms alone, {:.2} ms beside a flood ({}): ratio {ratio:.2} (at most {RATIO_MAX}): {}",
        before.p95_ms,
        after.p95_ms,
        beside.p95_ms,
        told(&flood),
        said(kept)
    );
    println!(
        "…and {:.2} ms beside the flood without limits of a site ({})",
        without.p95_ms,
        told(&unrefused)
    );
    Ok(kept)
}

async fn both(scene: &Scene, base_url: &str, seconds: u64) -> (Measured, Arc<Flood>) {
    let flood = Arc::new(Flood::default());
    let (flooding, work) = (
        pour(scene, base_url, seconds, flood.clone()),
        quiet(scene, base_url, seconds),
    );
    let ((), beside) = tokio::join!(flooding, work);
    (beside, flood)
}

fn told(flood: &Flood) -> String {
    let (served, refused) = (
        flood.served.load(Ordering::Relaxed),
        flood.refused.load(Ordering::Relaxed),
    );
    format!("{served} of its requests served, {refused} refused")
}

/// Somebody looks at the orders of the first list site.
async fn quiet(scene: &Scene, base_url: &str, seconds: u64) -> Measured {
    let staff = scene.staff(QUIET_CONNECTIONS);
    let url = format!("{base_url}/api/v1/orders?all=true");
    let lasting = Duration::from_secs(seconds);
    paced_loop(QUIET_CONNECTIONS, QUIET_EVERY, lasting, move |connection, _| {
        let request = staff[connection].get(&url).header("X-Site-Code", "LIST1");
        async move {
            match request.send().await {
                Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
                Err(_) => false,
            }
        }
    })
    .await
}

/// …and many at once at those of the second.
async fn pour(scene: &Scene, base_url: &str, seconds: u64, flood: Arc<Flood>) {
    let staff = scene.staff(FLOOD_CONNECTIONS);
    let url = format!("{base_url}/api/v1/orders?all=true");
    let lasting = Duration::from_secs(seconds);
    paced_loop(FLOOD_CONNECTIONS, FLOOD_EVERY, lasting, move |connection, _| {
        let request = staff[connection].get(&url).header("X-Site-Code", "LIST2");
        let flood = Arc::clone(&flood);
        async move {
            let Ok(answer) = request.send().await else {
                return false;
            };
            let counter = if answer.status().is_success() {
                &flood.served
            } else {
                &flood.refused
            };
            counter.fetch_add(1, Ordering::Relaxed);
            answer.bytes().await.is_ok()
        }
    })
    .await;
}
