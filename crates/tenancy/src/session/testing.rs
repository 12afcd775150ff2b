//! Sessions in memory, and the contract that every store of them must pass.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::{IdentityId, SessionId, StoreError, Timestamp};
use uuid::Uuid;

use super::{
    NewSession, REFRESH_GRACE, Rotation, Salt, Session, SessionClient, SessionStore, SessionView,
    SignInFacts, TokenUse,
};
use crate::CredentialHash;

#[derive(Debug, Default)]
pub struct FakeSessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: Vec<Kept>,
    /// By the token's hash.
    spent: HashMap<[u8; 32], Spent>,
}

#[derive(Debug)]
struct Kept {
    session: Session,
    token: [u8; 32],
    previous: Option<[u8; 32]>,
    created_at: Timestamp,
    last_used_at: Timestamp,
    idle_until: Timestamp,
    client: SessionClient,
    ended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    session: SessionId,
    salt: Salt,
    at: Timestamp,
}

impl Kept {
    fn goes_on(&self, now: Timestamp) -> bool {
        !self.ended && now < self.idle_until
    }

    fn successor(&self, salt: Salt) -> Rotation {
        Rotation::Successor {
            session: self.session.clone(),
            salt,
            idle_until: self.idle_until,
        }
    }
}

impl FakeSessions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Of the identity, the last used first.
    fn live(&mut self, identity: IdentityId, now: Timestamp) -> Vec<&mut Kept> {
        let all = self.sessions.iter_mut();
        let mut live: Vec<_> = all
            .filter(|kept| kept.session.facts.identity == identity && kept.goes_on(now))
            .collect();
        live.sort_by_key(|kept| std::cmp::Reverse((kept.last_used_at, kept.session.id)));
        live
    }
}

#[async_trait]
impl SessionStore for FakeSessions {
    async fn open(&self, new: &NewSession, max: usize) -> Result<Vec<SessionId>, StoreError> {
        let mut state = self.lock();
        let mut ended = Vec::new();
        for kept in state
            .live(new.session.facts.identity, new.at)
            .into_iter()
            .skip(max - 1)
        {
            kept.ended = true;
            ended.push(kept.session.id);
        }
        state.sessions.push(Kept {
            session: new.session.clone(),
            token: *new.token.as_bytes(),
            previous: None,
            created_at: new.at,
            last_used_at: new.at,
            idle_until: new.idle_until,
            client: new.client.clone(),
            ended: false,
        });
        Ok(ended)
    }

    async fn refresh(&self, shown: &TokenUse) -> Result<Rotation, StoreError> {
        let mut state = self.lock();
        let State { sessions, spent } = &mut *state;
        let hash = *shown.shown.as_bytes();
        let before = spent.get(&hash).copied();
        let family = sessions
            .iter_mut()
            .find(|kept| kept.token == hash || before.is_some_and(|spent| spent.session == kept.session.id));
        let Some(family) = family.filter(|kept| kept.goes_on(shown.at)) else {
            return Ok(Rotation::Over);
        };
        let Some(before) = before else {
            let (session, salt, at) = (family.session.id, shown.salt, shown.at);
            spent.insert(hash, Spent { session, salt, at });
            family.token = *shown.successor.as_bytes();
            family.previous = Some(hash);
            family.last_used_at = at;
            family.idle_until = family.session.expires_at.min(at + shown.idle);
            family.client = shown.client.clone();
            return Ok(family.successor(salt));
        };
        Ok(if shown.at >= before.at + shown.grace {
            family.ended = true;
            Rotation::Reused(family.session.id)
        } else if family.previous == Some(hash) {
            family.successor(before.salt)
        } else {
            Rotation::Superseded
        })
    }

    async fn sign_in(&self, id: SessionId, now: Timestamp) -> Result<Option<SignInFacts>, StoreError> {
        let state = self.lock();
        let mut all = state.sessions.iter();
        let found = all.find(|kept| kept.session.id == id && !kept.ended && now < kept.session.expires_at);
        Ok(found.map(|kept| kept.session.facts.clone()))
    }

