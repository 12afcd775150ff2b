//! What went back of a sale, taken back from everybody who earned of it: by cumulative target, at every level.

use posx_kernel::{AdjustmentId, EntryId, Event, OrderId, SiteScope, StoreError, StoreFault, Timestamp};
use posx_ledger::{Account, Entry, EntryKind};
use serde_json::json;

use crate::{
    Adjustment, AdjustmentKind, Commission, CommissionState, Commissions, CommissionsTx, Returns, Step,
};

impl Commissions {
    /// The body of the job that follows `order.returns_changed`. Safe to run any number of times, in any order, and at once:
    /// it reads the facts as they are when it has the order's commissions to itself. Returns what it changed.
    pub async fn adjust(&self, scope: &SiteScope, order: OrderId) -> Result<Vec<Adjustment>, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        let mut commissions = tx.commissions().for_update(order).await?;
        if commissions.is_empty() {
            // Nobody earned, or it is not decided yet: the decision reads the same facts.
            return Ok(Vec::new());
        }
        let order = tx.paid_orders().find(order).await?;
        let order = order.ok_or_else(|| StoreError::broken("commissions without their order"))?;
        let now = self.clock.now();
        let steps = self
            .follow_in_tx(tx.as_mut(), &mut commissions, &order.returns(), now)
            .await?;
        tx.commit().await?;
        Ok(steps)
    }

    /// `commissions` are of one order, and nobody else changes them meanwhile.
    pub(crate) async fn follow_in_tx(
        &self,
        tx: &mut dyn CommissionsTx,
        commissions: &mut [Commission],
        returns: &Returns,
        now: Timestamp,
    ) -> Result<Vec<Adjustment>, StoreError> {
        let mut adjustments = Vec::new();
        for commission in commissions {
            let was = commission.state;
            let step = commission
                .follow(returns)
                .map_err(|error| StoreError::new(StoreFault::Broken, error))?;
            if step.is_none() && commission.state == was {
                continue;
            }
            commission.updated_at = now;
            let adjustment = step.map(|step| self.adjustment(commission, step, returns, now));
            tx.commissions().adjust(commission, adjustment.as_ref()).await?;
            if let Some(adjustment) = adjustment {
                tx.ledger().post(&self.entry_of(commission, &adjustment)).await?;
                tx.outbox().append(adjusted(commission, &adjustment)).await?;
                adjustments.push(adjustment);
            }
            if let Some(event) = stood(was, commission) {
                tx.outbox().append(event).await?;
            }
        }
        Ok(adjustments)
    }

    fn adjustment(
        &self,
        commission: &Commission,
        step: Step,
        returns: &Returns,
        now: Timestamp,
    ) -> Adjustment {
        Adjustment {
            id: AdjustmentId::from_uuid(self.ids.uuid(now)),
            commission: commission.id,
            order: commission.order,
            kind: step.kind,
            amount: step.amount,
            reversed_before: step.before,
            reversed_after: step.after,
            returned: returns.returned,
            total: returns.total,
            at: now,
        }
    }

    fn entry_of(&self, commission: &Commission, adjustment: &Adjustment) -> Entry {
        let (payable, expense) = (
            Account::CommissionPayable(commission.agent),
            Account::CommissionExpense,
        );
        let (kind, debit, credit) = match adjustment.kind {
            AdjustmentKind::Reversal | AdjustmentKind::Clawback => {
                (EntryKind::CommissionReversed, payable, expense)
            }
            AdjustmentKind::Restoration => (EntryKind::CommissionRestored, expense, payable),
        };
        let id = EntryId::from_uuid(self.ids.uuid(adjustment.at));
        let (cause, at, amount) = (adjustment.id.as_uuid(), adjustment.at, adjustment.amount);
        Entry::of_money(id, kind, cause, at, amount, debit, credit)
    }
}

fn adjusted(commission: &Commission, adjustment: &Adjustment) -> Event {
    let payload = json!({
        "adjustment": adjustment.id,
        "kind": adjustment.kind,
        "order": commission.order,
        "agent": commission.agent,
        "amount": adjustment.amount,
        "left": commission.left(),
        "state": commission.state,
        "returned": adjustment.returned,
        "total": adjustment.total,
    });
    let kind = match adjustment.kind {
        AdjustmentKind::Reversal | AdjustmentKind::Clawback => "commission.reversed",
        AdjustmentKind::Restoration => "commission.restored",
    };
    Event {
        kind,
        subject: commission.id.as_uuid(),
        payload,
        at: adjustment.at,
    }
}

/// Void is told by the adjustment: it comes and goes with what is left.
fn stood(was: CommissionState, commission: &Commission) -> Option<Event> {
    let kind = match (was, commission.state) {
        (CommissionState::Frozen, CommissionState::Frozen | CommissionState::Void) => return None,
        (_, CommissionState::Frozen) => "commission.frozen",
        (CommissionState::Frozen, _) => "commission.unfrozen",
        _ => return None,
    };
    let payload = json!({ "order": commission.order, "agent": commission.agent, "state": commission.state });
    Some(Event {
        kind,
        subject: commission.id.as_uuid(),
        payload,
        at: commission.updated_at,
    })
}
