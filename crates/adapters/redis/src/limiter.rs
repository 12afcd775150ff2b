use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use posx_tenancy::{RateLimiter, RateVerdict};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::LocalLimiter;

/// A limit must not cost more than the request it guards.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// After a fault Redis is left alone for this long: no request waits for a server that is known to be away.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// The address of Redis cannot be used. Does not repeat it: it may carry a password.
#[derive(Debug, thiserror::Error)]
#[error("redis.url is not an address of Redis")]
pub struct RedisAddressError(#[source] RedisError);

/// Counts on a Redis that all processes share, with one call of a script. On any fault it counts in the process.
pub struct RedisLimiter {
    connection: ConnectionManager,
    script: Script,
    local: LocalLimiter,
    healthy: AtomicBool,
    away_until: Mutex<Option<Instant>>,
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
            script: Script::new(include_str!("gcra.lua")),
            local: LocalLimiter::default(),
            healthy: AtomicBool::new(true),
            away_until: Mutex::new(None),
        })
    }

    /// Whether the last word from Redis was an answer.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// For readiness: asks now.
    pub async fn ping(&self) -> bool {
        let mut connection = self.connection.clone();
        let answer: Result<String, RedisError> = redis::cmd("PING").query_async(&mut connection).await;
        self.healthy.store(answer.is_ok(), Ordering::Relaxed);
        answer.is_ok()
    }

    async fn ask(&self, class: &str, key: &str, per_minute: u32) -> Result<RateVerdict, RedisError> {
        let mut connection = self.connection.clone();
        let (allowed, number): (u8, u32) = self
            .script
            .key(format!("posx:limit:{class}:{per_minute}:{key}"))
            .arg(per_minute)
            .invoke_async(&mut connection)
            .await?;
        Ok(if allowed == 1 {
            RateVerdict::Allowed { remaining: number }
        } else {
            RateVerdict::Refused {
                retry_after_s: number,
            }
        })
    }

    async fn is_away(&self) -> bool {
        self.away_until
            .lock()
            .await
            .is_some_and(|until| Instant::now() < until)
    }

    async fn fault(&self, error: &RedisError) {
        metrics::counter!("posx_limiter_faults_total").increment(1);
        if self.healthy.swap(false, Ordering::Relaxed) {
            tracing::warn!(%error, "Redis is away: limits are counted in this process");
        }
        *self.away_until.lock().await = Some(Instant::now() + COOL_DOWN);
    }
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn check(&self, class: &'static str, key: &str, per_minute: u32) -> RateVerdict {
        if per_minute == 0 || self.is_away().await {
            return self.local.check(class, key, per_minute).await;
        }
        match self.ask(class, key, per_minute).await {
            Ok(verdict) => {
                if !self.healthy.swap(true, Ordering::Relaxed) {
                    tracing::info!("Redis is back: limits are shared again");
                }
                verdict
            }
            Err(error) => {
                self.fault(&error).await;
                self.local.check(class, key, per_minute).await
            }
        }
    }
}
