//! Keys with which programs of a site call the API.

mod error;
mod ports;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{
    ApiKeyId, Begin, Clock, Event, IdempotentCall, IdentityId, Ids, Made, Randomness, SiteScope, StoreError,
    Timestamp, made_before_in_tx, remember_in_tx, retry_busy,
};
use secrecy::SecretString;
use serde_json::{Value, json};

pub use error::ApiKeyError;
pub use ports::{ApiKeyQueries, ApiKeyRepository, ApiKeysTx, KeySecret};

use crate::{Capability, CredentialKind, Member, NewCredential, Proof, SiteError};

pub const NAME_CHARS_MAX: usize = 100;
pub const LIFETIME_DAYS: u16 = 90;
pub const LIFETIME_DAYS_MAX: u16 = 365;
pub const OVERLAP_DAYS_MAX: u16 = 7;
pub const LIVE_KEYS_MAX: u32 = 100;
/// Of one key, while rotations overlap.
pub const SECRETS_MAX: u32 = 5;
/// A use is noted when the last one that was noted is older.
const USE_NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Belongs to its site: it goes on when its maker leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// Those that this version knows and a key may still have.
    pub scopes: Vec<Capability>,
    pub made_by: IdentityId,
    pub created_at: Timestamp,
    /// Of the newest secret.
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    pub fn may(&self, capability: Capability) -> bool {
        is_for_keys(capability) && self.scopes.contains(&capability)
    }

    fn renew(&mut self, expires_at: Timestamp, now: Timestamp) -> Result<(), ApiKeyError> {
        if !self.is_live(now) {
            return Err(ApiKeyError::NotLive);
        }
        self.expires_at = expires_at;
        Ok(())
    }

    /// False: it was revoked before, and stays so.
    fn revoke(&mut self, now: Timestamp) -> bool {
        let first = self.revoked_at.is_none();
        self.revoked_at.get_or_insert(now);
        first
    }
}

/// Whether a key may have it: nothing that asks for a second factor, nothing that one does for oneself or with one's hands.
pub const fn is_for_keys(capability: Capability) -> bool {
    matches!(capability.proof(), Proof::SignedIn)
        && !matches!(capability, Capability::Buy | Capability::DevicesOperate)
}

/// What its maker asks for.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub name: String,
    /// Names of capabilities.
    pub scopes: Vec<String>,
    pub lifetime_days: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
pub struct RotateApiKey {
    /// For how long the secrets so far stay good.
    pub overlap_days: u16,
    pub lifetime_days: Option<u16>,
}

/// A key that a caller showed, and that holds.
#[derive(Debug, Clone)]
pub struct KeyInUse {
    pub key: ApiKey,
    /// Say so with [`ApiKeys::note_use`].
    pub use_is_due: bool,
}

/// Use cases of keys inside one site.
#[derive(Clone)]
pub struct ApiKeys {
    db: Arc<dyn Begin<dyn ApiKeysTx>>,
    queries: Arc<dyn ApiKeyQueries>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeys").finish_non_exhaustive()
    }
}

