//! A closed-loop load: so many connections, each sending its next request when the last is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What a load came to.
#[derive(Debug, Clone)]
pub struct Measured {
    pub rate_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub failed: u64,
}

const WARM_UP: Duration = Duration::from_secs(2);

/// Sends `request(connection, number)` over and over on `connections` connections for `lasting`, after a warm-up that is
/// not counted. A request that returns `false` has failed.
pub async fn closed_loop<F, Fut>(connections: usize, lasting: Duration, request: F) -> Measured
where
    F: Fn(usize, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = bool> + Send,
{
    let request = Arc::new(request);
    let failed = Arc::new(AtomicU64::new(0));
    let begin = Instant::now() + WARM_UP;
    let end = begin + lasting;
    let workers: Vec<_> = (0..connections)
        .map(|connection| {
            let (request, failed) = (Arc::clone(&request), Arc::clone(&failed));
            tokio::spawn(async move {
                let mut times =
                    Histogram::<u64>::new_with_max(60_000_000, 3).expect("three digits are allowed");
                for number in 0.. {
                    let sent = Instant::now();
                    if sent >= end {
                        break;
                    }
                    let well = request(connection, number).await;
                    if sent >= begin {
                        times
                            .saturating_record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
                    }
                    if !well {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                times
            })
        })
        .collect();
    let mut times = Histogram::<u64>::new_with_max(60_000_000, 3).expect("three digits are allowed");
    for worker in workers {
        if let Ok(part) = worker.await {
            times.add(part).expect("the histograms are alike");
        }
    }
    Measured {
        rate_per_s: as_f64(times.len()) / lasting.as_secs_f64(),
        p50_ms: as_f64(times.value_at_quantile(0.5)) / 1000.0,
        p99_ms: as_f64(times.value_at_quantile(0.99)) / 1000.0,
        failed: failed.load(Ordering::Relaxed),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and microseconds of one run are far below 2^52"
)]
fn as_f64(n: u64) -> f64 {
    n as f64
}
