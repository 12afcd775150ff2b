use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use posx_kernel::{IdentityId, Ids as _, ManualClock, SystemIds, SystemRandomness};
use posx_redis::{CachedSessions, SESSION_AGE_MAX};
use posx_tenancy::session_testing::{FakeSessions, Given, contract};
use posx_tenancy::{SessionClient, SessionRules, SessionStore, Sessions, SignInFacts};
use uuid::Uuid;

fn identity(number: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(number))
}

#[tokio::test]
async fn sessions_behind_the_cache_pass_their_contract() {
    let given = Given {
        identities: [identity(1), identity(2)],
        now: DateTime::UNIX_EPOCH,
        new_id: || SystemIds.uuid(DateTime::UNIX_EPOCH),
    };
    contract(&CachedSessions::new(Arc::new(FakeSessions::default())), &given).await;
}

/// Two processes on one store.
#[tokio::test]
async fn j13_what_this_process_ends_is_over_at_once_and_what_another_ends_within_a_minute() {
    assert!(SESSION_AGE_MAX.as_secs() <= 60);
    let store = Arc::new(FakeSessions::default());
    let clock = Arc::new(ManualClock::stopped_at(DateTime::UNIX_EPOCH));
    let rules = SessionRules {
        idle: TimeDelta::days(1),
        absolute: TimeDelta::days(2),
    };
    let process = || {
        let cached: Arc<dyn SessionStore> = Arc::new(CachedSessions::new(store.clone()));
        let (ids, random) = (Arc::new(SystemIds), Arc::new(SystemRandomness));
        Sessions::new(cached, rules, clock.clone(), ids, random)
    };
    let (here, there) = (process(), process());
    let facts = SignInFacts {
        identity: identity(1),
        issuer: "https://issuer.test/".to_owned(),
        authenticated_at: None,
        methods: Vec::new(),
        context: None,
        second_factor: false,
    };
    let mut opened = Vec::new();
    for _ in 0..4 {
        let open = here.open(facts.clone(), SessionClient::default()).await;
        opened.push(open.unwrap());
    }
    let goes_on = async |of: &Sessions, at: usize| of.sign_in(opened[at].session.id).await.unwrap().is_some();
    for at in 0..4 {
        assert!(goes_on(&here, at).await);
        assert!(goes_on(&there, at).await);
    }
    here.end(opened[0].session.id, identity(1)).await.unwrap();
    assert!(!goes_on(&here, 0).await);
    // Kept there for a minute; who asks anew is told.
    assert!(goes_on(&there, 0).await);
    assert!(!goes_on(&process(), 0).await);
    // By reuse, and everywhere.
    here.refresh(&opened[1].token, SessionClient::default())
        .await
        .unwrap();
    clock.advance(TimeDelta::minutes(1));
    here.refresh(&opened[1].token, SessionClient::default())
        .await
        .unwrap_err();
    assert!(!goes_on(&here, 1).await);
    assert_eq!(here.end_all(identity(1)).await.unwrap(), 2);
    assert!(!goes_on(&here, 2).await && !goes_on(&here, 3).await);
}
