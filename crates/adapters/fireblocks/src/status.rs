//! The words of a transaction's state. What they mean for an allocation is not decided here.

/// A transaction's primary state. Sixteen are in the present specification; four more are still in an SDK's enum
/// (`PENDING`, `CONFIRMED`, `PARTIALLY_COMPLETED`, `TIMEOUT`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionStatus {
    Submitted,
    PendingAmlScreening,
    PendingEnrichment,
    PendingAuthorization,
    Queued,
    PendingSignature,
    Pending3rdPartyManualApproval,
    Pending3rdParty,
    Pending,
    Broadcasting,
    Confirming,
    Confirmed,
    /// Not by itself "delivered": two substatuses deny it.
    Completed,
    PartiallyCompleted,
    Cancelling,
    Cancelled,
    Blocked,
    Rejected,
    Failed,
    Timeout,
    /// As it came. A transaction in such a state is parked; it has not failed.
    Unknown(String),
}

impl TransactionStatus {
    /// Every state that has a name here.
    pub const KNOWN: [Self; 20] = [
        Self::Submitted,
        Self::PendingAmlScreening,
        Self::PendingEnrichment,
        Self::PendingAuthorization,
        Self::Queued,
        Self::PendingSignature,
        Self::Pending3rdPartyManualApproval,
        Self::Pending3rdParty,
        Self::Pending,
        Self::Broadcasting,
        Self::Confirming,
        Self::Confirmed,
        Self::Completed,
        Self::PartiallyCompleted,
        Self::Cancelling,
        Self::Cancelled,
        Self::Blocked,
        Self::Rejected,
        Self::Failed,
        Self::Timeout,
    ];

    pub fn from_name(name: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|status| status.name() == name)
            .unwrap_or_else(|| Self::Unknown(name.to_owned()))
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::PendingAmlScreening => "PENDING_AML_SCREENING",
            Self::PendingEnrichment => "PENDING_ENRICHMENT",
            Self::PendingAuthorization => "PENDING_AUTHORIZATION",
            Self::Queued => "QUEUED",
            Self::PendingSignature => "PENDING_SIGNATURE",
            Self::Pending3rdPartyManualApproval => "PENDING_3RD_PARTY_MANUAL_APPROVAL",
            Self::Pending3rdParty => "PENDING_3RD_PARTY",
            Self::Pending => "PENDING",
            Self::Broadcasting => "BROADCASTING",
            Self::Confirming => "CONFIRMING",
            Self::Confirmed => "CONFIRMED",
            Self::Completed => "COMPLETED",
            Self::PartiallyCompleted => "PARTIALLY_COMPLETED",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Blocked => "BLOCKED",
            Self::Rejected => "REJECTED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
            Self::Unknown(name) => name,
        }
    }
}

/// The reason behind a state. There are some hundred and more come: kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubStatus(pub(crate) String);

impl SubStatus {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f07_all_twenty_states_have_a_name_of_their_own() {
        let names: std::collections::BTreeSet<String> = TransactionStatus::KNOWN
            .iter()
            .map(|status| status.name().to_owned())
            .collect();
        assert_eq!(names.len(), 20);
        for name in names {
            let status = TransactionStatus::from_name(&name);
            assert!(!matches!(status, TransactionStatus::Unknown(_)), "{name}");
            assert_eq!(status.name(), name);
        }
    }

    #[test]
    fn f07_an_unknown_state_is_kept_as_it_came() {
        for name in ["TELEPORTING", "completed", "FAILED ", ""] {
            let status = TransactionStatus::from_name(name);
            assert_eq!(status, TransactionStatus::Unknown(name.into()));
            assert_eq!(status.name(), name);
        }
    }
}
