use std::sync::Arc;

use posx_kernel::{
    Begin, Clock as _, IdempotentCall, IdentityId, ManualClock, Refusal as _, Review, SeededIds, SiteId,
    SiteScope,
};
use uuid::Uuid;

use super::*;
use crate::testing::{FakeBooks, Given, period_contract};
use crate::{Books, Fault, Invariant};

fn noon() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("an instant")
}

fn site(number: u128) -> SiteScope {
    SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(number)))
}

fn person(number: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(number))
}

fn row(account: &str, debit: &str, credit: &str) -> TrialBalanceRow {
    TrialBalanceRow {
        account: account.to_owned(),
        unit: "USD".to_owned(),
        class: "asset".to_owned(),
        debit: debit.to_owned(),
        credit: credit.to_owned(),
        balance: String::new(),
    }
}

struct Office {
    store: FakeBooks,
    books: Books,
    clock: Arc<ManualClock>,
    scope: SiteScope,
}

fn office() -> Office {
    let (store, clock) = (FakeBooks::default(), Arc::new(ManualClock::stopped_at(noon())));
    let books = Books::new(
        Arc::new(store.clone()),
        Arc::new(store.clone()),
        clock.clone(),
        Arc::new(SeededIds::new(3)),
    );
    Office {
        store,
        books,
        clock,
        scope: site(1),
    }
}

impl Office {
    async fn close(&self, until: Timestamp) -> Result<PeriodId, PeriodError> {
        let made = self.books.close_period(&self.scope, until, person(7), None).await;
        made.map(|made| made.id)
    }

    async fn reopen(&self, id: PeriodId, because: &str) -> Result<(), PeriodError> {
        let wish = ReopenPeriod {
            id,
            because,
            by: person(8),
        };
        self.books.reopen_period(&self.scope, wish, None).await
    }

    fn events(&self) -> Vec<&'static str> {
        let kept = self.store.kept(&self.scope);
        kept.events.iter().map(|event| event.kind).collect()
    }
}

#[tokio::test]
async fn the_fake_passes_the_contract() {
    let db: Arc<dyn Begin<dyn BooksTx>> = Arc::new(FakeBooks::default());
    let given = Given {
        scope: site(1),
        elsewhere: site(2),
        by: person(7),
        now: noon(),
    };
    period_contract(db.as_ref(), &given).await;
}

#[tokio::test]
async fn the_books_are_closed_up_to_an_hour_ago_and_each_time_further() {
    let office = office();
    let refused = office.close(noon() - REST + TimeDelta::microseconds(1)).await;
    assert!(matches!(refused, Err(PeriodError::TooRecent)), "{refused:?}");
    let first = office.close(noon() - REST).await.expect("closed");
    for until in [noon() - REST, noon() - REST - TimeDelta::days(1)] {
        let refused = office.close(until).await.expect_err("closed before");
        assert_eq!(
            (refused.code(), refused.field().as_deref()),
            ("ledger_period_not_after_last", Some("until"))
        );
    }
    office.clock.advance(TimeDelta::hours(3));
    let second = office.close(office.clock.now() - REST).await.expect("closed");
    let periods = office.store.kept(&office.scope).periods;
    let chain: Vec<_> = periods
        .iter()
        .map(|period| (period.id, period.number, period.from, period.previous_hash))
        .collect();
    assert_eq!(
        chain,
        [
            (first, 1, None, None),
            (second, 2, Some(periods[0].until), Some(periods[0].hash))
        ]
    );
    assert_eq!(office.events(), ["books.period_closed"; 2]);
}

#[tokio::test]
async fn only_the_last_period_is_opened_again_and_with_a_reason() {
    let office = office();
    let first = office.close(noon() - TimeDelta::hours(9)).await.expect("closed");
    let last = office.close(noon() - TimeDelta::hours(2)).await.expect("closed");
    let refused = office.reopen(first, "an invoice was missing").await;
    assert!(matches!(refused, Err(PeriodError::NotLast)), "{refused:?}");
    let too_long = "x".repeat(REASON_CHARS_MAX + 1);
    for because in ["", "  ", too_long.as_str()] {
        let refused = office.reopen(last, because).await;
        assert!(matches!(refused, Err(PeriodError::Reason)), "{refused:?}");
    }
    let nobodys = PeriodId::from_uuid(Uuid::from_u128(404));
    let refused = office.reopen(nobodys, "why").await;
    assert!(matches!(refused, Err(PeriodError::NotFound)), "{refused:?}");
    office
        .reopen(last, " an invoice was missing ")
        .await
        .expect("opened");
    let again = office.reopen(last, "again").await;
    assert!(matches!(again, Err(PeriodError::NotLast)), "{again:?}");
    let next = office
        .close(noon() - TimeDelta::hours(3))
        .await
        .expect("earlier than the one before");
    let kept = office.store.kept(&office.scope);
    let found = kept.periods.iter().find(|period| period.id == next).expect("it");
    assert_eq!((found.number, found.from), (2, Some(kept.periods[0].until)));
    let reopened = kept.periods[1].reopened.as_ref().expect("opened again");
    assert_eq!(
        (reopened.by, reopened.because.as_str()),
        (person(8), "an invoice was missing")
    );
    assert!(
        !kept
            .events
            .iter()
            .any(|event| event.payload.to_string().contains("invoice")),
        "staff's words are not in the trail"
    );
}

