//! The books of a site: accounts, and entries that balance.
//!
//! Invariants:
//! * Every [`Entry`] sums to zero per [`Unit`]; the type refuses another one, and the database checks again at commit.
//! * An entry is posted in the transaction of the fact it records, once per (kind, cause, part): posting the same fact
//!   again is [`Posted::Already`].
//! * Entries are never changed or deleted; a correction is another entry.
//! * A closed [`Period`] takes no entry any more. What is true of the books at every moment is an [`Invariant`].
//! * Tokens are booked like money, in base units of their asset: `tokens:issued` = free + reserved + sold + returned + delivered.

mod account;
mod books;
#[cfg(test)]
mod documented;
mod entry;
mod invariant;
mod period;
mod ports;
pub mod reconcile;
mod statement;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use account::{Account, AccountClass, Unit, UnitError};
pub use books::Books;
pub use entry::{Entry, EntryKind, Posting, Side, Unbalanced};
pub use invariant::{FAULTS_MAX, Fault, Invariant, InvariantQueries};
pub use period::{
    BooksTx, Closing, Period, PeriodError, PeriodQueries, PeriodRepository, PeriodView, REST, ReopenPeriod,
    Reopened, hash_of,
};
pub use ports::{
    AccountView, EntryFilter, EntryView, LedgerQueries, LedgerRepository, LedgerTx, Posted, PostingView,
    TrialBalanceRow,
};
pub use statement::{AccountStatement, StatementLine, StatementOf};
