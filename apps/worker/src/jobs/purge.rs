use async_trait::async_trait;
use chrono::TimeDelta;
use posx_runtime::Services;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// A client that repeats a request does so within minutes; two days leave room for a weekend's outage of its own.
const IDEMPOTENCY_KEPT: TimeDelta = TimeDelta::hours(48);
/// Of nonces, after their time: nobody can use them, and a person may want to see them for a while.
const CHALLENGES_KEPT: TimeDelta = TimeDelta::days(7);
/// Of done and ignored events; dead ones stay until somebody has dealt with them.
const WEBHOOKS_KEPT: TimeDelta = TimeDelta::days(30);
/// Of sessions that are over and of spent refresh tokens: no cookie lives longer, so that one that is used again is noticed.
const SESSIONS_KEPT: TimeDelta = TimeDelta::days(30);
/// Of e-mail addresses, after their invitation was accepted, revoked or over.
const INVITATION_ADDRESSES_KEPT: TimeDelta = TimeDelta::days(30);
/// Of the usage log of language models: a year, and the month to compare it with.
const MODEL_CALLS_KEPT: TimeDelta = TimeDelta::days(400);
/// Of 10,000 rows each; what is left goes the next day.
const ROUNDS_MAX: usize = 100;

/// By the clock: a site's old idempotency keys, nonces, addresses, talks and calls of models go.
#[derive(Debug, Deserialize)]
pub(crate) struct Purge {}

#[async_trait]
impl Task for Purge {
    const NAME: &'static str = "purge";
    const LANE: Lane = Lane::Sweeps;
    const SUSPENDED_TOO: bool = true;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let (now, database, scope) = (work.services.clock.now(), &work.services.database, work.scope()?);
        let addresses = database
            .purge_invitation_addresses(scope, now - INVITATION_ADDRESSES_KEPT)
            .await?;
        if addresses > 0 {
            tracing::info!(addresses, "addresses of old invitations deleted");
        }
        purge_conversations(work).await?;
        purge_model_calls(work).await?;
        for _ in 0..ROUNDS_MAX {
            let gone = database
                .purge_idempotency_keys(scope, now - IDEMPOTENCY_KEPT)
                .await?;
            let nonces = database
                .purge_wallet_challenges(scope, now - CHALLENGES_KEPT)
                .await?;
            if gone == 0 && nonces == 0 {
                return Ok(());
            }
            tracing::info!(gone, nonces, "old idempotency keys and nonces deleted");
        }
        Ok(())
    }
}

/// What was said to the assistant, after the time that the site keeps it.
async fn purge_conversations(work: &Work<'_>) -> Result<(), JobError> {
    let (services, scope) = (work.services, work.scope()?);
    let retention = services.conversation_queries.retention(scope).await?;
    let said_before = retention.cutoff(services.clock.now());
    for _ in 0..ROUNDS_MAX {
        let gone = services.database.purge_conversations(scope, said_before).await?;
        if gone == 0 {
            return Ok(());
        }
        tracing::info!(gone, "old talks with the assistant deleted");
    }
    Ok(())
}

async fn purge_model_calls(work: &Work<'_>) -> Result<(), JobError> {
    let (services, scope) = (work.services, work.scope()?);
    let before = (services.clock.now() - MODEL_CALLS_KEPT).date_naive();
    for _ in 0..ROUNDS_MAX {
        let gone = services.database.purge_model_calls(scope, before).await?;
        if gone == 0 {
            return Ok(());
        }
        tracing::info!(gone, "old calls of models deleted");
    }
    Ok(())
}

pub(super) async fn purge_webhooks(services: &Services) -> Result<(), JobError> {
    let before = services.clock.now() - WEBHOOKS_KEPT;
    for _ in 0..ROUNDS_MAX {
        let gone = services.jobs_database.purge_webhooks(before).await?;
        if gone == 0 {
            return Ok(());
        }
        tracing::info!(gone, "old webhook events deleted");
    }
    Ok(())
}

pub(super) async fn purge_sessions(services: &Services) -> Result<(), JobError> {
    let before = services.clock.now() - SESSIONS_KEPT;
    for _ in 0..ROUNDS_MAX {
        let gone = services.jobs_database.purge_sessions(before).await?;
        if gone == 0 {
            return Ok(());
        }
        tracing::info!(gone, "old sessions and refresh tokens deleted");
    }
    Ok(())
}
