use async_trait::async_trait;
use posx_tenancy::{Bucket, Failures, Penalty, RateLimiter, RateVerdict};
use redis::{RedisError, Script, ScriptInvocation};

use crate::LocalLimiter;
use crate::link::{Link, Words};

/// The address of Redis cannot be used. Does not repeat it: it may carry a password.
#[derive(Debug, thiserror::Error)]
#[error("redis.url is not an address of Redis")]
pub struct RedisAddressError(#[source] pub(crate) RedisError);

/// Counts on a Redis that all processes share: one server or a primary with replicas, not a cluster, whose nodes hold
/// different keys of one call. On any fault it counts in the process.
pub struct RedisLimiter {
    link: Link,
    gcra: Script,
    fail: Script,
    failures: Script,
    local: LocalLimiter,
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
        let words = Words {
            away: "Redis is away: limits are counted in this process",
            back: "Redis is back: limits are shared again",
            faults: "posx_limiter_faults_total",
        };
        Ok(Self {
            link: Link::new(url, words)?,
            gcra: Script::new(include_str!("gcra.lua")),
            fail: Script::new(include_str!("fail.lua")),
            failures: Script::new(include_str!("failures.lua")),
            local: LocalLimiter::default(),
        })
    }

    /// Whether the last word from Redis was an answer.
    pub fn is_healthy(&self) -> bool {
        self.link.is_healthy()
    }

    /// For readiness: asks now.
    pub async fn ping(&self) -> bool {
        self.link.ping().await
    }
}

pub(crate) fn keyed(script: &Script, keys: impl Iterator<Item = String>) -> ScriptInvocation<'_> {
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
        let mut connection = self.link.connection();
        match self
            .link
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
        let mut connection = self.link.connection();
        match self
            .link
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
        let mut connection = self.link.connection();
        if self
            .link
            .ask(call.invoke_async::<()>(&mut connection))
            .await
            .is_none()
        {
            self.local.fail(penalties).await;
        }
    }

    async fn forget(&self, key: &str) {
        self.local.forget(key).await;
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(failures_key(key));
        let mut connection = self.link.connection();
        // What stays on a Redis that is away is forgotten with time.
        self.link.ask(unlink.query_async::<()>(&mut connection)).await;
    }
}

#[cfg(test)]
mod tests;
