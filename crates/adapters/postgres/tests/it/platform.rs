//! The platform plane on real PostgreSQL: its people, their visits, its audit, its figures, and what its role cannot see.

mod staff;

use chrono::TimeDelta;
use posx_kernel::{Actor, Clock as _, PageRequest, SiteScope, Who};
use posx_tenancy::{ActFilter, Grant, GrantWish, Platform, PlatformError, SiteState, Span, Staff, StaffRole};
use sqlx::{AssertSqlSafe, Row as _};

use crate::server::{connect, shared, superuser};
use crate::world::{World, new_id, noon, unique};

const STAFF_ISSUER: &str = "https://staff.test";
const REASON: &str = "an order that nobody can explain";

fn first_page() -> PageRequest {
    PageRequest::new(Some(100), None)
}

fn wish(world: &World, minutes: u16) -> GrantWish<'_> {
    GrantWish {
        site: world.site.code.as_str(),
        reason: REASON,
        minutes,
    }
}

impl World {
    pub async fn staff(&self, role: StaffRole) -> Staff {
        let subject = unique(20);
        let appointed = self.platform.appoint_staff(STAFF_ISSUER, &subject, "Dana", role);
        appointed.await.expect("appointed")
    }

    /// Platform staff comes to look, and is there.
    pub async fn visit(&self) -> Grant {
        let staff = self.staff(StaffRole::Support).await;
        self.as_staff(&staff)
            .open_grant(staff.identity, &wish(self, 60))
            .await
            .expect("opened")
    }

    fn as_staff(&self, staff: &Staff) -> Platform {
        self.platform.by(Actor::of(Who::Person(staff.identity)))
    }

    async fn acts(&self) -> Vec<String> {
        let filter = ActFilter {
            site: Some(self.site.id),
            actor: None,
        };
        let page = self.platform.directory().audit(&filter, first_page()).await;
        let mut acts: Vec<_> = page
            .expect("the audit")
            .items
            .into_iter()
            .map(|act| act.action)
            .collect();
        acts.sort();
        acts
    }

    async fn tells(&self) -> Vec<(String, String)> {
        let rows = sqlx::query(
            "select kind, actor_kind from events where site_id = $1 and kind like 'platform_grant.%' order by id",
        )
        .bind(self.site.id.as_uuid())
        .fetch_all(&mut superuser().await)
        .await
        .expect("events");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// By a member of the site.
    fn owned(&self) -> SiteScope {
        self.scope.clone().by(Actor::of(Who::Person(self.actor)))
    }
}

fn sqlstate(error: &sqlx::Error) -> String {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.map_or_else(|| error.to_string(), Into::into)
}

#[tokio::test]
async fn p01_the_planes_role_reads_no_row_of_a_site_but_its_grants() {
    let world = World::lived_in().await;
    let mut plane = connect(&shared().platform_url).await;
    for table in world.database.site_tables().await.expect("the catalogue") {
        let within = format!(
            "begin; set local app.current_site_id = '{}'",
            world.site.id.as_uuid()
        );
        sqlx::raw_sql(AssertSqlSafe(within))
            .execute(&mut plane)
            .await
            .expect("begun");
        let sql = format!("select to_jsonb(t)::text from {table} t");
        let read = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut plane).await;
        if table == "platform_grants" {
            assert_eq!(read.expect("its own").len(), 1, "{table}");
        } else {
            assert_eq!(
                read.as_ref().map_err(sqlstate).err(),
                Some("42501".to_owned()),
                "{table}"
            );
        }
        sqlx::raw_sql("rollback").execute(&mut plane).await.expect("over");
    }
    let outside = sqlx::query("select * from platform_grants")
        .fetch_all(&mut plane)
        .await;
    assert_eq!(outside.expect("a look").len(), 0, "no site, no rows");
    for sql in [
        "select * from identities",
        "select * from webhook_inbox",
        "select app.add_job('t', '{}', 'k', 0, 0, 1)",
        "select * from app.jobs_of_site(false, null, 100)",
        "select app.end_grant(null, null, now())",
        "delete from platform_audit",
        "update platform_audit set action = 'nothing'",
        "delete from platform_staff",
        "update platform_grants set reason = 'another reason, later'",
        "insert into site_hosts values ('a.test', null)",
        "set role posx_owner",
        "set role posx_app",
    ] {
        let refused = sqlx::raw_sql(sql).execute(&mut plane).await.expect_err(sql);
        assert_eq!(sqlstate(&refused), "42501", "{sql}");
    }
}

