//! Comparing the books with a provider's own account, day by day.
//!
//! Invariants:
//! * Each line of the provider is matched with one entry at most, and each entry with one line, in whichever day's runs; what is
//!   left over on either side is a [`Difference`] with its reason, never dropped.
//! * Matching is by what a line is about, never by time: the day only decides which run shows it. An entry may be posted on
//!   the day after its line.
//! * What only the provider knows (its fees, its payouts to the bank) is booked by the run, once per line, however many runs
//!   there are at once.

mod compare;
mod day;
mod line;
mod ports;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod view;
mod window;

pub use compare::{Comparison, Difference, Reason, compare};
pub use day::Day;
pub use line::{Booked, Line, Moved, Movement, Provider, Unbooked};
pub use ports::{
    AskLines, BooksToReconcile, LinesError, ProviderLines, ReconciliationQueries, ReconciliationRepository,
    ReconciliationsTx, Wallet,
};
pub use service::{Due, ReconcileError, Reconciled, Reconciliation, Reconciliations};
pub use view::{DifferenceView, DifferingEntry, DifferingLine, ReconciliationView};

#[cfg(test)]
mod tests;
