//! Attempts, and what is the provider's.

use chrono::Duration;
use posx_kernel::{OrderId, PaymentAttemptId, Timestamp};

use super::{Suite, usd};
use crate::gateway::IntentId;
use crate::{Attempt, AttemptState, OrdersTx};

impl Suite<'_> {
    pub(super) fn attempt(&self, order: OrderId) -> Attempt {
        Attempt {
            id: PaymentAttemptId::from_uuid(self.uuid()),
            order,
            provider: "contract".to_owned(),
            intent: None,
            amount: usd(1721),
            received: usd(0),
            state: AttemptState::Created,
            outcome_unknown: true,
            last_decline: None,
            created_at: self.given.now,
            updated_at: self.given.now,
        }
    }

    pub(super) async fn insert_attempt(&self, tx: &mut dyn OrdersTx, attempt: &Attempt) -> bool {
        tx.attempts()
            .insert(attempt)
            .await
            .expect("a value, not an error")
    }

    async fn save_attempt(&self, attempt: &Attempt) {
        let mut tx = self.begin().await;
        tx.attempts().save(attempt).await.expect("saved");
        tx.commit().await.expect("committed");
    }

    pub(super) async fn one_attempt_of_an_order_is_open(&self) {
        let [buyer, ..] = self.given.parties;
        let (order, other) = (self.placed(buyer).await.id, self.placed(buyer).await.id);
        let (first, second) = (self.attempt(order), self.attempt(order));
        for dropped in [true, false] {
            let mut tx = self.begin().await;
            assert_eq!(tx.attempts().open_of(order).await.expect("a read"), None);
            assert!(self.insert_attempt(tx.as_mut(), &first).await);
            assert!(!self.insert_attempt(tx.as_mut(), &second).await);
            assert!(self.insert_attempt(tx.as_mut(), &self.attempt(other)).await);
            let open = tx.attempts().open_of(order).await.expect("a read");
            assert_eq!(open.as_ref(), Some(&first));
            assert_eq!(tx.attempts().find(second.id).await.expect("a read"), None);
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        for state in [AttemptState::RequiresAction, AttemptState::Processing] {
            self.save_attempt(&Attempt {
                state,
                ..first.clone()
            })
            .await;
            let mut tx = self.begin().await;
            assert!(
                !self.insert_attempt(tx.as_mut(), &second).await,
                "{state:?} is open"
            );
        }
        for (state, next) in [
            (AttemptState::Cancelled, self.attempt(order)),
            (AttemptState::Succeeded, self.attempt(order)),
        ] {
            let ended = Attempt {
                state,
                ..first.clone()
            };
            self.save_attempt(&ended).await;
            let mut tx = self.begin().await;
            assert_eq!(tx.attempts().open_of(order).await.expect("a read"), None);
            assert!(
                self.insert_attempt(tx.as_mut(), &next).await,
                "{state:?} is not open"
            );
        }
        let mut tx = self.begin_elsewhere().await;
        assert_eq!(tx.attempts().find(first.id).await.expect("a read"), None);
        assert_eq!(tx.attempts().open_of(other).await.expect("a read"), None);
    }

    pub(super) async fn an_attempt_is_found_by_its_intent(&self) {
        let [buyer, ..] = self.given.parties;
        let mut order = self.placed(buyer).await;
        let fresh = self.attempt(order.id);
        let mut tx = self.begin().await;
        assert!(self.insert_attempt(tx.as_mut(), &fresh).await);
        tx.commit().await.expect("committed");
        let intent = IntentId("pi_contract".to_owned());
        let known = Attempt {
            intent: Some(intent.clone()),
            received: usd(1720),
            state: AttemptState::Succeeded,
            outcome_unknown: false,
            last_decline: Some("insufficient_funds".to_owned()),
            updated_at: self.given.now + Duration::seconds(5),
            ..fresh
        };
        let mut tx = self.begin().await;
        let before = tx
            .attempts()
            .by_intent("contract", &intent)
            .await
            .expect("a read");
        assert_eq!(before, None);
        drop(tx);
        let mut tx = self.begin().await;
        self.capture(tx.as_mut(), &known, 1720).await;
        order.captured = usd(1720);
        tx.orders().save(&order).await.expect("saved");
        tx.commit().await.expect("committed");
        let foreign = Attempt {
            state: AttemptState::Cancelled,
            ..known.clone()
        };
        let mut tx = self.begin_elsewhere().await;
        let found = tx
            .attempts()
            .by_intent("contract", &intent)
            .await
            .expect("a read");
        assert_eq!(found, None);
        assert!(
            tx.attempts().save(&foreign).await.is_err(),
            "what is not there is not saved"
        );
        drop(tx);
        let mut tx = self.begin().await;
        let attempts = tx.attempts();
        let found = attempts.by_intent("contract", &intent).await.expect("a read");
        assert_eq!(found.as_ref(), Some(&known));
        assert_eq!(attempts.find(known.id).await.expect("a read"), Some(known));
        assert_eq!(attempts.by_intent("other", &intent).await.expect("a read"), None);
    }

    pub(super) async fn unsettled_attempts_come_oldest_first(&self) {
        let [buyer, ..] = self.given.parties;
        let start = self.given.now - Duration::days(9);
        let at = |minutes| start + Duration::minutes(minutes);
        let mut tx = self.begin().await;
        let mut unsettled = Vec::new();
        for (minutes, state) in [
            (3, AttemptState::Processing),
            (1, AttemptState::Created),
            (2, AttemptState::RequiresAction),
            (0, AttemptState::Succeeded),
            (0, AttemptState::Cancelled),
        ] {
            let order = self.order(buyer);
            self.insert(tx.as_mut(), &order).await;
            let attempt = Attempt {
                state,
                updated_at: at(minutes),
                ..self.attempt(order.id)
            };
            assert!(self.insert_attempt(tx.as_mut(), &attempt).await);
            if state.is_open() {
                unsettled.push(attempt);
            }
        }
        tx.commit().await.expect("committed");
        unsettled.sort_by_key(|attempt| attempt.updated_at);
        let mut tx = self.begin().await;
        let mut found = async |before: Timestamp, limit| {
            let found = tx.attempts().unsettled(before, limit).await;
            found.expect("a read")
        };
        assert_eq!(found(at(4), 10).await, unsettled);
        assert_eq!(found(at(3), 10).await, unsettled[..2], "touched before, not at");
        assert_eq!(found(at(4), 1).await, unsettled[..1]);
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        let foreign = tx.attempts().unsettled(at(4), 10).await.expect("a read");
        assert!(foreign.is_empty());
    }

    pub(super) async fn an_object_of_the_provider_belongs_to_one_site(&self) {
        let object = format!("pi_{}", self.given.scope.site().as_uuid().simple());
        let mut tx = self.begin().await;
        let claimed = tx.attempts().claim_external_id("contract", &object).await;
        assert!(claimed.expect("a value, not an error"), "then dropped");
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        let claimed = tx.attempts().claim_external_id("contract", &object).await;
        assert!(claimed.expect("a value, not an error"));
        let again = tx.attempts().claim_external_id("contract", &object).await;
        assert!(again.expect("a value, not an error"));
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let foreign = tx.attempts().claim_external_id("contract", &object).await;
        assert!(!foreign.expect("a value, not an error"));
        let other = tx.attempts().claim_external_id("another", &object).await;
        assert!(other.expect("a value, not an error"), "of another provider");
    }
}
