//! Decisions and commissions, and orders and the referral tree as this context reads them.

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_commissions::{
    Adjustment, Commission, CommissionRepository, CommissionState, CommissionsTx, Decision, PaidOrder,
    PaidOrders, PlanRepository, SaleLine, TermsRepository,
};
use posx_kernel::{Currency, Money, OrderId, Outbox, PartyId, StoreError, StoreFault, Timestamp};
use posx_orders::{Lifecycle, Order};
use posx_tenancy::ReferralTree;

use super::SimTx;
use crate::bugs::Bug;

impl CommissionsTx for SimTx {
    fn plans(&mut self) -> &mut dyn PlanRepository {
        self
    }
    fn terms(&mut self) -> &mut dyn TermsRepository {
        self
    }
    fn paid_orders(&mut self) -> &mut dyn PaidOrders {
        self
    }
    fn referrals(&mut self) -> &mut dyn ReferralTree {
        self
    }
    fn commissions(&mut self) -> &mut dyn CommissionRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl PaidOrders for SimTx {
    async fn find(&mut self, order: OrderId) -> Result<Option<PaidOrder>, StoreError> {
        self.step("paid_orders.find").await;
        if !self.planted(Bug::OrderReadWithoutLock) {
            self.lock_order(order).await?;
        }
        let Some(order) = self.get(|rows| &rows.orders, &order) else {
            return Ok(None);
        };
        let snapshot = match (&order.plan_snapshot, self.planted(Bug::PlanReadNow)) {
            // The plan as it is now, not as it was frozen.
            (Some(_), true) => self.db.read(self.site, |rows| rows.plan.clone()),
            (frozen, _) => frozen.clone(),
        };
        let line = |line: &posx_orders::Line| SaleLine {
            tier: line.tier,
            amount: line.amount,
        };
        let thawed = snapshot.map(serde_json::from_value).transpose();
        Ok(Some(PaidOrder {
            order: order.id,
            buyer: order.buyer,
            total: order.total,
            returned: if self.planted(Bug::SharesVoidedWhole) && order.returned.is_positive() {
                order.total
            } else {
                order.returned
            },
            disputed: order.disputed,
            lines: order.lines.iter().map(line).collect(),
            snapshot: thawed.map_err(|error| StoreError::new(StoreFault::Broken, error))?,
            paid_at: order
                .paid_at
                .filter(|_| matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled)),
        }))
    }

    async fn sales_of(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        before: Timestamp,
    ) -> Result<Vec<Money>, StoreError> {
        self.step("paid_orders.sales_of").await;
        let orders = self.all(|rows| &rows.orders);
        let sales = |agent: &PartyId| {
            let counts = |order: &&Order| {
                self.referrer_at(order.buyer, before) == Some(*agent)
                    && order.currency() == currency
                    && matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled)
                    && order.paid_at.is_some_and(|paid_at| paid_at < before)
            };
            let minor = orders
                .iter()
                .filter(counts)
                .map(|order| order.total.minor() - order.returned.minor())
                .sum();
            Money::from_minor(minor, currency)
        };
        Ok(agents.iter().map(sales).collect())
    }
}

impl SimTx {
    fn referrer_at(&self, party: PartyId, at: Timestamp) -> Option<PartyId> {
        let (referrer, since) = self.get(|rows| &rows.referrals, &party)?;
        (since <= at || self.planted(Bug::TreeReadNow)).then_some(referrer)
    }
}

#[async_trait]
impl ReferralTree for SimTx {
    async fn ancestors(
        &mut self,
        party: PartyId,
        depth: u8,
        at: Timestamp,
    ) -> Result<Vec<PartyId>, StoreError> {
        self.step("referrals.ancestors").await;
        if let Some(order) = self.deciding {
            let bound = self
                .db
                .read(self.site, |rows| rows.referrals.keys().copied().collect());
            self.put(|rows| &mut rows.decided, order, bound);
        }
        let up = |party: &PartyId| self.referrer_at(*party, at);
        Ok(std::iter::successors(up(&party), up)
            .take(usize::from(depth))
            .collect())
    }
}

#[async_trait]
impl CommissionRepository for SimTx {
    async fn claim_order(&mut self, order: OrderId, _: Timestamp) -> Result<bool, StoreError> {
        self.step("commissions.claim_order").await;
        if self.planted(Bug::SharesDecidedAgain) {
            return Ok(true);
        }
        self.lock(("commission_run", order.as_uuid().as_u128())).await?;
        if self.get(|rows| &rows.decided, &order).is_some() {
            return Ok(false);
        }
        self.put(|rows| &mut rows.decided, order, Vec::new());
        self.deciding = Some(order);
        Ok(true)
    }

