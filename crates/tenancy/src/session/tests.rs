use posx_kernel::{ManualClock, SeededIds, SystemIds};

use super::testing::{FakeSessions, Given, contract};
use super::*;

fn noon() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("an instant")
}

fn identity(number: u128) -> IdentityId {
    IdentityId::from_uuid(uuid::Uuid::from_u128(number))
}

struct World {
    clock: Arc<ManualClock>,
    sessions: Sessions,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::stopped_at(noon()));
    let rules = SessionRules {
        idle: TimeDelta::days(7),
        absolute: TimeDelta::days(30),
    };
    let store = Arc::new(FakeSessions::default());
    let sessions = Sessions::new(
        store,
        rules,
        clock.clone(),
        Arc::new(SystemIds),
        Arc::new(SeededIds::new(1)),
    );
    World { clock, sessions }
}

impl World {
    async fn open(&self) -> Renewed {
        let facts = SignInFacts {
            identity: identity(1),
            issuer: "https://issuer.test/".to_owned(),
            authenticated_at: Some(noon()),
            methods: vec!["swk".to_owned()],
            context: None,
            second_factor: false,
        };
        self.sessions
            .open(facts, SessionClient::default())
            .await
            .expect("opened")
    }

    async fn refresh(&self, token: &RefreshToken) -> Result<Renewed, SessionError> {
        self.sessions.refresh(token, SessionClient::default()).await
    }
}

#[tokio::test]
async fn the_fake_passes_the_contract() {
    let given = Given {
        identities: [identity(1), identity(2)],
        now: noon(),
        new_id: || SystemIds.uuid(noon()),
    };
    contract(&FakeSessions::default(), &given).await;
}

#[tokio::test]
async fn tabs_that_refresh_together_get_one_token_and_the_next_use_of_it_is_good() {
    let world = world();
    let opened = world.open().await;
    let (one, other) = (
        world.refresh(&opened.token).await.expect("the first tab"),
        world.refresh(&opened.token).await.expect("the other tab"),
    );
    assert!(one.token == other.token && one.token != opened.token);
    assert_eq!(one.session, opened.session);
    world.clock.advance(TimeDelta::minutes(9));
    let next = world.refresh(&one.token).await.expect("its successor");
    assert!(next.token != one.token);
}

/// The answer was lost, or the token was stolen: nobody can tell, and the owner signs in again.
#[tokio::test]
async fn a_token_shown_again_after_its_grace_ends_the_session_for_both() {
    let world = world();
    let opened = world.open().await;
    let thief = world.refresh(&opened.token).await.expect("the thief's");
    world.clock.advance(TimeDelta::seconds(20));
    let owner = world.refresh(&opened.token).await.expect_err("reused");
    assert!(matches!(owner, SessionError::Reused(id) if id == opened.session.id));
    let thief = world.refresh(&thief.token).await.expect_err("over");
    assert!(matches!(thief, SessionError::Over));
    assert_eq!(
        world
            .sessions
            .sign_in(opened.session.id)
            .await
            .expect("an answer"),
        None
    );
}

#[tokio::test]
async fn a_successor_needs_the_token_and_the_salt() {
    let (one, other) = (
        RefreshToken::random(&SeededIds::new(1)),
        RefreshToken::random(&SeededIds::new(2)),
    );
    let (salt, pepper) = (Salt::random(&SeededIds::new(3)), Salt::random(&SeededIds::new(4)));
    assert!(one.successor(salt) == one.successor(salt));
    assert!(one.successor(salt) != other.successor(salt));
    assert!(one.successor(salt) != one.successor(pepper));
    assert!(RefreshToken::parse(one.successor(salt).reveal()).is_some());
}

#[test]
fn what_no_token_looks_like_is_none_and_a_token_is_not_shown() {
    let token = RefreshToken::random(&SeededIds::new(1));
    let text = token.reveal().to_owned();
    assert!(RefreshToken::parse(&text) == Some(token.clone()));
    for wrong in [
        "",
        &text[1..],
        &text.to_uppercase(),
        &format!("{text}0"),
        &"é".repeat(32),
    ] {
        assert!(RefreshToken::parse(wrong).is_none(), "{wrong}");
    }
    let shown = format!("{token:?} {:?}", Salt::random(&SeededIds::new(1)));
    assert!(!shown.contains(&text[..8]), "{shown}");
}

#[test]
fn a_user_agent_is_kept_short_and_printable() {
    let of = |text: &str| {
        SessionClient::new(Some(text), None)
            .user_agent()
            .map(str::to_owned)
    };
    assert_eq!(of(" Mozilla/5.0\u{7}\n "), Some("Mozilla/5.0".to_owned()));
    assert_eq!(of(&"é".repeat(500)).map(|text| text.chars().count()), Some(200));
    assert_eq!((of("   "), of("\u{0}")), (None, None));
}
