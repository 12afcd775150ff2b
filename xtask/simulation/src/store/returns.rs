//! Refunds and disputes.

use async_trait::async_trait;
use posx_kernel::{DisputeId, Money, OrderId, RefundId, StoreError, Timestamp};
use posx_orders::{Dispute, DisputeRepository, DisputeState, Refund, RefundOrigin, RefundRepository};

use super::{SimTx, constraint};
use crate::bugs::Bug;

impl SimTx {
    fn refunds_of(&self, order: OrderId) -> Vec<Refund> {
        let mut refunds = self.all(|rows| &rows.refunds);
        refunds.retain(|refund| refund.order == order);
        refunds
    }

    fn disputes_of(&self, order: OrderId) -> Vec<Dispute> {
        let mut disputes = self.all(|rows| &rows.disputes);
        disputes.retain(|dispute| dispute.order == order);
        disputes
    }

    /// What the database's trigger says (p15).
    fn check_within_capture(&self, refund: &Refund, is_new: bool) -> Result<(), StoreError> {
        let counted = |other: &&Refund| other.id != refund.id && other.state.counts();
        let own = self.refunds_of(refund.order);
        let given: i64 = own.iter().filter(counted).map(|other| other.amount.minor()).sum();
        let taken: i64 = if is_new && refund.origin == RefundOrigin::Staff {
            let disputes = self.disputes_of(refund.order);
            disputes
                .iter()
                .map(|dispute| dispute.withdrawn.minor().max(0))
                .sum()
        } else {
            0
        };
        let captured = self.get(|rows| &rows.orders, &refund.order);
        let captured = captured.map_or(0, |order| order.captured.minor());
        if refund.state.counts() && given + refund.amount.minor() + taken > captured {
            return Err(constraint("refunds_within_capture"));
        }
        Ok(())
    }
}

#[async_trait]
impl RefundRepository for SimTx {
    async fn insert(&mut self, refund: &Refund) -> Result<bool, StoreError> {
        self.step("refunds.insert").await;
        let same = |old: &Refund| {
            let automatic = old.origin == RefundOrigin::Automatic && refund.origin == RefundOrigin::Automatic;
            automatic && old.attempt == refund.attempt && old.reason == refund.reason
        };
        if self.all(|rows| &rows.refunds).iter().any(same) {
            return Ok(false);
        }
        if !self.planted(Bug::PendingRefundsNotCounted) && !self.planted(Bug::OrderReadWithoutLock) {
            self.check_within_capture(refund, true)?;
        }
        self.put(|rows| &mut rows.refunds, refund.id, refund.clone());
        Ok(true)
    }

    async fn find(&mut self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.step("refunds.find").await;
        Ok(self.get(|rows| &rows.refunds, &id))
    }

    async fn by_provider_id(&mut self, provider_refund: &str) -> Result<Option<Refund>, StoreError> {
        self.step("refunds.by_provider_id").await;
        let same = |refund: &Refund| refund.provider_refund.as_deref() == Some(provider_refund);
        Ok(self.all(|rows| &rows.refunds).into_iter().find(same))
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Refund>, StoreError> {
        self.step("refunds.of_order").await;
        let mut refunds = self.refunds_of(order);
        if self.planted(Bug::PendingRefundsNotCounted) {
            refunds.retain(|refund| !refund.state.is_open());
        }
        Ok(refunds)
    }

    async fn save(&mut self, refund: &Refund) -> Result<(), StoreError> {
        self.step("refunds.save").await;
        self.put(|rows| &mut rows.refunds, refund.id, refund.clone());
        Ok(())
    }

    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Refund>, StoreError> {
        self.step("refunds.unsettled").await;
        let mut unsettled = self.all(|rows| &rows.refunds);
        unsettled.retain(|refund| refund.state.is_open() && refund.updated_at < before);
        unsettled.sort_by_key(|refund| refund.updated_at);
        unsettled.truncate(usize::from(limit));
        Ok(unsettled)
    }
}

#[async_trait]
impl DisputeRepository for SimTx {
    async fn insert(&mut self, dispute: &Dispute) -> Result<(), StoreError> {
        self.step("disputes.insert").await;
        let same = |old: &Dispute| {
            (&old.provider, &old.provider_dispute) == (&dispute.provider, &dispute.provider_dispute)
        };
        if self.all(|rows| &rows.disputes).iter().any(same) {
            return Err(constraint("disputes_provider_key"));
        }
        self.put(|rows| &mut rows.disputes, dispute.id, dispute.clone());
        Ok(())
    }

    async fn find(&mut self, id: DisputeId) -> Result<Option<Dispute>, StoreError> {
        self.step("disputes.find").await;
        Ok(self.get(|rows| &rows.disputes, &id))
    }

    async fn by_provider_id(
        &mut self,
        provider: &str,
        provider_dispute: &str,
    ) -> Result<Option<Dispute>, StoreError> {
        self.step("disputes.by_provider_id").await;
        let same =
            |dispute: &Dispute| dispute.provider == provider && dispute.provider_dispute == provider_dispute;
        Ok(self.all(|rows| &rows.disputes).into_iter().find(same))
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Dispute>, StoreError> {
        self.step("disputes.of_order").await;
        let mut disputes = self.disputes_of(order);
        if self.planted(Bug::LostDisputeNotCounted) {
            for dispute in &mut disputes {
                dispute.lost = Money::zero(dispute.lost.currency());
            }
        }
        Ok(disputes)
    }

    async fn save(&mut self, dispute: &Dispute) -> Result<(), StoreError> {
        self.step("disputes.save").await;
        self.put(|rows| &mut rows.disputes, dispute.id, dispute.clone());
        Ok(())
    }

    async fn open(&mut self, asked_before: Timestamp, limit: u16) -> Result<Vec<Dispute>, StoreError> {
        self.step("disputes.open").await;
        let mut open = self.all(|rows| &rows.disputes);
        open.retain(|dispute| dispute.state == DisputeState::Open && dispute.asked_at < asked_before);
        open.sort_by_key(|dispute| dispute.asked_at);
        open.truncate(usize::from(limit));
        Ok(open)
    }

    async fn evidence_due(
        &mut self,
        due_by: Timestamp,
        alarm_hours: u8,
        limit: u16,
    ) -> Result<Vec<DisputeId>, StoreError> {
        self.step("disputes.evidence_due").await;
        let mut due = self.all(|rows| &rows.disputes);
        due.retain(|dispute| {
            dispute.state == DisputeState::Open
                && dispute.provider_state.needs_response()
                && dispute.evidence_due_by.is_some_and(|at| at <= due_by)
                && dispute
                    .evidence_alarm_hours
                    .is_none_or(|given| given > alarm_hours)
        });
        due.truncate(usize::from(limit));
        Ok(due.into_iter().map(|dispute| dispute.id).collect())
    }
}
