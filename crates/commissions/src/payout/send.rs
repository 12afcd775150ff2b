//! Sending by the provider, once: whatever is lost on the way, and wherever the process dies.

use chrono::TimeDelta;
use posx_kernel::{PayoutId, SiteScope, Timestamp, retry_busy};

use super::gateway::{PayoutGatewayError, SendPayout, Transfer};
use super::service::{roll_up_in_tx, save_in_tx};
use crate::{
    AccountMethod, Payout, PayoutAccount, PayoutError, PayoutMethod, PayoutState, Payouts, PayoutsTx,
};

/// After so long no request of ours is under way any more: what the provider does not know was not sent.
const UNDER_WAY_MAX: TimeDelta = TimeDelta::hours(1);

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Done,
    /// Certainly not sent; why.
    Failed(String),
    /// It is not the provider's to send, or not now.
    NothingToDo,
}

/// A try that is committed as begun.
struct Try {
    payout: Payout,
    /// The account with its provider's id; or why nothing goes there any more. Something may have gone there before, so the
    /// provider is asked all the same.
    account: Result<(PayoutAccount, String), &'static str>,
    /// It was begun by an earlier run, and nobody knows how far that came.
    resumed: bool,
}

impl Payouts {
    /// The body of the job. The try is committed as begun before the provider is called; before anything is sent, the
    /// provider is asked whether it has a transfer for this payout, of whichever try. [`PayoutError::Unsettled`] while nobody
    /// knows: the job is tried again.
    pub async fn send(&self, scope: &SiteScope, id: PayoutId) -> Result<Sent, PayoutError> {
        let Some(begun) = retry_busy(|| self.begin_try(scope, id)).await? else {
            return Ok(Sent::NothingToDo);
        };
        let found = self
            .gateway
            .find(scope.site(), id)
            .await
            .map_err(|error| unsettled(&error))?;
        let outcome = match found {
            Some(transfer) => Ok(transfer),
            None => self.transfer(scope, &begun).await?,
        };
        retry_busy(|| self.finish_try(scope, id, begun.payout.tries, &outcome)).await
    }

    /// Asks about payouts that have been under way without a word for so long. Returns how many.
    pub async fn reconcile(
        &self,
        scope: &SiteScope,
        untouched_since: Timestamp,
        limit: u16,
    ) -> Result<usize, PayoutError> {
        let mut tx = self.begin(scope).await?;
        let stuck = tx.payouts().stuck(untouched_since, limit).await?;
        drop(tx);
        for id in &stuck {
            match self.send(scope, *id).await {
                Ok(sent) => tracing::info!(payout = %id, ?sent, "a payout without an answer was looked up"),
                // The others are not kept waiting by one.
                Err(error) => tracing::warn!(payout = %id, %error, "a payout is still without an answer"),
            }
        }
        Ok(stuck.len())
    }

