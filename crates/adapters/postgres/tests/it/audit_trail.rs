//! Who did what, and that nobody changes it unnoticed.

use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::{Actor, ApiKeyId, Begin as _, DeviceId, Event, GrantId, IdentityId, SiteScope, Who};
use posx_postgres::{AuditEntry, AuditFilter, SealedUpTo};
use posx_tenancy::TenancyTx;
use sqlx::Connection as _;

use crate::server::{connect, shared, superuser};
use crate::world::{World, new_id, noon};

/// As someone outside would check an export.
fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

async fn happen(world: &World, scope: &SiteScope, kind: &'static str) {
    let mut tx: Box<dyn TenancyTx> = world.database.begin(scope).await.expect("a transaction");
    let event = Event {
        kind,
        subject: new_id(),
        payload: serde_json::json!({ "changes": { "name": ["a", "b"] } }),
        at: noon(),
    };
    tx.outbox().append(event).await.expect("appended");
    tx.commit().await.expect("committed");
}

async fn trail(world: &World, filter: AuditFilter) -> Vec<AuditEntry> {
    let read = world.database.audit_trail(&world.scope, &filter, None, 100).await;
    read.expect("a trail")
}

#[tokio::test]
async fn an_event_says_who_did_it_whatever_kind_of_actor_it_was() {
    let world = World::new().await;
    let (identity, second) = (new_id(), new_id());
    let who = [
        (Who::Visitor, ("visitor", None, None)),
        (
            Who::Person(IdentityId::from_uuid(identity)),
            ("person", Some(identity), None),
        ),
        (
            Who::Staff {
                identity: IdentityId::from_uuid(identity),
                grant: GrantId::from_uuid(second),
            },
            ("staff", Some(identity), Some(second)),
        ),
        (
            Who::Key(ApiKeyId::from_uuid(identity)),
            ("key", Some(identity), None),
        ),
        (
            Who::Device {
                device: DeviceId::from_uuid(identity),
                cashier: Some(IdentityId::from_uuid(second)),
            },
            ("device", Some(identity), Some(second)),
        ),
        (Who::System, ("system", None, None)),
    ];
    // A request's id is the client's own text: no text ends the statement that it is set by.
    let requests = [
        "plain",
        "a'b; reset role --",
        "x,y,z",
        "\\x00",
        "%s{}",
        "~!@#$^&*()",
    ];
    for ((who, told), request) in who.into_iter().zip(requests) {
        let actor = Actor {
            who,
            request: Some(request.to_owned()),
            address: Some([7; 16]),
        };
        happen(&world, &world.scope.clone().by(actor), "thing.happened").await;
        let newest = trail(&world, AuditFilter::default()).await.remove(0);
        let actor = &newest.actor;
        assert_eq!((actor.kind.as_str(), actor.id, actor.second_id), told);
        assert_eq!(newest.request_id.as_deref(), Some(request));
        assert_eq!(newest.address.as_deref(), Some("07".repeat(16).as_str()));
    }
    let by = |actor| AuditFilter {
        actor: Some(actor),
        ..AuditFilter::default()
    };
    assert_eq!(trail(&world, by(identity)).await.len(), 4);
    let of = |request: &str| AuditFilter {
        request_id: Some(request.to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(trail(&world, of("x,y,z")).await.len(), 1);
    let late = AuditFilter {
        since: Some(noon() + chrono::Duration::seconds(1)),
        ..AuditFilter::default()
    };
    assert_eq!(trail(&world, late).await, []);
}

#[tokio::test]
async fn p02_the_actor_of_one_transaction_is_not_the_next_ones() {
    let world = World::with_pool(1).await;
    let actor = Actor::of(Who::Person(IdentityId::from_uuid(new_id())));
    happen(&world, &world.scope.clone().by(actor), "first").await;
    let job = world.scope.clone().by(Actor::SYSTEM);
    happen(&world, &job, "second").await;
    let kinds: Vec<_> = trail(&world, AuditFilter::default())
        .await
        .into_iter()
        .map(|entry| (entry.kind, entry.actor.kind))
        .collect();
    let told = [("second", "system"), ("first", "person")];
    assert_eq!(
        kinds,
        told.map(|(kind, actor)| (kind.to_owned(), actor.to_owned()))
    );
}

/// Three sealed events.
async fn sealed(world: &World) {
    for kind in ["one", "two", "three"] {
        happen(world, &world.scope, kind).await;
    }
    assert_eq!(
        world
            .database
            .seal_events(&world.scope, noon(), false)
            .await
            .expect("sealed"),
        3
    );
}

async fn broken_at(world: &World) -> Option<i64> {
    let from = SealedUpTo::default();
    world
        .database
        .check_trail(&world.scope, from)
        .await
        .expect("checked")
        .broken
}

#[tokio::test]
async fn the_chain_goes_on_and_can_be_checked_outside() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    sealed(&world).await;
    happen(&elsewhere, &elsewhere.scope, "theirs").await;
    happen(&world, &world.scope, "four").await;
    assert_eq!(
        world
            .database
            .seal_events(&world.scope, noon(), false)
            .await
            .expect("sealed"),
        1
    );
    assert_eq!(
        world
            .database
            .seal_events(&world.scope, noon(), true)
            .await
            .expect("sealed"),
        0
    );
    let mut before = Vec::new();
    let lines = world
        .database
        .sealed_events(&world.scope, 0, 100)
        .await
        .expect("an export");
    assert_eq!(lines.len(), 4);
    for (position, sealed) in (1..).zip(&lines) {
        before.extend(sealed.line.as_bytes());
        before = sha256(&before);
        assert_eq!((sealed.position, &sealed.digest), (position, &before));
    }
    let check = world
        .database
        .check_trail(&world.scope, SealedUpTo::default())
        .await
        .expect("checked");
    assert_eq!(
        (check.good.position, &check.good.digest, check.broken),
        (4, &before, None)
    );
    // From a place that somebody wrote down.
    let noted = SealedUpTo {
        position: 2,
        digest: lines[1].digest.clone(),
    };
    let again = world
        .database
        .check_trail(&world.scope, noted)
        .await
        .expect("checked");
    assert_eq!(again, check);
    let forged = SealedUpTo {
        position: 2,
        digest: lines[0].digest.clone(),
    };
    let check = world
        .database
        .check_trail(&world.scope, forged)
        .await
        .expect("checked");
    assert_eq!(check.broken, Some(3));
}

/// By one who owns the server, past every trigger.
#[tokio::test]
async fn what_is_changed_taken_out_or_put_in_is_noticed() {
    let tampering = [
        (
            "update events set payload = '{}' where kind = 'two' and site_id = $1",
            2,
        ),
        (
            "update events set actor_kind = 'system' where kind = 'three' and site_id = $1",
            3,
        ),
        (
            "update events set address_hash = decode(repeat('00', 16), 'hex') where kind = 'one' and site_id = $1",
            1,
        ),
        ("delete from event_seals where position = 2 and site_id = $1", 3),
        (
            "with gone as (delete from event_seals where position = 1 and site_id = $1)
             delete from events where kind = 'one' and site_id = $1",
            2,
        ),
        (
            "update event_seals set event_id = case position when 2 then -event_id else event_id end where site_id = $1",
            2,
        ),
    ];
    for (sql, position) in tampering {
        let world = World::new().await;
        sealed(&world).await;
        assert_eq!(broken_at(&world).await, None);
        let mut admin = superuser().await;
        let mut tx = admin.begin().await.expect("a transaction");
        sqlx::query("set local session_replication_role = replica")
            .execute(&mut *tx)
            .await
            .expect("set");
        let done = sqlx::query(sql)
            .bind(world.site.id.as_uuid())
            .execute(&mut *tx)
            .await;
        done.expect(sql);
        tx.commit().await.expect("committed");
        assert_eq!(broken_at(&world).await, Some(position), "{sql}");
    }
}

#[tokio::test]
async fn an_event_that_commits_late_is_sealed_after_those_that_were_faster() {
    let world = World::new().await;
    let mut slow: Box<dyn TenancyTx> = world.database.begin(&world.scope).await.expect("a transaction");
    let event = |kind| Event {
        kind,
        subject: new_id(),
        payload: serde_json::json!({}),
        at: noon(),
    };
    slow.outbox().append(event("slow")).await.expect("appended");
    happen(&world, &world.scope, "fast").await;
    assert_eq!(
        world
            .database
            .seal_events(&world.scope, noon(), false)
            .await
            .expect("sealed"),
        1
    );
    slow.commit().await.expect("committed");
    assert_eq!(
        world
            .database
            .seal_events(&world.scope, noon(), false)
            .await
            .expect("sealed"),
        1
    );
    let lines = world
        .database
        .sealed_events(&world.scope, 0, 100)
        .await
        .expect("an export");
    assert!(lines[0].line.contains("\"fast\"") && lines[1].line.contains("\"slow\""));
    assert_eq!(broken_at(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_seal_at_once_make_one_chain() {
    let world = std::sync::Arc::new(World::with_pool(8).await);
    for _ in 0..20 {
        happen(&world, &world.scope, "thing.happened").await;
    }
    let mut sealing = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let world = world.clone();
        sealing.spawn(async move {
            world
                .database
                .seal_events(&world.scope, noon(), false)
                .await
                .expect("sealed")
        });
    }
    assert_eq!(sealing.join_all().await.into_iter().sum::<u64>(), 20);
    assert_eq!(broken_at(&world).await, None);
}

#[tokio::test]
async fn the_app_role_neither_changes_the_trail_nor_seals_by_hand() {
    let world = World::new().await;
    sealed(&world).await;
    for sql in [
        "update events set payload = '{}'",
        "delete from events",
        "truncate events",
        "update event_seals set digest = digest",
        "delete from event_seals",
        "insert into event_seals (position, event_id, digest, sealed_at) select 99, id, decode(repeat('00', 32), 'hex'), now() from events",
    ] {
        let mut app = connect(&shared().app_url).await;
        let mut tx = app.begin().await.expect("a transaction");
        let site = format!("set local app.current_site_id = '{}'", world.site.id.as_uuid());
        sqlx::query(sqlx::AssertSqlSafe(site))
            .execute(&mut *tx)
            .await
            .expect("set");
        let refused = sqlx::query(sql).execute(&mut *tx).await.expect_err(sql);
        let code = refused
            .as_database_error()
            .and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{sql}");
    }
}