#[tokio::test]
async fn p10_a_repeated_call_closes_one_period() {
    let office = office();
    let call = IdempotentCall {
        actor: person(7).to_string(),
        operation: "POST /api/v1/ledger/periods",
        key: "june".to_owned(),
        fingerprint: [1; 32],
        review: Review::NotNeeded,
        at: noon(),
    };
    let close = || {
        let until = noon() - REST;
        office
            .books
            .close_period(&office.scope, until, person(7), Some(&call))
    };
    let (first, again) = (close().await.expect("closed"), close().await.expect("the same"));
    assert_eq!(
        (again.id, first.replayed, again.replayed),
        (first.id, false, true)
    );
    let unapproved = IdempotentCall {
        key: "july".to_owned(),
        review: Review::Needed(None),
        ..call.clone()
    };
    let refused = office
        .books
        .close_period(&office.scope, noon() - REST, person(7), Some(&unapproved))
        .await
        .expect_err("nobody agreed");
    assert_eq!(refused.code(), "approval_needed");
}

#[test]
fn a_hash_says_what_every_account_held_and_when_in_whatever_order_it_is_read() {
    let (one, other) = (row("sales", "0", "5"), row("provider:clearing", "5", "0"));
    let hash = |rows: &[TrialBalanceRow]| hash_of(None, noon(), None, rows);
    let expected = hash(&[one.clone(), other.clone()]);
    assert_eq!(hash(&[other.clone(), one.clone()]), expected);
    assert_ne!(hash(std::slice::from_ref(&one)), expected);
    assert_ne!(
        hash(&[row("sales", "1", "6"), other.clone()]),
        expected,
        "the same balance"
    );
    let rows = [one, other];
    assert_ne!(hash_of(Some(noon()), noon(), None, &rows), expected);
    assert_ne!(
        hash_of(None, noon() + TimeDelta::microseconds(1), None, &rows),
        expected
    );
    assert_ne!(hash_of(None, noon(), Some([0; 32]), &rows), expected);
    // Written down somewhere, it is found again by another version.
    assert_eq!(
        hex::encode(hash_of(None, noon(), None, &[row("sales", "0", "5")])),
        hex::encode(aws_lc_rs::digest::digest(
            &SHA256,
            b" 1780315200000000 \nUSD sales 0 5\n"
        ))
    );
}

#[tokio::test]
async fn each_fault_is_told_once_and_looking_changes_nothing() {
    let office = office();
    assert_eq!(
        office.books.check_and_tell(&office.scope).await.expect("a look"),
        []
    );
    let order = Uuid::from_u128(5);
    let fault = |invariant: Invariant, subject| Fault {
        invariant: invariant.as_str(),
        subject,
        detail: "sales is off by 5 USD".to_owned(),
    };
    let faults = [
        fault(Invariant::TrialBalance, None),
        fault(Invariant::OrdersBooked, Some(order)),
    ];
    office.store.change(&office.scope, |kept| {
        kept.faults = faults.iter().rev().cloned().collect();
    });
    assert_eq!(office.books.check(&office.scope).await.expect("a look"), faults);
    assert!(office.events().is_empty());
    let told = office.books.check_and_tell(&office.scope).await.expect("told");
    assert_eq!(told, faults);
    let kept = office.store.kept(&office.scope);
    let subjects: Vec<_> = kept
        .events
        .iter()
        .map(|event| (event.kind, event.subject))
        .collect();
    let kind = "books.invariant_broken";
    assert_eq!(subjects, [(kind, office.scope.site().as_uuid()), (kind, order)]);
}
