use posx_kernel::{Ids, SystemIds};
use posx_testkit::database;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::world::World;

/// A site in which every table has at least one row that use made, where use of this crate makes one.
async fn lived_in() -> World {
    let world = World::new("USD").await;
    let tier = world.tier(10_000, 10).await;
    let alice = world.join(None).await;
    let bob = world.join(Some(alice.referral_code.as_str())).await;
    world.placed(bob.party, &tier, 1).await;
    world
}

async fn within(site: Option<uuid::Uuid>) -> PgConnection {
    let mut connection = PgConnection::connect(&database().app_url)
        .await
        .expect("connected");
    let begin = match site {
        Some(site) => format!("BEGIN; SET LOCAL app.current_site_id = '{site}'"),
        None => "BEGIN".to_owned(),
    };
    connection.execute(AssertSqlSafe(begin)).await.expect("begun");
    connection
}

#[tokio::test]
async fn p01_no_command_on_any_table_sees_or_changes_another_sites_rows() {
    let (na, asia) = (lived_in().await, lived_in().await);
    let tables = na.database.site_tables().await.expect("the catalogue");
    assert!(tables.len() >= 20, "{tables:?}");
    let mut with_rows = 0;
    for table in &tables {
        let own = na
            .database
            .rows_seen(table, na.site.id, Some(na.site.id))
            .await
            .expect("own rows");
        with_rows += usize::from(own > 0);
        for foreigner in [Some(asia.site.id), None] {
            let seen = na
                .database
                .rows_seen(table, na.site.id, foreigner)
                .await
                .expect("a count");
            assert_eq!(seen, 0, "{table} seen from {foreigner:?}");
        }
        for command in [
            format!("update {table} set site_id = site_id"),
            format!("delete from {table}"),
            format!("update {table} set site_id = '{}'", asia.site.id.as_uuid()),
        ] {
            for foreigner in [Some(asia.site.id.as_uuid()), None] {
                let mut connection = within(foreigner).await;
                let touched = format!("{command} where site_id = '{}'", na.site.id.as_uuid());
                // Refused outright, or done to no row.
                if let Ok(done) = connection.execute(AssertSqlSafe(touched.clone())).await {
                    assert_eq!(done.rows_affected(), 0, "{touched}");
                }
            }
        }
    }
    assert!(with_rows >= 11, "only {with_rows} tables had rows to protect");
}

#[tokio::test]
async fn p01_a_row_cannot_be_written_into_another_site_or_into_none() {
    let (na, asia) = (lived_in().await, lived_in().await);
    let insert = |site: &str| {
        format!(
            "insert into events (site_id, kind, subject_id, payload, at) values ({site}, 'x', '{}', '{{}}', '2026-01-01')",
            SystemIds.uuid(na.now())
        )
    };
    let foreign = format!("'{}'", na.site.id.as_uuid());
    for (within_site, site) in [
        (Some(asia.site.id.as_uuid()), foreign.as_str()),
        (None, foreign.as_str()),
        (None, "default"),
    ] {
        let mut connection = within(within_site).await;
        assert!(
            connection.execute(AssertSqlSafe(insert(site))).await.is_err(),
            "{within_site:?} {site}"
        );
    }
}

#[tokio::test]
async fn p02_after_the_end_of_a_transaction_the_pooled_connection_has_no_site() {
    let world = World::on(crate::world::database(1).await, "USD").await;
    world.tier(10_000, 10).await;
    for commit in [true, false] {
        let buyer = world.join(None).await;
        if commit {
            assert!(
                world
                    .place(&world.wish(buyer.party, &world.tier(10_000, 1).await, 1))
                    .await
                    .is_ok()
            );
        } else {
            let unknown = posx_tiers::Tier {
                id: posx_kernel::TierId::from_uuid(SystemIds.uuid(world.now())),
                ..world.tier(1000, 1).await
            };
            assert!(world.place(&world.wish(buyer.party, &unknown, 1)).await.is_err());
        }
        for table in ["orders", "tiers", "events"] {
            assert_eq!(
                world
                    .database
                    .rows_seen(table, world.site.id, None)
                    .await
                    .expect("a count"),
                0,
                "{table}"
            );
        }
    }
}

