//! The end of a call in the books of its budgets.

use std::time::Duration;

use posx_kernel::{ModelCallId, Refusal as _, SiteScope};

use super::GatewayParts;
use crate::Spent;

/// With these pauses before, about four minutes: longer than a failover of the database takes. After that the reservation expires,
/// and the call counts as lost.
const PAUSES_S: [u64; 5] = [1, 5, 20, 60, 150];

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
        let (outcome, at) = (spent.outcome, spent.ended_at);
        parts.quota.release(scope, call, outcome, at).await
    };
    settled.map_err(|error| {
        tracing::warn!(site = %scope.site(), %call, code = error.code(), "a call of a model is not settled yet");
        ending
    })
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
