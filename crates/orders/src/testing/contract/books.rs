//! The books, events and answers, as orders need them.

use posx_kernel::{Claim, EntryId, Refusal as _, StoreError, StoredAnswer};
use posx_ledger::{Account, Entry, EntryKind, Posted};
use uuid::Uuid;

use super::{Suite, usd};
use crate::refund::Booking;
use crate::{Attempt, OrdersTx};

async fn post(tx: &mut dyn OrdersTx, entry: &Entry) -> Posted {
    tx.ledger().post(entry).await.expect("a value, not an error")
}

impl Suite<'_> {
    /// A store refuses money state that no entry stands for: what a row says is booked with it.
    pub(super) async fn book(
        &self,
        tx: &mut dyn OrdersTx,
        cause: Uuid,
        (kind, debit, credit): Booking,
        minor: i64,
    ) {
        let id = EntryId::from_uuid(self.uuid());
        let entry = Entry::of_money(id, kind, cause, self.given.now, usd(minor), debit, credit);
        assert_eq!(post(tx, &entry).await, Posted::New, "{entry:?}");
    }

    /// The attempt's money arrives.
    pub(super) async fn capture(&self, tx: &mut dyn OrdersTx, attempt: &Attempt, minor: i64) {
        let captured = (
            EntryKind::PaymentCaptured,
            Account::ProviderClearing,
            Account::Sales,
        );
        self.book(tx, attempt.id.as_uuid(), captured, minor).await;
        let attempt = Attempt {
            received: usd(minor),
            ..attempt.clone()
        };
        tx.attempts().save(&attempt).await.expect("saved");
    }

    pub(super) fn tokens_reserved(&self, cause: Uuid, part: &str) -> Entry {
        Entry::of_tokens(
            EntryId::from_uuid(self.uuid()),
            EntryKind::TokensReserved,
            cause,
            self.given.now,
            self.asset.id,
            self.tier.tokens_per_unit,
            Account::TokensReserved,
            Account::TokensFree,
        )
        .with_part(part)
    }

    pub(super) async fn p31_a_fact_is_booked_once(&self) {
        let cause = self.uuid();
        let money = |minor| {
            let id = EntryId::from_uuid(self.uuid());
            let (debit, credit) = (Account::ProviderClearing, Account::Sales);
            Entry::of_money(
                id,
                EntryKind::PaymentCaptured,
                cause,
                self.given.now,
                usd(minor),
                debit,
                credit,
            )
        };
        for dropped in [true, false] {
            let mut tx = self.begin().await;
            for (entry, outcome) in [
                (self.tokens_reserved(cause, "line 1"), Posted::New),
                (self.tokens_reserved(cause, "line 1"), Posted::Already),
                (self.tokens_reserved(cause, "line 2"), Posted::New),
                // Nothing is moved, so nothing is booked and nothing is in the way of what is.
                (money(0), Posted::New),
                (money(100), Posted::New),
                (money(100), Posted::Already),
            ] {
                assert_eq!(post(tx.as_mut(), &entry).await, outcome, "{entry:?}");
            }
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        let mut tx = self.begin().await;
        let again = self.tokens_reserved(cause, "line 2");
        assert_eq!(post(tx.as_mut(), &again).await, Posted::Already);
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        assert_eq!(post(tx.as_mut(), &again).await, Posted::New, "its own books");
    }

    pub(super) async fn an_event_is_kept_with_its_commit_only(&self) {
        let [buyer, ..] = self.given.parties;
        let order = self.placed(buyer).await.id;
        for (dropped, kind) in [(true, "order.lost"), (false, "order.kept"), (false, "order.last")] {
            let mut tx = self.begin().await;
            let event = self.event(order, kind);
            tx.outbox().append(event).await.expect("appended");
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        let mut tx = self.begin_elsewhere().await;
        let foreign = self.event(order, "order.foreign");
        tx.outbox().append(foreign).await.expect("appended");
        tx.commit().await.expect("committed");
        let view = self.queries.get(&self.given.scope, order, Some(buyer)).await;
        let history = view.expect("a read").expect("the order").history;
        let kinds: Vec<_> = history.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["order.kept", "order.last"], "oldest first");
        let kept = self.event(order, "order.kept");
        assert_eq!((&history[0].payload, history[0].at), (&kept.payload, kept.at));
    }

    pub(super) async fn p10_an_answer_is_stored_once(&self) {
        let call = self.call("answer", 1);
        let answer = |status| StoredAnswer {
            status,
            body: b"{}".to_vec(),
        };
        for dropped in [true, false] {
            let mut tx = self.begin().await;
            let keys = tx.idempotency();
            assert_eq!(keys.claim(&call).await.expect("a read"), Claim::New);
            keys.store(&call, &answer(201)).await.expect("stored");
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        let mut tx = self.begin().await;
        let taken = tx.idempotency().store(&call, &answer(409)).await;
        assert_eq!(taken.expect_err("it is taken").code(), StoreError::BUSY);
        drop(tx);
        let mut tx = self.begin().await;
        let found = tx.idempotency().claim(&call).await.expect("a read");
        assert_eq!(found, Claim::Replay(answer(201)));
        let other = tx.idempotency().claim(&self.call("answer", 2)).await;
        assert_eq!(other.expect("a read"), Claim::Mismatch);
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        let own = tx.idempotency().claim(&call).await.expect("a read");
        assert_eq!(own, Claim::New, "p06");
    }
}
