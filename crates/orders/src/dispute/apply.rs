//! What a payment provider's word does to a dispute. It is always asked what the dispute is now, so events may come in any
//! order, any number of times, and late.

use posx_kernel::{DisputeId, EntryId, Money, SiteScope, StoreError, StoreFault, Timestamp, retry_busy};
use posx_ledger::{Account, Entry, EntryKind, Posted};
use serde_json::json;

use super::{Dispute, DisputeState};
use crate::checkout::unavailable;
use crate::gateway::{IntentId, ProviderDispute};
use crate::refund::Booking;
use crate::returns::settle_returns_in_tx;
use crate::service::happened;
use crate::{AttemptState, Order, OrderError, Orders, OrdersTx};

/// So often a newer word may come between asking and applying.
const ROUNDS_MAX: u32 = 5;
const REASON_CHARS_MAX: usize = 100;

/// What applying a dispute came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeApplied {
    /// As the provider says it now.
    Now(DisputeState),
    /// In a currency that is not the order's: nothing moved but the flag for a person.
    Mismatch,
}

/// Another word was applied after this one was asked for.
struct Outdated;

impl Orders {
    /// Asks the provider about the dispute and applies what it says. What was asked for before another word was applied is not
    /// applied any more, but asked for again: the newest word stands in the end.
    pub async fn apply_dispute(&self, scope: &SiteScope, id: &str) -> Result<DisputeApplied, OrderError> {
        for _ in 0..ROUNDS_MAX {
            let before = self.revision_of(scope, id).await?;
            let seen = self.gateway.dispute(scope.site(), id).await;
            let mut seen = seen.map_err(unavailable)?.ok_or(OrderError::UnknownDispute)?;
            seen.reason = seen.reason.chars().take(REASON_CHARS_MAX).collect();
            if seen.reason.is_empty() {
                "general".clone_into(&mut seen.reason);
            }
            let intent = seen.intent.clone().ok_or(OrderError::UnattachedIntent)?;
            let next = seen.state.ours().ok_or(OrderError::UnknownDisputeState)?;
            self.apply_payment_first(scope, &intent).await?;
            let applied = retry_busy(|| self.apply_dispute_once(scope, before, &intent, &seen, next)).await?;
            if let Ok(applied) = applied {
                return Ok(applied);
            }
        }
        Err(StoreError::new(StoreFault::Retry, "a dispute changes all the time").into())
    }

    /// Open disputes about which the provider was last asked before `older_than` are asked about again: an event that never
    /// came. Returns how many; one that fails does not stop the others.
    pub async fn reconcile_disputes(
        &self,
        scope: &SiteScope,
        older_than: Timestamp,
    ) -> Result<usize, OrderError> {
        let mut tx = self.begin(scope).await?;
        let open = tx.disputes().open(older_than, 100).await?;
        drop(tx);
        for dispute in &open {
            if let Err(error) = self.apply_dispute(scope, &dispute.provider_dispute).await {
                tracing::warn!(dispute = %dispute.id, %error, "an open dispute could not be looked up");
            }
        }
        Ok(open.len())
    }

    async fn revision_of(&self, scope: &SiteScope, id: &str) -> Result<u32, OrderError> {
        let mut tx = self.begin(scope).await?;
        let known = tx.disputes().by_provider_id(self.gateway.provider(), id).await?;
        Ok(known.map_or(0, |dispute| dispute.revision))
    }

    async fn apply_dispute_once(
        &self,
        scope: &SiteScope,
        before: u32,
        intent: &IntentId,
        seen: &ProviderDispute,
        next: DisputeState,
    ) -> Result<Result<DisputeApplied, Outdated>, OrderError> {
        let now = self.clock.now();
        let provider = self.gateway.provider();
        let mut tx = self.begin(scope).await?;
        let attempt = tx.attempts().by_intent(provider, intent).await?;
        let attempt = attempt.ok_or(OrderError::UnattachedIntent)?;
        let order = tx.orders().for_update(attempt.order).await?;
        let mut order = order.ok_or(OrderError::NotFound)?;
        if attempt.state != AttemptState::Succeeded {
            return Err(OrderError::NotCaptured);
        }
        if seen.amount.currency() != order.currency() {
            return Self::hold_dispute(tx, order, now).await.map(Ok);
        }
        let known = tx.disputes().by_provider_id(provider, &seen.id).await?;
        if known.as_ref().map_or(0, |dispute| dispute.revision) != before {
            return Ok(Err(Outdated));
        }
        let (mut dispute, is_new) = match known {
            Some(known) => (known, false),
            None => (self.new_dispute(&attempt, seen, now), true),
        };
        let moved = dispute.observe(seen, next, now);
        self.book_dispute_in_tx(tx.as_mut(), &order, &mut dispute, seen, now)
            .await?;
        if is_new {
            tx.disputes().insert(&dispute).await?;
            self.own_at_provider_in_tx(tx.as_mut(), &seen.id).await?;
        } else {
            tx.disputes().save(&dispute).await?;
        }
        tell_dispute_in_tx(tx.as_mut(), &order, &dispute, is_new, moved, now).await?;
        flag(&mut order, &dispute, is_new, moved, next);
        settle_returns_in_tx(tx.as_mut(), &mut order, now).await?;
        tx.commit().await?;
        Ok(Ok(DisputeApplied::Now(dispute.state)))
    }

