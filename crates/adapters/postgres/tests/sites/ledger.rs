use std::collections::BTreeMap;

use posx_ledger::LedgerQueries;
use posx_testkit::database;
use sqlx::{Connection, Executor, PgConnection};

use crate::world::World;

#[tokio::test]
async fn p31_every_sites_trial_balance_is_zero_in_each_unit() {
    let world = World::new("USD").await;
    let tier = world.tier(10_000, 10).await;
    let buyer = world.join(None).await;
    world.placed(buyer.party, &tier, 3).await;
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    let rows = world
        .database
        .trial_balance(&world.scope)
        .await
        .expect("the books");
    assert!(
        rows.iter()
            .any(|row| row.account == "tokens:reserved" && row.balance == "3000003"),
        "{rows:?}"
    );
    for row in rows {
        *sums.entry(row.unit).or_default() += row.balance.parse::<i128>().expect("digits");
    }
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
}

#[tokio::test]
async fn p31_the_database_refuses_an_entry_that_does_not_balance_at_commit() {
    let world = World::new("USD").await;
    let site = world.site.id.as_uuid();
    for (postings, balances) in [
        ("(gen, 0, 'sales', 'USD', 5), (gen, 1, 'sales', 'USD', -5)", true),
        ("(gen, 0, 'sales', 'USD', 5), (gen, 1, 'sales', 'USD', -4)", false),
        ("(gen, 0, 'sales', 'USD', 5), (gen, 1, 'sales', 'KWD', -5)", false),
    ] {
        let mut connection = PgConnection::connect(&database().app_url)
            .await
            .expect("connected");
        let sql = format!(
            "BEGIN; SET LOCAL app.current_site_id = '{site}';
             insert into accounts (code, unit, class) values ('sales', 'USD', 'income'), ('sales', 'KWD', 'income') on conflict do nothing;
             insert into entries (id, kind, cause_id, posted_at) values (gen, 'test', gen, '2026-01-01');
             insert into postings (entry_id, line, account, unit, amount) values {postings};
             COMMIT"
        )
        .replace("gen", &format!("'{}'", posx_kernel::Ids::uuid(&posx_kernel::SystemIds, world.now())));
        let outcome = connection.execute(sqlx::AssertSqlSafe(sql)).await;
        match outcome {
            Ok(_) => assert!(balances, "{postings}"),
            Err(error) => {
                let error = error.into_database_error().expect("the database's own word");
                assert_eq!(error.constraint(), Some("entries_balance"), "{error}");
                assert!(!balances);
            }
        }
    }
}

#[tokio::test]
async fn entries_are_never_changed_or_deleted_not_even_by_their_owner() {
    let world = World::new("USD").await;
    world.tier(10_000, 10).await;
    let site = world.site.id.as_uuid();
    for statement in [
        "update postings set amount = amount + 1",
        "delete from postings",
        "delete from entries",
        "update entries set kind = 'x'",
    ] {
        let mut owner = PgConnection::connect(&database().migrator_url)
            .await
            .expect("connected");
        let sql = format!(
            "set role posx_owner; BEGIN; SET LOCAL app.current_site_id = '{site}'; {statement}; COMMIT"
        );
        let refused = owner
            .execute(sqlx::AssertSqlSafe(sql))
            .await
            .expect_err(statement);
        assert!(refused.to_string().contains("never changed"), "{refused}");
    }
}