#[tokio::test]
async fn p03_the_app_role_cannot_switch_row_level_security_off_truncate_or_become_another() {
    for forbidden in [
        "alter table orders disable row level security",
        "alter table orders no force row level security",
        "drop policy site_isolation on orders",
        "truncate orders cascade",
        "set role posx_owner",
        "set role posx_platform",
        "set session authorization posx_owner",
        "select * from sites",
        "select * from webhook_inbox",
        "select * from identities",
        "select * from external_ids",
        "select * from graphile_worker._private_jobs",
        "create table mine (x int)",
        "set row_security = off; select * from orders",
    ] {
        let mut connection = PgConnection::connect(&database().app_url)
            .await
            .expect("connected");
        assert!(connection.execute(forbidden).await.is_err(), "{forbidden}");
    }
}

#[tokio::test]
async fn p04_a_row_cannot_name_another_sites_row() {
    let (na, asia) = (lived_in().await, lived_in().await);
    let tier = na.tier(10_000, 1).await;
    let mut connection = within(Some(asia.site.id.as_uuid())).await;
    let foreign = format!(
        "insert into tier_stock (tier_id, supply) values ('{}', 5)",
        tier.id.as_uuid()
    );
    let refused = connection
        .execute(AssertSqlSafe(foreign))
        .await
        .expect_err("the tier is another site's");
    assert!(refused.to_string().contains("foreign key"), "{refused}");
}

#[tokio::test]
async fn p05_site_id_never_changes_not_even_by_the_owner() {
    let (na, asia) = (lived_in().await, lived_in().await);
    let mut owner = PgConnection::connect(&database().superuser_url)
        .await
        .expect("connected");
    for table in na.database.site_tables().await.expect("the catalogue") {
        let (from, to) = (na.site.id.as_uuid(), asia.site.id.as_uuid());
        let move_row = format!("update {table} set site_id = '{to}' where site_id = '{from}'");
        match owner.execute(AssertSqlSafe(move_row)).await {
            Ok(done) => assert_eq!(done.rows_affected(), 0, "{table}"),
            Err(refused) => assert!(refused.to_string().contains("never change"), "{table}: {refused}"),
        }
    }
}

#[tokio::test]
async fn p06_two_sites_may_hold_the_same_number_key_and_outside_id() {
    let (na, asia) = (lived_in().await, lived_in().await);
    for world in [&na, &asia] {
        let mut connection = within(Some(world.site.id.as_uuid())).await;
        let same = "insert into idempotency_keys (actor, operation, key, fingerprint, status, body, created_at)
                    values ('a', 'o', 'same', sha256(''), 200, '', '2026-01-01');
                    insert into chain_assets (id, chain, symbol, decimals, provider_asset, vault, created_at)
                    values ('018f0000-0000-7000-8000-000000000001', 'ETH', 'SAME', 18, 'x', '0', '2026-01-01'); COMMIT";
        connection.execute(same).await.expect("the same in both sites");
    }
}

#[tokio::test]
async fn a_job_carries_its_transactions_site_whatever_its_payload_says() {
    let (na, asia) = (lived_in().await, lived_in().await);
    let mut connection = within(Some(asia.site.id.as_uuid())).await;
    let forged = format!(
        "select app.add_job('forged', '{{\"site_id\": \"{}\"}}', 'k', 0, 3600, 1); COMMIT",
        na.site.id.as_uuid()
    );
    connection.execute(AssertSqlSafe(forged)).await.expect("added");
    let mut jobs = PgConnection::connect(&database().jobs_url)
        .await
        .expect("connected");
    let row = sqlx::query(
        "select count(*) filter (where payload ->> 'site_id' = $1) as asia, count(*) filter (where payload ->> 'site_id' = $2) as na
         from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id where t.identifier = 'forged'",
    )
    .bind(asia.site.id.as_uuid().to_string())
    .bind(na.site.id.as_uuid().to_string())
    .fetch_one(&mut jobs)
    .await
    .expect("counted");
    assert_eq!((row.get::<i64, _>("asia"), row.get::<i64, _>("na")), (1, 0));
    let mut nowhere = within(None).await;
    assert!(
        nowhere
            .execute("select app.add_job('forged', '{}', 'k', 0, 0, 1)")
            .await
            .is_err(),
        "no site, no job"
    );
}
