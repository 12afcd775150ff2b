//! The staff, and what it does: each act in the audit, in the transaction that did it.

use std::sync::Arc;

use posx_kernel::{Actor, SystemIds, SystemRandomness, Who};
use posx_postgres::{PlatformDatabase, migrate};
use posx_tenancy::{
    ActFilter, Directory as _, Platform, PlatformError, Role, SiteState, StaffRole, StaffState,
};

use super::{STAFF_ISSUER, first_page, wish};
use crate::server::empty_database;
use crate::world::{World, noon, unique};

#[tokio::test]
async fn what_is_refused_leaves_no_line_in_the_audit_and_what_is_so_already_none_either() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let code = here.site.code.as_str();
    let theirs = elsewhere.site.host_names.clone();
    let taken = here
        .platform
        .change_host_names(code, &[unique(8), theirs[0].clone()], &[])
        .await;
    assert!(
        matches!(&taken, Err(PlatformError::HostTaken(host)) if *host == theirs[0]),
        "{taken:?}"
    );
    here.platform
        .set_state(code, SiteState::Active)
        .await
        .expect("it is");
    assert_eq!(here.acts().await, ["site.created", "site.vaults_changed"]);
    let found = here.platform.find(code).await.expect("the site");
    assert_eq!(
        found.host_names, here.site.host_names,
        "nothing of a refused change stays"
    );

    let (new, old) = (
        format!("{}.example", unique(8).to_lowercase()),
        here.site.host_names[0].clone(),
    );
    let (added, removed) = ([new.to_uppercase()], [old.clone(), theirs[0].clone()]);
    let changed = here.platform.change_host_names(code, &added, &removed);
    assert_eq!(changed.await.expect("changed").host_names, [new.as_str()]);
    let by = async |host: &str| {
        here.directory
            .site_by_host(host)
            .await
            .expect("a look")
            .map(|site| site.id)
    };
    assert_eq!((by(&new).await, by(&old).await), (Some(here.site.id), None));
    assert_eq!(
        by(&theirs[0]).await,
        Some(elsewhere.site.id),
        "another's name is not ours to take away"
    );
    here.platform
        .set_state(code, SiteState::Suspended)
        .await
        .expect("suspended");
    here.platform
        .set_state(code, SiteState::Active)
        .await
        .expect("reactivated");
    assert_eq!(
        here.acts().await,
        [
            "site.created",
            "site.hosts_changed",
            "site.reactivated",
            "site.suspended",
            "site.vaults_changed"
        ]
    );
}

#[tokio::test]
async fn an_act_keeps_who_did_it_by_which_request_and_from_where() {
    let world = World::new().await;
    let staff = world.staff(StaffRole::Admin).await;
    let actor = Actor {
        who: Who::Person(staff.identity),
        request: Some("r-1'; drop table sites; --".to_owned()),
        address: Some([7; 16]),
    };
    let plane = world.platform.by(actor);
    plane
        .set_state(world.site.code.as_str(), SiteState::Suspended)
        .await
        .expect("suspended");
    let filter = ActFilter {
        site: Some(world.site.id),
        actor: Some(staff.identity),
    };
    let page = world
        .platform
        .directory()
        .audit(&filter, first_page())
        .await
        .expect("the audit");
    let [act] = &page.items[..] else {
        panic!("{page:?}")
    };
    assert_eq!(
        (act.actor_kind.as_str(), act.actor_id),
        ("person", Some(staff.identity.as_uuid()))
    );
    assert_eq!(act.request_id.as_deref(), Some("r-1'; drop table sites; --"));
    assert_eq!(act.address.as_deref(), Some("07".repeat(16).as_str()));
    assert_eq!(
        act.changes,
        serde_json::json!({ "state": ["active", "suspended"] })
    );
}

