//! Money that goes back to the agent's balance: it was not sent, or it came back.

use posx_kernel::{
    IdempotentCall, IdentityId, Money, PayoutId, SiteScope, Timestamp, made_before_in_tx, remember_in_tx,
    retry_busy,
};

use super::by_hand::reason;
use super::service::{roll_up_in_tx, save_in_tx};
use crate::{Payout, PayoutError, PayoutState, Payouts, PayoutsTx};

impl Payouts {
    /// What the provider tells about a transfer: the transfer itself is asked, so the order of its events is no matter. False:
    /// no payout of this site belongs to it.
    pub async fn transfer_changed(&self, scope: &SiteScope, reference: &str) -> Result<bool, PayoutError> {
        let mut tx = self.begin(scope).await?;
        let Some(id) = tx.payouts().of_transfer(reference).await? else {
            return Ok(false);
        };
        drop(tx);
        let transfer = self.gateway.transfer(scope.site(), reference).await?;
        let transfer = transfer.ok_or(PayoutError::Unsettled)?;
        retry_busy(|| self.came_back(scope, id, transfer.reversed)).await?;
        Ok(true)
    }

    async fn came_back(&self, scope: &SiteScope, id: PayoutId, reversed: Money) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let mut payout = tx.payouts().for_update(id).await?.ok_or(PayoutError::NotFound)?;
        if self
            .came_back_in_tx(tx.as_mut(), &mut payout, reversed, now)
            .await?
        {
            roll_up_in_tx(tx.as_mut(), &payout, now).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Stores and books what of a paid one came back in all. False: no more than before.
    pub(super) async fn came_back_in_tx(
        &self,
        tx: &mut dyn PayoutsTx,
        payout: &mut Payout,
        reversed: Money,
        now: Timestamp,
    ) -> Result<bool, PayoutError> {
        let Some(more) = payout.reverse(reversed, now)? else {
            return Ok(false);
        };
        save_in_tx(tx, payout, "payout.reversed", now).await?;
        let entry = payout.came_back(self.entry_id(now), more, now);
        tx.ledger().post(&entry).await?;
        Ok(true)
    }

    /// Gives up on one that is approved or has failed: its money is the agent's again. Where the provider sends, it is asked
    /// first, and has the last word.
    pub async fn give_back(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        why: &str,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let why = reason(why)?;
        let mut tx = self.begin(scope).await?;
        let payout = tx.payouts().find(id).await?.ok_or(PayoutError::NotFound)?;
        drop(tx);
        if self.was_sent(scope, &payout).await? {
            return Err(PayoutError::WasSent);
        }
        retry_busy(|| self.try_give_back(scope, &payout, &why, by, call)).await
    }

    async fn try_give_back(
        &self,
        scope: &SiteScope,
        seen: &Payout,
        why: &str,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let made = made_before_in_tx::<_, PayoutId, PayoutError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        let found = tx.payouts().for_update(seen.id).await?;
        let mut payout = found.ok_or(PayoutError::NotFound)?;
        // A try that began since the provider was asked may have sent it.
        if payout.tries != seen.tries {
            return Err(PayoutError::State(payout.state.as_str()));
        }
        let (next, event) = match payout.state {
            PayoutState::Approved => (PayoutState::Cancelled, "payout.cancelled"),
            _ => (PayoutState::Returned, "payout.returned"),
        };
        if payout.state == PayoutState::Done {
            return Err(PayoutError::State(payout.state.as_str()));
        }
        payout.become_(next, now)?;
        payout.reason = Some(why.to_owned());
        payout.decided_by = Some(by);
        self.given_back_in_tx(tx.as_mut(), &payout, event, now).await?;
        remember_in_tx(tx.as_mut(), call, &payout.id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Stores and books one whose money is the agent's again; its commissions can be settled again.
    pub(crate) async fn given_back_in_tx(
        &self,
        tx: &mut dyn PayoutsTx,
        payout: &Payout,
        event: &'static str,
        now: Timestamp,
    ) -> Result<(), PayoutError> {
        save_in_tx(tx, payout, event, now).await?;
        let entry = payout.given_back(self.entry_id(now), now);
        tx.ledger().post(&entry).await?;
        if let Some(settlement) = payout.settlement {
            let of = [(payout.agent, payout.amount.currency())];
            tx.settlements().give_back(settlement, Some(&of), now).await?;
        }
        roll_up_in_tx(tx, payout, now).await
    }
}