    async fn begin_try(&self, scope: &SiteScope, id: PayoutId) -> Result<Option<Try>, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let mut payout = tx.payouts().for_update(id).await?.ok_or(PayoutError::NotFound)?;
        let resumed = payout.state == PayoutState::Sending;
        if payout.method != PayoutMethod::Connect || !(resumed || payout.state == PayoutState::Approved) {
            return Ok(None);
        }
        let account = account_in_tx(tx.as_mut(), &payout, now).await?;
        if resumed {
            // So that the next look-up meets others first.
            payout.updated_at = now;
            tx.payouts().save(&payout).await?;
            tx.commit().await?;
        } else {
            payout.begin(now)?;
            save_in_tx(tx.as_mut(), &payout, "payout.sending", now).await?;
            roll_up_in_tx(tx.as_mut(), &payout, now).await?;
            tx.commit().await?;
        }
        Ok(Some(Try {
            payout,
            account,
            resumed,
        }))
    }

    /// Nothing is there yet. `Err` inside: it was certainly not sent, and why.
    async fn transfer(
        &self,
        scope: &SiteScope,
        begun: &Try,
    ) -> Result<Result<Transfer, String>, PayoutError> {
        let (payout, site) = (&begun.payout, scope.site());
        let ready = match &begun.account {
            Ok((account, id)) => match self.ask_standing(scope, account, id).await {
                Ok((_, standing)) => standing.refusal().map_or(Ok(id), Err),
                Err(PayoutError::Store(error)) => return Err(error.into()),
                Err(unknown) => {
                    tracing::warn!(payout = %payout.id, error = %unknown, "no word on an account");
                    return Err(PayoutError::Unsettled);
                }
            },
            Err(why) => Err(*why),
        };
        let account = match ready {
            Ok(account) => account,
            Err(why) => {
                let since = payout.begun_at.unwrap_or(payout.updated_at);
                // A request of an earlier run may still arrive at the provider.
                if begun.resumed && self.clock.now() - since < UNDER_WAY_MAX {
                    return Err(PayoutError::Unsettled);
                }
                return Ok(Err(why.to_owned()));
            }
        };
        let request = SendPayout {
            site,
            payout: payout.id,
            attempt: payout.tries,
            account: account.clone(),
            amount: payout.amount,
        };
        match self.gateway.send(&request).await {
            Ok(transfer) => Ok(Ok(transfer)),
            Err(PayoutGatewayError::Refused { code }) => Ok(Err(code)),
            Err(unknown) => Err(unsettled(&unknown)),
        }
    }

    async fn finish_try(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        attempt: i32,
        outcome: &Result<Transfer, String>,
    ) -> Result<Sent, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let mut payout = tx.payouts().for_update(id).await?.ok_or(PayoutError::NotFound)?;
        if payout.state != PayoutState::Sending || payout.tries != attempt {
            // Another run was faster.
            return Ok(Sent::NothingToDo);
        }
        let sent = match outcome {
            Ok(transfer) => {
                if transfer.amount != payout.amount {
                    tracing::error!(payout = %id, transfer = transfer.reference, "a transfer of another amount: a person must look");
                    return Err(PayoutError::TransferMismatch);
                }
                tx.payouts().claim_transfer(&transfer.reference).await?;
                payout.paid(transfer.reference.clone(), now)?;
                self.paid_in_tx(tx.as_mut(), &payout, now).await?;
                self.came_back_in_tx(tx.as_mut(), &mut payout, transfer.reversed, now)
                    .await?;
                Sent::Done
            }
            Err(why) => {
                payout.fail(why.clone(), now)?;
                save_in_tx(tx.as_mut(), &payout, "payout.failed", now).await?;
                Sent::Failed(why.clone())
            }
        };
        roll_up_in_tx(tx.as_mut(), &payout, now).await?;
        tx.commit().await?;
        Ok(sent)
    }

    /// Stores and books one that is paid now.
    pub(super) async fn paid_in_tx(
        &self,
        tx: &mut dyn PayoutsTx,
        payout: &Payout,
        now: Timestamp,
    ) -> Result<(), PayoutError> {
        save_in_tx(tx, payout, "payout.done", now).await?;
        let entry = payout.paid_entry(self.entry_id(now), now);
        tx.ledger().post(&entry).await?;
        if let Some(settlement) = payout.settlement {
            let (agent, currency) = (payout.agent, payout.amount.currency());
            tx.settlements()
                .mark_paid(settlement, agent, currency, now)
                .await?;
        }
        Ok(())
    }
}

/// The account that the payout was approved for with the provider's id of it, or why nothing goes there.
async fn account_in_tx(
    tx: &mut dyn PayoutsTx,
    payout: &Payout,
    now: Timestamp,
) -> Result<Result<(PayoutAccount, String), &'static str>, PayoutError> {
    let latest = tx.accounts().latest(payout.agent, AccountMethod::Connect).await?;
    let found = match latest {
        Some(account) if Some(account.version) != payout.account_version => {
            return Ok(Err("account_changed"));
        }
        Some(account) if account.usable(now).is_ok() => {
            let id = account.connect_account.clone();
            id.map(|id| (account, id))
        }
        _ => None,
    };
    Ok(found.ok_or("account_missing"))
}

fn unsettled(error: &PayoutGatewayError) -> PayoutError {
    tracing::warn!(%error, source = ?std::error::Error::source(error).map(ToString::to_string), "no word on a payout");
    PayoutError::Unsettled
}
