//! A browser's sign-in that goes on: a refresh token that is another one after each use, and the session behind it.

mod ports;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{Clock, IdentityId, Ids, Randomness, SessionId, StoreError, Timestamp};

pub use ports::{NewSession, Rotation, SessionStore, TokenUse};
pub use token::{RefreshToken, Salt};

/// A token may be shown again for so long: by the other tab, or by who lost the answer and asks again.
pub const REFRESH_GRACE: TimeDelta = TimeDelta::seconds(10);
/// Of one identity at a time; the one that was not used for the longest makes room.
pub const SESSIONS_MAX: usize = 20;
const USER_AGENT_CHARS_MAX: usize = 200;

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRules {
    /// Without a refresh.
    pub idle: TimeDelta,
    /// From signing in, whatever happens.
    pub absolute: TimeDelta,
}

/// Who signed in, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInFacts {
    pub identity: IdentityId,
    /// The issuer that the identity is kept under.
    pub issuer: String,
    /// When the person last proved who they are, if that is known.
    pub authenticated_at: Option<Timestamp>,
    /// As `amr` names them (RFC 8176).
    pub methods: Vec<String>,
    /// `acr`, as the identity provider says it.
    pub context: Option<String>,
    /// Whether the issuer vouched for a second factor, then.
    pub second_factor: bool,
}

/// What is kept of the browser, for its owner to know it again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionClient {
    user_agent: Option<String>,
    /// Salted and hashed.
    pub address: Option<[u8; 16]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub facts: SignInFacts,
    pub expires_at: Timestamp,
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    pub id: SessionId,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
    pub client: SessionClient,
}

/// What a browser gets to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    pub session: Session,
    pub token: RefreshToken,
    /// The token is of no use from then on.
    pub token_until: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Never was, ended, or lived long enough: all one to who asks.
    #[error("the session is over")]
    Over,
    /// Somebody else has its successor, or had it: the session was ended just now.
    #[error("a refresh token was used again: its session {0} was ended")]
    Reused(SessionId),
    #[error("a newer refresh token is out: use that")]
    Superseded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Use cases of sessions.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    rules: SessionRules,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl SessionClient {
    /// Without what cannot stand in a log, and cut.
    pub fn new(user_agent: Option<&str>, address: Option<[u8; 16]>) -> Self {
        let printable = |text: &str| {
            let kept = text.trim().chars().filter(|c| !c.is_control());
            kept.take(USER_AGENT_CHARS_MAX).collect::<String>()
        };
        let user_agent = user_agent.map(printable).filter(|text| !text.is_empty());
        Self { user_agent, address }
    }

    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }
}

impl Sessions {
    pub fn new(
        store: Arc<dyn SessionStore>,
        rules: SessionRules,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            store,
            rules,
            clock,
            ids,
            randomness,
        }
    }

    /// For who just proved who they are.
    pub async fn open(&self, facts: SignInFacts, client: SessionClient) -> Result<Renewed, SessionError> {
        let now = self.clock.now();
        let token = RefreshToken::random(self.randomness.as_ref());
        let expires_at = now + self.rules.absolute;
        let session = Session {
            id: SessionId::from_uuid(self.ids.uuid(now)),
            facts,
            expires_at,
        };
        let new = NewSession {
            session,
            token: token.hash(),
            idle_until: expires_at.min(now + self.rules.idle),
            client,
            at: now,
        };
        self.store.open(&new, SESSIONS_MAX).await?;
        Ok(Renewed {
            session: new.session,
            token,
            token_until: new.idle_until,
        })
    }

    /// Spends the token and returns its successor: the same one to all who show it within [`REFRESH_GRACE`]. Shown after
    /// that it ends the session, because two have it and nobody can tell which of them is its owner.
    pub async fn refresh(
        &self,
        token: &RefreshToken,
        client: SessionClient,
    ) -> Result<Renewed, SessionError> {
        let salt = Salt::random(self.randomness.as_ref());
        let shown = TokenUse {
            shown: token.hash(),
            successor: token.successor(salt).hash(),
            salt,
            client,
            at: self.clock.now(),
            grace: REFRESH_GRACE,
            idle: self.rules.idle,
        };
        match self.store.refresh(&shown).await? {
            Rotation::Successor {
                session,
                salt,
                idle_until,
            } => Ok(Renewed {
                session,
                token: token.successor(salt),
                token_until: idle_until,
            }),
            Rotation::Superseded => Err(SessionError::Superseded),
            Rotation::Reused(session) => Err(SessionError::Reused(session)),
            Rotation::Over => Err(SessionError::Over),
        }
    }

    /// The sign-in of the session that an access token names, while it goes on; at most 60 s late to know that it does not.
    pub async fn sign_in(&self, id: SessionId) -> Result<Option<SignInFacts>, StoreError> {
        self.store.sign_in(id, self.clock.now()).await
    }

    pub async fn of_identity(&self, identity: IdentityId) -> Result<Vec<SessionView>, StoreError> {
        self.store.of_identity(identity, self.clock.now()).await
    }

    /// False: it is not the identity's, or is over.
    pub async fn end(&self, id: SessionId, identity: IdentityId) -> Result<bool, StoreError> {
        self.store.end(id, identity, self.clock.now()).await
    }

    /// Signs the identity out everywhere; returns from how many sessions.
    pub async fn end_all(&self, identity: IdentityId) -> Result<usize, StoreError> {
        Ok(self.store.end_all(identity, self.clock.now()).await?.len())
    }
}
