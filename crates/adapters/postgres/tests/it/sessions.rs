//! Sessions on real PostgreSQL: one family under real parallelism, and no way to their rows but the functions.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use posx_kernel::{Clock as _, IdentityId, SystemIds, SystemRandomness};
use posx_postgres::JobsDatabase;
use posx_tenancy::session_testing::{Given, contract};
use posx_tenancy::{
    Directory as _, RefreshToken, Renewed, SessionClient, SessionError, SessionRules, Sessions, SignInFacts,
};
use tokio::task::JoinSet;

use crate::server::{connect, shared, superuser};
use crate::world::{World, new_id, noon, unique};

impl World {
    fn sessions(&self) -> Sessions {
        let rules = SessionRules {
            idle: TimeDelta::days(7),
            absolute: TimeDelta::days(30),
        };
        let (store, ids) = (Arc::new(self.database.clone()), Arc::new(SystemIds));
        Sessions::new(store, rules, self.clock.clone(), ids, Arc::new(SystemRandomness))
    }

    async fn somebody(&self) -> IdentityId {
        let identity = self.directory.identity("https://issuer.test", &unique(20)).await;
        identity.expect("an identity")
    }

    async fn open_session(&self, identity: IdentityId) -> Renewed {
        let facts = SignInFacts {
            identity,
            issuer: "https://issuer.test".to_owned(),
            authenticated_at: Some(self.clock.now()),
            methods: vec!["pwd".to_owned()],
            context: None,
            second_factor: false,
        };
        let opened = self.sessions().open(facts, SessionClient::default()).await;
        opened.expect("opened")
    }

    /// All at the same moment, each on a connection of its own.
    async fn refresh_at_once(
        self: &Arc<Self>,
        token: &RefreshToken,
        times: usize,
    ) -> Vec<Result<Renewed, SessionError>> {
        let barrier = Arc::new(tokio::sync::Barrier::new(times));
        let mut racing = JoinSet::new();
        for _ in 0..times {
            let (world, token, barrier) = (self.clone(), token.clone(), barrier.clone());
            racing.spawn(async move {
                barrier.wait().await;
                world.sessions().refresh(&token, SessionClient::default()).await
            });
        }
        racing.join_all().await
    }
}

#[tokio::test]
async fn sessions_pass_their_contract() {
    let world = World::with_pool(1).await;
    let given = Given {
        identities: [world.somebody().await, world.somebody().await],
        now: noon(),
        new_id,
    };
    contract(&world.database, &given).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_refreshes_of_one_token_at_once_end_in_one_family_with_one_successor() {
    let world = Arc::new(World::with_pool(15).await);
    let mut current = world.open_session(world.somebody().await).await;
    for _ in 0..3 {
        let outcomes = world.refresh_at_once(&current.token, 30).await;
        let renewed: Vec<_> = outcomes
            .into_iter()
            .map(|outcome| outcome.expect("in its grace"))
            .collect();
        assert!(renewed.iter().all(|one| *one == renewed[0]), "one successor");
        assert_eq!(renewed[0].session, current.session, "one family");
        assert!(renewed[0].token != current.token);
        current = renewed[0].clone();
        world.clock.advance(TimeDelta::minutes(9));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_have_one_token_late_none_goes_on_however_they_race() {
    let world = Arc::new(World::with_pool(10).await);
    for _ in 0..5 {
        let stolen = world.open_session(world.somebody().await).await.token;
        let owner = world
            .refresh_at_once(&stolen, 1)
            .await
            .remove(0)
            .expect("rotated");
        world.clock.advance(TimeDelta::minutes(9));
        // The thief comes with the spent token while the owner refreshes the good one.
        let (owners, thiefs) = tokio::join!(
            world.refresh_at_once(&owner.token, 5),
            world.refresh_at_once(&stolen, 5)
        );
        let is_refused = |outcome: &Result<_, SessionError>| {
            matches!(outcome, Err(SessionError::Reused(_) | SessionError::Over))
        };
        assert!(thiefs.iter().all(is_refused));
        let noticed = thiefs
            .iter()
            .filter(|one| matches!(one, Err(SessionError::Reused(_))));
        assert_eq!(noticed.count(), 1, "it is noticed once");
        let last = owners
            .into_iter()
            .find_map(Result::ok)
            .map_or(owner.token, |one| one.token);
        assert!(
            is_refused(&world.refresh_at_once(&last, 1).await.remove(0)),
            "the family is over"
        );
        let sign_in = world
            .sessions()
            .sign_in(owner.session.id)
            .await
            .expect("an answer");
        assert_eq!(sign_in, None);
    }
}

#[tokio::test]
async fn the_app_role_reads_no_session_and_no_hash() {
    let world = World::new().await;
    let opened = world.open_session(world.somebody().await).await;
    let mut app = connect(&shared().app_url).await;
    for sql in [
        "select from sessions",
        "select from session_tokens",
        "update sessions set ended_at = null",
        "delete from session_tokens",
        "select app.purge_sessions(now())",
    ] {
        let error = sqlx::query(sql).execute(&mut app).await.expect_err(sql);
        let code = error
            .as_database_error()
            .and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{sql}");
    }
    let mut admin = superuser().await;
    let row: (String,) = sqlx::query_as("select s::text from sessions s where id = $1")
        .bind(opened.session.id.as_uuid())
        .fetch_one(&mut admin)
        .await
        .expect("its row");
    assert!(
        !row.0.contains(&opened.token.reveal()[..16]),
        "only a hash is kept"
    );
}

#[tokio::test]
async fn what_is_over_for_long_is_purged_and_what_goes_on_stays() {
    let world = World::new().await;
    // Tests share the database: a year before the others' sessions.
    world.clock.advance(TimeDelta::days(-365));
    let begin = world.clock.now();
    let identity = world.somebody().await;
    let dead = world.open_session(identity).await;
    world
        .sessions()
        .refresh(&dead.token, SessionClient::default())
        .await
        .expect("rotated");
    world.clock.advance(TimeDelta::days(5));
    let lives = world.open_session(identity).await;
    world.clock.advance(TimeDelta::days(6));
    let renewed = world
        .sessions()
        .refresh(&lives.token, SessionClient::default())
        .await
        .expect("rotated");
    let jobs = JobsDatabase::connect(&shared().jobs_url, 2)
        .await
        .expect("a pool");
    let mut admin = superuser().await;
    let mut rows = async |id: posx_kernel::SessionId| -> (i64, i64) {
        let sql = "select (select count(*) from sessions where id = $1), (select count(*) from session_tokens where session_id = $1)";
        let found = sqlx::query_as(sql).bind(id.as_uuid()).fetch_one(&mut admin).await;
        found.expect("two numbers")
    };
    assert_eq!(rows(dead.session.id).await, (1, 1));
    let before = begin + TimeDelta::days(8);
    while jobs.purge_sessions(before).await.expect("purged") > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(rows(dead.session.id).await, (0, 0));
    assert_eq!(rows(lives.session.id).await, (1, 1));
    world
        .sessions()
        .refresh(&renewed.token, SessionClient::default())
        .await
        .expect("it goes on");
}
