//! What people do with payouts: pay them, say that they failed, have them tried again.

use posx_kernel::{IdempotentCall, PayoutId, SiteScope, made_before_in_tx, remember_in_tx, retry_busy};

use super::service::{roll_up_in_tx, save_in_tx};
use crate::{Payout, PayoutError, PayoutMethod, PayoutState, Payouts};

const REFERENCE_CHARACTERS_MAX: usize = 140;
const REASON_CHARACTERS_MAX: usize = 500;

pub(crate) fn reason(text: &str) -> Result<String, PayoutError> {
    let text = text.trim();
    if (1..=REASON_CHARACTERS_MAX).contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err(PayoutError::Reason)
    }
}

impl Payouts {
    /// A person has paid it, or has seen that the bank did. `reference` is by what it is found there.
    pub async fn mark_paid(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        reference: &str,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let reference = reference.trim();
        let fits = (1..=REFERENCE_CHARACTERS_MAX).contains(&reference.chars().count());
        if !fits || reference.chars().any(char::is_control) {
            return Err(PayoutError::Reference);
        }
        retry_busy(|| self.try_mark_paid(scope, id, reference, call)).await
    }

    async fn try_mark_paid(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        reference: &str,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let made = made_before_in_tx::<_, PayoutId, PayoutError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        let mut payout = tx.payouts().for_update(id).await?.ok_or(PayoutError::NotFound)?;
        if payout.method == PayoutMethod::Connect {
            return Err(PayoutError::NotByHand);
        }
        if payout.state == PayoutState::Approved {
            payout.begin(now)?;
            save_in_tx(tx.as_mut(), &payout, "payout.sending", now).await?;
        }
        payout.paid(reference.to_owned(), now)?;
        self.paid_in_tx(tx.as_mut(), &payout, now).await?;
        roll_up_in_tx(tx.as_mut(), &payout, now).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The bank did not pay it.
    pub async fn mark_failed(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        why: &str,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let why = reason(why)?;
        retry_busy(|| self.try_mark_failed(scope, id, &why, call)).await
    }

    async fn try_mark_failed(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        why: &str,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let made = made_before_in_tx::<_, PayoutId, PayoutError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        let mut payout = tx.payouts().for_update(id).await?.ok_or(PayoutError::NotFound)?;
        if payout.method == PayoutMethod::Connect {
            return Err(PayoutError::NotByHand);
        }
        payout.fail(why.to_owned(), now)?;
        save_in_tx(tx.as_mut(), &payout, "payout.failed", now).await?;
        roll_up_in_tx(tx.as_mut(), &payout, now).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sends a failed one round again, to the account that the agent has now. One that the provider has a transfer for after
    /// all needs none: the job finds it.
    pub async fn retry(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let mut tx = self.begin(scope).await?;
        let payout = tx.payouts().find(id).await?.ok_or(PayoutError::NotFound)?;
        drop(tx);
        let was_sent = self.was_sent(scope, &payout).await?;
        retry_busy(|| self.try_retry(scope, id, was_sent, call)).await
    }

    /// What the provider says of a failed one, of whichever try.
    pub(super) async fn was_sent(&self, scope: &SiteScope, payout: &Payout) -> Result<bool, PayoutError> {
        let asked = payout.method == PayoutMethod::Connect
            && payout.tries > 0
            && matches!(payout.state, PayoutState::Approved | PayoutState::Failed);
        Ok(asked && self.gateway.find(scope.site(), payout.id).await?.is_some())
    }

    async fn try_retry(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        was_sent: bool,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let made = made_before_in_tx::<_, PayoutId, PayoutError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        let mut payout = tx.payouts().for_update(id).await?.ok_or(PayoutError::NotFound)?;
        if payout.state != PayoutState::Failed {
            return Err(PayoutError::State(payout.state.as_str()));
        }
        if let Some(kind) = payout.method.account().filter(|_| !was_sent) {
            let account = tx.accounts().latest(payout.agent, kind).await?;
            let account = account.ok_or(PayoutError::NoAccount)?;
            account.usable(now)?;
            payout.account_version = Some(account.version);
        }
        payout.become_(PayoutState::Approved, now)?;
        save_in_tx(tx.as_mut(), &payout, "payout.approved", now).await?;
        roll_up_in_tx(tx.as_mut(), &payout, now).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }
}
