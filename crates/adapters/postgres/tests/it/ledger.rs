//! The books.

use posx_kernel::{Begin, ChainAssetId, EntryId, PageRequest, PartyId, TokenAmount};
use posx_ledger::{Account, Entry, EntryFilter, EntryKind, LedgerQueries as _, Posted};
use posx_tiers::TiersTx;
use sqlx::{Connection as _, PgConnection};

use crate::server::{connect, shared, superuser};
use crate::world::{World, new_id, noon, usd};

fn payment(cause: uuid::Uuid, minor: i64) -> Entry {
    let id = EntryId::from_uuid(new_id());
    Entry::of_money(
        id,
        EntryKind::PaymentCaptured,
        cause,
        noon(),
        usd(minor),
        Account::ProviderClearing,
        Account::Sales,
    )
}

async fn post(world: &World, entry: &Entry) -> Posted {
    let mut tx: Box<dyn TiersTx> = world.database.begin(&world.scope).await.expect("a transaction");
    let posted = tx.ledger().post(entry).await.expect("posted");
    tx.commit().await.expect("committed");
    posted
}

async fn app_in(world: &World) -> PgConnection {
    let mut connection = connect(&shared().app_url).await;
    let begin = format!(
        "begin; set local app.current_site_id = '{}'",
        world.site.id.as_uuid()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(begin))
        .execute(&mut connection)
        .await
        .expect("begun");
    connection
}

#[tokio::test]
async fn p31_a_fact_is_booked_once_and_the_trial_balance_is_zero() {
    let world = World::new().await;
    let cause = new_id();
    assert_eq!(post(&world, &payment(cause, 1250)).await, Posted::New);
    assert_eq!(post(&world, &payment(cause, 1250)).await, Posted::Already);
    assert_eq!(post(&world, &payment(new_id(), 50)).await, Posted::New);

    let rows = world
        .database
        .trial_balance(&world.scope, None)
        .await
        .expect("a trial balance");
    let balance = |code: &str| {
        rows.iter()
            .find(|row| row.account == code)
            .map(|row| row.balance.as_str())
    };
    assert_eq!(
        (balance("provider:clearing"), balance("sales")),
        (Some("1300"), Some("-1300")),
        "{rows:?}"
    );
    let filter = EntryFilter {
        cause: Some(cause),
        kind: None,
    };
    let page = world
        .database
        .entries(&world.scope, &filter, PageRequest::new(None, None))
        .await
        .expect("entries");
    let amounts: Vec<_> = page.items[0]
        .postings
        .iter()
        .map(|posting| posting.amount.as_str())
        .collect();
    assert_eq!((page.items.len(), amounts), (1, vec!["1250", "-1250"]));
}

#[tokio::test]
async fn p28_the_largest_token_amount_is_booked_and_read_back() {
    let world = World::new().await;
    let asset = ChainAssetId::from_uuid(new_id());
    let entry = Entry::of_tokens(
        EntryId::from_uuid(new_id()),
        EntryKind::TokensReserved,
        new_id(),
        noon(),
        asset,
        TokenAmount::MAX,
        Account::TokensReserved,
        Account::TokensFree,
    );
    post(&world, &entry).await;
    let rows = world
        .database
        .trial_balance(&world.scope, None)
        .await
        .expect("a trial balance");
    assert!(
        rows.iter().any(|row| row.balance == u128::MAX.to_string()),
        "{rows:?}"
    );
}

#[tokio::test]
async fn p31_an_entry_that_does_not_balance_is_refused_at_commit() {
    let world = World::new().await;
    post(&world, &payment(new_id(), 100)).await;
    for (postings, name) in [
        (
            "values ($1, 0::smallint, 'sales', 'USD', 5), ($1, 1::smallint, 'provider:clearing', 'USD', -4)",
            "unequal",
        ),
        (
            "values ($1, 0::smallint, 'sales', 'USD', 5), ($1, 1::smallint, 'sales', 'KWD', -5)",
            "in two units",
        ),
        (
            "values ($1, 1::smallint, 'sales', 'USD', 5), ($1, 2::smallint, 'sales', 'USD', -5)",
            "without a line 0, by which a later one would pass",
        ),
        (
            "select $1::uuid, 0::smallint, 'sales', 'USD', 5 where false",
            "without postings",
        ),
    ] {
        let mut app = app_in(&world).await;
        let entry = new_id();
        sqlx::query("insert into accounts (code, unit, class) values ('sales', 'KWD', 'income')")
            .execute(&mut app)
            .await
            .expect("an account");
        sqlx::query(
            "insert into entries (id, kind, cause_id, posted_at) values ($1, 'made_up', $1, '2026-06-01')",
        )
        .bind(entry)
        .execute(&mut app)
        .await
        .expect("the entry");
        let sql = format!("insert into postings (entry_id, line, account, unit, amount) {postings}");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(entry)
            .execute(&mut app)
            .await
            .expect("not checked yet");
        let refused = sqlx::query("commit").execute(&mut app).await.expect_err(name);
        let constraint = refused
            .as_database_error()
            .and_then(|error| error.constraint().map(str::to_owned));
        assert_eq!(constraint.as_deref(), Some("entries_balance"), "{name}");
    }
}

#[tokio::test]
async fn p31_a_posting_added_to_an_older_entry_is_refused_and_no_line_is_ever_changed() {
    let world = World::new().await;
    let entry = payment(new_id(), 100);
    post(&world, &entry).await;
    for line in ["7", "-1"] {
        let mut app = app_in(&world).await;
        let sql = format!(
            "insert into postings (entry_id, line, account, unit, amount) values ($1, {line}, 'sales', 'USD', 1)"
        );
        let added = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(entry.id().as_uuid())
            .execute(&mut app)
            .await;
        let committed = sqlx::query("commit").execute(&mut app).await;
        assert!(added.is_err() || committed.is_err(), "line {line}");
    }

    // Not even a superuser, by accident.
    for sql in [
        "update postings set amount = amount",
        "update entries set kind = kind",
        "delete from postings",
        "delete from entries",
        "delete from accounts",
    ] {
        let mut admin = superuser().await;
        let mut tx = admin.begin().await.expect("a transaction");
        let sql = format!("{sql} where site_id = $1");
        let refused = sqlx::query(sqlx::AssertSqlSafe(sql.as_str()))
            .bind(world.site.id.as_uuid())
            .execute(&mut *tx)
            .await;
        assert!(refused.is_err(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_entries_of_an_account_come_at_once_and_all_are_booked() {
    let world = std::sync::Arc::new(World::with_pool(8).await);
    let mut posting = tokio::task::JoinSet::new();
    let agent = PartyId::from_uuid(world.member(None).await.party.as_uuid());
    for _ in 0..16 {
        let world = world.clone();
        posting.spawn(async move {
            let id = EntryId::from_uuid(new_id());
            let payable = Account::CommissionPayable(agent);
            let entry = Entry::of_money(
                id,
                EntryKind::CommissionAccrued,
                new_id(),
                noon(),
                usd(10),
                Account::CommissionExpense,
                payable,
            );
            post(&world, &entry).await
        });
    }
    assert!(
        posting
            .join_all()
            .await
            .iter()
            .all(|posted| *posted == Posted::New)
    );
    let rows = world
        .database
        .trial_balance(&world.scope, None)
        .await
        .expect("a trial balance");
    let mut balances: Vec<_> = rows.iter().map(|row| row.balance.as_str()).collect();
    balances.sort_unstable();
    assert_eq!(balances, ["-160", "160"]);
}
