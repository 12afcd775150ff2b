use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError};
use tokio::time::Instant;

use crate::RedisAddressError;

/// What Redis is asked must not cost more than what it guards: no call waits longer, connecting included.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// After a fault Redis is left alone for this long, and then asked by one call only until it answers.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// What is said, and counted, when Redis goes and comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) away: &'static str,
    pub(crate) back: &'static str,
    pub(crate) faults: &'static str,
}

/// A connection that gives up quickly, and leaves a Redis alone that is away.
pub(crate) struct Link {
    connection: ConnectionManager,
    began: Instant,
    healthy: AtomicBool,
    /// Milliseconds since `began`, while Redis is away.
    next_try_ms: AtomicU64,
    words: Words,
}

impl Link {
    /// Connects with the first call. Needs a running tokio.
    pub(crate) fn new(url: &str, words: Words) -> Result<Self, RedisAddressError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let connection = Client::open(url)
            .and_then(|client| ConnectionManager::new_lazy_with_config(client, config))
            .map_err(RedisAddressError)?;
        Ok(Self {
            connection,
            began: Instant::now(),
            healthy: AtomicBool::new(true),
            next_try_ms: AtomicU64::new(0),
            words,
        })
    }

    pub(crate) fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    /// Whether the last word from Redis was an answer.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// For readiness: asks now.
    pub(crate) async fn ping(&self) -> bool {
        let mut connection = self.connection();
        let ping = redis::cmd("PING");
        self.within(CONNECT_WITHIN, ping.query_async::<String>(&mut connection))
            .await
            .is_some()
    }

    /// `None`: Redis is away.
    pub(crate) async fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, RedisError>> + Send,
    ) -> Option<T> {
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
                    tracing::info!("{}", self.words.back);
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
        metrics::counter!(self.words.faults).increment(1);
        self.next_try_ms
            .store(self.now_ms() + cool_down_ms(), Ordering::Relaxed);
        if self.healthy.swap(false, Ordering::Relaxed) {
            tracing::warn!(%error, "{}", self.words.away);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn cool_down_ms() -> u64 {
    u64::try_from(COOL_DOWN.as_millis()).unwrap_or(u64::MAX)
}
