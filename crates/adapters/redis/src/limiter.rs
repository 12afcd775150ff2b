use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use posx_tenancy::{Bucket, Failures, Penalty, RateLimiter, RateVerdict};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError, Script, ScriptInvocation};
use tokio::time::Instant;

use crate::LocalLimiter;

/// A limit must not cost more than the request it guards: no call waits longer, connecting included.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// After a fault Redis is left alone for this long, and then asked by one call only until it answers.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// The address of Redis cannot be used. Does not repeat it: it may carry a password.
#[derive(Debug, thiserror::Error)]
#[error("redis.url is not an address of Redis")]
pub struct RedisAddressError(#[source] RedisError);

/// Counts on a Redis that all processes share: one server or a primary with replicas, not a cluster, whose nodes hold
/// different keys of one call. On any fault it counts in the process.
pub struct RedisLimiter {
    connection: ConnectionManager,
    gcra: Script,
    fail: Script,
    failures: Script,
    local: LocalLimiter,
    began: Instant,
    healthy: AtomicBool,
    /// Milliseconds since `began`, while Redis is away.
    next_try_ms: AtomicU64,
}

impl std::fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisLimiter")
            .field("healthy", &self.is_healthy())
            .finish_non_exhaustive()
    }
}

impl RedisLimiter {
    /// Connects with the first call: a start does not depend on Redis. Needs a running tokio.
    pub fn new(url: &str) -> Result<Self, RedisAddressError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let connection = Client::open(url)
            .and_then(|client| ConnectionManager::new_lazy_with_config(client, config))
            .map_err(RedisAddressError)?;
        Ok(Self {
            connection,
            gcra: Script::new(include_str!("gcra.lua")),
            fail: Script::new(include_str!("fail.lua")),
            failures: Script::new(include_str!("failures.lua")),
            local: LocalLimiter::default(),
            began: Instant::now(),
            healthy: AtomicBool::new(true),
            next_try_ms: AtomicU64::new(0),
        })
    }

    /// Whether the last word from Redis was an answer.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// For readiness: asks now.
    pub async fn ping(&self) -> bool {
        let mut connection = self.connection.clone();
        let ping = redis::cmd("PING");
        self.within(CONNECT_WITHIN, ping.query_async::<String>(&mut connection))
            .await
            .is_some()
    }

    /// `None`: Redis is away, and the process counts.
    async fn ask<T>(&self, asked: impl Future<Output = Result<T, RedisError>> + Send) -> Option<T> {
        if self.is_turn() {
            self.within(ANSWER_WITHIN, asked).await
        } else {
            None
        }
    }

    /// While Redis is away, one call in each [`COOL_DOWN`] tries: the others do not wait for what is known to be away.
    fn is_turn(&self) -> bool {
        if self.is_healthy() {
            return true;
        }
        let (now, due) = (self.now_ms(), self.next_try_ms.load(Ordering::Relaxed));
        now >= due
            && self
                .next_try_ms
                .compare_exchange(due, now + cool_down_ms(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    async fn within<T>(
        &self,
        limit: Duration,
        asked: impl Future<Output = Result<T, RedisError>> + Send,
    ) -> Option<T> {
        let late = || RedisError::from((ErrorKind::Io, "no answer in time"));
        match tokio::time::timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(late()))
        {
            Ok(answer) => {
                if !self.healthy.swap(true, Ordering::Relaxed) {
                    tracing::info!("Redis is back: limits are shared again");
                }
                Some(answer)
            }
            Err(error) => {
                self.fault(&error);
                None
            }
        }
    }

    fn fault(&self, error: &RedisError) {
        metrics::counter!("posx_limiter_faults_total").increment(1);
        self.next_try_ms
            .store(self.now_ms() + cool_down_ms(), Ordering::Relaxed);
        if self.healthy.swap(false, Ordering::Relaxed) {
            tracing::warn!(%error, "Redis is away: limits are counted in this process");
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn cool_down_ms() -> u64 {
    u64::try_from(COOL_DOWN.as_millis()).unwrap_or(u64::MAX)
}

fn keyed(script: &Script, keys: impl Iterator<Item = String>) -> ScriptInvocation<'_> {
    let mut invocation = script.prepare_invoke();
    for key in keys {
        invocation.key(key);
    }
    invocation
}

fn failures_key(key: &str) -> String {
    format!("posx:failures:{key}")
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn check(&self, buckets: &[Bucket]) -> RateVerdict {
        let keys = buckets.iter().map(|bucket| format!("posx:limit:{}", bucket.id()));
        let mut call = keyed(&self.gcra, keys);
        for bucket in buckets {
            call.arg(bucket.interval_us()).arg(bucket.burst);
        }
        let mut connection = self.connection.clone();
        match self
            .ask(call.invoke_async::<(u8, usize, u32)>(&mut connection))
            .await
        {
            Some((1, bucket, remaining)) => RateVerdict::Allowed { bucket, remaining },
            Some((_, bucket, retry_after_s)) => RateVerdict::Refused {
                bucket,
                retry_after_s,
            },
            None => self.local.check(buckets).await,
        }
    }

    async fn failures(&self, keys: &[&str]) -> Vec<Failures> {
        let call = keyed(&self.failures, keys.iter().map(|key| failures_key(key)));
        let mut connection = self.connection.clone();
        match self
            .ask(call.invoke_async::<Vec<(u32, u32)>>(&mut connection))
            .await
        {
            Some(rows) => rows
                .into_iter()
                .map(|(count, wait_s)| Failures { count, wait_s })
                .collect(),
            None => self.local.failures(keys).await,
        }
    }

    async fn fail(&self, penalties: &[Penalty]) {
        let mut call = keyed(&self.fail, penalties.iter().map(|of| failures_key(&of.key)));
        for penalty in penalties {
            call.arg(penalty.free)
                .arg(penalty.wait_s_max)
                .arg(penalty.forget_after_s);
        }
        let mut connection = self.connection.clone();
        if self.ask(call.invoke_async::<()>(&mut connection)).await.is_none() {
            self.local.fail(penalties).await;
        }
    }

    async fn forget(&self, key: &str) {
        self.local.forget(key).await;
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(failures_key(key));
        let mut connection = self.connection.clone();
        // What stays on a Redis that is away is forgotten with time.
        self.ask(unlink.query_async::<()>(&mut connection)).await;
    }
}

#[cfg(test)]
mod tests;