    async fn insert(
        &mut self,
        order: OrderId,
        decisions: &[Decision],
        earned: &[Commission],
        _: Timestamp,
    ) -> Result<(), StoreError> {
        self.step("commissions.insert").await;
        for decision in decisions {
            self.put(
                |rows| &mut rows.decisions,
                (order, decision.level),
                decision.clone(),
            );
        }
        let kept = if self.planted(Bug::OnlyFirstLevelStored) {
            &earned[..earned.len().min(1)]
        } else {
            earned
        };
        for commission in kept {
            self.put(|rows| &mut rows.commissions, commission.id, commission.clone());
        }
        Ok(())
    }

    async fn ready_due(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Commission>, StoreError> {
        self.step("commissions.ready_due").await;
        let early = if self.planted(Bug::HoldIgnored) {
            TimeDelta::days(5)
        } else {
            TimeDelta::zero()
        };
        let mut due = self.all(|rows| &rows.commissions);
        let disputed = |order| {
            let order = self.get(|rows| &rows.orders, &order);
            order.is_some_and(|order| order.disputed)
        };
        due.retain(|commission| {
            commission.state == CommissionState::Held
                && commission.hold_until - early <= now
                && (!disputed(commission.order) || self.planted(Bug::HoldReleasedWhileDisputed))
        });
        if due.iter().any(|commission| disputed(commission.order)) {
            let what = "shares become ready while their order is disputed".to_owned();
            self.db.state().violations.push(what);
        }
        due.sort_by_key(|commission| commission.hold_until);
        let mut ready = Vec::new();
        for mut commission in due {
            let lock = ("commission", commission.id.as_uuid().as_u128());
            if ready.len() == usize::from(limit) || !self.lock_now(lock) {
                continue;
            }
            commission
                .become_(CommissionState::Ready, now)
                .map_err(|error| StoreError::new(StoreFault::Broken, error))?;
            self.put(|rows| &mut rows.commissions, commission.id, commission.clone());
            ready.push(commission);
        }
        Ok(ready)
    }

    async fn lock_months(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        paid_at: Timestamp,
    ) -> Result<Vec<Money>, StoreError> {
        self.earned_in_month(agents, currency, paid_at).await
    }

    async fn for_update(&mut self, order: OrderId) -> Result<Vec<Commission>, StoreError> {
        self.step("commissions.for_update").await;
        let of_order = self.all(|rows| &rows.commissions);
        let mut found = Vec::new();
        for commission in of_order.iter().filter(|commission| commission.order == order) {
            self.lock(("commission", commission.id.as_uuid().as_u128()))
                .await?;
            found.extend(self.get(|rows| &rows.commissions, &commission.id));
        }
        if self.planted(Bug::OnlyFirstLevelReversed) {
            found.retain(|commission| commission.level == 1);
        }
        if self.planted(Bug::ReadyNotReversed) {
            found.retain(|commission| commission.state != CommissionState::Ready);
        }
        Ok(found)
    }

    async fn adjust(&mut self, commission: &Commission, step: Option<&Adjustment>) -> Result<(), StoreError> {
        self.step("commissions.adjust").await;
        let mut row = commission.clone();
        if let Some(step) = step {
            if self.planted(Bug::ReversedByEvent) {
                row.reversed = self.by_event(commission, step).unwrap_or(row.reversed);
            }
            self.put(|rows| &mut rows.adjustments, step.id, step.clone());
        }
        self.put(|rows| &mut rows.commissions, row.id, row);
        Ok(())
    }
}

impl SimTx {
    /// The share of what went back since the last time, rounded, and added to what was taken before.
    fn by_event(&self, commission: &Commission, step: &Adjustment) -> Option<Money> {
        let before = self.get(|rows| &rows.commissions, &commission.id)?.reversed;
        let steps = self.all(|rows| &rows.adjustments);
        let last = steps.iter().rfind(|old| old.commission == commission.id);
        let returned = last.map_or(Money::zero(step.returned.currency()), |last| last.returned);
        let event = step.returned.checked_sub(returned).ok()?;
        let share = commission.amount.proportion(event, step.total)?;
        before.checked_add(share).ok()
    }
}
