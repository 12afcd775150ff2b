//! What goes wrong in the world around us.

/// One way in which the world misbehaves. Each seed draws which of them it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// A webhook never comes.
    LostWebhooks,
    /// A webhook comes twice or three times.
    DuplicatedWebhooks,
    /// Webhooks overtake each other.
    ReorderedWebhooks,
    /// A webhook comes hours later.
    LateWebhooks,
    /// A provider's answer is lost: it did, or did not, what it was asked for.
    LostAnswers,
    /// A provider answers 500, and gives that answer again for the same key until the key expires.
    StoredFailures,
    /// A process is killed between two awaits.
    Crashes,
    /// The machines' clock jumps.
    ClockJumps,
    /// The database asks for the transaction to be tried again.
    BusyStore,
    /// The answer to a commit is lost: it happened, or it did not.
    LostCommits,
    /// Cards are declined, challenged, debited slowly; buyers pay late.
    DifficultBuyers,
    /// The provider received another amount than was asked for.
    WrongAmounts,
    /// The provider does not find the intents that it made: as when it is asked under other keys.
    WrongKeys,
    /// Refunds wait, and fail after all.
    FailingRefunds,
    /// Staff, and somebody at the provider, refund in parts, twice and at once.
    RefundStorms,
    /// Buyers go to their bank: inquiries, disputes won and lost, and verdicts that are turned.
    Disputes,
    /// Transfers fail, stop for a person, are completed but rejected, or report words nobody knows.
    FailingTransfers,
    /// Transfers to agents are refused, their accounts disabled, and what was paid is taken back.
    FailingPayouts,
}

impl Fault {
    pub const ALL: &'static [Self] = &[
        Self::LostWebhooks,
        Self::DuplicatedWebhooks,
        Self::ReorderedWebhooks,
        Self::LateWebhooks,
        Self::LostAnswers,
        Self::StoredFailures,
        Self::Crashes,
        Self::ClockJumps,
        Self::BusyStore,
        Self::LostCommits,
        Self::DifficultBuyers,
        Self::WrongAmounts,
        Self::WrongKeys,
        Self::FailingRefunds,
        Self::RefundStorms,
        Self::Disputes,
        Self::FailingTransfers,
        Self::FailingPayouts,
    ];
}
