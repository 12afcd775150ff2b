//! Enrolling, proving and removing.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::{
    Begin, Clock, Event, FactorId, IdentityId, Ids, Randomness, SecretKeeper, SecretPlace, SiteScope,
    Timestamp,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::codes::{self, RECOVERY_CODES, RecoveryCode, SECRET_BYTES};
use super::{FactorState, PROOF_LIFE, SecondFactor, SecondFactorError, SecondFactorsTx, Tried};

/// Use cases of second factors inside one site.
#[derive(Clone)]
pub struct SecondFactors {
    db: Arc<dyn Begin<dyn SecondFactorsTx>>,
    keeper: Arc<dyn SecretKeeper>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for SecondFactors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactors").finish_non_exhaustive()
    }
}

/// Which sign-in a proof is of: a hash of what its tokens share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInKey([u8; 32]);

impl SignInKey {
    pub fn of(shared_by_tokens: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, shared_by_tokens.as_bytes()).as_ref());
        Self(hash)
    }
}

/// A new secret. It is shown once.
#[derive(Debug)]
pub struct Enrolment {
    pub secret: SecretString,
    /// `otpauth://`: what the QR code of it says.
    pub uri: SecretString,
}

/// How a person stands at the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorStanding {
    pub confirmed_at: Option<Timestamp>,
    pub pending: bool,
    pub recovery_codes: u32,
    pub locked_until: Option<Timestamp>,
    /// Of this sign-in; in the past when it has to be proven again.
    pub proven_until: Option<Timestamp>,
}

/// What a person typed, before anyone is asked whether it counts.
enum Typed {
    Step(Option<i64>),
    Recovery(Option<RecoveryCode>),
}

