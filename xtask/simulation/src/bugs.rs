//! Known bugs of systems like this one. Each is planted in what surrounds the domains (store, drivers, job runner), so
//! that the product's own code carries no switch; and each must be found within a thousand seeds.

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {
        /// What can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
        pub enum Bug { $($(#[doc = $doc])+ $name,)+ }

        impl Bug {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// What is wrong, in a sentence.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

bugs! {
    // The store
    /// stock is counted without a guard
    StockUnguarded;
    /// stock is read, then written: two at once lose one of the changes
    StockReadThenWritten;
    /// giving stock back leaves no movement
    MovementForgotten;
    /// what a buyer holds is read, then written
    BuyerLimitReadThenWritten;
    /// a lapsed order does not give back what it counted for its buyer
    BuyerCountNotGivenBack;
    /// an event is applied to an order that is not locked
    OrderReadWithoutLock;
    /// an order's delivery is derived without the order's lock
    DeliveryDerivedWithoutLock;
    /// an entry is written on a connection of its own, outside the transaction of its fact
    EntryOutsideTransaction;
    /// jobs are added before the commit: they run on facts that are not there yet
    JobsAddedBeforeCommit;
    /// jobs are added after the commit: a crash in between loses them
    JobsAddedAfterCommit;
    /// the key of a job does not say what it is about: one job swallows another
    JobKeyWithoutSubject;
    /// the answer to a request is not stored: a repeated one takes effect again
    AnswerNotStored;
    /// the answer is stored outside the transaction of its effect
    AnswerOutsideTransaction;
    /// two equal requests at once both count as new
    KeyUnlocked;
    /// an order's open payment is not seen: each checkout opens another
    OpenAttemptForgotten;
    /// the intent's id is not stored with the attempt
    IntentNotStored;
    /// whose object of the provider it is, is not stored: no webhook finds its site
    ExternalIdNotStored;
    /// an alarm for a person is overwritten when the order is saved
    AttentionOverwritten;
    /// shares are counted on the tree as it is now, not as it was when the order was paid
    TreeReadNow;
    /// shares are counted by the plan of today, not by the one that the order froze
    PlanReadNow;
    /// a repeated run decides an order's shares again
    SharesDecidedAgain;
    /// only the first level's commission is stored
    OnlyFirstLevelStored;
    /// commissions become ready before their hold is over
    HoldIgnored;
    /// a repeated run allocates an order's line again
    LineAllocatedTwice;
    /// what was settled of a buyer's debt is forgotten: it can be settled again
    DebtSettledTwice;
    /// a vault has two transfers in flight
    VaultUnguarded;
    /// the try is not named before the custodian is called
    TryNotStored;

    /// a refund that is on its way is not counted: more goes back than was captured
    PendingRefundsNotCounted;
    /// what a dispute lost does not count as returned
    LostDisputeNotCounted;
    /// a line of the provider's balance is booked again with each event
    BalanceLineBookedAgain;
    /// a partial refund takes the whole of each share
    SharesVoidedWhole;
    /// shares are taken back event by event, each rounded
    ReversedByEvent;
    /// only the nearest agent's share is taken back
    OnlyFirstLevelReversed;
    /// what is ready to be paid out is not taken back any more
    ReadyNotReversed;
    /// a refund leaves the shares of the sale
    SharesNotReversed;
    /// a refund leaves the tokens of the sale
    TokensNotCut;
    /// shares become ready while the order is disputed
    HoldReleasedWhileDisputed;
    /// what went back to the stock is forgotten, and goes back again
    RestockForgotten;
    /// a look at a code's uses is enough: nobody counts them against the limits
    PromoUsesLookedAtOnly;
    /// a lapsed order's use of a promo code does not come back
    PromoUseNotGivenBack;
    /// what a month has brought an agent is read without a lock: two orders at once pass the cap
    MonthReadWithoutLock;
    /// shares are counted by the agents' terms of today, not by those when the order was paid
    TermsReadNow;
    /// a line vests by what its tier says today, not by what held when it was ordered
    VestingReadNow;
    /// a release that was handed to an allocation stays locked
    ReleaseStaysLocked;
    /// what a refund cuts of a release is forgotten
    ReleaseCutForgotten;
    /// two ways out of a balance at once take the same money
    BalanceReadWithoutLock;
    /// shares of disputed orders are settled
    DisputedSettled;
    /// shares whose payout failed for good are never settled again
    SettledNotGivenBack;

    // The drivers
    /// each call of the payment provider has a new idempotency key
    NewKeyEachCall;
    /// a refund is asked for again after a timeout, under another key
    RefundSentAgain;
    /// a timeout of the payment provider is taken for a refusal
    TimeoutTakenAsRefusal;
    /// an order expires and its intent is not cancelled
    IntentNotCancelled;
    /// a bank debit that is under way is taken for money that arrived
    ProcessingTakenAsPaid;
    /// the amount that was received is not looked at
    AmountNotCompared;
    /// a refund that still waits is taken for one that is through
    PendingRefundTakenAsPaid;
    /// a refund that bounces after it was paid stays paid
    BouncedRefundIgnored;
    /// refunds that were made at the provider itself are not seen
    DashboardRefundIgnored;
    /// each transfer has a new external id: the custodian cannot see a repetition
    NewExternalIdEachCall;
    /// a timeout of the custodian is taken for a refusal
    SubmitTimeoutTakenAsRefusal;
    /// a transfer that was completed but rejected is taken for delivered
    RejectedTakenAsDelivered;
    /// words of the custodian that nobody knows are taken for a failure
    UnknownWordTakenAsFailure;
    /// each try of a transfer to an agent has a new key, and nobody looks for the last one
    TransferSentAgain;
    /// a timeout of a transfer to an agent is taken for a refusal
    TransferTimeoutTakenAsRefusal;
    /// the transaction hash of a failed transfer is dropped: it may be on chain
    HashDropped;

    // The job runner
    /// a job is over when it is begun: a killed worker loses it
    JobsAtMostOnce;
    /// a job that failed is not tried again
    JobsNotRetried;
    /// the jobs of a killed worker are never found
    KilledWorkerForgotten;
    /// a job works in another site than the one that it was added for
    JobOfAnotherSite;
    /// nobody asks the custodian about transfers of which nothing is heard
    NothingReconciled;
    /// what is overdue is never closed
    NothingExpires;
    /// what is due of vested tokens is never looked for
    NothingUnlocks;
}
