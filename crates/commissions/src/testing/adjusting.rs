//! What every store must do when an order goes back, checked through its ports.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use posx_kernel::{Begin, Clock as _, ManualClock, Money, OrderId, SeededIds};

use super::Given;
use crate::{Adjustment, AdjustmentKind, Commission, CommissionState, Commissions, CommissionsTx};

/// The orders' context, as far as shares depend on it.
#[async_trait]
pub trait GoesBack: Send + Sync {
    /// From now on so much of the order went back in all, and it is disputed or not.
    async fn goes_back(&self, order: OrderId, returned: Money, disputed: bool);
}

struct Stage<'a> {
    db: &'a dyn Begin<dyn CommissionsTx>,
    given: &'a Given,
    orders: &'a dyn GoesBack,
    service: Commissions,
    clock: Arc<ManualClock>,
}

/// Runs on a store in which only [`Given`] is. Leaves it changed.
pub async fn adjusting_contract(db: Arc<dyn Begin<dyn CommissionsTx>>, given: &Given, orders: &dyn GoesBack) {
    let clock = Arc::new(ManualClock::stopped_at(given.paid_at));
    let service = Commissions::new(Arc::clone(&db), clock.clone(), Arc::new(SeededIds::new(19)));
    service.accrue(&given.scope, given.order).await.expect("accrued");
    let stage = Stage {
        db: db.as_ref(),
        given,
        orders,
        service,
        clock,
    };
    stage.what_is_stored_is_what_was_decided().await;
    stage.a_dropped_transaction_takes_nothing().await;
    stage.nothing_matures_while_the_order_is_disputed().await;
    stage.a_void_share_comes_back_where_it_stood().await;
}

impl Stage<'_> {
    async fn returns(&self, returned: i64, disputed: bool) {
        let returned = Money::from_minor(returned, super::usd(0).currency());
        self.orders.goes_back(self.given.order, returned, disputed).await;
    }

    async fn adjust(&self) -> Vec<Adjustment> {
        let adjusted = self.service.adjust(&self.given.scope, self.given.order).await;
        adjusted.expect("adjusted")
    }

    async fn stored(&self) -> Vec<Commission> {
        let mut tx = self.db.begin(&self.given.scope).await.expect("a transaction");
        let mut stored = tx.commissions().for_update(self.given.order).await.expect("read");
        assert!(stored.is_sorted_by_key(|share| share.id));
        stored.sort_by_key(|share| share.level);
        stored
    }

    async fn mature(&self) -> usize {
        self.service.mature(&self.given.scope, 10).await.expect("matured")
    }

    async fn what_is_stored_is_what_was_decided(&self) {
        self.returns(3333, true).await;
        let steps = self.adjust().await;
        assert!(
            steps
                .iter()
                .all(|step| step.kind == AdjustmentKind::Reversal && step.returned.minor() == 3333)
        );
        let shares = self.stored().await;
        let reversed: Vec<_> = shares.iter().map(|share| share.reversed.to_string()).collect();
        assert_eq!(reversed, ["4.00 USD", "1.33 USD"]);
        for share in &shares {
            assert_eq!(
                (share.state, share.back_to, share.updated_at),
                (
                    CommissionState::Frozen,
                    Some(CommissionState::Held),
                    self.given.paid_at
                )
            );
        }
        assert_eq!(self.adjust().await, [], "a second run finds nothing to do");
        let elsewhere = self.service.adjust(&self.given.elsewhere, self.given.order).await;
        assert_eq!(elsewhere.expect("adjusted"), []);
        let mut tx = self.db.begin(&self.given.elsewhere).await.expect("a transaction");
        let foreign = tx.commissions().for_update(self.given.order).await.expect("read");
        assert_eq!(foreign, []);
    }

    async fn a_dropped_transaction_takes_nothing(&self) {
        let before = self.stored().await;
        let mut tx = self.db.begin(&self.given.scope).await.expect("a transaction");
        let mut share = before[0].clone();
        share.state = CommissionState::Held;
        share.back_to = None;
        tx.commissions().adjust(&share, None).await.expect("stored");
        drop(tx);
        assert_eq!(self.stored().await, before);
    }

    async fn nothing_matures_while_the_order_is_disputed(&self) {
        self.clock.advance(Duration::days(8));
        self.returns(0, false).await;
        assert_eq!(self.mature().await, 0, "they are frozen until the job has run");
        assert_eq!(self.adjust().await.len(), 2);
        self.returns(0, true).await;
        assert_eq!(self.mature().await, 0, "disputed, and the job has not run yet");
        self.returns(0, false).await;
        assert_eq!(self.mature().await, 2);
    }

    async fn a_void_share_comes_back_where_it_stood(&self) {
        let before = self.stored().await;
        self.returns(10_001, false).await;
        self.adjust().await;
        for share in self.stored().await {
            assert_eq!(
                (share.state, share.back_to),
                (CommissionState::Void, Some(CommissionState::Ready))
            );
            assert_eq!(share.reversed, share.amount);
        }
        self.returns(0, false).await;
        let steps = self.adjust().await;
        assert!(
            steps
                .iter()
                .all(|step| step.kind == AdjustmentKind::Restoration && step.at == self.clock.now())
        );
        let after = self.stored().await;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((after.state, after.back_to), (CommissionState::Ready, None));
            assert_eq!((after.reversed, after.amount), (before.reversed, before.amount));
        }
    }
}
