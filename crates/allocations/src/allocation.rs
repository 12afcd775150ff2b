//! One transfer of tokens that is owed to a buyer.

use chrono::SecondsFormat;
use posx_kernel::{AllocationId, BatchId, ChainAssetId, LineId, OrderId, PartyId, Timestamp, TokenAmount};
use serde::{Deserialize, Serialize};

use crate::custody::{ExternalId, Transfer};
use crate::{Standing, standing};

/// Whether a command changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Applied,
    AlreadyApplied,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllocationState {
    Pending,
    /// In a batch, not sent yet.
    Queued,
    /// Its external id is committed and it is sent, or about to be: nobody knows which until the custodian is asked.
    Unknown,
    Submitted {
        provider_id: String,
    },
    Confirming {
        provider_id: String,
        tx_hash: Option<String>,
        confirmations: u32,
    },
    Done {
        provider_id: String,
        tx_hash: String,
        confirmations: u32,
        /// When we learned it.
        confirmed_at: Timestamp,
    },
    Failed {
        reason: String,
        needs_person: bool,
        provider_id: Option<String>,
        /// With a hash it may still be on chain: it is not sent again without evidence (F10).
        tx_hash: Option<String>,
    },
    /// Nothing of it is left to be sent: its money went back.
    Cancelled {
        /// Why its last try had failed, if it had been tried: restored it is failed again.
        failure: Option<String>,
        provider_id: Option<String>,
    },
}

/// An [`AllocationState`] without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    Pending,
    Queued,
    Unknown,
    Submitted,
    Confirming,
    Done,
    Failed,
    Cancelled,
}

impl StateName {
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Queued,
        Self::Unknown,
        Self::Submitted,
        Self::Confirming,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Unknown => "unknown",
            Self::Submitted => "submitted",
            Self::Confirming => "confirming",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    /// Reports move an allocation to a higher rank or not at all. Done, failed and cancelled share the highest.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Queued => 1,
            Self::Unknown => 2,
            Self::Submitted => 3,
            Self::Confirming => 4,
            Self::Done | Self::Failed | Self::Cancelled => 5,
        }
    }
}

impl AllocationState {
    pub const fn name(&self) -> StateName {
        match self {
            Self::Pending => StateName::Pending,
            Self::Queued => StateName::Queued,
            Self::Unknown => StateName::Unknown,
            Self::Submitted { .. } => StateName::Submitted,
            Self::Confirming { .. } => StateName::Confirming,
            Self::Done { .. } => StateName::Done,
            Self::Failed { .. } => StateName::Failed,
            Self::Cancelled { .. } => StateName::Cancelled,
        }
    }

    pub fn provider_id(&self) -> Option<&str> {
        match self {
            Self::Pending | Self::Queued | Self::Unknown => None,
            Self::Submitted { provider_id }
            | Self::Confirming { provider_id, .. }
            | Self::Done { provider_id, .. } => Some(provider_id),
            Self::Failed { provider_id, .. } | Self::Cancelled { provider_id, .. } => provider_id.as_deref(),
        }
    }

    pub fn tx_hash(&self) -> Option<&str> {
        match self {
            Self::Confirming { tx_hash, .. } | Self::Failed { tx_hash, .. } => tx_hash.as_deref(),
            Self::Done { tx_hash, .. } => Some(tx_hash),
            _ => None,
        }
    }

    pub const fn confirmations(&self) -> u32 {
        match self {
            Self::Confirming { confirmations, .. } | Self::Done { confirmations, .. } => *confirmations,
            _ => 0,
        }
    }

    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Done { .. } | Self::Failed { .. } | Self::Cancelled { .. }
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    pub id: AllocationId,
    pub order: OrderId,
    pub line: LineId,
    /// Which part of what the line delivers: mostly there is only 0.
    pub part: u16,
    pub party: PartyId,
    pub asset: ChainAssetId,
    /// As the order froze it, canonical on the asset's chain.
    pub address: String,
    /// The address had just taken another's place when the order was placed: it waits until then.
    pub wallet_usable_from: Option<Timestamp>,
    /// As it was made; [`Allocation::left`] is sent.
    pub amount: TokenAmount,
    /// Not sent, because its money went back. Never changed while it is on its way or done.
    pub cut: TokenAmount,
    /// Sent, and its money went back: the buyer's debt. Of what is done only.
    pub owed: TokenAmount,
    /// Of what was sent: came back from the buyer. It is another part of the line from then on.
    pub received: TokenAmount,
    /// Of `owed`: given up by staff. It stays so when `owed` falls and grows again.
    pub waived: TokenAmount,
    /// How often one of these changed.
    pub changes: u32,
    /// The batch that it was last put in.
    pub batch: Option<BatchId>,
    /// How many tries were begun.
    pub tries: u16,
    /// Of the last try that was begun.
    pub external_id: Option<ExternalId>,
    pub state: AllocationState,
    /// Why a person should look, although it has not failed: a stable word. It is not sent while this is set.
    pub parked: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Why an allocation cannot be put in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueRefusal {
    #[error("it is {}", .0.as_str())]
    NotPending(StateName),
    #[error("it is parked for a person to look at")]
    NeedsPerson,
    #[error("its order is disputed")]
    OrderDisputed,
    #[error("money went back for which it is still to be cut")]
    OrderReturned,
    #[error("the platform has not given its vault to the site")]
    VaultNotAssigned,
    /// The buyer replaced the wallet that it goes to, and has time to notice if it was somebody else.
    #[error("its wallet took another's place and is used from {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))]
    CoolingOff { until: Timestamp },
}

/// Why an allocation cannot be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryRefusal {
    NotFailed(StateName),
    /// It has a transaction hash: it may be on chain.
    OnChain,
    /// The custodian, asked once more, does not say that the last try failed.
    Alive,
    NeedsPerson,
}

