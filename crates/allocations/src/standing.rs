//! What a custodian's words mean to us.

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
            standing => standing,
        }
    }
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
