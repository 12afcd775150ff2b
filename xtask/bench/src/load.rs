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
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub failed: u64,
}

pub const WARM_UP: Duration = Duration::from_secs(2);
/// Nothing that is measured takes longer: whoever asks gives up before.
const TIME_US_MAX: u64 = 60_000_000;

impl Measured {
    fn of(times: &Histogram<u64>, lasting: Duration, failed: u64) -> Self {
        Self {
            rate_per_s: as_f64(times.len()) / lasting.as_secs_f64(),
            p50_ms: as_f64(times.value_at_quantile(0.5)) / 1000.0,
            p95_ms: as_f64(times.value_at_quantile(0.95)) / 1000.0,
            p99_ms: as_f64(times.value_at_quantile(0.99)) / 1000.0,
            failed,
        }
    }
}

fn no_times() -> Histogram<u64> {
    Histogram::new_with_max(TIME_US_MAX, 3).expect("three digits are allowed")
}

/// Sends `request(connection, number)` over and over on `connections` connections for `lasting`, after a warm-up that is
/// not counted. A request that returns `false` has failed: it counts as that, also in the warm-up, and never in the rate.
pub async fn closed_loop<F, Fut>(connections: usize, lasting: Duration, request: F) -> Measured
where
    F: Fn(usize, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = bool> + Send,
{
    paced_loop(connections, Duration::ZERO, lasting, request).await
}

/// As [`closed_loop`], with no more than one request in `every` on each connection.
pub async fn paced_loop<F, Fut>(
    connections: usize,
    every: Duration,
    lasting: Duration,
    request: F,
) -> Measured
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
                let mut times = no_times();
                for number in 0.. {
                    let sent = Instant::now();
                    if sent >= end {
                        break;
                    }
                    if !request(connection, number).await {
                        failed.fetch_add(1, Ordering::Relaxed);
                    } else if sent >= begin {
                        times
                            .saturating_record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
                    }
                    if let Some(rest) = every.checked_sub(sent.elapsed()).filter(|rest| !rest.is_zero()) {
                        tokio::time::sleep(rest).await;
                    }
                }
                times
            })
        })
        .collect();
    let mut times = no_times();
    for worker in workers {
        match worker.await {
            Ok(part) => times.add(part).expect("the histograms are alike"),
            // It panicked, and what it had measured is gone.
            Err(_) => {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Measured::of(&times, lasting, failed.load(Ordering::Relaxed))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and microseconds of one run are far below 2^52"
)]
fn as_f64(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_times() {
        let mut times = no_times();
        for ms in 1..=1000 {
            times.saturating_record(ms * 1000);
        }
        let measured = Measured::of(&times, Duration::from_secs(10), 0);
        assert!((measured.p50_ms - 500.0).abs() <= 1.0, "{measured:?}");
        assert!((measured.p99_ms - 990.0).abs() <= 1.0, "{measured:?}");
        assert!((measured.rate_per_s - 100.0).abs() < 1e-9, "{measured:?}");
    }

    #[test]
    fn a_long_time_is_not_cut_short() {
        let mut times = no_times();
        times.saturating_record(29_000_000);
        let measured = Measured::of(&times, Duration::from_secs(1), 0);
        assert!((measured.p99_ms - 29_000.0).abs() <= 29.0, "{measured:?}");
    }

    #[tokio::test]
    async fn a_failed_request_and_a_panic_are_counted_and_not_measured() {
        let measured = closed_loop(2, Duration::from_millis(50), |connection, _| async move {
            assert!(connection == 0, "the second connection breaks");
            tokio::time::sleep(Duration::from_millis(10)).await;
            false
        })
        .await;
        assert!(measured.failed > 1, "{measured:?}");
        assert!(measured.rate_per_s < f64::EPSILON, "{measured:?}");
    }
}