impl ApiKeys {
    pub fn new(
        db: Arc<dyn Begin<dyn ApiKeysTx>>,
        queries: Arc<dyn ApiKeyQueries>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            queries,
            clock,
            ids,
            randomness,
        }
    }

    /// Makes a key and its first secret. Who repeats the call gets no secret: it is kept nowhere.
    pub async fn create(
        &self,
        scope: &SiteScope,
        maker: &Member,
        wish: &NewApiKey,
        call: Option<&IdempotentCall>,
    ) -> Result<(Made<ApiKeyId>, Option<SecretString>), ApiKeyError> {
        check_reach(maker)?;
        let scopes = granted(wish, maker)?;
        let name = named(&wish.name)?;
        let lifetime = lifetime(wish.lifetime_days)?;
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            if let Some(made) = made_before_in_tx::<_, _, ApiKeyError>(tx.as_mut(), call).await? {
                return Ok((made, None));
            }
            let now = self.clock.now();
            if tx.api_keys().count_live(now).await? >= LIVE_KEYS_MAX {
                return Err(ApiKeyError::TooMany);
            }
            let key = ApiKey {
                id: ApiKeyId::from_uuid(self.ids.uuid(now)),
                name: name.to_owned(),
                scopes: scopes.clone(),
                made_by: maker.identity,
                created_at: now,
                expires_at: now + lifetime,
                last_used_at: None,
                revoked_at: None,
            };
            tx.api_keys().insert(&key).await?;
            let made = self.add_secret_in_tx(tx.as_mut(), &key, now).await?;
            let names: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
            let payload =
                json!({ "scopes": names, "expires_at": key.expires_at, "public_part": made.public_part });
            tx.outbox()
                .append(event("api_key.created", &key, payload, now))
                .await?;
            remember_in_tx(tx.as_mut(), call, &key.id).await?;
            tx.commit().await?;
            Ok((Made::now(key.id), Some(made.text)))
        })
        .await
    }

    /// Gives the key another secret and a new life. Those before it stay good for the overlap, and none longer than it was.
    pub async fn rotate(
        &self,
        scope: &SiteScope,
        member: &Member,
        id: ApiKeyId,
        wish: RotateApiKey,
    ) -> Result<SecretString, ApiKeyError> {
        if wish.overlap_days > OVERLAP_DAYS_MAX {
            return Err(ApiKeyError::Overlap);
        }
        check_reach(member)?;
        let lifetime = lifetime(wish.lifetime_days)?;
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            let found = tx.api_keys().for_update(id).await?;
            let mut key = found.ok_or(ApiKeyError::NotFound)?;
            if !key.scopes.iter().all(|scope| member.role.may(*scope)) {
                return Err(ApiKeyError::BeyondMaker);
            }
            let now = self.clock.now();
            key.renew(now + lifetime, now)?;
            let until = now + TimeDelta::days(wish.overlap_days.into());
            tx.api_keys().end_secrets(id, until).await?;
            if tx.api_keys().count_secrets(id, now).await? >= SECRETS_MAX {
                return Err(ApiKeyError::TooManySecrets);
            }
            tx.api_keys().save(&key).await?;
            let made = self.add_secret_in_tx(tx.as_mut(), &key, now).await?;
            let payload = json!({
                "expires_at": key.expires_at, "public_part": made.public_part, "overlap_days": wish.overlap_days,
            });
            tx.outbox()
                .append(event("api_key.rotated", &key, payload, now))
                .await?;
            tx.commit().await?;
            Ok(made.text)
        })
        .await
    }

    /// From the commit on no secret of the key is good. Revoking again changes nothing.
    pub async fn revoke(&self, scope: &SiteScope, id: ApiKeyId) -> Result<(), ApiKeyError> {
        retry_busy(|| async {
            let mut tx = self.db.begin(scope).await?;
            let found = tx.api_keys().for_update(id).await?;
            let mut key = found.ok_or(ApiKeyError::NotFound)?;
            let now = self.clock.now();
            if !key.revoke(now) {
                return Ok(());
            }
            tx.api_keys().save(&key).await?;
            tx.outbox()
                .append(event("api_key.revoked", &key, json!({}), now))
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// The key that the text opens at this site. Whatever is wrong with it, the answer is the same and as late.
    pub async fn verify(&self, scope: &SiteScope, text: &str) -> Result<Option<KeyInUse>, StoreError> {
        let shown = CredentialKind::ApiKey.read(text);
        let found = self
            .queries
            .api_key_by_public_part(scope, &shown.public_part)
            .await?;
        let is_it = shown.is(found.as_ref().map(|(_, secret)| &secret.hash));
        let now = self.clock.now();
        Ok(found
            .filter(|(key, secret)| is_it && key.is_live(now) && now < secret.expires_at)
            .map(|(key, _)| KeyInUse {
                use_is_due: key.last_used_at.is_none_or(|at| at + USE_NOTED_EVERY <= now),
                key,
            }))
    }

    pub async fn note_use(&self, scope: &SiteScope, id: ApiKeyId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        tx.api_keys().note_use(id, now, now - USE_NOTED_EVERY).await?;
        tx.commit().await
    }

    async fn add_secret_in_tx(
        &self,
        tx: &mut dyn ApiKeysTx,
        key: &ApiKey,
        now: Timestamp,
    ) -> Result<NewCredential, StoreError> {
        let made = CredentialKind::ApiKey.issue(self.randomness.as_ref());
        let secret = KeySecret {
            public_part: made.public_part.clone(),
            hash: made.hash.clone(),
            created_at: now,
            expires_at: key.expires_at,
        };
        tx.api_keys().insert_secret(key.id, &secret).await?;
        Ok(made)
    }
}

fn named(typed: &str) -> Result<&str, ApiKeyError> {
    let name = typed.trim();
    if (1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        Ok(name)
    } else {
        Err(ApiKeyError::Name)
    }
}

/// A key's scopes hold at every place.
fn check_reach(member: &Member) -> Result<(), ApiKeyError> {
    if member.is_everywhere() {
        Ok(())
    } else {
        Err(SiteError::PlaceNotYours.into())
    }
}

/// Each once, in the order of the table of capabilities.
fn granted(wish: &NewApiKey, maker: &Member) -> Result<Vec<Capability>, ApiKeyError> {
    if wish.scopes.is_empty() {
        return Err(ApiKeyError::NoScope);
    }
    let mut scopes = Vec::new();
    for (index, name) in wish.scopes.iter().enumerate() {
        let known = Capability::ALL.iter().copied().find(|one| one.as_str() == name);
        let granted = known.filter(|one| is_for_keys(*one) && maker.role.may(*one));
        scopes.push(granted.ok_or(ApiKeyError::Scope { index })?);
    }
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

fn lifetime(days: Option<u16>) -> Result<TimeDelta, ApiKeyError> {
    let days = days.unwrap_or(LIFETIME_DAYS);
    if (1..=LIFETIME_DAYS_MAX).contains(&days) {
        Ok(TimeDelta::days(days.into()))
    } else {
        Err(ApiKeyError::Lifetime)
    }
}

fn event(kind: &'static str, key: &ApiKey, payload: Value, at: Timestamp) -> Event {
    Event {
        kind,
        subject: key.id.as_uuid(),
        payload,
        at,
    }
}