    async fn of_identity(
        &self,
        identity: IdentityId,
        now: Timestamp,
    ) -> Result<Vec<SessionView>, StoreError> {
        let mut state = self.lock();
        let view = |kept: &mut Kept| SessionView {
            id: kept.session.id,
            created_at: kept.created_at,
            last_used_at: kept.last_used_at,
            expires_at: kept.session.expires_at,
            client: kept.client.clone(),
        };
        Ok(state.live(identity, now).into_iter().map(view).collect())
    }

    async fn end(&self, id: SessionId, identity: IdentityId, now: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let found = state
            .live(identity, now)
            .into_iter()
            .find(|kept| kept.session.id == id);
        Ok(found.map(|kept| kept.ended = true).is_some())
    }

    async fn end_all(&self, identity: IdentityId, now: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        let mut state = self.lock();
        let end = |kept: &mut Kept| {
            kept.ended = true;
            kept.session.id
        };
        Ok(state.live(identity, now).into_iter().map(end).collect())
    }
}

/// What the contract needs: two identities without a session, and ids that nobody else uses.
#[derive(Debug)]
pub struct Given {
    pub identities: [IdentityId; 2],
    pub now: Timestamp,
    pub new_id: fn() -> Uuid,
}

impl Given {
    fn hash(&self) -> CredentialHash {
        CredentialHash::of(&(self.new_id)().to_string())
    }

    fn session(&self, at: Timestamp) -> NewSession {
        NewSession {
            session: Session {
                id: SessionId::from_uuid((self.new_id)()),
                facts: SignInFacts {
                    identity: self.identities[0],
                    issuer: "https://issuer.test/".to_owned(),
                    authenticated_at: Some(at),
                    methods: vec!["pwd".to_owned(), "otp".to_owned()],
                    context: Some("loa2".to_owned()),
                    second_factor: true,
                },
                expires_at: at + TimeDelta::days(3),
            },
            token: self.hash(),
            idle_until: at + TimeDelta::days(1),
            client: SessionClient::new(Some("Firefox"), Some([7; 16])),
            at,
        }
    }

    fn show(&self, token: &CredentialHash, at: Timestamp) -> TokenUse {
        TokenUse {
            shown: token.clone(),
            successor: self.hash(),
            salt: Salt(*self.hash().as_bytes()),
            client: SessionClient::new(Some("Firefox 2"), None),
            at,
            grace: REFRESH_GRACE,
            idle: TimeDelta::days(1),
        }
    }
}

pub async fn contract(store: &dyn SessionStore, given: &Given) {
    one_successor_for_all(store, given).await;
    reuse_ends_the_family(store, given).await;
    time_ends_it(store, given).await;
    lists_and_ends(store, given).await;
    makes_room(store, given).await;
}

async fn opened(store: &dyn SessionStore, given: &Given, at: Timestamp) -> NewSession {
    let new = given.session(at);
    assert_eq!(store.open(&new, 3).await.expect("opened"), []);
    new
}

fn successor(rotation: Rotation) -> (Session, Salt, Timestamp) {
    match rotation {
        Rotation::Successor {
            session,
            salt,
            idle_until,
        } => (session, salt, idle_until),
        other => panic!("{other:?}"),
    }
}

async fn one_successor_for_all(store: &dyn SessionStore, given: &Given) {
    let (now, refresh) = (given.now, async |shown: &TokenUse| {
        store.refresh(shown).await.expect("an answer")
    });
    let new = opened(store, given, now).await;
    let first = given.show(&new.token, now);
    let (session, salt, idle_until) = successor(refresh(&first).await);
    assert_eq!(
        (&session, salt, idle_until),
        (&new.session, first.salt, new.idle_until)
    );
    // The other tab, at the last moment of the grace, and one whose machine's clock is behind.
    let edge = TimeDelta::microseconds(1);
    for at in [now + REFRESH_GRACE - edge, now - edge] {
        let (_, salt, _) = successor(refresh(&given.show(&new.token, at)).await);
        assert!(salt == first.salt, "the successor is the first one's");
    }
    let second = given.show(&first.successor, now + TimeDelta::seconds(1));
    successor(refresh(&second).await);
    // Two behind, and within its grace: nothing is given and nothing is ended.
    let late = given.show(&new.token, now + TimeDelta::seconds(2));
    assert_eq!(refresh(&late).await, Rotation::Superseded);
    successor(refresh(&given.show(&second.successor, now + TimeDelta::seconds(3))).await);
    assert!(
        store
            .end(new.session.id, given.identities[0], now)
            .await
            .expect("ended")
    );
}