impl SecondFactors {
    pub fn new(
        db: Arc<dyn Begin<dyn SecondFactorsTx>>,
        keeper: Arc<dyn SecretKeeper>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            keeper,
            clock,
            ids,
            randomness,
        }
    }

    /// A new secret, which counts from its first code on. `proven`: whether the caller has just proven a second factor;
    /// without, only the first one can be enrolled.
    pub async fn enrol(
        &self,
        scope: &SiteScope,
        site_name: &str,
        identity: IdentityId,
        proven: bool,
    ) -> Result<Enrolment, SecondFactorError> {
        let now = self.clock.now();
        let id = FactorId::from_uuid(self.ids.uuid(now));
        let mut secret = [0; SECRET_BYTES];
        self.randomness.fill(&mut secret);
        let sealed = self
            .keeper
            .seal(&place(scope, id), &secret)
            .await
            .map_err(SecondFactorError::Secret)?;
        let account = identity.to_string();
        let (text, uri) = codes::shown(&secret, site_name, &account).ok_or(SecondFactorError::Show)?;
        let mut tx = self.db.begin(scope).await?;
        let known = tx.second_factors().for_update(identity).await?;
        if known.iter().any(SecondFactor::is_active) && !proven {
            return Err(SecondFactorError::PresentNeeded);
        }
        for mut given_up in known.into_iter().filter(SecondFactor::is_pending) {
            given_up.remove(now);
            tx.second_factors().save(&given_up).await?;
        }
        let factor = SecondFactor {
            id,
            identity,
            state: FactorState::Pending { secret: sealed },
            last_step: None,
            failures: 0,
            locked_until: None,
            created_at: now,
        };
        tx.second_factors().insert(&factor).await?;
        tx.outbox()
            .append(factor.happened("second_factor.offered", now))
            .await?;
        tx.commit().await?;
        Ok(Enrolment {
            secret: text.into(),
            uri: uri.into(),
        })
    }

    /// The pending one counts from now on, in place of the one before, and this sign-in has proven it.
    pub async fn confirm(
        &self,
        scope: &SiteScope,
        identity: IdentityId,
        sign_in: SignInKey,
        code: &str,
    ) -> Result<Vec<RecoveryCode>, SecondFactorError> {
        let now = self.clock.now();
        let pending = self.find(scope, identity, SecondFactor::is_pending).await?;
        let pending = pending.ok_or(SecondFactorError::NotPending)?;
        let step = self.step(scope, &pending, code, now).await?;
        let mut tx = self.db.begin(scope).await?;
        let known = tx.second_factors().for_update(identity).await?;
        let (mut same, others): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|factor| factor.id == pending.id);
        let mut factor = same
            .pop()
            .filter(SecondFactor::is_pending)
            .ok_or(SecondFactorError::NotPending)?;
        let tried = factor.try_step(step, now);
        if tried != Tried::Right {
            return Err(refuse(tx, &factor, tried, now).await?);
        }
        for mut replaced in others {
            replaced.remove(now);
            tx.second_factors().save(&replaced).await?;
            tx.outbox()
                .append(replaced.happened("second_factor.removed", now))
                .await?;
        }
        factor.confirm(now);
        tx.second_factors().save(&factor).await?;
        let fresh = self.codes_in_tx(tx.as_mut(), factor.id, now).await?;
        tx.second_factors().forget_proofs(identity).await?;
        prove_in_tx(tx.as_mut(), identity, sign_in, now).await?;
        tx.outbox()
            .append(factor.happened("second_factor.enrolled", now))
            .await?;
        tx.commit().await?;
        Ok(fresh)
    }

    /// This sign-in has proven the factor, until then. A code of the authenticator, or a recovery code.
    pub async fn verify(
        &self,
        scope: &SiteScope,
        identity: IdentityId,
        sign_in: SignInKey,
        code: &str,
    ) -> Result<Timestamp, SecondFactorError> {
        let now = self.clock.now();
        let active = self.find(scope, identity, SecondFactor::is_active).await?;
        let active = active.ok_or(SecondFactorError::NotEnrolled)?;
        let typed = if codes::is_of_authenticator(code) {
            Typed::Step(self.step(scope, &active, code, now).await?)
        } else {
            Typed::Recovery(RecoveryCode::parse(code))
        };
        let mut tx = self.db.begin(scope).await?;
        let known = tx.second_factors().for_update(identity).await?;
        let mut same = known.into_iter().filter(|factor| factor.id == active.id);
        let mut factor = same.next().ok_or(SecondFactorError::NotEnrolled)?;
        let (tried, kind) = match typed {
            Typed::Step(step) => (factor.try_step(step, now), "second_factor.verified"),
            Typed::Recovery(code) => {
                let right = match code {
                    // While one waits, a code is not used up.
                    Some(code) if factor.locked(now).is_none() => {
                        tx.second_factors().use_code(factor.id, &code.hash(), now).await?
                    }
                    _ => false,
                };
                (factor.try_code(right, now), "second_factor.recovery_code_used")
            }
        };
        if tried != Tried::Right {
            return Err(refuse(tx, &factor, tried, now).await?);
        }
        tx.second_factors().save(&factor).await?;
        prove_in_tx(tx.as_mut(), identity, sign_in, now).await?;
        tx.outbox().append(factor.happened(kind, now)).await?;
        tx.commit().await?;
        Ok(now + PROOF_LIFE)
    }

    /// Another set; the old ones are void. The caller has proven a second factor.
    pub async fn renew_codes(
        &self,
        scope: &SiteScope,
        identity: IdentityId,
    ) -> Result<Vec<RecoveryCode>, SecondFactorError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let known = tx.second_factors().for_update(identity).await?;
        let mut active = known.into_iter().filter(SecondFactor::is_active);
        let factor = active.next().ok_or(SecondFactorError::NotEnrolled)?;
        let fresh = self.codes_in_tx(tx.as_mut(), factor.id, now).await?;
        tx.outbox()
            .append(factor.happened("second_factor.codes_renewed", now))
            .await?;
        tx.commit().await?;
        Ok(fresh)
    }

    /// Nothing is left that proves anything. The caller has proven a second factor.
    pub async fn remove(&self, scope: &SiteScope, identity: IdentityId) -> Result<(), SecondFactorError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let known = tx.second_factors().for_update(identity).await?;
        if known.is_empty() {
            return Err(SecondFactorError::NotEnrolled);
        }
        for mut factor in known {
            factor.remove(now);
            tx.second_factors().save(&factor).await?;
            tx.outbox()
                .append(factor.happened("second_factor.removed", now))
                .await?;
        }
        tx.second_factors().forget_proofs(identity).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn standing(
        &self,
        scope: &SiteScope,
        identity: IdentityId,
        sign_in: SignInKey,
    ) -> Result<FactorStanding, SecondFactorError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let known = tx.second_factors().find(identity).await?;
        let active = known.iter().find(|factor| factor.is_active());
        let recovery_codes = match active {
            Some(factor) => tx.second_factors().count_codes(factor.id).await?,
            None => 0,
        };
        let proven_at = tx.second_factors().proven_at(identity, &sign_in.0).await?;
        Ok(FactorStanding {
            confirmed_at: active.and_then(|factor| match factor.state {
                FactorState::Active { confirmed_at, .. } => Some(confirmed_at),
                _ => None,
            }),
            pending: known.iter().any(SecondFactor::is_pending),
            recovery_codes,
            locked_until: active.and_then(|factor| factor.locked(now)),
            proven_until: proven_at.map(|at| at + PROOF_LIFE),
        })
    }

    async fn find(
        &self,
        scope: &SiteScope,
        identity: IdentityId,
        which: fn(&SecondFactor) -> bool,
    ) -> Result<Option<SecondFactor>, SecondFactorError> {
        let mut tx = self.db.begin(scope).await?;
        let known = tx.second_factors().find(identity).await?;
        Ok(known.into_iter().find(which))
    }

    /// The step that the code is of. Opening a secret may ask outside: no transaction is open meanwhile.
    async fn step(
        &self,
        scope: &SiteScope,
        factor: &SecondFactor,
        code: &str,
        now: Timestamp,
    ) -> Result<Option<i64>, SecondFactorError> {
        if let Some(until) = factor.locked(now) {
            return Err(locked(until, now));
        }
        let Some(sealed) = factor.secret() else {
            return Ok(None);
        };
        let opened = self.keeper.open(&place(scope, factor.id), sealed).await;
        let secret = opened.map_err(SecondFactorError::Secret)?;
        Ok(codes::step_of(secret.expose_secret(), code, now))
    }

    async fn codes_in_tx(
        &self,
        tx: &mut dyn SecondFactorsTx,
        factor: FactorId,
        now: Timestamp,
    ) -> Result<Vec<RecoveryCode>, SecondFactorError> {
        let fresh: Vec<_> = (0..RECOVERY_CODES)
            .map(|_| RecoveryCode::random(self.randomness.as_ref()))
            .collect();
        let hashes: Vec<_> = fresh.iter().map(RecoveryCode::hash).collect();
        tx.second_factors().replace_codes(factor, &hashes, now).await?;
        Ok(fresh)
    }
}