impl Allocation {
    pub fn queue(&mut self, batch: BatchId, now: Timestamp) -> Result<(), QueueRefusal> {
        if self.state != AllocationState::Pending {
            return Err(QueueRefusal::NotPending(self.state.name()));
        }
        if self.parked.is_some() {
            return Err(QueueRefusal::NeedsPerson);
        }
        if let Some(until) = self.wallet_usable_from.filter(|from| now < *from) {
            return Err(QueueRefusal::CoolingOff { until });
        }
        self.state = AllocationState::Queued;
        self.batch = Some(batch);
        self.updated_at = now;
        Ok(())
    }

    /// Names the next try. To be committed before the custodian hears of it. `None`: it is not waiting to be sent.
    pub fn begin_try(&mut self, now: Timestamp) -> Option<ExternalId> {
        if self.state != AllocationState::Queued || self.parked.is_some() {
            return None;
        }
        self.tries = self.tries.checked_add(1)?;
        let external_id = try_name(self.id, self.tries);
        self.external_id = Some(external_id.clone());
        self.state = AllocationState::Unknown;
        self.updated_at = now;
        Some(external_id)
    }

    /// The custodian refused to make a transfer for the try that is under way.
    pub fn refuse(&mut self, code: &str, now: Timestamp) -> Applied {
        if self.state != AllocationState::Unknown {
            return Applied::AlreadyApplied;
        }
        let failed = AllocationState::Failed {
            reason: word(code),
            needs_person: false,
            provider_id: None,
            tx_hash: None,
        };
        self.become_(failed, None, now)
    }

    /// What the custodian says of a transfer, in any order and any number of times.
    pub fn report(&mut self, transfer: &Transfer, now: Timestamp) -> Applied {
        let standing = Standing::of(&transfer.status, transfer.sub_status.as_deref());
        if !self.is_current(transfer) {
            return match standing {
                Standing::Failed { .. } => Applied::AlreadyApplied,
                // A try that was given up lives: sending another would pay twice.
                _ => self.park("earlier_try_is_alive", now),
            };
        }
        match &self.state {
            AllocationState::Done { .. } => match standing {
                Standing::Failed { .. } => self.park("failed_after_done", now),
                _ => Applied::AlreadyApplied,
            },
            AllocationState::Failed { .. } => {
                let failed = self.failed_with_evidence(transfer, standing);
                self.become_(failed, self.parked.clone(), now)
            }
            AllocationState::Cancelled { .. } => match standing {
                Standing::Failed { .. } => Applied::AlreadyApplied,
                // Its last try was proven failed before it was cut.
                _ => self.park("alive_after_cancelling", now),
            },
            _ => self.advance(transfer, standing, now),
        }
    }

    /// The report says that a try lives which is dead by what we know. It may only be late: the custodian is asked before it is
    /// believed.
    pub(crate) fn doubts(&self, transfer: &Transfer) -> bool {
        let standing = Standing::of(&transfer.status, transfer.sub_status.as_deref());
        let dead = !self.is_current(transfer) || matches!(self.state, AllocationState::Cancelled { .. });
        dead && self.parked.is_none() && !matches!(standing, Standing::Failed { .. })
    }

    /// The custodian has never heard of the try that was named: it waits again, and the next try has its name. So there is one
    /// transfer at most, also if what was lost arrives after all. False: no try is unknown.
    pub(crate) fn take_back(&mut self, now: Timestamp) -> bool {
        if self.state != AllocationState::Unknown {
            return false;
        }
        self.tries = self.tries.saturating_sub(1);
        self.external_id = self.try_names().take(usize::from(self.tries)).last();
        self.state = AllocationState::Queued;
        self.updated_at = now;
        true
    }

    /// Of every try that was begun, the first one first, and of the next: it may have been named before, and taken back.
    pub(crate) fn try_names(&self) -> impl Iterator<Item = ExternalId> {
        let id = self.id;
        (1..=self.tries.saturating_add(1)).map(move |number| try_name(id, number))
    }

