use async_trait::async_trait;
use chrono::DateTime;
use posx_assistant::Micros;
use posx_kernel::SiteId;
use redis::{Script, ScriptInvocation};

use super::{LocalRefusals, REFUSAL_AGE_MAX, Refusals, Remembered, Seen};
use crate::RedisAddressError;
use crate::limiter::keyed;
use crate::link::{Link, Words};

const GENERATION_KEPT_S: u32 = 3_600;

/// Remembers on a Redis that all processes share; while it is away, in this process.
pub struct RedisRefusals {
    link: Link,
    look: Script,
    remember: Script,
    forget: Script,
    local: LocalRefusals,
}

impl std::fmt::Debug for RedisRefusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisRefusals")
            .field("healthy", &self.link.is_healthy())
            .finish_non_exhaustive()
    }
}

impl RedisRefusals {
    /// Connects with the first call: a start does not depend on Redis. Needs a running tokio.
    pub fn new(url: &str) -> Result<Self, RedisAddressError> {
        let words = Words {
            away: "Redis is away: refusals of models' budgets are remembered in this process",
            back: "Redis is back: refusals of models' budgets are shared again",
            faults: "posx_model_refusals_faults_total",
        };
        Ok(Self {
            link: Link::new(url, words)?,
            look: Script::new(include_str!("look.lua")),
            remember: Script::new(include_str!("remember.lua")),
            forget: Script::new(include_str!("forget.lua")),
            local: LocalRefusals::default(),
        })
    }
}

fn of_site(script: &Script, site: SiteId) -> ScriptInvocation<'_> {
    let keys = ["refused", "generation"].map(|what| format!("posx:quota:{{{site}}}:{what}"));
    keyed(script, keys.into_iter())
}

/// Tells a generation of Redis from one of this process.
const SHARED: &str = "r";

#[async_trait]
impl Refusals for RedisRefusals {
    async fn look(&self, site: SiteId, budgets: &[String], worst_case: Micros) -> Seen {
        let mut call = of_site(&self.look, site);
        call.arg(worst_case.get()).arg(budgets);
        let mut connection = self.link.connection();
        let answer = call.invoke_async::<(usize, u64, i64, String)>(&mut connection);
        match self.link.ask(answer).await {
            Some((0, _, _, generation)) => Seen::Nothing(Some(format!("{SHARED}{generation}"))),
            Some((at, left, resets_at_ms, _)) => {
                let resets_at = DateTime::from_timestamp_millis(resets_at_ms);
                match (Micros::new(left), resets_at) {
                    (Some(left), Some(resets_at)) => Seen::Refused(Remembered {
                        at: at - 1,
                        left,
                        resets_at,
                    }),
                    _ => Seen::Nothing(None),
                }
            }
            None => self.local.look(site, budgets, worst_case).await,
        }
    }

    async fn remember(&self, site: SiteId, budget: &str, refused: &Remembered, generation: &str) {
        let Some(generation) = generation.strip_prefix(SHARED) else {
            return self.local.remember(site, budget, refused, generation).await;
        };
        let mut call = of_site(&self.remember, site);
        call.arg(budget)
            .arg(refused.left.get())
            .arg(refused.resets_at.timestamp_millis())
            .arg(generation)
            .arg(u64::try_from(REFUSAL_AGE_MAX.as_millis()).unwrap_or(u64::MAX));
        let mut connection = self.link.connection();
        // What is not remembered is asked for again.
        self.link.ask(call.invoke_async::<u8>(&mut connection)).await;
    }

    async fn forget(&self, site: SiteId) {
        self.local.forget(site).await;
        let mut call = of_site(&self.forget, site);
        call.arg(GENERATION_KEPT_S);
        let mut connection = self.link.connection();
        // On a Redis that is away, what it remembers dies of age.
        self.link.ask(call.invoke_async::<u8>(&mut connection)).await;
    }
}
