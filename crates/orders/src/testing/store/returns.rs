//! Refunds and disputes.

use async_trait::async_trait;
use posx_kernel::{DisputeId, OrderId, RefundId, StoreError, Timestamp};

use super::{FakeTx, State, constraint};
use crate::{
    Dispute, DisputeFilter, DisputeRepository, DisputeState, DisputeView, Refund, RefundFilter, RefundOrigin,
    RefundRepository, RefundView,
};

impl State {
    pub(super) fn refunds_of(&self, order: OrderId) -> Vec<Refund> {
        let own = self.refunds.values().filter(|refund| refund.order == order);
        own.cloned().collect()
    }

    pub(super) fn disputes_of(&self, order: OrderId) -> Vec<Dispute> {
        let own = self.disputes.values().filter(|dispute| dispute.order == order);
        own.cloned().collect()
    }

    /// Newest first.
    pub(super) fn refund_views(&self, filter: RefundFilter) -> Vec<RefundView> {
        let passes = |refund: &&Refund| {
            filter.id.is_none_or(|id| id == refund.id)
                && filter.order.is_none_or(|order| order == refund.order)
                && filter.state.is_none_or(|state| state == refund.state)
        };
        let found = self.refunds.values().rev().filter(passes);
        found.cloned().map(RefundView::of).collect()
    }

    /// Newest first.
    pub(super) fn dispute_views(&self, filter: DisputeFilter) -> Vec<DisputeView> {
        let passes = |dispute: &&Dispute| {
            filter.order.is_none_or(|order| order == dispute.order)
                && filter.state.is_none_or(|state| state == dispute.state)
        };
        let found = self.disputes.values().rev().filter(passes);
        found.cloned().map(DisputeView::of).collect()
    }

    /// What the real store's trigger says.
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
        let captured = self
            .orders
            .get(&refund.order)
            .map_or(0, |order| order.captured.minor());
        if refund.state.counts() && given + refund.amount.minor() + taken > captured {
            return Err(constraint("refunds_within_capture"));
        }
        Ok(())
    }
}

#[async_trait]
impl RefundRepository for FakeTx {
    async fn insert(&mut self, refund: &Refund) -> Result<bool, StoreError> {
        let same = |r: &Refund| {
            let automatic = r.origin == RefundOrigin::Automatic && refund.origin == RefundOrigin::Automatic;
            automatic && r.attempt == refund.attempt && r.reason == refund.reason
        };
        if self.work.refunds.values().any(same) {
            return Ok(false);
        }
        self.work.check_within_capture(refund, true)?;
        self.work.refunds.insert(refund.id, refund.clone());
        Ok(true)
    }

    async fn find(&mut self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        Ok(self.work.refunds.get(&id).cloned())
    }

    async fn by_provider_id(&mut self, provider_refund: &str) -> Result<Option<Refund>, StoreError> {
        let same = |refund: &&Refund| refund.provider_refund.as_deref() == Some(provider_refund);
        Ok(self.work.refunds.values().find(same).cloned())
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Refund>, StoreError> {
        Ok(self.work.refunds_of(order))
    }

    async fn save(&mut self, refund: &Refund) -> Result<(), StoreError> {
        self.work.check_within_capture(refund, false)?;
        let stored = self.work.refunds.get_mut(&refund.id);
        *stored.ok_or_else(|| StoreError::broken("a refund that was read is gone"))? = refund.clone();
        Ok(())
    }

    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Refund>, StoreError> {
        let open = |refund: &&Refund| refund.state.is_open() && refund.updated_at < before;
        let mut unsettled: Vec<_> = self.work.refunds.values().filter(open).cloned().collect();
        unsettled.sort_by_key(|refund| refund.updated_at);
        unsettled.truncate(usize::from(limit));
        Ok(unsettled)
    }
}

#[async_trait]
impl DisputeRepository for FakeTx {
    async fn insert(&mut self, dispute: &Dispute) -> Result<(), StoreError> {
        if self
            .by_provider_id_of(&dispute.provider, &dispute.provider_dispute)
            .is_some()
        {
            return Err(constraint("disputes_provider_key"));
        }
        self.work.disputes.insert(dispute.id, dispute.clone());
        Ok(())
    }

    async fn find(&mut self, id: DisputeId) -> Result<Option<Dispute>, StoreError> {
        Ok(self.work.disputes.get(&id).cloned())
    }

    async fn by_provider_id(
        &mut self,
        provider: &str,
        provider_dispute: &str,
    ) -> Result<Option<Dispute>, StoreError> {
        Ok(self.by_provider_id_of(provider, provider_dispute))
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Dispute>, StoreError> {
        Ok(self.work.disputes_of(order))
    }

    async fn save(&mut self, dispute: &Dispute) -> Result<(), StoreError> {
        let stored = self.work.disputes.get_mut(&dispute.id);
        *stored.ok_or_else(|| StoreError::broken("a dispute that was read is gone"))? = dispute.clone();
        Ok(())
    }

    async fn open(&mut self, asked_before: Timestamp, limit: u16) -> Result<Vec<Dispute>, StoreError> {
        let open =
            |dispute: &&Dispute| dispute.state == DisputeState::Open && dispute.asked_at < asked_before;
        let mut open: Vec<_> = self.work.disputes.values().filter(open).cloned().collect();
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
        let due = |dispute: &&Dispute| {
            dispute.state == DisputeState::Open
                && dispute.provider_state.needs_response()
                && dispute.evidence_due_by.is_some_and(|by| by <= due_by)
                && dispute
                    .evidence_alarm_hours
                    .is_none_or(|given| given > alarm_hours)
        };
        let mut due: Vec<_> = self.work.disputes.values().filter(due).collect();
        due.sort_by_key(|dispute| dispute.evidence_due_by);
        Ok(due
            .into_iter()
            .take(usize::from(limit))
            .map(|dispute| dispute.id)
            .collect())
    }
}

impl FakeTx {
    fn by_provider_id_of(&self, provider: &str, provider_dispute: &str) -> Option<Dispute> {
        let same =
            |found: &&Dispute| found.provider == provider && found.provider_dispute == provider_dispute;
        self.work.disputes.values().find(same).cloned()
    }
}