#[tokio::test]
async fn p01_figures_are_counts_and_sums_and_have_no_text_of_a_site() {
    let world = World::lived_in().await;
    let empty = World::new().await;
    let canary = format!("canary-{}", unique(12));
    sqlx::query("update orders set attention = $2 where site_id = $1")
        .bind(world.site.id.as_uuid())
        .bind(&canary)
        .execute(&mut superuser().await)
        .await
        .expect("planted");
    let span = Span::new(None, Some(noon() + TimeDelta::days(1)), noon()).expect("a span");
    let mut figures = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest::new(Some(100), after);
        let page = world
            .platform
            .directory()
            .figures(span, request)
            .await
            .expect("figures");
        figures.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let of = |world: &World| {
        let mut found = figures.iter().filter(|site| site.site_id == world.site.id);
        let one = found.next().expect("the site").clone();
        assert!(found.next().is_none(), "a site stands once");
        one
    };
    let (lived, fresh) = (of(&world), of(&empty));
    assert_eq!((fresh.members, fresh.currencies.len()), (0, 0));
    let [usd] = &lived.currencies[..] else {
        panic!("{lived:?}")
    };
    let paid = sqlx::query(
        "select sum(o.captured)::bigint, (select sum(amount)::bigint from commissions c where c.site_id = $1),
           (select count(*) from memberships m where m.site_id = $1 and m.state = 'active'),
           count(*), count(o.paid_at)
         from orders o where o.site_id = $1",
    )
    .bind(world.site.id.as_uuid())
    .fetch_one(&mut superuser().await)
    .await
    .expect("the orders");
    assert_eq!(i64::try_from(usd.orders_placed), Ok(paid.get::<i64, _>(3)));
    assert_eq!(i64::try_from(usd.orders_paid), Ok(paid.get::<i64, _>(4)));
    assert_eq!(usd.captured.minor(), paid.get::<i64, _>(0));
    assert_eq!(usd.commissions.minor(), paid.get::<i64, _>(1));
    assert_eq!(i64::try_from(lived.members), Ok(paid.get::<i64, _>(2)));
    assert!(usd.captured.minor() > 0 && usd.commissions.minor() > 0);
    let told = serde_json::to_string(&figures).expect("JSON");
    assert!(!told.contains(&canary));
    // The function leaves no site behind.
    let mut plane = connect(&shared().platform_url).await;
    let left = "begin; select * from app.site_figures(now(), now(), null, 1); select 1";
    sqlx::raw_sql(left).execute(&mut plane).await.expect("called");
    let row = sqlx::query("select app.current_site_id()::text")
        .fetch_one(&mut plane)
        .await;
    assert_eq!(row.expect("a look").get::<Option<String>, _>(0), None);
}

/// By its type: what comes back is ids, numbers, and these texts.
#[tokio::test]
async fn p01_figures_have_no_column_for_a_text_of_a_site() {
    let columns = sqlx::query(
        "select a.name, t.type::regtype::text from pg_proc f,
           unnest(f.proargnames, f.proargmodes) as a (name, mode),
           lateral (select unnest(f.proallargtypes) as type, unnest(f.proargnames) as named) t
         where f.proname = 'site_figures' and a.mode = 't' and t.named = a.name and t.type = 'text'::regtype order by 1",
    )
    .fetch_all(&mut superuser().await)
    .await
    .expect("the catalogue");
    let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
    assert_eq!(columns, ["currency", "site_code"]);
}

#[tokio::test]
async fn a_visit_is_one_at_a_time_seen_by_the_site_and_over_by_its_time() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let staff = here.staff(StaffRole::Support).await;
    let plane = here.as_staff(&staff);
    let open = async |world: &World| {
        let found = world
            .database
            .open_platform_grant(&world.scope, staff.identity, here.clock.now());
        found.await.expect("a look")
    };
    let grant = plane
        .open_grant(staff.identity, &wish(&here, 15))
        .await
        .expect("opened");
    let second = plane.open_grant(staff.identity, &wish(&elsewhere, 15)).await;
    assert!(matches!(second, Err(PlatformError::GrantOpen)), "{second:?}");
    assert_eq!(
        (open(&here).await, open(&elsewhere).await),
        (Some(grant.id), None)
    );
    let [seen] = &here
        .database
        .platform_grants(&here.scope, first_page())
        .await
        .expect("a page")
        .items[..]
    else {
        panic!("one grant")
    };
    assert_eq!(
        (seen.staff_id, seen.staff_name.as_str(), seen.reason.as_str()),
        (staff.identity, "Dana", REASON)
    );
    let theirs = elsewhere
        .database
        .platform_grants(&elsewhere.scope, first_page())
        .await;
    assert_eq!(theirs.expect("a page").items, Vec::new());

    here.clock.advance(TimeDelta::minutes(15));
    assert_eq!(open(&here).await, None, "its time is up");
    let late = plane.end_grant(staff.identity, grant.id).await;
    assert!(matches!(late, Err(PlatformError::GrantUnknown)), "{late:?}");
    let next = plane
        .open_grant(staff.identity, &wish(&elsewhere, 15))
        .await
        .expect("free again");
    assert_eq!(open(&elsewhere).await, Some(next.id));
    plane.end_grant(staff.identity, next.id).await.expect("ended");
    assert_eq!(open(&elsewhere).await, None);
    assert_eq!(
        elsewhere.acts().await,
        [
            "grant.ended",
            "grant.opened",
            "site.created",
            "site.vaults_changed"
        ]
    );
    let staff = |what: &str| (format!("platform_grant.{what}"), "staff".to_owned());
    assert_eq!(elsewhere.tells().await, [staff("opened"), staff("ended")]);
    assert_eq!(here.tells().await, [staff("opened")]);
}

