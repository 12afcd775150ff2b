//! Withdrawals: agents take out what they earned. The money leaves the balance with the request.

#[cfg(test)]
mod tests;

use posx_kernel::{
    IdempotentCall, IdentityId, Made, Money, PartyId, PayoutId, SiteScope, Timestamp, WithdrawalId,
    made_before_in_tx, remember_in_tx, retry_busy,
};

use crate::payout::{reason, save_in_tx};
use crate::settlement::transferable;
use crate::{Payout, PayoutError, PayoutMethod, PayoutState, Payouts, PayoutsTx};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewWithdrawal {
    pub agent: PartyId,
    pub amount: Money,
    pub method: PayoutMethod,
}

const fn payout_of(id: WithdrawalId) -> PayoutId {
    PayoutId::from_uuid(id.as_uuid())
}

impl Payouts {
    /// Takes the amount from what is available. Of any number at once, the balance never goes below zero.
    pub async fn request_withdrawal(
        &self,
        scope: &SiteScope,
        wish: NewWithdrawal,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<WithdrawalId>, PayoutError> {
        retry_busy(|| self.try_request(scope, wish, call)).await
    }

    async fn try_request(
        &self,
        scope: &SiteScope,
        wish: NewWithdrawal,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<WithdrawalId>, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PayoutError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let rules = tx.accounts().rules(wish.amount.currency()).await?;
        if !wish.amount.is_positive() || transferable(wish.method, wish.amount) != wish.amount {
            return Err(PayoutError::Amount);
        }
        if wish.amount.minor() < rules.minimum.minor() {
            return Err(PayoutError::BelowMinimum);
        }
        if rules
            .maximum
            .is_some_and(|maximum| wish.amount.minor() > maximum.minor())
        {
            return Err(PayoutError::AboveMaximum);
        }
        let version = self
            .usable_account_in_tx(tx.as_mut(), wish.agent, wish.method, now)
            .await?;
        tx.balances().lock(&[wish.agent]).await?;
        let available = available_in_tx(tx.as_mut(), wish.agent, wish.amount).await?;
        if available < wish.amount.minor() {
            return Err(PayoutError::NotAvailable);
        }
        let payout = requested(PayoutId::from_uuid(self.id(now)), wish, version, now);
        if !tx.payouts().insert(std::slice::from_ref(&payout)).await? {
            return Err(PayoutError::WithdrawalOpen);
        }
        let entry = payout.taken(self.entry_id(now), now);
        tx.ledger().post(&entry).await?;
        tx.outbox()
            .append(payout.happened("withdrawal.requested", now))
            .await?;
        let id = WithdrawalId::from_uuid(payout.id.as_uuid());
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Made::now(id))
    }

    /// By somebody else than the agent. Refused when what it took is not covered any more: sales went back meanwhile.
    pub async fn approve_withdrawal(
        &self,
        scope: &SiteScope,
        id: WithdrawalId,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        retry_busy(|| self.try_approve_withdrawal(scope, id, by, call)).await
    }

    async fn try_approve_withdrawal(
        &self,
        scope: &SiteScope,
        id: WithdrawalId,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let made = made_before_in_tx::<_, WithdrawalId, PayoutError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        let mut payout = for_update_in_tx(tx.as_mut(), id).await?;
        not_their_own_in_tx(tx.as_mut(), &payout, by).await?;
        if payout.state != PayoutState::Requested {
            return Err(PayoutError::State(payout.state.as_str()));
        }
        tx.balances().lock(&[payout.agent]).await?;
        if available_in_tx(tx.as_mut(), payout.agent, payout.amount).await? < 0 {
            return Err(PayoutError::NotCovered);
        }
        payout.become_(PayoutState::Approved, now)?;
        payout.decided_by = Some(by);
        save_in_tx(tx.as_mut(), &payout, "payout.approved", now).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The money is the agent's again.
    pub async fn reject_withdrawal(
        &self,
        scope: &SiteScope,
        id: WithdrawalId,
        why: &str,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let why = reason(why)?;
        let end = End {
            state: PayoutState::Rejected,
            event: "withdrawal.rejected",
            by: Some((by, &why)),
            agent: None,
        };
        retry_busy(|| self.try_end(scope, id, &end, call)).await
    }

    /// By the agent, while nobody has decided on it.
    pub async fn cancel_withdrawal(
        &self,
        scope: &SiteScope,
        id: WithdrawalId,
        agent: PartyId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let end = End {
            state: PayoutState::Cancelled,
            event: "withdrawal.cancelled",
            by: None,
            agent: Some(agent),
        };
        retry_busy(|| self.try_end(scope, id, &end, call)).await
    }

    async fn try_end(
        &self,
        scope: &SiteScope,
        id: WithdrawalId,
        end: &End<'_>,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let made = made_before_in_tx::<_, WithdrawalId, PayoutError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        let mut payout = for_update_in_tx(tx.as_mut(), id).await?;
        if end.agent.is_some_and(|agent| agent != payout.agent) {
            return Err(PayoutError::WithdrawalNotFound);
        }
        // An approved one is under way as good as sent: giving that back is another matter.
        if payout.state != PayoutState::Requested {
            return Err(PayoutError::State(payout.state.as_str()));
        }
        payout.become_(end.state, now)?;
        if let Some((by, why)) = end.by {
            not_their_own_in_tx(tx.as_mut(), &payout, by).await?;
            payout.decided_by = Some(by);
            payout.reason = Some(why.to_owned());
        }
        self.given_back_in_tx(tx.as_mut(), &payout, end.event, now)
            .await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// How a request ends without being paid.
struct End<'a> {
    state: PayoutState,
    event: &'static str,
    /// Who refused it, and why.
    by: Option<(IdentityId, &'a str)>,
    /// Whose it must be.
    agent: Option<PartyId>,
}

async fn for_update_in_tx(tx: &mut dyn PayoutsTx, id: WithdrawalId) -> Result<Payout, PayoutError> {
    let found = tx.payouts().for_update(payout_of(id)).await?;
    found
        .filter(Payout::is_withdrawal)
        .ok_or(PayoutError::WithdrawalNotFound)
}

async fn not_their_own_in_tx(
    tx: &mut dyn PayoutsTx,
    payout: &Payout,
    by: IdentityId,
) -> Result<(), PayoutError> {
    if tx.balances().identity(payout.agent).await? == Some(by) {
        return Err(PayoutError::OwnWithdrawal);
    }
    Ok(())
}

/// In the amount's currency.
async fn available_in_tx(tx: &mut dyn PayoutsTx, agent: PartyId, amount: Money) -> Result<i64, PayoutError> {
    let balances = tx.balances().of(Some(&[agent])).await?;
    let one = balances
        .iter()
        .find(|one| one.balance.currency() == amount.currency());
    Ok(one.map_or(0, |one| one.available().minor()))
}

const fn requested(id: PayoutId, wish: NewWithdrawal, version: i32, now: Timestamp) -> Payout {
    Payout {
        id,
        settlement: None,
        agent: wish.agent,
        amount: wish.amount,
        method: wish.method,
        account_version: Some(version),
        state: PayoutState::Requested,
        tries: 0,
        begun_at: None,
        reference: None,
        reason: None,
        reversed: Money::zero(wish.amount.currency()),
        decided_by: None,
        created_at: now,
        updated_at: now,
    }
}
