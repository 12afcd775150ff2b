//! A transfer's way from SUBMITTED to its end, and its shape on the wire.

use posx_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::env::Env;

/// The states that a sandbox transfer can be in; the custodian has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferStatus {
    Submitted,
    Queued,
    PendingSignature,
    Broadcasting,
    Confirming,
    Completed,
    Failed,
    Rejected,
    Blocked,
    Cancelled,
}

impl TransferStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::PendingSignature => "PENDING_SIGNATURE",
            Self::Broadcasting => "BROADCASTING",
            Self::Confirming => "CONFIRMING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Rejected => "REJECTED",
            Self::Blocked => "BLOCKED",
            Self::Cancelled => "CANCELLED",
        }
    }

    pub const fn is_terminal(self) -> bool {
        self.next().is_none()
    }

    /// The next step of a transfer that goes well.
    const fn next(self) -> Option<Self> {
        match self {
            Self::Submitted => Some(Self::Queued),
            Self::Queued => Some(Self::PendingSignature),
            Self::PendingSignature => Some(Self::Broadcasting),
            Self::Broadcasting => Some(Self::Confirming),
            Self::Confirming => Some(Self::Completed),
            Self::Completed | Self::Failed | Self::Rejected | Self::Blocked | Self::Cancelled => None,
        }
    }

    const fn is_before_broadcast(self) -> bool {
        matches!(self, Self::Submitted | Self::Queued | Self::PendingSignature)
    }
}

/// How a transfer ends when it does not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Before anything is broadcast: no hash.
    Failed,
    /// On chain: the hash stays (F10).
    FailedOnChain,
    /// By the people who approve.
    Rejected,
    /// By a policy.
    Blocked,
    Cancelled,
    /// `COMPLETED`, and yet not delivered (F09).
    CompletedButThirdPartyFailed,
}

impl End {
    const fn words(self) -> (TransferStatus, &'static str) {
        match self {
            Self::Failed => (TransferStatus::Failed, "INSUFFICIENT_FUNDS"),
            Self::FailedOnChain => (TransferStatus::Failed, "SMART_CONTRACT_EXECUTION_FAILED"),
            Self::Rejected => (TransferStatus::Rejected, "REJECTED_BY_USER"),
            Self::Blocked => (TransferStatus::Blocked, "BLOCKED_BY_POLICY"),
            Self::Cancelled => (TransferStatus::Cancelled, "CANCELLED_BY_USER"),
            Self::CompletedButThirdPartyFailed => {
                (TransferStatus::Completed, "COMPLETED_BUT_3RD_PARTY_FAILED")
            }
        }
    }

    const fn is_on_chain(self) -> bool {
        matches!(self, Self::FailedOnChain | Self::CompletedButThirdPartyFailed)
    }

    /// The last step that goes well.
    const fn strikes_after(self) -> TransferStatus {
        match self {
            Self::Rejected | Self::Blocked => TransferStatus::Submitted,
            Self::Failed | Self::Cancelled => TransferStatus::Queued,
            Self::FailedOnChain | Self::CompletedButThirdPartyFailed => TransferStatus::Confirming,
        }
    }
}

/// What is asked, after its shape was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) external_id: String,
    pub(super) asset: String,
    pub(super) vault: String,
    pub(super) to: String,
    pub(super) amount: String,
}

/// A transfer as the custodian holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxTransfer {
    pub id: Uuid,
    pub external_id: String,
    pub asset: String,
    pub vault: String,
    pub to: String,
    /// In whole tokens, as text.
    pub amount: String,
    pub status: TransferStatus,
    /// Empty while there is nothing to add.
    pub sub_status: &'static str,
    pub tx_hash: Option<String>,
    pub confirmations: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub(super) planned_end: Option<End>,
}

/// What the custodian waits for before it calls a transfer complete.
const CONFIRMATIONS: u32 = 12;

impl SandboxTransfer {
    pub(super) fn new(env: &Env, order: Order, planned_end: Option<End>) -> Self {
        let now = env.now();
        Self {
            id: env.uuid(),
            external_id: order.external_id,
            asset: order.asset,
            vault: order.vault,
            to: order.to,
            amount: order.amount,
            status: TransferStatus::Submitted,
            sub_status: "",
            tx_hash: None,
            confirmations: 0,
            created_at: now,
            updated_at: now,
            planned_end,
        }
    }

    /// One step. False at the end of the way.
    pub(super) fn advance(&mut self, env: &Env) -> bool {
        if let Some(end) = self.planned_end
            && self.status >= end.strikes_after()
        {
            return self.end(env, end);
        }
        let Some(next) = self.status.next() else {
            return false;
        };
        self.status = next;
        self.sub_status = match next {
            TransferStatus::Confirming => "PENDING_BLOCKCHAIN_CONFIRMATIONS",
            TransferStatus::Completed => "CONFIRMED",
            _ => "",
        };
        self.confirmations = match next {
            TransferStatus::Confirming => 1,
            TransferStatus::Completed => CONFIRMATIONS,
            _ => 0,
        };
        if !next.is_before_broadcast() && self.tx_hash.is_none() {
            self.tx_hash = Some(env.chain_hash());
        }
        self.updated_at = env.now();
        true
    }

    /// False if it has ended, or if what is on its way to the chain cannot end like this any more (F11).
    pub(super) fn end(&mut self, env: &Env, end: End) -> bool {
        if self.status.is_terminal() || !(end.is_on_chain() || self.status.is_before_broadcast()) {
            return false;
        }
        (self.status, self.sub_status) = end.words();
        if end.is_on_chain() {
            self.tx_hash.get_or_insert_with(|| env.chain_hash());
            self.confirmations = self.confirmations.max(1);
        }
        self.updated_at = env.now();
        true
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "externalTxId": self.external_id,
            "status": self.status.as_str(),
            "subStatus": self.sub_status,
            "txHash": self.tx_hash.as_deref().unwrap_or_default(),
            "operation": "TRANSFER",
            "assetId": self.asset,
            "source": { "id": self.vault, "type": "VAULT_ACCOUNT", "name": "", "subType": "" },
            "destination": { "id": null, "type": "ONE_TIME_ADDRESS", "name": "N/A", "subType": "" },
            "destinationAddress": self.to,
            "amountInfo": { "amount": self.amount, "requestedAmount": self.amount, "netAmount": self.amount },
            "numOfConfirmations": self.confirmations,
            "createdAt": self.created_at.timestamp_millis(),
            "lastUpdated": self.updated_at.timestamp_millis(),
            "signedBy": [],
            "rejectedBy": "",
        })
    }
}
