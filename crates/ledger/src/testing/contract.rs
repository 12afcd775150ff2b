//! What every store of periods must do, checked through its ports.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{
    Begin, Currency, EntryId, IdentityId, Ids as _, Money, PeriodId, SeededIds, SiteScope, StoreError,
};

use crate::{Account, BooksTx, Closing, Entry, EntryKind, Period, Posted, REST, Reopened};

/// What the caller has put into the store.
#[derive(Debug)]
pub struct Given {
    pub scope: SiteScope,
    /// Another site. Neither has entries.
    pub elsewhere: SiteScope,
    /// Whose names stand under it.
    pub by: IdentityId,
    pub now: DateTime<Utc>,
}

struct Suite<'a> {
    db: &'a dyn Begin<dyn BooksTx>,
    given: &'a Given,
    ids: SeededIds,
}

pub async fn period_contract(db: &dyn Begin<dyn BooksTx>, given: &Given) {
    let suite = Suite {
        db,
        given,
        ids: SeededIds::new(29),
    };
    let at = |hours| given.now - REST - TimeDelta::hours(hours);
    assert_eq!(suite.last().await, None);
    suite.post(at(9), 100).await.expect("posted");
    suite.post(at(5), 23).await.expect("posted");
    let first = suite.a_period_is_kept_with_its_balances(at(5)).await;
    suite.nothing_is_dated_into_it(&first).await;
    let second = suite.the_next_one_follows(&first, at(2)).await;
    suite.only_the_last_one_is_opened_again(&first, second).await;
    suite.post(at(3), 1).await.expect("it is open again");
    let again = suite.close(Some(&first), at(1)).await;
    suite
        .keep(&again)
        .await
        .expect("it takes the number of the one before");
    assert_eq!(
        suite.last().await.map(|last| (last.number, last.from)),
        Some((2, Some(first.until)))
    );
}

impl Suite<'_> {
    async fn begin(&self) -> Box<dyn BooksTx> {
        self.db.begin(&self.given.scope).await.expect("a transaction")
    }

    async fn last(&self) -> Option<Period> {
        self.begin().await.periods().lock_last().await.expect("a read")
    }

    async fn post(&self, at: DateTime<Utc>, minor: i64) -> Result<(), StoreError> {
        let usd = Currency::from_code("USD").expect("USD");
        let entry = Entry::of_money(
            EntryId::from_uuid(self.ids.uuid(at)),
            EntryKind::ProviderFee,
            self.ids.uuid(at),
            at,
            Money::from_minor(minor, usd),
            Account::ProviderFees,
            Account::ProviderClearing,
        );
        let mut tx = self.begin().await;
        assert_eq!(
            tx.ledger().post(&entry).await.expect("a value, not an error"),
            Posted::New
        );
        tx.commit().await
    }

    async fn close(&self, last: Option<&Period>, until: DateTime<Utc>) -> Period {
        let balances = self
            .begin()
            .await
            .periods()
            .balances(until)
            .await
            .expect("a read");
        let closing = Closing {
            id: PeriodId::from_uuid(self.ids.uuid(self.given.now)),
            last,
            until,
            by: self.given.by,
            now: self.given.now,
        };
        closing.close(&balances).expect("long enough ago")
    }

    async fn keep(&self, period: &Period) -> Result<(), StoreError> {
        let mut tx = self.begin().await;
        let balances = tx.periods().balances(period.until).await.expect("a read");
        tx.periods().insert(period, &balances).await?;
        tx.commit().await
    }

    /// What was posted at its end is not in it.
    async fn a_period_is_kept_with_its_balances(&self, until: DateTime<Utc>) -> Period {
        let balances = self
            .begin()
            .await
            .periods()
            .balances(until)
            .await
            .expect("a read");
        let held: Vec<_> = balances
            .iter()
            .map(|row| {
                (
                    row.account.as_str(),
                    row.debit.as_str(),
                    row.credit.as_str(),
                    row.balance.as_str(),
                )
            })
            .filter(|row| row.3 != "0")
            .collect();
        assert_eq!(
            held,
            [
                ("provider:clearing", "0", "100", "-100"),
                ("provider:fees", "100", "0", "100")
            ]
        );
        let period = self.close(None, until).await;
        let mut tx = self.begin().await;
        tx.periods().insert(&period, &balances).await.expect("the first");
        drop(tx);
        assert_eq!(self.last().await, None, "dropped");
        self.keep(&period).await.expect("the first");
        assert_eq!(self.last().await.as_ref(), Some(&period));
        let mut tx = self.begin().await;
        assert_eq!(
            tx.periods().find(period.id).await.expect("a read").as_ref(),
            Some(&period)
        );
        drop(tx);
        let mut tx = self.db.begin(&self.given.elsewhere).await.expect("a transaction");
        assert_eq!(tx.periods().find(period.id).await.expect("a read"), None);
        assert_eq!(tx.periods().lock_last().await.expect("a read"), None);
        period
    }

    async fn nothing_is_dated_into_it(&self, period: &Period) {
        let before = period.until - TimeDelta::microseconds(1);
        let refused = self.post(before, 7).await.expect_err("it is closed");
        assert_eq!(refused.constraint_name(), Some("entries_in_open_period"));
        self.post(period.until, 4).await.expect("after its end");
    }

    async fn the_next_one_follows(&self, first: &Period, until: DateTime<Utc>) -> Period {
        let next = self.close(Some(first), until).await;
        let apart = [
            Period {
                number: 3,
                ..next.clone()
            },
            Period {
                from: Some(first.until + TimeDelta::seconds(1)),
                ..next.clone()
            },
            Period {
                previous_hash: Some([0; 32]),
                ..next.clone()
            },
            self.close(None, until).await,
        ];
        for wrong in apart {
            let refused = self.keep(&wrong).await.expect_err("it does not follow");
            assert_eq!(
                refused.constraint_name(),
                Some("ledger_periods_follow"),
                "{wrong:?}"
            );
        }
        self.keep(&next).await.expect("it follows");
        next
    }

    async fn only_the_last_one_is_opened_again(&self, first: &Period, second: Period) {
        let opened = |period: &Period| Period {
            reopened: Some(Reopened {
                by: self.given.by,
                at: self.given.now,
                because: "an invoice was missing".to_owned(),
            }),
            ..period.clone()
        };
        for wrong in [opened(first), second.clone()] {
            let mut tx = self.begin().await;
            let refused = tx.periods().save(&wrong).await.expect_err("not so");
            assert_eq!(refused.constraint_name(), Some("ledger_periods_follow"));
        }
        let opened = opened(&second);
        let mut tx = self.begin().await;
        tx.periods().save(&opened).await.expect("the last one");
        tx.commit().await.expect("committed");
        assert_eq!(self.last().await.as_ref(), Some(first));
        let mut tx = self.begin().await;
        assert_eq!(
            tx.periods().find(second.id).await.expect("a read").as_ref(),
            Some(&opened)
        );
        drop(tx);
        let mut tx = self.begin().await;
        assert!(tx.periods().save(&opened).await.is_err(), "once");
    }
}
