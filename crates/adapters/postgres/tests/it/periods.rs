//! Periods of the books that are closed.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{Begin, Clock as _, EntryId, Ids, PageRequest, Refusal as _, SystemIds};
use posx_ledger::testing::{Given, period_contract};
use posx_ledger::{
    Account, Books, BooksTx, Entry, EntryKind, PeriodError, PeriodQueries as _, REST, ReopenPeriod,
};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::task::JoinSet;

use crate::server::superuser;
use crate::world::{World, new_id, noon, usd};

impl World {
    pub fn books_of_it(&self) -> Books {
        let db = Arc::new(self.database.clone());
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        Books::new(db.clone(), db, self.clock.clone(), ids)
    }

    pub async fn pays_a_fee(&self, at: posx_kernel::Timestamp) -> Result<(), posx_kernel::StoreError> {
        let entry = Entry::of_money(
            EntryId::from_uuid(new_id()),
            EntryKind::ProviderFee,
            new_id(),
            at,
            usd(1),
            Account::ProviderFees,
            Account::ProviderClearing,
        );
        let mut tx = Begin::<dyn BooksTx>::begin(&self.database, &self.scope).await?;
        tx.ledger().post(&entry).await?;
        tx.commit().await
    }

    /// Something was posted in the time that is closed, and what came later stays open.
    pub async fn closes_its_books(&self) {
        let now = self.clock.now();
        self.pays_a_fee(now - TimeDelta::hours(2)).await.expect("posted");
        self.books_of_it()
            .close_period(&self.scope, now - REST, self.actor, None)
            .await
            .expect("closed");
    }
}

#[tokio::test]
async fn periods_pass_their_contract() {
    let (world, elsewhere) = (World::with_pool(1).await, World::new().await);
    let given = Given {
        scope: world.scope.clone(),
        elsewhere: elsewhere.scope,
        by: world.actor,
        now: noon(),
    };
    let db: Arc<dyn Begin<dyn BooksTx>> = Arc::new(world.database);
    period_contract(db.as_ref(), &given).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_closings_at_once_one_is_made() {
    let world = Arc::new(World::with_pool(8).await);
    world
        .pays_a_fee(noon() - TimeDelta::hours(3))
        .await
        .expect("posted");
    let mut closing = JoinSet::new();
    for _ in 0..8 {
        let world = world.clone();
        closing.spawn(async move {
            let books = world.books_of_it();
            books
                .close_period(&world.scope, noon() - REST, world.actor, None)
                .await
        });
    }
    let outcomes = closing.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        1,
        "{outcomes:?}"
    );
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, PeriodError::NotAfterLast(_)), "{refused:?}");
    }
    let page = PageRequest::new(None, None);
    let periods = world.database.periods(&world.scope, page).await.expect("a list");
    assert_eq!(periods.items.len(), 1);
}

/// It was posted before the books were closed, and is committed after: refused all the same.
#[tokio::test]
async fn an_entry_that_is_under_way_while_its_time_is_closed_is_refused() {
    let world = World::new().await;
    let entry = Entry::of_money(
        EntryId::from_uuid(new_id()),
        EntryKind::ProviderFee,
        new_id(),
        noon() - TimeDelta::hours(2),
        usd(1),
        Account::ProviderFees,
        Account::ProviderClearing,
    );
    let mut late = Begin::<dyn BooksTx>::begin(&world.database, &world.scope)
        .await
        .expect("a transaction");
    late.ledger().post(&entry).await.expect("not checked yet");
    let books = world.books_of_it();
    let closed = books
        .close_period(&world.scope, noon() - REST, world.actor, None)
        .await
        .expect("closed");
    let refused = late.commit().await.expect_err("its time is closed");
    assert_eq!(refused.constraint_name(), Some("entries_in_open_period"));
    let wish = ReopenPeriod {
        id: closed.id,
        because: "an entry was under way",
        by: world.actor,
    };
    books
        .reopen_period(&world.scope, wish, None)
        .await
        .expect("opened");
    world
        .pays_a_fee(noon() - TimeDelta::hours(2))
        .await
        .expect("it is open again");
    let view = world
        .database
        .period(&world.scope, closed.id)
        .await
        .expect("a read")
        .expect("it");
    assert_eq!(
        (view.reopened_by, view.reopened_because.as_deref()),
        (Some(world.actor), Some("an entry was under way"))
    );
}

#[tokio::test]
async fn what_a_closed_period_says_is_never_changed_and_another_sites_is_not_found() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    world.closes_its_books().await;
    let page = PageRequest::new(None, None);
    let periods = world.database.periods(&world.scope, page).await.expect("a list");
    let id = periods.items[0].id;
    let balances = world
        .database
        .period_balances(&world.scope, id)
        .await
        .expect("a read")
        .expect("it");
    let held: Vec<_> = balances
        .iter()
        .map(|row| (row.account.as_str(), row.balance.as_str()))
        .collect();
    assert_eq!(held, [("provider:clearing", "-1"), ("provider:fees", "1")]);
    assert!(
        elsewhere
            .database
            .period(&elsewhere.scope, id)
            .await
            .expect("a read")
            .is_none()
    );
    assert!(
        elsewhere
            .database
            .period_balances(&elsewhere.scope, id)
            .await
            .expect("a read")
            .is_none()
    );
    let nobodys = posx_kernel::PeriodId::from_uuid(new_id());
    let wish = ReopenPeriod {
        id: nobodys,
        because: "why",
        by: world.actor,
    };
    let refused = world.books_of_it().reopen_period(&world.scope, wish, None).await;
    assert_eq!(refused.expect_err("nobody's").code(), "ledger_period_not_found");
    for sql in [
        "update ledger_periods set hash = sha256('')",
        "update ledger_periods set until_at = until_at - interval '1 hour'",
        "update ledger_periods set reopened_at = now()",
        "delete from ledger_periods",
        "update ledger_period_balances set debit = debit + 1",
        "delete from ledger_period_balances",
    ] {
        let mut admin = superuser().await;
        let sql = format!("{sql} where site_id = '{}'", world.site.id.as_uuid());
        assert!(admin.execute(AssertSqlSafe(sql.as_str())).await.is_err(), "{sql}");
    }
}
