//! A call that may be repeated: the same key and the same body have one effect and one answer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::str::FromStr;

use async_trait::async_trait;

use crate::{ApprovalId, Kind, StoreError, StoreFault, Timestamp, Transaction};

/// One call as its sender labelled it. Two sites, two callers or two routes never share a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentCall {
    /// Who calls: an identity's id as text.
    pub actor: String,
    /// `POST /api/v1/orders`: the operation, without ids.
    pub operation: &'static str,
    /// The `Idempotency-Key` header, 1 to 255 printable characters.
    pub key: String,
    /// SHA-256 of the canonical request: method, path and body.
    pub fingerprint: [u8; 32],
    pub review: Review,
    pub at: Timestamp,
}

/// Whether a second person must have agreed to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    NotNeeded,
    /// With the approval that its sender named. It is used up in the transaction of the effect.
    Needed(Option<ApprovalId>),
}

/// What became of using an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalUse {
    Applied,
    /// Not of this site.
    Unknown,
    /// It was given for another request, or to another person.
    Mismatch,
    /// Not decided yet, refused, withdrawn, expired or used.
    NotApproved,
}

/// The answer that the first call got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    pub status: u16,
    /// The bytes of the body as they were sent.
    pub body: Vec<u8>,
}

/// What the store says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nobody had this key: the caller does the work and stores the answer before it commits.
    New,
    /// The same call was answered before.
    Replay(StoredAnswer),
    /// The key was used for another body: 422.
    Mismatch,
    /// The first call with this key still runs: 409, try again.
    InProgress,
}

/// Part of an open transaction: key, answer and effect commit together or not at all.
#[async_trait]
pub trait Idempotency: Send {
    /// Never waits for another call: a concurrent one is [`Claim::InProgress`].
    async fn claim(&mut self, call: &IdempotentCall) -> Result<Claim, StoreError>;
    /// Stores the answer of a call that was claimed as new in this same transaction.
    async fn store(&mut self, call: &IdempotentCall, answer: &StoredAnswer) -> Result<(), StoreError>;
    /// Uses the approval up for this call, if it was given for exactly this request of this caller. Of any number of calls
    /// at once, one is [`ApprovalUse::Applied`].
    async fn use_approval(
        &mut self,
        call: &IdempotentCall,
        approval: ApprovalId,
    ) -> Result<ApprovalUse, StoreError>;
}

/// A transaction in which keys can be claimed.
pub trait IdempotentTx: Transaction {
    fn idempotency(&mut self) -> &mut dyn Idempotency;
}

/// Why a call under a key is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    #[error("the Idempotency-Key was used for another request")]
    Reused,
    #[error("the first request with this Idempotency-Key is still running")]
    InProgress,
    #[error("a second person must approve this")]
    ApprovalNeeded,
    #[error("there is no such approval")]
    ApprovalUnknown,
    #[error("the approval is for another request")]
    ApprovalMismatch,
    #[error("the approval is not given, or given no more")]
    NotApproved,
}

impl KeyRefusal {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Reused => "idempotency_key_reused",
            Self::InProgress => "idempotency_key_in_progress",
            Self::ApprovalNeeded => "approval_needed",
            Self::ApprovalUnknown => "approval_not_found",
            Self::ApprovalMismatch => "approval_mismatch",
            Self::NotApproved => "approval_not_approved",
        }
    }

    pub const fn kind(self) -> Kind {
        match self {
            Self::Reused => Kind::Invalid,
            Self::ApprovalUnknown => Kind::NotFound,
            Self::InProgress | Self::ApprovalNeeded | Self::ApprovalMismatch | Self::NotApproved => {
                Kind::Conflict
            }
        }
    }
}

/// What a call that creates one thing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made<Id> {
    pub id: Id,
    /// An equal call made it before; this one changed nothing.
    pub replayed: bool,
}

impl<Id> Made<Id> {
    pub const fn now(id: Id) -> Self {
        Self { id, replayed: false }
    }
}

