//! Orders as they are kept, listed and looked for.

use chrono::Duration;
use posx_kernel::{OrderId, PageRequest, SiteScope};

use super::{Suite, usd};
use crate::{
    Approval, Delivery, DueOrder, Lifecycle, NewOrder, Order, OrderFilter, OrderView, PaymentStatus,
};

impl Suite<'_> {
    async fn stored(&self, id: OrderId) -> Option<Order> {
        self.begin().await.orders().for_update(id).await.expect("a read")
    }

    pub(super) async fn an_order_is_read_back_as_it_was_placed_and_saved(&self) {
        let [buyer, referrer, ..] = self.given.parties;
        let order = Order {
            referrer: Some(referrer),
            plan_snapshot: Some(self.given.plan.clone()),
            wallet_usable_from: Some(self.given.now + Duration::hours(24)),
            ..self.order(buyer)
        };
        for _ in 0..2 {
            assert_eq!(self.stored(order.id).await, None);
            let mut tx = self.begin().await;
            self.insert(tx.as_mut(), &order).await;
            let own = tx.orders().for_update(order.id).await.expect("a read");
            assert_eq!(own.as_ref(), Some(&order), "then dropped");
        }
        let mut tx = self.begin().await;
        self.insert(tx.as_mut(), &order).await;
        tx.commit().await.expect("committed");
        assert_eq!(self.stored(order.id).await.as_ref(), Some(&order));
        let mut tx = self.begin().await;
        let twice = NewOrder {
            order: &order,
            entries: &[],
            events: &[],
            answer: None,
        };
        assert!(
            tx.orders().insert(twice).await.is_err(),
            "an order is placed once"
        );
        drop(tx);

        let attempt = self.attempt(order.id);
        let mut saved = order;
        for (step, delivery) in Delivery::ALL.iter().enumerate() {
            saved.lifecycle = Lifecycle::ALL[step];
            saved.delivery = *delivery;
            saved.approval = Approval::ALL[step % Approval::ALL.len()];
            saved.disputed = step % 2 == 0;
            saved.attention = (step % 2 == 0).then(|| "refund_failed".to_owned());
            saved.captured = usd(1721);
            saved.refunded = usd(step.try_into().expect("a few"));
            saved.paid_at = Some(self.given.now + Duration::microseconds(1));
            saved.closed_at = (step % 2 == 0).then(|| self.given.now + Duration::days(1));
            let mut tx = self.begin().await;
            if step == 0 {
                assert!(self.insert_attempt(tx.as_mut(), &attempt).await);
                self.capture(tx.as_mut(), &attempt, 1721).await;
            } else {
                self.given_back(tx.as_mut(), &attempt, 1).await;
            }
            tx.orders().save(&saved).await.expect("saved");
            tx.commit().await.expect("committed");
            assert_eq!(self.stored(saved.id).await.as_ref(), Some(&saved));
        }
    }

    pub(super) async fn an_order_is_its_sites_and_its_buyers(&self) {
        let [buyer, other, ..] = self.given.parties;
        let order = self.placed(buyer).await;
        let mut tx = self.begin_elsewhere().await;
        assert_eq!(tx.orders().for_update(order.id).await.expect("a read"), None);
        let stolen = Order {
            lifecycle: Lifecycle::Cancelled,
            ..order.clone()
        };
        assert!(tx.orders().save(&stolen).await.is_err(), "it is not there");
        drop(tx);
        let unknown = self.order(buyer);
        let mut tx = self.begin().await;
        assert!(tx.orders().save(&unknown).await.is_err(), "it was never placed");
        drop(tx);
        assert_eq!(self.stored(order.id).await.as_ref(), Some(&order));

        let look =
            async |scope: &SiteScope, buyer| self.queries.get(scope, order.id, buyer).await.expect("a read");
        let expected = OrderView::of(&order, Vec::new());
        assert_eq!(look(&self.given.scope, None).await.as_ref(), Some(&expected));
        assert_eq!(look(&self.given.scope, Some(buyer)).await, Some(expected));
        assert_eq!(look(&self.given.scope, Some(other)).await, None);
        assert_eq!(look(&self.given.elsewhere, None).await, None);
    }

    async fn listed(&self, scope: &SiteScope, filter: OrderFilter, limit: u16) -> Vec<OrderId> {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest::new(Some(limit), after);
            let page = self.queries.list(scope, filter, page).await.expect("a page");
            assert!(page.items.len() <= usize::from(limit));
            seen.extend(page.items.iter().map(|order| order.id));
            let newest_first = seen.is_sorted_by(|newer, older| newer > older);
            assert!(newest_first, "each once");
            after = page.next;
            if after.is_none() {
                return seen;
            }
        }
    }

    pub(super) async fn pages_go_on_where_the_last_one_ended_and_filters_hold(&self) {
        let [.., buyer, _] = self.given.parties;
        let mut orders = Vec::new();
        for _ in 0..5 {
            orders.push(self.placed(buyer).await);
        }
        let mut paid = orders[2].clone();
        paid.confirm(paid.total, self.given.now).expect("a placed order");
        paid.attention = Some("look".to_owned());
        let attempt = self.attempt(paid.id);
        let mut tx = self.begin().await;
        assert!(self.insert_attempt(tx.as_mut(), &attempt).await);
        self.capture(tx.as_mut(), &attempt, paid.total.minor()).await;
        tx.orders().save(&paid).await.expect("saved");
        tx.commit().await.expect("committed");
        let mut all: Vec<_> = orders.iter().map(|order| order.id).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));

        let own = OrderFilter {
            buyer: Some(buyer),
            ..OrderFilter::default()
        };
        let list = async |filter| self.listed(&self.given.scope, filter, 2).await;
        assert_eq!(list(own).await, all);
        let [confirmed, is_paid, attention] = [
            OrderFilter {
                lifecycle: Some(Lifecycle::Confirmed),
                ..own
            },
            OrderFilter {
                payment: Some(PaymentStatus::Paid),
                ..own
            },
            OrderFilter {
                attention: true,
                ..own
            },
        ];
        for filter in [confirmed, is_paid, attention] {
            assert_eq!(list(filter).await, [paid.id], "{filter:?}");
        }
        let placed = OrderFilter {
            lifecycle: Some(Lifecycle::Placed),
            payment: Some(PaymentStatus::Unpaid),
            ..own
        };
        assert_eq!(list(placed).await.len(), 4);
        assert!(
            list(OrderFilter::default()).await.len() > 5,
            "of other buyers too"
        );
        let elsewhere = self
            .listed(&self.given.elsewhere, OrderFilter::default(), 2)
            .await;
        assert!(elsewhere.is_empty());

        let page = PageRequest::new(Some(100), None);
        let page = self.queries.list(&self.given.scope, attention, page).await;
        let row = &page.expect("a page").items[0];
        assert_eq!(
            (&row.number, row.kind, row.buyer_id, row.lifecycle),
            (&paid.number.to_string(), paid.kind, buyer, paid.lifecycle)
        );
        assert_eq!(
            (row.payment, row.delivery, row.attention.as_deref(), row.total),
            (PaymentStatus::Paid, paid.delivery, Some("look"), paid.total)
        );
        assert_eq!((row.placed_at, row.paid_at), (paid.placed_at, paid.paid_at));
    }

    pub(super) async fn due_orders_come_longest_due_first_and_page_by_page(&self) {
        let [buyer, ..] = self.given.parties;
        let start = self.given.now - Duration::days(9);
        let mut tx = self.begin().await;
        let mut due = Vec::new();
        // Two of one moment, and one that is not placed any more.
        for (hours, lifecycle) in [
            (3, Lifecycle::Placed),
            (1, Lifecycle::Placed),
            (2, Lifecycle::Placed),
            (1, Lifecycle::Placed),
            (1, Lifecycle::Confirmed),
            (1, Lifecycle::Expired),
        ] {
            let order = Order {
                lifecycle,
                expires_at: start + Duration::hours(hours),
                ..self.order(buyer)
            };
            self.insert(tx.as_mut(), &order).await;
            if lifecycle == Lifecycle::Placed {
                due.push(DueOrder {
                    expires_at: order.expires_at,
                    order: order.id,
                });
            }
        }
        tx.commit().await.expect("committed");
        due.sort_unstable();
        let mut tx = self.begin().await;
        let orders = tx.orders();
        let just_before = start + Duration::hours(3) - Duration::microseconds(1);
        let early = orders.due(just_before, None, 10).await.expect("a read");
        assert_eq!(early, due[..3]);
        let until = start + Duration::hours(3);
        assert_eq!(orders.due(until, None, 10).await.expect("a read"), due);
        let mut paged: Vec<DueOrder> = Vec::new();
        while paged.len() <= due.len() {
            let next = orders.due(until, paged.last().copied(), 1).await.expect("a page");
            if next.is_empty() {
                break;
            }
            assert_eq!(next.len(), 1);
            paged.extend(next);
        }
        assert_eq!(paged, due, "each once, though two are of one moment");
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        assert!(tx.orders().due(until, None, 10).await.expect("a read").is_empty());
    }
}