    fn new_dispute(&self, attempt: &crate::Attempt, seen: &ProviderDispute, now: Timestamp) -> Dispute {
        let zero = Money::zero(seen.amount.currency());
        Dispute {
            id: DisputeId::from_uuid(self.id(now)),
            order: attempt.order,
            attempt: attempt.id,
            provider: self.gateway.provider().to_owned(),
            provider_dispute: seen.id.clone(),
            amount: seen.amount,
            reason: seen.reason.clone(),
            state: DisputeState::Open,
            provider_state: seen.state,
            refundable: seen.refundable,
            evidence_due_by: seen.evidence_due_by,
            evidence_alarm_hours: None,
            withdrawn: zero,
            lost: zero,
            verdicts: 0,
            revision: 0,
            opened_at: seen.opened_at,
            closed_at: None,
            asked_at: now,
        }
    }

    /// Each line of the provider's balance once, its fee besides; then what the verdict makes of the whole.
    async fn book_dispute_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        order: &Order,
        dispute: &mut Dispute,
        seen: &ProviderDispute,
        now: Timestamp,
    ) -> Result<(), OrderError> {
        let cause = dispute.id.as_uuid();
        let entry = |(kind, debit, credit): Booking, amount: Money, part: &str| {
            let id = EntryId::from_uuid(self.id(now));
            Entry::of_money(id, kind, cause, now, amount, debit, credit).with_part(part)
        };
        for line in &seen.movements {
            let fee = (
                EntryKind::DisputeFee,
                Account::DisputeFees,
                Account::ProviderClearing,
            );
            tx.ledger().post(&entry(fee, line.fee, &line.id)).await?;
            let Some((amount, booking)) = dispute.movement(line) else {
                continue;
            };
            let kind = booking.0;
            if tx.ledger().post(&entry(booking, amount, &line.id)).await? == Posted::Already {
                continue;
            }
            let (event, withdrawn) = if kind == EntryKind::DisputeWithdrawn {
                ("dispute.funds_withdrawn", dispute.withdrawn.checked_add(amount)?)
            } else {
                ("dispute.funds_reinstated", dispute.withdrawn.checked_sub(amount)?)
            };
            dispute.withdrawn = withdrawn;
            let payload = json!({ "dispute": cause, "amount": amount, "fee": line.fee });
            tx.outbox().append(happened(event, order, payload, now)).await?;
        }
        if let Some((amount, booking)) = dispute.verdict() {
            let part = dispute.verdicts.to_string();
            tx.ledger().post(&entry(booking, amount, &part)).await?;
        }
        Ok(())
    }

    async fn hold_dispute(
        mut tx: Box<dyn OrdersTx>,
        mut order: Order,
        now: Timestamp,
    ) -> Result<DisputeApplied, OrderError> {
        if order.attention.as_deref() != Some("dispute_mismatch") {
            order.attention = Some("dispute_mismatch".to_owned());
            tx.orders().save(&order).await?;
            let held = happened("order.dispute_mismatch", &order, json!({}), now);
            tx.outbox().append(held).await?;
            tx.commit().await?;
        }
        Ok(DisputeApplied::Mismatch)
    }
}

async fn tell_dispute_in_tx(
    tx: &mut dyn OrdersTx,
    order: &Order,
    dispute: &Dispute,
    is_new: bool,
    moved: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let payload = json!({
        "dispute": dispute.id.as_uuid(),
        "amount": dispute.amount,
        "reason": dispute.reason,
        "state": dispute.state,
        "inquiry": dispute.provider_state.is_inquiry(),
    });
    let happenings = [
        (is_new, "dispute.opened"),
        (moved && dispute.state == DisputeState::Open, "dispute.reopened"),
        (moved && dispute.state != DisputeState::Open, "dispute.closed"),
    ];
    for (_, kind) in happenings.into_iter().filter(|(happened, _)| *happened) {
        let event = happened(kind, order, payload.clone(), now);
        tx.outbox().append(event).await?;
    }
    Ok(())
}

/// A person looks while it is open, and when the provider says what no dispute does.
fn flag(order: &mut Order, dispute: &Dispute, is_new: bool, moved: bool, next: DisputeState) {
    if dispute.state != next {
        order.attention = Some("dispute_state_unexpected".to_owned());
    } else if dispute.state == DisputeState::Open && (is_new || moved) {
        order.attention.get_or_insert_with(|| "disputed".to_owned());
    } else if moved && matches!(order.attention.as_deref(), Some("disputed" | "evidence_due")) {
        order.attention = None;
    }
}