#[tokio::test]
async fn whoever_is_disabled_is_out_of_the_site_they_visit() {
    let world = World::new().await;
    let grant = world.visit().await;
    let admin = world.staff(StaffRole::Admin).await;
    let disabled = world
        .as_staff(&admin)
        .disable_staff(grant.staff)
        .await
        .expect("disabled");
    assert_eq!((disabled.state, disabled.visit), (StaffState::Disabled, None));
    let open = world
        .database
        .open_platform_grant(&world.scope, grant.staff, noon())
        .await;
    assert_eq!(open.expect("a look"), None);
    let again = world.platform.open_grant(grant.staff, &wish(&world, 15)).await;
    assert!(matches!(again, Err(PlatformError::StaffUnknown)), "{again:?}");
    let unknown = world.platform.disable_staff(world.actor).await;
    assert!(matches!(unknown, Err(PlatformError::StaffUnknown)), "{unknown:?}");
}

/// In a database of its own: elsewhere other tests have admins too.
#[tokio::test]
async fn the_staff_keeps_an_admin_and_nobody_changes_themselves() {
    let urls = empty_database().await;
    migrate(&urls.migrator_url, &urls.jobs_url)
        .await
        .expect("migrated");
    let world = World::new().await;
    let ids = Arc::new(SystemIds);
    let database = PlatformDatabase::connect(&urls.platform_url, world.clock.clone(), ids.clone()).await;
    let database = Arc::new(database.expect("the plane's pool"));
    assert!(database.posture().await.expect("an answer").is_sound());
    let platform = Platform::new(database, world.clock.clone(), ids, Arc::new(SystemRandomness));
    let appoint = |subject: &'static str, role| platform.appoint_staff(STAFF_ISSUER, subject, "Kim", role);
    let first = appoint("one", StaffRole::Admin)
        .await
        .expect("the first comes by the command line");
    let demoted = appoint("one", StaffRole::Support).await;
    assert!(matches!(demoted, Err(PlatformError::LastAdmin)), "{demoted:?}");
    let disabled = platform.disable_staff(first.identity).await;
    assert!(matches!(disabled, Err(PlatformError::LastAdmin)), "{disabled:?}");

    let second = appoint("two", StaffRole::Admin).await.expect("a second");
    let as_second = platform.by(Actor::of(Who::Person(second.identity)));
    let own = as_second.disable_staff(second.identity).await;
    assert!(matches!(own, Err(PlatformError::OwnPlace)), "{own:?}");
    let raised = as_second
        .appoint_staff(STAFF_ISSUER, "two", "Kim", StaffRole::Admin)
        .await;
    assert!(matches!(raised, Err(PlatformError::OwnPlace)), "{raised:?}");

    // Each takes the other's place at the same moment: one is left, whoever it is.
    for round in 0..20 {
        let as_first = platform.by(Actor::of(Who::Person(first.identity)));
        let (one, two) = tokio::join!(
            as_first.disable_staff(second.identity),
            as_second.disable_staff(first.identity)
        );
        assert!(one.is_ok() != two.is_ok(), "round {round}: {one:?} {two:?}");
        appoint("one", StaffRole::Admin).await.expect("back");
        appoint("two", StaffRole::Admin).await.expect("back");
    }
    let noted = platform
        .directory()
        .audit(&ActFilter::default(), first_page())
        .await
        .expect("the audit");
    let disabled = noted.items.iter().filter(|act| act.action == "staff.disabled");
    assert_eq!(disabled.count(), 20);
}

#[tokio::test]
async fn a_sites_people_are_appointed_without_seeing_any() {
    let world = World::new().await;
    let appoint = |role| {
        world
            .platform
            .appoint(&world.site, "https://issuer.test", "boss", role)
    };
    let owner = appoint(Role::Owner).await.expect("appointed");
    assert_eq!(appoint(Role::Owner).await.expect("again"), owner);
    let left = appoint(Role::Member).await;
    assert!(matches!(left, Err(PlatformError::LastOwner)), "{left:?}");
    let of_site = ActFilter {
        site: Some(world.site.id),
        actor: None,
    };
    let page = world
        .platform
        .directory()
        .audit(&of_site, first_page())
        .await
        .expect("the audit");
    let of_owner = page
        .items
        .iter()
        .filter(|act| act.subject == Some(owner.as_uuid()));
    assert_eq!(of_owner.count(), 2);
}