    fn is_current(&self, transfer: &Transfer) -> bool {
        let sent = self.state.name().rank() >= StateName::Unknown.rank();
        sent && match &transfer.external_id {
            Some(external_id) => self.external_id.as_ref() == Some(external_id),
            None => self.state.provider_id() == Some(transfer.provider_id.as_str()),
        }
    }

    /// From unknown, submitted or confirming.
    fn advance(&mut self, transfer: &Transfer, standing: Standing, now: Timestamp) -> Applied {
        let provider_id = transfer.provider_id.clone();
        let tx_hash = self.known_hash(transfer);
        let confirmations = self.state.confirmations().max(transfer.confirmations);
        let next = match (standing, tx_hash) {
            (Standing::Parked, _) => return self.park(&word(&transfer.status), now),
            (Standing::Completed, Some(tx_hash)) => AllocationState::Done {
                provider_id,
                tx_hash,
                confirmations,
                confirmed_at: now,
            },
            // Completed without a hash is not proof: the next look brings it.
            (Standing::Completed | Standing::Confirming, tx_hash) => AllocationState::Confirming {
                provider_id,
                tx_hash,
                confirmations,
            },
            (Standing::Failed { needs_person }, tx_hash) => AllocationState::Failed {
                reason: standing::reason(&transfer.status, transfer.sub_status.as_deref()),
                needs_person,
                provider_id: Some(provider_id),
                tx_hash,
            },
            (Standing::Submitted, _) => AllocationState::Submitted { provider_id },
        };
        if next.name().rank() < self.state.name().rank() {
            return Applied::AlreadyApplied;
        }
        let parked = if next.is_terminal() {
            None
        } else {
            self.parked.clone()
        };
        self.become_(next, parked, now)
    }

    fn known_hash(&self, transfer: &Transfer) -> Option<String> {
        let reported = transfer.tx_hash.as_deref().filter(|hash| !hash.is_empty());
        reported.or(self.state.tx_hash()).map(str::to_owned)
    }

    /// A failure stays one; what speaks against it keeps it from being tried again.
    fn failed_with_evidence(&self, transfer: &Transfer, standing: Standing) -> AllocationState {
        let AllocationState::Failed {
            reason,
            needs_person,
            provider_id,
            ..
        } = &self.state
        else {
            return self.state.clone();
        };
        // Completed after all; or a transfer exists although the custodian had refused to make it.
        let revived = standing == Standing::Completed
            || (provider_id.is_none() && !matches!(standing, Standing::Failed { .. }));
        AllocationState::Failed {
            reason: reason.clone(),
            needs_person: *needs_person || revived,
            provider_id: provider_id.clone().or_else(|| Some(transfer.provider_id.clone())),
            tx_hash: self.known_hash(transfer),
        }
    }

    /// A person should look; the state stays.
    pub fn park(&mut self, why: &str, now: Timestamp) -> Applied {
        self.become_(
            self.state.clone(),
            self.parked.clone().or_else(|| Some(why.to_owned())),
            now,
        )
    }

    /// A person decides to send it again. The next try gets a new external id. What is pending is not parked any more.
    pub fn retry(&mut self, now: Timestamp) -> Result<Applied, RetryRefusal> {
        match &self.state {
            AllocationState::Pending => Ok(self.become_(AllocationState::Pending, None, now)),
            AllocationState::Failed { tx_hash: Some(_), .. } => Err(RetryRefusal::OnChain),
            AllocationState::Failed {
                needs_person: true, ..
            } => Err(RetryRefusal::NeedsPerson),
            AllocationState::Failed { .. } => {
                self.batch = None;
                Ok(self.become_(AllocationState::Pending, None, now))
            }
            other => Err(RetryRefusal::NotFailed(other.name())),
        }
    }

    /// It was looked at and stays as it is: the next look comes after the others'.
    pub const fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
    }

    fn become_(&mut self, state: AllocationState, parked: Option<String>, now: Timestamp) -> Applied {
        if self.state == state && self.parked == parked {
            return Applied::AlreadyApplied;
        }
        self.state = state;
        self.parked = parked;
        self.updated_at = now;
        Applied::Applied
    }
}

fn try_name(id: AllocationId, number: u16) -> ExternalId {
    ExternalId(format!("{id}-{number}"))
}

/// The allocation and the try that an external id of ours names; `None` for one that we did not make.
pub(crate) fn named_by(external_id: &ExternalId) -> Option<AllocationId> {
    let (allocation, number) = external_id.0.rsplit_once('-')?;
    number.parse::<u16>().ok().filter(|number| *number > 0)?;
    allocation.parse().ok()
}

/// A custodian's word as ours: lower case, short.
pub(crate) fn word(theirs: &str) -> String {
    theirs.chars().take(100).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
#[path = "allocation_tests.rs"]
mod tests;