#[tokio::test]
async fn the_site_shows_a_visitor_out_and_only_its_own() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let grant = here.visit().await;
    let end = async |world: &World| {
        let owner = world.owned();
        let ended = world
            .database
            .end_platform_grant(&owner, grant.id, new_id(), noon());
        ended.await.expect("an answer")
    };
    assert!(!end(&elsewhere).await, "another site's visitor");
    assert!(end(&here).await);
    assert!(!end(&here).await, "once");
    let open = here
        .database
        .open_platform_grant(&here.scope, grant.staff, noon())
        .await;
    assert_eq!(open.expect("a look"), None);
    let staff = here
        .platform
        .directory()
        .staff_member(grant.staff)
        .await
        .expect("a look");
    assert_eq!(staff.and_then(|staff| staff.visit), None, "they may go elsewhere");
    let seen = here
        .database
        .platform_grants(&here.scope, first_page())
        .await
        .expect("a page");
    assert_eq!(
        (seen.items[0].ended_at, seen.items[0].ended_by),
        (Some(noon()), Some(here.actor))
    );
    assert_eq!(
        here.acts().await,
        [
            "grant.ended_by_site",
            "grant.opened",
            "site.created",
            "site.vaults_changed"
        ]
    );
    assert_eq!(
        here.tells().await[1],
        ("platform_grant.ended".to_owned(), "person".to_owned())
    );
}

#[tokio::test]
async fn of_many_visits_at_once_one_is_opened() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let staff = here.staff(StaffRole::Operator).await;
    let tries = (0..8).map(|n| {
        let (plane, site) = (here.as_staff(&staff), if n % 2 == 0 { &here } else { &elsewhere });
        async move { plane.open_grant(staff.identity, &wish(site, 30)).await }
    });
    let done = futures::future::join_all(tries).await;
    assert_eq!(done.iter().filter(|opened| opened.is_ok()).count(), 1);
    let refused = done
        .iter()
        .filter(|opened| matches!(opened, Err(PlatformError::GrantOpen)));
    assert_eq!(refused.count(), 7);
    assert_eq!(here.tells().await.len() + elsewhere.tells().await.len(), 1);
}

#[tokio::test]
async fn nobody_enters_a_suspended_site_or_one_that_is_not_there() {
    let world = World::new().await;
    let staff = world.staff(StaffRole::Admin).await;
    world
        .platform
        .set_state(world.site.code.as_str(), SiteState::Suspended)
        .await
        .expect("suspended");
    let refused = world.platform.open_grant(staff.identity, &wish(&world, 15)).await;
    assert!(
        matches!(refused, Err(PlatformError::GrantSuspended)),
        "{refused:?}"
    );
    let nowhere = GrantWish {
        site: "NOWHERE-AT-ALL",
        reason: REASON,
        minutes: 15,
    };
    let refused = world.platform.open_grant(staff.identity, &nowhere).await;
    assert!(matches!(refused, Err(PlatformError::Unknown)), "{refused:?}");
}

#[tokio::test]
async fn a_grant_only_ends_and_the_planes_audit_never_changes_not_even_by_a_superuser() {
    let world = World::lived_in().await;
    let mut admin = superuser().await;
    for (table, sql) in [
        (
            "platform_audit",
            "update platform_audit set action = 'x' where site_id_of_subject = $1",
        ),
        (
            "platform_audit",
            "delete from platform_audit where site_id_of_subject = $1",
        ),
        (
            "platform_grants",
            "update platform_grants set until = until + interval '1 hour' where site_id = $1",
        ),
        (
            "platform_grants",
            "update platform_grants set staff_name = 'x' where site_id = $1",
        ),
        (
            "platform_grants",
            "delete from platform_grants where site_id = $1",
        ),
    ] {
        let done = sqlx::query(sql)
            .bind(world.site.id.as_uuid())
            .execute(&mut admin)
            .await;
        assert_eq!(sqlstate(&done.expect_err(sql)), "23001", "{table}: {sql}");
    }
    let emptied = sqlx::raw_sql("truncate platform_audit").execute(&mut admin).await;
    assert_eq!(sqlstate(&emptied.expect_err("never emptied")), "23001");
}
