//! Refunds and disputes.

use chrono::Duration;
use posx_kernel::{DisputeId, Money, OrderId, PageRequest, RefundId};
use posx_ledger::{Account, EntryKind};

use super::{Suite, usd};
use crate::refund::Booking;
use crate::{
    Attempt, Dispute, DisputeFilter, DisputeState, DisputeView, Order, OrdersTx, ProviderDisputeState,
    Refund, RefundFilter, RefundOrigin, RefundReason, RefundState, RefundView, Restock,
};

const PAID: Booking = (
    EntryKind::RefundPaid,
    Account::RefundsPayable,
    Account::ProviderClearing,
);
const BOUNCED: Booking = (
    EntryKind::RefundBounced,
    Account::ProviderClearing,
    Account::RefundsPayable,
);
const UNDONE: Booking = (
    EntryKind::RefundUndone,
    Account::RefundsPayable,
    Account::SalesReturned,
);
const WITHDRAWN: Booking = (
    EntryKind::DisputeWithdrawn,
    Account::DisputesWithdrawn,
    Account::ProviderClearing,
);
const LOST: Booking = (
    EntryKind::DisputeLost,
    Account::SalesReturned,
    Account::DisputesWithdrawn,
);

impl Suite<'_> {
    /// Paid with twice its total, so that an attempt of it came too much.
    async fn captured(&self) -> (Order, Attempt) {
        let [buyer, ..] = self.given.parties;
        let mut order = self.placed(buyer).await;
        let attempt = self.attempt(order.id);
        order.confirm(usd(3442), self.given.now).expect("a placed order");
        let mut tx = self.begin().await;
        assert!(self.insert_attempt(tx.as_mut(), &attempt).await);
        self.capture(tx.as_mut(), &attempt, 3442).await;
        tx.orders().save(&order).await.expect("saved");
        tx.commit().await.expect("committed");
        (order, attempt)
    }

    /// Stored for the first time, and booked as its state says.
    async fn store(&self, tx: &mut dyn OrdersTx, refund: &Refund) -> bool {
        let stored = tx.refunds().insert(refund).await.expect("a value, not an error");
        let (cause, minor) = (refund.id.as_uuid(), refund.amount.minor());
        if let Some(asked) = refund.asked().filter(|_| stored && refund.state.counts()) {
            self.book(tx, cause, asked, minor).await;
        }
        if stored && refund.state == RefundState::Succeeded {
            self.book(tx, cause, PAID, minor).await;
        }
        stored
    }

    /// The order hears of it.
    async fn went_back(&self, tx: &mut dyn OrdersTx, order: OrderId, refunded: i64, returned: i64) {
        let order = tx.orders().for_update(order).await.expect("a read");
        let order = Order {
            refunded: usd(refunded),
            returned: usd(returned),
            ..order.expect("it")
        };
        tx.orders().save(&order).await.expect("saved");
    }

    /// Of what came too much.
    pub(super) async fn given_back(&self, tx: &mut dyn OrdersTx, of: &Attempt, minor: i64) {
        let (reason, origin) = (RefundReason::PaidTwice, RefundOrigin::Provider);
        let refund = Refund {
            state: RefundState::Succeeded,
            ..self.refund(of, usd(minor), reason, origin)
        };
        assert!(self.store(tx, &refund).await);
    }

    fn refund(&self, of: &Attempt, amount: Money, reason: RefundReason, origin: RefundOrigin) -> Refund {
        Refund {
            id: RefundId::from_uuid(self.uuid()),
            order: of.order,
            attempt: of.id,
            amount,
            reason,
            note: None,
            origin,
            restock: Restock::None,
            state: RefundState::Pending,
            provider_refund: None,
            created_at: self.given.now,
            updated_at: self.given.now,
        }
    }

    fn dispute(&self, of: &Attempt, name: &str) -> Dispute {
        Dispute {
            id: DisputeId::from_uuid(self.uuid()),
            order: of.order,
            attempt: of.id,
            provider: "contract".to_owned(),
            provider_dispute: format!("{name}_{}", of.id),
            amount: usd(1721),
            reason: "fraudulent".to_owned(),
            state: DisputeState::Open,
            provider_state: ProviderDisputeState::NeedsResponse,
            refundable: false,
            evidence_due_by: None,
            evidence_alarm_hours: None,
            withdrawn: usd(0),
            lost: usd(0),
            verdicts: 0,
            revision: 1,
            opened_at: self.given.now - Duration::days(2),
            closed_at: None,
            asked_at: self.given.now,
        }
    }

    pub(super) async fn an_attempt_is_refunded_once_by_itself_and_by_staff_any_number_of_times(&self) {
        let (order, attempt) = self.captured().await;
        let of = |reason, origin| self.refund(&attempt, usd(100), reason, origin);
        let late = of(RefundReason::PaidTooLate, RefundOrigin::Automatic);
        let again = of(RefundReason::PaidTooLate, RefundOrigin::Automatic);
        let twice = of(RefundReason::PaidTwice, RefundOrigin::Automatic);
        let mut staff = of(RefundReason::Other, RefundOrigin::Staff);
        staff.note = Some("as agreed".to_owned());
        staff.restock = Restock::Undelivered;
        let more = of(RefundReason::Other, RefundOrigin::Staff);
        let found = of(RefundReason::PaidTooLate, RefundOrigin::Provider);
        let all = [
            (&late, true),
            (&again, false),
            (&twice, true),
            (&staff, true),
            (&more, true),
            (&found, true),
        ];
        for dropped in [true, false] {
            let mut tx = self.begin().await;
            assert_eq!(tx.refunds().find(late.id).await.expect("a read"), None);
            for (refund, new) in all {
                assert_eq!(self.store(tx.as_mut(), refund).await, new, "{refund:?}");
            }
            self.went_back(tx.as_mut(), order.id, 0, 200).await;
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        let mut stored = [late.clone(), twice, staff, more, found];
        stored.sort_by_key(|refund| refund.id);
        let mut tx = self.begin().await;
        assert_eq!(tx.refunds().of_order(order.id).await.expect("a read"), stored);
        drop(tx);
        self.a_refund_is_saved_in_every_state(late).await;
        self.refunds_are_listed_newest_first(&stored).await;
    }

    async fn a_refund_is_saved_in_every_state(&self, mut saved: Refund) {
        for state in RefundState::ALL {
            let provider_id = format!("re_{}_{}", state.as_str(), saved.id);
            saved.state = *state;
            saved.provider_refund = Some(provider_id.clone());
            saved.updated_at += Duration::seconds(1);
            let mut tx = self.begin().await;
            tx.refunds().save(&saved).await.expect("saved");
            let (cause, minor) = (saved.id.as_uuid(), saved.amount.minor());
            match state {
                RefundState::Succeeded => self.book(tx.as_mut(), cause, PAID, minor).await,
                RefundState::Failed => self.book(tx.as_mut(), cause, BOUNCED, minor).await,
                RefundState::Pending | RefundState::RequiresAction | RefundState::Cancelled => {}
            }
            let refunded = if *state == RefundState::Succeeded {
                minor
            } else {
                0
            };
            self.went_back(tx.as_mut(), saved.order, refunded, 200).await;
            tx.commit().await.expect("committed");
            let mut tx = self.begin().await;
            let refunds = tx.refunds();
            let found = refunds.find(saved.id).await.expect("a read");
            assert_eq!(found.as_ref(), Some(&saved));
            let found = refunds.by_provider_id(&provider_id).await.expect("a read");
            assert_eq!(found.as_ref(), Some(&saved));
            assert_eq!(refunds.by_provider_id("re_nobody").await.expect("a read"), None);
        }
        let mut tx = self.begin_elsewhere().await;
        let refunds = tx.refunds();
        assert_eq!(refunds.find(saved.id).await.expect("a read"), None);
        assert!(refunds.of_order(saved.order).await.expect("a read").is_empty());
        assert!(
            refunds.save(&saved).await.is_err(),
            "what is not there is not saved"
        );
    }

    async fn refunds_are_listed_newest_first(&self, stored: &[Refund]) {
        let filter = RefundFilter {
            order: Some(stored[0].order),
            ..RefundFilter::default()
        };
        let mut found = Vec::new();
        let mut page = PageRequest::new(Some(2), None);
        loop {
            let rows = self.queries.refunds(&self.given.scope, filter, page).await;
            let rows = rows.expect("a read");
            found.extend(rows.items.into_iter().map(|refund| refund.id));
            match rows.next {
                Some(next) => page = PageRequest::new(Some(2), Some(next)),
                None => break,
            }
        }
        let expected: Vec<_> = stored.iter().rev().map(|refund| refund.id).collect();
        assert_eq!(found, expected);
        let pending = stored.iter().rfind(|refund| refund.reason == RefundReason::Other);
        let pending = pending.expect("staff's").clone();
        let one = RefundFilter {
            id: Some(pending.id),
            state: Some(RefundState::Pending),
            ..filter
        };
        let rows = self
            .queries
            .refunds(&self.given.scope, one, PageRequest::new(Some(9), None))
            .await;
        assert_eq!(rows.expect("a read").items, [RefundView::of(pending)]);
        let rows = self
            .queries
            .refunds(&self.given.elsewhere, one, PageRequest::new(Some(9), None))
            .await;
        assert!(rows.expect("a read").items.is_empty());
    }

    pub(super) async fn p15_more_than_was_captured_is_never_stored_as_refunded(&self) {
        let (order, attempt) = self.captured().await;
        let of = |minor| self.refund(&attempt, usd(minor), RefundReason::Other, RefundOrigin::Staff);
        let mut first = of(3000);
        let mut tx = self.begin().await;
        assert!(self.store(tx.as_mut(), &first).await, "within");
        // At most the order's total.
        self.went_back(tx.as_mut(), order.id, 0, 1721).await;
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let refused = tx.refunds().insert(&of(443)).await.expect_err("one too much");
        assert_eq!(refused.constraint_name(), Some("refunds_within_capture"));
        drop(tx);
        // What failed counts no more, and what disputes took does.
        first.state = RefundState::Failed;
        let mut tx = self.begin().await;
        tx.refunds().save(&first).await.expect("saved");
        self.book(tx.as_mut(), first.id.as_uuid(), UNDONE, 3000).await;
        let mut dispute = self.dispute(&attempt, "dp_capture");
        dispute.withdrawn = usd(442);
        tx.disputes().insert(&dispute).await.expect("stored");
        self.book(tx.as_mut(), dispute.id.as_uuid(), WITHDRAWN, 442).await;
        assert!(self.store(tx.as_mut(), &of(3000)).await, "within");
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let refused = tx.refunds().insert(&of(1)).await.expect_err("one too much");
        assert_eq!(refused.constraint_name(), Some("refunds_within_capture"));
        drop(tx);
        let mut tx = self.begin().await;
        let fact = self.refund(&attempt, usd(442), RefundReason::Other, RefundOrigin::Provider);
        assert!(
            tx.refunds()
                .insert(&fact)
                .await
                .expect("what the provider did is a fact")
        );
        drop(tx);
        let mut tx = self.begin().await;
        assert_eq!(tx.refunds().of_order(order.id).await.expect("a read").len(), 2);
    }

    pub(super) async fn unsettled_refunds_come_longest_untouched_first(&self) {
        let (order, attempt) = self.captured().await;
        let start = self.given.now - Duration::days(400);
        let mut expected = Vec::new();
        let mut tx = self.begin().await;
        for (minutes, state) in [
            (2, RefundState::Pending),
            (1, RefundState::RequiresAction),
            (0, RefundState::Succeeded),
            (0, RefundState::Failed),
            (0, RefundState::Cancelled),
        ] {
            let mut refund = self.refund(&attempt, usd(10), RefundReason::Other, RefundOrigin::Staff);
            refund.state = state;
            refund.updated_at = start + Duration::minutes(minutes);
            assert!(self.store(tx.as_mut(), &refund).await);
            if state.is_open() {
                expected.insert(0, refund);
            }
        }
        self.went_back(tx.as_mut(), order.id, 10, 30).await;
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let mut found = async |minutes, limit| {
            let before = start + Duration::minutes(minutes);
            tx.refunds().unsettled(before, limit).await.expect("a read")
        };
        assert_eq!(found(3, 9).await, expected);
        assert_eq!(found(2, 9).await, expected[..1], "touched before, not at");
        assert_eq!(found(3, 1).await, expected[..1]);
    }

    pub(super) async fn a_dispute_is_its_sites_and_known_by_the_providers_id(&self) {
        let (order, attempt) = self.captured().await;
        let fresh = self.dispute(&attempt, "dp");
        let mut tx = self.begin().await;
        tx.disputes().insert(&fresh).await.expect("stored");
        tx.commit().await.expect("committed");
        let again = self.dispute(&attempt, "dp");
        let mut tx = self.begin().await;
        assert!(
            tx.disputes().insert(&again).await.is_err(),
            "there is one already"
        );
        drop(tx);
        let closed = Dispute {
            amount: usd(1800),
            reason: "duplicate".to_owned(),
            state: DisputeState::Lost,
            provider_state: ProviderDisputeState::Lost,
            refundable: true,
            evidence_due_by: Some(self.given.now),
            evidence_alarm_hours: Some(24),
            withdrawn: usd(-3),
            lost: usd(1721),
            verdicts: 3,
            revision: 7,
            closed_at: Some(self.given.now),
            asked_at: self.given.now + Duration::hours(1),
            ..fresh.clone()
        };
        let mut tx = self.begin().await;
        let disputes = tx.disputes();
        assert_eq!(
            disputes.find(fresh.id).await.expect("a read"),
            Some(fresh.clone())
        );
        disputes.save(&closed).await.expect("saved");
        let cause = closed.id.as_uuid();
        self.book(tx.as_mut(), cause, WITHDRAWN, -3).await;
        self.book(tx.as_mut(), cause, LOST, 1721).await;
        self.went_back(tx.as_mut(), order.id, 0, 1721).await;
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let disputes = tx.disputes();
        let found = disputes
            .by_provider_id("contract", &closed.provider_dispute)
            .await;
        assert_eq!(found.expect("a read").as_ref(), Some(&closed));
        let other = disputes.by_provider_id("other", &closed.provider_dispute).await;
        assert_eq!(other.expect("a read"), None);
        let of_order = disputes.of_order(order.id).await.expect("a read");
        assert_eq!(of_order, std::slice::from_ref(&closed));
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        assert_eq!(tx.disputes().find(closed.id).await.expect("a read"), None);
        assert!(tx.disputes().save(&closed).await.is_err());
        drop(tx);
        self.disputes_are_listed(&closed).await;
    }

    async fn disputes_are_listed(&self, stored: &Dispute) {
        let view = DisputeView::of(stored.clone());
        let page = PageRequest::new(Some(9), None);
        for (state, expected) in [
            (None, vec![view.clone()]),
            (Some(DisputeState::Lost), vec![view.clone()]),
            (Some(DisputeState::Open), Vec::new()),
        ] {
            let filter = DisputeFilter {
                order: Some(stored.order),
                state,
            };
            let rows = self.queries.disputes(&self.given.scope, filter, page).await;
            assert_eq!(rows.expect("a read").items, expected);
        }
        let found = self.queries.dispute(&self.given.scope, stored.id).await;
        assert_eq!(found.expect("a read"), Some(view));
        let foreign = self.queries.dispute(&self.given.elsewhere, stored.id).await;
        assert_eq!(foreign.expect("a read"), None);
        let shown = async |buyer| {
            let order = self.queries.get(&self.given.scope, stored.order, buyer).await;
            let order = order.expect("a read").expect("the order");
            order.disputes.len()
        };
        assert_eq!(shown(None).await, 1);
        assert_eq!(shown(Some(self.given.parties[0])).await, 0, "for staff only");
    }

    pub(super) async fn open_disputes_and_their_due_evidence_are_found(&self) {
        let (_, attempt) = self.captured().await;
        let start = self.given.now - Duration::days(400);
        let at = |hours| start + Duration::hours(hours);
        let due = |name: &str, hours, alarm| Dispute {
            evidence_due_by: Some(at(hours)),
            evidence_alarm_hours: alarm,
            asked_at: at(hours),
            ..self.dispute(&attempt, name)
        };
        let [later, sooner, warned] = [due("b", 30, None), due("a", 20, None), due("c", 40, Some(72))];
        let reviewed = Dispute {
            provider_state: ProviderDisputeState::UnderReview,
            ..due("d", 10, None)
        };
        let closed = Dispute {
            state: DisputeState::Won,
            provider_state: ProviderDisputeState::Won,
            closed_at: Some(at(1)),
            ..due("e", 10, None)
        };
        let mut tx = self.begin().await;
        for dispute in [&later, &sooner, &warned, &reviewed, &closed] {
            tx.disputes().insert(dispute).await.expect("stored");
        }
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let disputes = tx.disputes();
        let found = disputes.evidence_due(at(50), 72, 9).await.expect("a read");
        assert_eq!(
            found,
            [sooner.id, later.id],
            "soonest first; the third had this alarm"
        );
        let found = disputes.evidence_due(at(50), 24, 9).await.expect("a read");
        assert_eq!(found, [sooner.id, later.id, warned.id]);
        assert_eq!(
            disputes.evidence_due(at(20), 24, 9).await.expect("a read"),
            [sooner.id]
        );
        assert_eq!(
            disputes.evidence_due(at(50), 24, 1).await.expect("a read"),
            [sooner.id]
        );
        let open = disputes.open(at(30), 9).await.expect("a read");
        assert_eq!(open, [reviewed.clone(), sooner], "asked before, not at");
        assert_eq!(disputes.open(at(30), 1).await.expect("a read"), [reviewed]);
    }
}