async fn reuse_ends_the_family(store: &dyn SessionStore, given: &Given) {
    let now = given.now;
    let new = opened(store, given, now).await;
    let first = given.show(&new.token, now);
    successor(store.refresh(&first).await.expect("rotated"));
    let again = given.show(&new.token, now + REFRESH_GRACE);
    assert_eq!(
        store.refresh(&again).await.expect("an answer"),
        Rotation::Reused(new.session.id)
    );
    for token in [&new.token, &first.successor, &given.hash()] {
        let shown = given.show(token, now + REFRESH_GRACE);
        assert_eq!(store.refresh(&shown).await.expect("an answer"), Rotation::Over);
    }
    assert_eq!(store.sign_in(new.session.id, now).await.expect("an answer"), None);
}

async fn time_ends_it(store: &dyn SessionStore, given: &Given) {
    let (now, day, edge) = (given.now, TimeDelta::days(1), TimeDelta::microseconds(1));
    let mut token = opened(store, given, now).await.token;
    // Used each day, a moment before it would be idle: the third day is its last all the same.
    let mut idle_until = now + day;
    for _ in 0..3 {
        let shown = given.show(&token, idle_until - edge);
        (_, _, idle_until) = successor(store.refresh(&shown).await.expect("an answer"));
        token = shown.successor;
    }
    assert_eq!(idle_until, now + day * 3);
    let late = given.show(&token, idle_until);
    assert_eq!(store.refresh(&late).await.expect("an answer"), Rotation::Over);

    let idle = opened(store, given, now).await;
    let late = given.show(&idle.token, idle.idle_until);
    assert_eq!(store.refresh(&late).await.expect("an answer"), Rotation::Over);
    let sign_in = async |at: Timestamp| store.sign_in(idle.session.id, at).await.expect("an answer");
    // In this order: what goes on may be remembered for a while.
    assert_eq!(sign_in(idle.session.expires_at).await, None);
    assert_eq!(
        sign_in(idle.session.expires_at - edge).await,
        Some(idle.session.facts.clone())
    );
    store
        .end_all(given.identities[0], now)
        .await
        .expect("the rest is gone");
}

async fn lists_and_ends(store: &dyn SessionStore, given: &Given) {
    let (now, [mine, other]) = (given.now, given.identities);
    let later = now + TimeDelta::seconds(1);
    let (one, two) = (opened(store, given, now).await, opened(store, given, now).await);
    successor(
        store
            .refresh(&given.show(&one.token, later))
            .await
            .expect("rotated"),
    );
    let list = store.of_identity(mine, later).await.expect("a list");
    let ids: Vec<_> = list.iter().map(|view| view.id).collect();
    assert_eq!(ids, [one.session.id, two.session.id]);
    assert_eq!((list[0].created_at, list[0].last_used_at), (now, later));
    assert_eq!(list[0].client, SessionClient::new(Some("Firefox 2"), None));
    assert_eq!(list[1].client, two.client);
    assert_eq!(store.of_identity(other, later).await.expect("a list"), []);
    assert!(!store.end(one.session.id, other, later).await.expect("an answer"));
    assert_eq!(store.end_all(other, later).await.expect("none"), []);
    assert!(store.end(one.session.id, mine, later).await.expect("an answer"));
    assert!(!store.end(one.session.id, mine, later).await.expect("an answer"));
    let rest = store.end_all(mine, later).await.expect("ended");
    assert_eq!(rest, [two.session.id]);
    assert_eq!(store.of_identity(mine, later).await.expect("a list"), []);
}

async fn makes_room(store: &dyn SessionStore, given: &Given) {
    let mut opened_before = Vec::new();
    for second in 0..3 {
        opened_before.push(opened(store, given, given.now + TimeDelta::seconds(second)).await);
    }
    let now = given.now + TimeDelta::seconds(4);
    let one = &opened_before[0];
    successor(
        store
            .refresh(&given.show(&one.token, now))
            .await
            .expect("rotated"),
    );
    let ended = store.open(&given.session(now), 3).await.expect("opened");
    assert_eq!(ended, [opened_before[1].session.id], "unused for the longest");
    assert_eq!(
        store
            .end_all(given.identities[0], now)
            .await
            .expect("ended")
            .len(),
        3
    );
}
