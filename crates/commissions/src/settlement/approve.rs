//! The second person's word: from then on the money is the payouts'.

use posx_kernel::{
    IdempotentCall, IdentityId, PartyId, SettlementId, SiteScope, Timestamp, made_before_in_tx,
    remember_in_tx, retry_busy,
};

use super::preview::draft_in_tx;
use super::{Settlement, SettlementLine, SettlementState, hash_of};
use crate::{Payout, PayoutError, PayoutState, Payouts, PayoutsTx};

/// What became of an approval.
enum Approval {
    Given,
    /// Something changed: the preview must be made anew.
    Stale,
}

impl Payouts {
    /// Agrees to exactly the preview whose hash is named, and takes its money from the balances. When a balance or an account
    /// changed since, nothing happens, and the preview is made anew for another look.
    pub async fn approve_settlement(
        &self,
        scope: &SiteScope,
        id: SettlementId,
        seen: &[u8; 32],
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PayoutError> {
        match retry_busy(|| self.try_approve(scope, id, seen, by, call)).await? {
            Approval::Given => Ok(()),
            Approval::Stale => {
                retry_busy(|| self.try_preview_again(scope, id, None)).await?;
                Err(PayoutError::PreviewStale)
            }
        }
    }

    async fn try_approve(
        &self,
        scope: &SiteScope,
        id: SettlementId,
        seen: &[u8; 32],
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Approval, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let made = made_before_in_tx::<_, SettlementId, PayoutError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(Approval::Given);
        }
        let mut settlement = draft_in_tx(tx.as_mut(), id).await?;
        if settlement.made_by == by {
            return Err(PayoutError::OwnSettlement);
        }
        if settlement.hash != *seen {
            return Err(PayoutError::HashMismatch);
        }
        let lines = tx.settlements().paid_lines(&settlement).await?;
        if !self
            .still_holds_in_tx(tx.as_mut(), &settlement, &lines, now)
            .await?
        {
            return Ok(Approval::Stale);
        }
        settlement.become_(SettlementState::Approved, now)?;
        settlement.approved = Some((by, now));
        tx.settlements().save(&settlement).await?;
        let payouts: Vec<_> = lines
            .iter()
            .map(|line| payout(&settlement, line, by, now))
            .collect();
        if !tx.payouts().insert(&payouts).await? {
            return Err(PayoutError::SettlementState("approved"));
        }
        for payout in &payouts {
            let entry = payout.taken(self.entry_id(now), now);
            tx.ledger().post(&entry).await?;
            tx.outbox()
                .append(payout.happened("payout.approved", now))
                .await?;
        }
        tx.outbox()
            .append(settlement.happened(settlement.state.event(), now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Approval::Given)
    }

    /// Locks the agents, and counts again what the lines say.
    async fn still_holds_in_tx(
        &self,
        tx: &mut dyn PayoutsTx,
        settlement: &Settlement,
        lines: &[SettlementLine],
        now: Timestamp,
    ) -> Result<bool, PayoutError> {
        if lines.is_empty() {
            return Err(PayoutError::NothingToSettle);
        }
        let mut agents: Vec<PartyId> = lines.iter().map(|line| line.agent).collect();
        agents.sort_unstable();
        agents.dedup();
        tx.balances().lock(&agents).await?;
        let balances = tx.balances().of(Some(&agents)).await?;
        let present = self.lines_in_tx(tx, settlement.method, &balances, now).await?;
        let same = |line: &SettlementLine| present.iter().any(|one| one.same_as(line));
        let hash = hash_of(settlement.id, settlement.method, settlement.revision, lines);
        Ok(hash == settlement.hash && lines.iter().all(same))
    }
}

fn payout(settlement: &Settlement, line: &SettlementLine, by: IdentityId, now: Timestamp) -> Payout {
    Payout {
        id: line.id,
        settlement: Some(settlement.id),
        agent: line.agent,
        amount: line.amount,
        method: settlement.method,
        account_version: line.account_version,
        state: PayoutState::Approved,
        tries: 0,
        begun_at: None,
        reference: None,
        reason: None,
        reversed: posx_kernel::Money::zero(line.amount.currency()),
        decided_by: Some(by),
        created_at: now,
        updated_at: now,
    }
}
