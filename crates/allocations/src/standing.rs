//! What a custodian's words mean to us.

use crate::allocation::word;

/// Where a transfer stands at the custodian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Accepted; nothing is on chain.
    Submitted,
    /// On chain, or on its way there.
    Confirming,
    Completed,
    Failed {
        /// Not to be tried again before someone has found out why.
        needs_person: bool,
    },
    /// Words that do not say whether it will be delivered, or that this version does not know: never taken for failed.
    Parked,
}

/// What we call a reason that people are told in words of our own (F15). Every other is the custodian's word.
const REASONS: [(&str, &str); 13] = [
    ("AUTO_FREEZE", "frozen"),
    ("FROZEN_MANUALLY", "frozen"),
    ("REJECTED_AML_SCREENING", "aml_rejected"),
    ("FAILED_AML_SCREENING", "aml_rejected"),
    ("BLOCKED_BY_POLICY", "blocked_by_policy"),
    ("INSUFFICIENT_FUNDS", "tokens_short"),
    ("INSUFFICIENT_FUNDS_FOR_FEE", "gas_short"),
    ("INSUFFICIENT_RESERVED_FUNDING", "gas_short"),
    ("GAS_LIMIT_TOO_LOW", "gas_limit_too_low"),
    ("ACTUAL_FEE_TOO_HIGH", "fee_too_high"),
    ("MAX_FEE_EXCEEDED", "fee_too_high"),
    ("FAIL_ON_LOW_FEE", "fee_too_low"),
    ("GAS_PRICE_TOO_LOW_FOR_RBF", "fee_too_low"),
];

/// A transfer that was stopped for one of these is not simply sent again, whatever its state is called.
const STOPPED: [&str; 3] = ["frozen", "aml_rejected", "blocked_by_policy"];

/// With these, `COMPLETED` does not mean delivered (F09).
const COMPLETED_BUT_NOT_DELIVERED: [&str; 2] = [
    "COMPLETED_BUT_3RD_PARTY_FAILED",
    "COMPLETED_BUT_3RD_PARTY_REJECTED",
];

impl Standing {
    /// All 20 words that the custodian's documents and client libraries list (F07, F08).
    pub const STATUSES: &'static [(&'static str, Self)] = &[
        ("SUBMITTED", Self::Submitted),
        ("PENDING", Self::Submitted),
        ("PENDING_AML_SCREENING", Self::Submitted),
        ("PENDING_ENRICHMENT", Self::Submitted),
        ("PENDING_AUTHORIZATION", Self::Submitted),
        ("QUEUED", Self::Submitted),
        ("PENDING_SIGNATURE", Self::Submitted),
        ("PENDING_3RD_PARTY_MANUAL_APPROVAL", Self::Submitted),
        ("PENDING_3RD_PARTY", Self::Submitted),
        ("BROADCASTING", Self::Confirming),
        ("CONFIRMING", Self::Confirming),
        ("CONFIRMED", Self::Confirming),
        ("CANCELLING", Self::Confirming),
        ("COMPLETED", Self::Completed),
        ("CANCELLED", Self::Failed { needs_person: false }),
        ("FAILED", Self::Failed { needs_person: false }),
        ("REJECTED", Self::Failed { needs_person: true }),
        ("BLOCKED", Self::Failed { needs_person: true }),
        ("TIMEOUT", Self::Parked),
        ("PARTIALLY_COMPLETED", Self::Parked),
    ];

    pub fn of(status: &str, sub_status: Option<&str>) -> Self {
        let listed = Self::STATUSES.iter().find(|(word, _)| *word == status);
        match listed.map_or(Self::Parked, |(_, standing)| *standing) {
            Self::Completed if sub_status.is_some_and(|word| COMPLETED_BUT_NOT_DELIVERED.contains(&word)) => {
                Self::Failed { needs_person: true }
            }
            Self::Failed { .. } if STOPPED.contains(&reason(status, sub_status).as_str()) => {
                Self::Failed { needs_person: true }
            }
            standing => standing,
        }
    }
}

/// Why it failed: a stable word of ours, else the custodian's, in lower case and short.
pub(crate) fn reason(status: &str, sub_status: Option<&str>) -> String {
    let theirs = sub_status.filter(|word| !word.is_empty()).unwrap_or(status);
    let ours = REASONS.iter().find(|(word, _)| *word == theirs);
    ours.map_or_else(|| word(theirs), |(_, ours)| (*ours).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f07_all_twenty_words_are_known_and_any_other_is_parked() {
        let mut words: Vec<_> = Standing::STATUSES.iter().map(|(word, _)| word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 20);
        for word in ["", "completed", "EXPLODED", "COMPLETED "] {
            assert_eq!(Standing::of(word, None), Standing::Parked, "{word:?}");
        }
    }

    #[test]
    fn f15_what_stopped_a_transfer_has_a_word_of_ours_and_a_person_looks_at_it() {
        let person = Standing::Failed { needs_person: true };
        for (status, sub_status, ours) in [
            ("REJECTED", "AUTO_FREEZE", "frozen"),
            ("FAILED", "FROZEN_MANUALLY", "frozen"),
            ("REJECTED", "REJECTED_AML_SCREENING", "aml_rejected"),
            ("FAILED", "FAILED_AML_SCREENING", "aml_rejected"),
            ("CANCELLED", "BLOCKED_BY_POLICY", "blocked_by_policy"),
        ] {
            assert_eq!(reason(status, Some(sub_status)), ours);
            assert_eq!(Standing::of(status, Some(sub_status)), person, "{sub_status}");
        }
    }

    #[test]
    fn f15_fees_gas_and_funds_have_words_of_ours_and_may_be_tried_again() {
        for (sub_status, ours) in [
            ("INSUFFICIENT_FUNDS", "tokens_short"),
            ("INSUFFICIENT_FUNDS_FOR_FEE", "gas_short"),
            ("GAS_LIMIT_TOO_LOW", "gas_limit_too_low"),
            ("MAX_FEE_EXCEEDED", "fee_too_high"),
            ("FAIL_ON_LOW_FEE", "fee_too_low"),
        ] {
            assert_eq!(reason("FAILED", Some(sub_status)), ours);
            let again = Standing::Failed { needs_person: false };
            assert_eq!(Standing::of("FAILED", Some(sub_status)), again);
        }
        assert_eq!(reason("FAILED", Some("SIGNING_ERROR")), "signing_error");
        assert_eq!(reason("REJECTED", Some("")), "rejected");
        assert_eq!(reason("CANCELLED", None), "cancelled");
    }

    #[test]
    fn f09_completed_is_not_delivered_when_a_third_party_failed_or_refused() {
        for sub_status in COMPLETED_BUT_NOT_DELIVERED {
            assert_eq!(
                Standing::of("COMPLETED", Some(sub_status)),
                Standing::Failed { needs_person: true }
            );
        }
        assert_eq!(Standing::of("COMPLETED", Some("CONFIRMED")), Standing::Completed);
        assert_eq!(Standing::of("COMPLETED", Some("")), Standing::Completed);
    }
}
