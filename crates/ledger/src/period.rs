//! Closing the books up to an instant. What was posted before it is complete from then on: the database takes nothing more
//! into a closed period. The last one can be opened again.

mod error;
mod manage;
mod ports;

use aws_lc_rs::digest::{Context, SHA256};
use chrono::TimeDelta;
use posx_kernel::{IdentityId, PeriodId, Timestamp};

pub use self::error::PeriodError;
pub use self::manage::ReopenPeriod;
pub use self::ports::{BooksTx, PeriodQueries, PeriodRepository, PeriodView};
use crate::TrialBalanceRow;

/// An entry is dated when its use case begins, and is there when its transaction commits. No transaction lives for an hour, so
/// whoever took the time before the boundary has committed, or never will.
pub const REST: TimeDelta = TimeDelta::hours(1);
const REASON_CHARS_MAX: usize = 500;

/// A stretch of time whose entries are complete, with a hash over what every account held at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    pub id: PeriodId,
    /// 1, 2, 3 … One that was opened again gives its number to the one that is closed next.
    pub number: u32,
    /// Where the one before ended; `None`: the beginning of the books.
    pub from: Option<Timestamp>,
    /// Not in it any more.
    pub until: Timestamp,
    pub hash: [u8; 32],
    pub previous_hash: Option<[u8; 32]>,
    pub closed_by: IdentityId,
    pub closed_at: Timestamp,
    pub reopened: Option<Reopened>,
}

/// Why a closed period is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopened {
    pub by: IdentityId,
    pub at: Timestamp,
    pub because: String,
}

/// Who closes what, after which.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    pub id: PeriodId,
    /// The last one that is closed.
    pub last: Option<&'a Period>,
    pub until: Timestamp,
    pub by: IdentityId,
    pub now: Timestamp,
}

impl Closing<'_> {
    /// Whether it may be closed at all.
    pub fn check(&self) -> Result<(), PeriodError> {
        if self.until > self.now - REST {
            return Err(PeriodError::TooRecent);
        }
        match self.last {
            Some(last) if self.until <= last.until => Err(PeriodError::NotAfterLast(last.until)),
            _ => Ok(()),
        }
    }

    /// `balances` are of all accounts, of what was posted before the end.
    pub fn close(self, balances: &[TrialBalanceRow]) -> Result<Period, PeriodError> {
        self.check()?;
        let (from, previous_hash) = self.last.map(|last| (last.until, last.hash)).unzip();
        Ok(Period {
            id: self.id,
            number: self.last.map_or(1, |last| last.number + 1),
            from,
            until: self.until,
            hash: hash_of(from, self.until, previous_hash, balances),
            previous_hash,
            closed_by: self.by,
            closed_at: self.now,
            reopened: None,
        })
    }
}

impl Period {
    /// `last` is the last one that is closed.
    pub fn reopen(
        &mut self,
        last: Option<&Self>,
        by: IdentityId,
        because: &str,
        now: Timestamp,
    ) -> Result<(), PeriodError> {
        let because = because.trim();
        if !(1..=REASON_CHARS_MAX).contains(&because.chars().count()) {
            return Err(PeriodError::Reason);
        }
        if last.is_none_or(|last| last.id != self.id) {
            return Err(PeriodError::NotLast);
        }
        self.reopened = Some(Reopened {
            by,
            at: now,
            because: because.to_owned(),
        });
        Ok(())
    }
}

/// SHA-256 over one line for the time, with the hash of the period before in hexadecimal digits, and one for each account:
/// unit, code, debit and credit. Accounts are in the order of unit and code, times in microseconds since 1970.
pub fn hash_of(
    from: Option<Timestamp>,
    until: Timestamp,
    previous: Option<[u8; 32]>,
    balances: &[TrialBalanceRow],
) -> [u8; 32] {
    let mut rows: Vec<_> = balances.iter().collect();
    rows.sort_by_key(|row| (&row.unit, &row.account));
    let micros = |at: Timestamp| at.timestamp_micros();
    let from = from.map_or_else(String::new, |from| micros(from).to_string());
    let previous = previous.map_or_else(String::new, hex::encode);
    let mut context = Context::new(&SHA256);
    context.update(format!("{from} {} {previous}\n", micros(until)).as_bytes());
    for row in rows {
        let line = format!("{} {} {} {}\n", row.unit, row.account, row.debit, row.credit);
        context.update(line.as_bytes());
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests;
