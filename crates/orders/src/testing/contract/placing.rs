//! What placing reads, and the key it answers under.

use posx_kernel::{Claim, Event, IdempotentCall, OrderId, Refusal as _, StoreError, StoredAnswer, TierId};
use posx_ledger::Posted;
use serde_json::json;

use super::{SUPPLY, Suite};
use crate::{NewOrder, PlacingFacts, TierFacts};

impl Suite<'_> {
    pub(super) fn call(&self, key: &str, body: u8) -> IdempotentCall {
        IdempotentCall {
            actor: "idn_1".to_owned(),
            operation: "POST /contract",
            key: key.to_owned(),
            fingerprint: [body; 32],
            review: posx_kernel::Review::NotNeeded,
            at: self.given.now,
        }
    }

    pub(super) fn event(&self, order: OrderId, kind: &'static str) -> Event {
        Event {
            kind,
            subject: order.as_uuid(),
            payload: json!({ "of": kind }),
            at: self.given.now,
        }
    }

    pub(super) async fn placing_reads_what_is_there(&self) {
        let [buyer, ..] = self.given.parties;
        let wanted = [self.tier.id, TierId::from_uuid(self.uuid()), self.tier.id];
        let expected = PlacingFacts {
            tiers: vec![TierFacts {
                tier: self.tier.clone(),
                asset: self.asset.clone(),
                available: SUPPLY,
            }],
            wallets: Vec::new(),
            plan_snapshot: Some(self.given.plan.clone()),
            promo: None,
        };
        let now = self.given.now;
        let mut tx = self.begin().await;
        let found = tx.orders().begin_placing(None, buyer, &wanted, None, now).await;
        assert_eq!(found.expect("a read"), (Claim::New, expected.clone()));
        drop(tx);
        let preview = self
            .queries
            .facts(&self.given.scope, buyer, &wanted, None, now)
            .await;
        assert_eq!(preview.expect("a read"), expected);

        let nothing = PlacingFacts {
            tiers: Vec::new(),
            wallets: Vec::new(),
            plan_snapshot: None,
            promo: None,
        };
        let elsewhere = self
            .queries
            .facts(&self.given.elsewhere, buyer, &wanted, None, now)
            .await;
        assert_eq!(elsewhere.expect("a read"), nothing);
        let mut tx = self.begin_elsewhere().await;
        let found = tx.orders().begin_placing(None, buyer, &wanted, None, now).await;
        assert_eq!(found.expect("a read"), (Claim::New, nothing));
    }

    async fn claim(&self, call: &IdempotentCall) -> Claim {
        let mut tx = self.begin().await;
        let [buyer, ..] = self.given.parties;
        let found = tx
            .orders()
            .begin_placing(Some(call), buyer, &[], None, self.given.now)
            .await;
        let (claim, _) = found.expect("a read");
        let plain = tx.idempotency().claim(call).await.expect("a read");
        assert_eq!(claim, plain, "placing claims as any call does");
        claim
    }

    pub(super) async fn p10_a_placed_order_answers_its_key_from_then_on(&self) {
        let [buyer, ..] = self.given.parties;
        let (call, order) = (self.call("place", 1), self.order(buyer));
        let answer = StoredAnswer {
            status: 201,
            body: vec![0, 255, b'{'],
        };
        let (reserved, events) = (
            self.tokens_reserved(order.id.as_uuid(), "line"),
            [self.event(order.id, "order.placed")],
        );
        for dropped in [true, false] {
            assert_eq!(self.claim(&call).await, Claim::New);
            let mut tx = self.begin().await;
            let claimed = tx
                .orders()
                .begin_placing(Some(&call), buyer, &[], None, self.given.now)
                .await;
            assert_eq!(claimed.expect("a read").0, Claim::New);
            let new = NewOrder {
                order: &order,
                entries: std::slice::from_ref(&reserved),
                events: &events,
                answer: Some((&call, &answer)),
            };
            tx.orders().insert(new).await.expect("stored");
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        assert_eq!(self.claim(&call).await, Claim::Replay(answer));
        assert_eq!(self.claim(&self.call("place", 2)).await, Claim::Mismatch);
        assert_eq!(self.claim(&self.call("another", 1)).await, Claim::New);
        for other in [
            IdempotentCall {
                actor: "idn_2".to_owned(),
                ..call.clone()
            },
            IdempotentCall {
                operation: "POST /other",
                ..call.clone()
            },
        ] {
            assert_eq!(self.claim(&other).await, Claim::New, "{other:?}");
        }
        let mut tx = self.begin().await;
        let again = tx.ledger().post(&reserved).await.expect("a value, not an error");
        assert_eq!(again, Posted::Already, "its entries came with it");
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        let foreign = tx.idempotency().claim(&call).await.expect("a read");
        assert_eq!(foreign, Claim::New);
        drop(tx);
        let view = self.queries.get(&self.given.scope, order.id, None).await;
        let history = view.expect("a read").expect("the order").history;
        assert_eq!(history.len(), 1, "its events came with it");
        assert_eq!(
            (history[0].kind.as_str(), history[0].at),
            ("order.placed", self.given.now)
        );
    }

    pub(super) async fn p10_a_key_that_is_taken_stores_no_order(&self) {
        let [buyer, ..] = self.given.parties;
        let order = self.order(buyer);
        let answer = StoredAnswer {
            status: 201,
            body: Vec::new(),
        };
        let call = self.call("place", 1);
        let mut tx = self.begin().await;
        let new = NewOrder {
            order: &order,
            entries: &[],
            events: &[],
            answer: Some((&call, &answer)),
        };
        let refused = tx.orders().insert(new).await.expect_err("the key is taken");
        assert_eq!(refused.code(), StoreError::BUSY, "again, it finds the answer");
        drop(tx);
        let view = self.queries.get(&self.given.scope, order.id, None).await;
        assert_eq!(view.expect("a read"), None);
    }
}