/// What an equal call made before. `None`: nobody had the key, or there is none, and the caller does the work and then
/// calls [`remember_in_tx`]. Where a second person must have agreed, the approval is used up here.
pub async fn made_before_in_tx<Tx, Id, E>(
    tx: &mut Tx,
    call: Option<&IdempotentCall>,
) -> Result<Option<Made<Id>>, E>
where
    Tx: IdempotentTx + ?Sized,
    Id: FromStr,
    E: From<StoreError> + From<KeyRefusal>,
{
    let Some(call) = call else { return Ok(None) };
    match tx.idempotency().claim(call).await? {
        Claim::New => match review_in_tx(tx, call).await? {
            None => Ok(None),
            Some(refusal) => Err(refusal.into()),
        },
        Claim::Mismatch => Err(KeyRefusal::Reused.into()),
        Claim::InProgress => Err(KeyRefusal::InProgress.into()),
        Claim::Replay(answer) => {
            let id = std::str::from_utf8(&answer.body)
                .ok()
                .and_then(|text| text.parse().ok());
            let id = id.ok_or_else(|| StoreError::broken("a stored answer names nothing that was made"))?;
            Ok(Some(Made { id, replayed: true }))
        }
    }
}

/// Why a new call may not go on, if it may not. What was answered before is not reviewed again.
async fn review_in_tx<Tx>(tx: &mut Tx, call: &IdempotentCall) -> Result<Option<KeyRefusal>, StoreError>
where
    Tx: IdempotentTx + ?Sized,
{
    let approval = match call.review {
        Review::NotNeeded => return Ok(None),
        Review::Needed(None) => return Ok(Some(KeyRefusal::ApprovalNeeded)),
        Review::Needed(Some(approval)) => approval,
    };
    Ok(match tx.idempotency().use_approval(call, approval).await? {
        ApprovalUse::Applied => None,
        ApprovalUse::Unknown => Some(KeyRefusal::ApprovalUnknown),
        ApprovalUse::Mismatch => Some(KeyRefusal::ApprovalMismatch),
        ApprovalUse::NotApproved => Some(KeyRefusal::NotApproved),
    })
}

/// Stores under the key what the call made, by its id: whoever repeats the call is shown the thing as it stands then.
pub async fn remember_in_tx<Tx>(
    tx: &mut Tx,
    call: Option<&IdempotentCall>,
    made: &(impl Display + Sync),
) -> Result<(), StoreError>
where
    Tx: IdempotentTx + ?Sized,
{
    let Some(call) = call else { return Ok(()) };
    let answer = StoredAnswer {
        status: 201,
        body: made.to_string().into_bytes(),
    };
    tx.idempotency().store(call, &answer).await
}

/// Keys, answers and approvals in memory: for the fakes of the contexts. Concurrent calls do not exist in it.
#[derive(Debug, Clone, Default)]
pub struct RememberedAnswers {
    answers: BTreeMap<(String, &'static str, String), ([u8; 32], StoredAnswer)>,
    /// Given and not used: to whom, for which request.
    approved: BTreeMap<ApprovalId, (String, [u8; 32])>,
}

impl RememberedAnswers {
    /// A second person agreed to this call.
    pub fn approve(&mut self, approval: ApprovalId, call: &IdempotentCall) {
        self.approved
            .insert(approval, (call.actor.clone(), call.fingerprint));
    }
}

#[async_trait]
impl Idempotency for RememberedAnswers {
    async fn claim(&mut self, call: &IdempotentCall) -> Result<Claim, StoreError> {
        let key = (call.actor.clone(), call.operation, call.key.clone());
        Ok(match self.answers.get(&key) {
            None => Claim::New,
            Some((fingerprint, answer)) if *fingerprint == call.fingerprint => Claim::Replay(answer.clone()),
            Some(_) => Claim::Mismatch,
        })
    }

    async fn store(&mut self, call: &IdempotentCall, answer: &StoredAnswer) -> Result<(), StoreError> {
        let key = (call.actor.clone(), call.operation, call.key.clone());
        match self.answers.entry(key) {
            Entry::Vacant(free) => {
                free.insert((call.fingerprint, answer.clone()));
                Ok(())
            }
            Entry::Occupied(_) => Err(StoreError::new(StoreFault::Retry, "the key is taken")),
        }
    }

    async fn use_approval(
        &mut self,
        call: &IdempotentCall,
        approval: ApprovalId,
    ) -> Result<ApprovalUse, StoreError> {
        Ok(match self.approved.get(&approval) {
            None => ApprovalUse::Unknown,
            Some((actor, hash)) if *actor != call.actor || *hash != call.fingerprint => ApprovalUse::Mismatch,
            Some(_) => {
                self.approved.remove(&approval);
                ApprovalUse::Applied
            }
        })
    }
}
