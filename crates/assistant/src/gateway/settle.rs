//! The end of a call in the books of its budgets.

use std::time::Duration;

use posx_kernel::{ModelCallId, Refusal as _, SiteScope};

use super::GatewayParts;
use crate::Spent;

/// With these pauses before, about four minutes: longer than a failover of the database takes. After that the reservation expires,
/// and the call counts as lost.
const PAUSES_S: [u64; 5] = [1, 5, 20, 60, 150];
/// At most: it is waited for a connection and for the statement.
pub(super) const STORE_ANSWERS_WITHIN_S: u64 = 20;
/// From the end of a call to its last try.
pub(super) const SETTLED_WITHIN_S: u64 = settled_within_s();

const fn settled_within_s() -> u64 {
    let mut within = STORE_ANSWERS_WITHIN_S;
    let mut at = 0;
    while at < PAUSES_S.len() {
        within += PAUSES_S[at] + STORE_ANSWERS_WITHIN_S;
        at += 1;
    }
    within
}

pub(super) struct Ending {
    /// False: it certainly cost nothing.
    pub(super) costs: bool,
    pub(super) spent: Spent,
}

/// Before who asked hears of the end. `Err`: the store is away, and nobody is to wait for it.
pub(super) async fn settle_once(
    parts: &GatewayParts,
    scope: &SiteScope,
    call: ModelCallId,
    ending: Ending,
) -> Result<(), Ending> {
    let spent = &ending.spent;
    let settled = if ending.costs {
        parts.quota.settle(scope, call, spent).await
    } else {
        parts.quota.release(scope, call, spent).await
    };
    match settled {
        Ok(()) => {
            count(spent);
            Ok(())
        }
        Err(error) => {
            tracing::warn!(site = %scope.site(), %call, code = error.code(), "a call of a model is not settled yet");
            Err(ending)
        }
    }
}

fn count(spent: &Spent) {
    let provider = spent.provider.clone();
    let took = f64::from(spent.latency_ms) / 1000.0;
    metrics::histogram!("posx_model_call_duration_seconds", "provider" => provider.clone()).record(took);
    metrics::counter!("posx_model_calls_total", "provider" => provider, "outcome" => spent.outcome)
        .increment(1);
}

pub(super) async fn settle_later(
    parts: &GatewayParts,
    scope: &SiteScope,
    call: ModelCallId,
    mut ending: Ending,
) {
    for pause in PAUSES_S {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        match settle_once(parts, scope, call, ending).await {
            Ok(()) => return,
            Err(still) => ending = still,
        }
    }
    let cost = ending.spent.cost.get();
    tracing::error!(site = %scope.site(), %call, cost, "a call of a model could not be settled: its reservation expires");
}
