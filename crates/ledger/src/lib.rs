//! The books of a site: accounts, and entries that balance.
//!
//! Invariants:
//! * Every [`Entry`] sums to zero per [`Unit`]; the type refuses another one, and the database checks again at commit.
//! * An entry is posted in the transaction of the fact it records, once per (kind, cause, part): posting the same fact
//!   again is [`Posted::Already`].
//! * Entries are never changed or deleted; a correction is another entry.
//! * Tokens are booked like money, in base units of their asset: `tokens:issued` = free + reserved + sold + returned + delivered.

mod account;
mod entry;
mod ports;

pub use account::{Account, AccountClass, Unit, UnitError};
pub use entry::{Entry, EntryKind, Posting, Side, Unbalanced};
pub use ports::{
    AccountView, EntryFilter, EntryView, LedgerQueries, LedgerRepository, LedgerTx, Posted, PostingView,
    TrialBalanceRow,
};
