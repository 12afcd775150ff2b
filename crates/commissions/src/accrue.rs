//! A paid order's shares: ask the engine, store and book what it says. The answer depends on what stood when the order was
//! paid and on nothing later, so the jobs of several orders may run in any order. Two facts are as the job finds them, and are
//! kept with the decision: what of earlier sales went back since, and what a capped month has left.

use posx_kernel::{CommissionId, EntryId, Event, Money, OrderId, SiteScope, Timestamp};
use posx_ledger::{Account, Entry, EntryKind};
use serde_json::json;

use crate::{
    AccrualError, Ancestor, Commission, CommissionState, Commissions, CommissionsTx, Decision, Outcome,
    PaidOrder, PlanSnapshot, Sale, calculate,
};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accrued {
    /// Decided now. Empty when nobody earns: no referrer, no plan, or each ancestor skipped.
    Applied(Vec<CommissionId>),
    /// Decided by an earlier run; this one changed nothing.
    AlreadyApplied,
}

impl Commissions {
    /// The body of the job that follows `order.paid`. Safe to run any number of times, also at once.
    pub async fn accrue(&self, scope: &SiteScope, order: OrderId) -> Result<Accrued, AccrualError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let order = tx
            .paid_orders()
            .find(order)
            .await?
            .ok_or(AccrualError::NoSuchOrder)?;
        let paid_at = order.paid_at.ok_or(AccrualError::NotPaid)?;
        if !tx.commissions().claim_order(order.order, now).await? {
            return Ok(Accrued::AlreadyApplied);
        }
        let mut earned = Vec::new();
        if let Some(snapshot) = &order.snapshot {
            let decisions = decide_in_tx(tx.as_mut(), &order, snapshot, paid_at).await?;
            earned = self.earned(&order, snapshot, &decisions, paid_at, now);
            tx.commissions()
                .insert(order.order, &decisions, &earned, now)
                .await?;
        }
        for commission in &earned {
            tx.ledger().post(&self.entry(commission, now)).await?;
            tx.outbox().append(accrued(commission, now)).await?;
        }
        if !order.returns().none() {
            // It went back, or is disputed, before anybody was paid for it: the job of that found nothing to take from.
            self.follow_in_tx(tx.as_mut(), &mut earned, &order.returns(), now)
                .await?;
        }
        tx.commit().await?;
        Ok(Accrued::Applied(
            earned.into_iter().map(|commission| commission.id).collect(),
        ))
    }

    fn earned(
        &self,
        order: &PaidOrder,
        snapshot: &PlanSnapshot,
        decisions: &[Decision],
        paid_at: Timestamp,
        now: Timestamp,
    ) -> Vec<Commission> {
        let commission = |decision: &Decision| match decision.outcome {
            Outcome::Skipped(_) => None,
            Outcome::Earned { rate, base, amount } => Some(Commission {
                id: CommissionId::from_uuid(self.ids.uuid(now)),
                order: order.order,
                agent: decision.agent,
                level: decision.level,
                rate,
                base,
                amount,
                reversed: Money::zero(amount.currency()),
                state: CommissionState::Held,
                back_to: None,
                hold_until: snapshot.hold_days.after(paid_at),
                plan: snapshot.plan,
                created_at: now,
                updated_at: now,
            }),
        };
        decisions.iter().filter_map(commission).collect()
    }

    fn entry(&self, commission: &Commission, now: Timestamp) -> Entry {
        let id = EntryId::from_uuid(self.ids.uuid(now));
        let (debit, credit) = (
            Account::CommissionExpense,
            Account::CommissionPayable(commission.agent),
        );
        Entry::of_money(
            id,
            EntryKind::CommissionAccrued,
            commission.id.as_uuid(),
            now,
            commission.amount,
            debit,
            credit,
        )
    }
}

async fn decide_in_tx(
    tx: &mut dyn CommissionsTx,
    order: &PaidOrder,
    snapshot: &PlanSnapshot,
    paid_at: Timestamp,
) -> Result<Vec<Decision>, AccrualError> {
    let mut agents = tx
        .referrals()
        .ancestors(order.buyer, snapshot.rules.depth(), paid_at)
        .await?;
    // The tree has no cycles; if it had one, the buyer would not be paid for their own order.
    agents.truncate(agents.iter().take_while(|agent| **agent != order.buyer).count());
    if agents.is_empty() {
        return Ok(Vec::new());
    }
    let currency = order.total.currency();
    let sales = tx.paid_orders().sales_of(&agents, currency, paid_at).await?;
    let parties = [&agents[..], &[order.buyer]].concat();
    let mut facts = tx.terms().facts_of(&parties, paid_at).await?;
    let buyer = facts.pop().unwrap_or_default();
    if snapshot.rules.caps_months() {
        let months = tx.commissions().lock_months(&agents, currency, paid_at).await?;
        for (facts, month) in facts.iter_mut().zip(months) {
            facts.month = Some(month);
        }
    }
    let sale = Sale {
        total: order.total,
        lines: order.lines.clone(),
        buyer: buyer.terms,
    };
    let chain: Vec<_> = agents
        .into_iter()
        .zip(sales.into_iter().zip(facts))
        .map(|(agent, (sales, facts))| Ancestor { agent, sales, facts })
        .collect();
    Ok(calculate(snapshot, &sale, &chain))
}

fn accrued(commission: &Commission, at: Timestamp) -> Event {
    let payload = json!({
        "order": commission.order,
        "agent": commission.agent,
        "level": commission.level,
        "amount": commission.amount,
        "hold_until": commission.hold_until,
    });
    Event {
        kind: "commission.accrued",
        subject: commission.id.as_uuid(),
        payload,
        at,
    }
}
