//! What sessions ask of storage.

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::{IdentityId, SessionId, StoreError, Timestamp};

use super::{Salt, Session, SessionClient, SessionView, SignInFacts};
use crate::CredentialHash;

/// A session that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    pub session: Session,
    pub token: CredentialHash,
    /// Without a refresh it is over then.
    pub idle_until: Timestamp,
    pub client: SessionClient,
    pub at: Timestamp,
}

/// One use of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    pub shown: CredentialHash,
    /// The token that takes its place, if it is the session's current one, and the salt that it was made with.
    pub successor: CredentialHash,
    pub salt: Salt,
    pub client: SessionClient,
    pub at: Timestamp,
    /// So long after its first use a token may be shown again.
    pub grace: TimeDelta,
    pub idle: TimeDelta,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The successor is the one of this salt: the caller's, or that of who came first.
    Successor {
        session: Session,
        salt: Salt,
        idle_until: Timestamp,
    },
    /// Within its grace, but its successor is spent as well: who shows it has a newer one, or is no party to it.
    Superseded,
    /// Shown again after its grace. The session is over from now on, whoever of both it was.
    Reused(SessionId),
    /// Unknown, or of a session that is over.
    Over,
}

/// Each call is one transaction of its own: a session is of an identity, and of no site.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Ends the sessions of the identity that were not used for the longest, if there are `max` already. Returns them.
    async fn open(&self, new: &NewSession, max: usize) -> Result<Vec<SessionId>, StoreError>;
    /// Of any number of uses of one token at once, one rotates; the others see what it did.
    async fn refresh(&self, shown: &TokenUse) -> Result<Rotation, StoreError>;
    /// While it goes on: idle it may be, its last access token is not. May be answered from a cache up to 60 s old.
    async fn sign_in(&self, id: SessionId, now: Timestamp) -> Result<Option<SignInFacts>, StoreError>;
    /// Those that go on, the last used first.
    async fn of_identity(&self, identity: IdentityId, now: Timestamp)
    -> Result<Vec<SessionView>, StoreError>;
    /// False: it is not the identity's, or is over.
    async fn end(&self, id: SessionId, identity: IdentityId, now: Timestamp) -> Result<bool, StoreError>;
    /// Returns those that it ended.
    async fn end_all(&self, identity: IdentityId, now: Timestamp) -> Result<Vec<SessionId>, StoreError>;
}
