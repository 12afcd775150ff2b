//! What is true of a site's books at every moment, counted anew from all rows: by the nightly job, by `posx books check`, and
//! wherever somebody wants to know.

use async_trait::async_trait;
use posx_kernel::{Event, SiteScope, StoreError};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::Books;

/// So many faults of one invariant are told of at once.
pub const FAULTS_MAX: u16 = 100;

macro_rules! invariants {
    ($($name:ident = $text:literal, $says:literal;)+) => {
        /// The one list. What each says stands in docs/books.md as well; a test compares.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(#[doc = $says] $name,)+
        }

        impl Invariant {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// One sentence, true unless there is a fault.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)+ }
            }
        }
    };
}

invariants! {
    TrialBalance = "trial_balance", "The balances of all accounts sum to zero in each unit.";
    EntriesBalance = "entries_balance", "Each entry has postings, which sum to zero in each unit and are dated as it is.";
    OrdersBooked = "orders_booked",
        "What an order captured, refunded and returned is what the entries of its payments, refunds and disputes sum to.";
    AttemptsBooked = "attempts_booked", "What a payment attempt received is booked.";
    RefundsBooked = "refunds_booked", "A refund is booked as its state says.";
    DisputesBooked = "disputes_booked", "What a dispute withdrew and lost is booked.";
    CommissionsBooked = "commissions_booked",
        "Each commission and each adjustment is booked, and what was reversed is the sum of the adjustments.";
    PayoutsBooked = "payouts_booked", "A payout is booked as its state says, and each write-off is booked.";
    AgentBalances = "agent_balances",
        "What an agent's account holds is what is left of their commissions, less their payouts, plus what was written off.";
    PendingPayouts = "pending_payouts", "What is pending for an agent is the sum of their open payouts.";
    RefundsPayable = "refunds_payable", "What is owed to buyers is the sum of refunds that are not through.";
    BalanceSigns = "balance_signs", "No account holds less than nothing that cannot.";
    StockMovements = "stock_movements", "A tier's counters are the sum of its movements, and not oversold.";
    TokensOnTheBooks = "tokens_on_the_books",
        "Free, reserved and sold tokens on the books are what stock and order lines say.";
    DeliveriesBooked = "deliveries_booked",
        "What each allocation delivered and what is owed of it is booked, and so is what was cut and what is claimed of each asset.";
    PromoCounters = "promo_counters", "The counters of a promo code are the sum of its uses.";
    ClosedPeriods = "closed_periods",
        "A closed period's balances are still what its entries sum to, its hash is theirs, and it follows the period before.";
    JobsAlive = "jobs_alive", "No job has used up its tries.";
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// The invariant's name.
    pub invariant: &'static str,
    /// The row that is at fault, if it is one row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Uuid>,
    /// Names of accounts and columns, ids and amounts; nothing personal.
    pub detail: String,
}

/// Counts from the rows. One read-only transaction for each invariant: what it compares is of one moment.
#[async_trait]
pub trait InvariantQueries: Send + Sync {
    /// At most [`FAULTS_MAX`].
    async fn faults(&self, scope: &SiteScope, invariant: Invariant) -> Result<Vec<Fault>, StoreError>;
}

impl Books {
    /// Every fault there is, in the order of the invariants. Changes nothing.
    pub async fn check(&self, scope: &SiteScope) -> Result<Vec<Fault>, StoreError> {
        let mut faults = Vec::new();
        for invariant in Invariant::ALL {
            faults.extend(self.invariants.faults(scope, *invariant).await?);
        }
        Ok(faults)
    }

    /// The same, and each fault becomes an event `books.invariant_broken`: of the row at fault, else of the site.
    pub async fn check_and_tell(&self, scope: &SiteScope) -> Result<Vec<Fault>, StoreError> {
        let faults = self.check(scope).await?;
        if faults.is_empty() {
            return Ok(faults);
        }
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        for fault in &faults {
            let broken = Event {
                kind: "books.invariant_broken",
                subject: fault.subject.unwrap_or_else(|| scope.site().as_uuid()),
                payload: json!({ "invariant": fault.invariant, "detail": fault.detail }),
                at: now,
            };
            tx.outbox().append(broken).await?;
        }
        tx.commit().await?;
        Ok(faults)
    }
}