async fn prove_in_tx(
    tx: &mut dyn SecondFactorsTx,
    identity: IdentityId,
    sign_in: SignInKey,
    now: Timestamp,
) -> Result<(), SecondFactorError> {
    tx.second_factors()
        .prove(identity, &sign_in.0, now, now - PROOF_LIFE)
        .await?;
    Ok(())
}

/// Counts the wrong code: unlike other refusals this one is kept.
async fn refuse(
    mut tx: Box<dyn SecondFactorsTx>,
    factor: &SecondFactor,
    tried: Tried,
    now: Timestamp,
) -> Result<SecondFactorError, SecondFactorError> {
    if let Tried::Locked { until } = tried {
        return Ok(locked(until, now));
    }
    tx.second_factors().save(factor).await?;
    tx.outbox()
        .append(factor.happened("second_factor.refused", now))
        .await?;
    tx.commit().await?;
    Ok(SecondFactorError::WrongCode)
}

fn locked(until: Timestamp, now: Timestamp) -> SecondFactorError {
    // Rounded up: who waits so long is let try.
    let wait_s = (until - now).num_seconds().saturating_add(1);
    SecondFactorError::Locked {
        wait_s: u32::try_from(wait_s).unwrap_or(u32::MAX),
    }
}

fn place(scope: &SiteScope, id: FactorId) -> SecretPlace {
    SecretPlace {
        site: scope.site(),
        table: "second_factors",
        row: id.to_string(),
        column: "secret_sealed",
    }
}

impl SecondFactor {
    fn happened(&self, kind: &'static str, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.id.as_uuid(),
            payload: json!({ "identity": self.identity, "failures": self.failures }),
            at,
        }
    }
}
