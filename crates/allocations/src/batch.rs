//! A batch: what custody sends with one approval, from its draft to its report.

mod approve;
mod create;
mod dry_run;
mod error;
mod follow;
mod line;
mod ports;
mod rebuild;
mod report;
mod state;
mod steer;
mod take_back;
mod take_out;

use chrono::TimeDelta;
use posx_kernel::{BatchId, Event, IdentityId, Timestamp};
use serde_json::json;

pub(crate) use follow::follow_in_tx;
pub(crate) use take_out::{broken, line_why_not_in_tx, locked_in_tx, pause_in_tx, take_out_in_tx};

pub use dry_run::{BlockedLine, DryRun, GasNeed, VaultTotal};
pub use error::BatchError;
pub use line::{BatchLine, LeftOut, hash_of};
pub use ports::BatchRepository;
pub use rebuild::{BatchCheck, Booked, Rebuilt, rebuild};
pub use report::{BatchReport, BatchReportLine, LinesSum, ReportTotal};
pub use state::{BatchState, PauseReason, WrongBatchMove};

pub const BATCH_SIZE_MAX: usize = 100;
/// Both of other people than the maker.
pub const APPROVALS_NEEDED: usize = 2;
/// So many lines that fail one after the other pause their batch.
pub const FAILURES_IN_ROW_MAX: u16 = 3;
/// An approval counts for so long: as that of any second person.
pub const APPROVAL_LIFE: TimeDelta = TimeDelta::hours(24);

/// One person agreed to what a batch is to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchApproval {
    pub by: IdentityId,
    pub at: Timestamp,
}

impl BatchApproval {
    fn is_living(&self, now: Timestamp) -> bool {
        now < self.at + APPROVAL_LIFE
    }
}

/// Allocations that are sent with one approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: BatchId,
    pub created_by: IdentityId,
    /// Of those that it was made to send: 1 to 100.
    pub size: u16,
    pub state: BatchState,
    /// [`hash_of`] the lines that are not left out.
    pub hash: [u8; 32],
    /// Of exactly this hash, by people who may still send; the first one first. After [`APPROVAL_LIFE`] one counts for nothing.
    pub approvals: Vec<BatchApproval>,
    /// While it is paused.
    pub paused_because: Option<PauseReason>,
    /// Lines that failed one after the other, up to now.
    pub failures_in_row: u16,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Batch {
    pub fn draft(id: BatchId, by: IdentityId, lines: &[BatchLine], now: Timestamp) -> Self {
        let sent = lines.iter().filter(|line| line.left_out.is_none()).count();
        Self {
            id,
            created_by: by,
            size: u16::try_from(sent).unwrap_or(u16::MAX),
            state: BatchState::Draft,
            hash: hash_of(id, lines),
            approvals: Vec::new(),
            paused_because: None,
            failures_in_row: 0,
            created_at: now,
            updated_at: now,
        }
    }

    pub fn is_approved(&self, now: Timestamp) -> bool {
        let living = self.approvals.iter().filter(|approval| approval.is_living(now));
        living.count() >= APPROVALS_NEEDED
    }

    /// Whether another line may be sent.
    pub fn may_send(&self, now: Timestamp) -> bool {
        self.state == BatchState::Sending && self.is_approved(now)
    }

    /// What was agreed to too long ago, or by someone who may not any more, is to be agreed to anew.
    pub fn lapse(&mut self, now: Timestamp) -> Result<(), WrongBatchMove> {
        self.approvals.retain(|approval| approval.is_living(now));
        match self.state {
            _ if self.is_approved(now) => Ok(()),
            BatchState::Approved => self.become_(BatchState::Draft, now),
            BatchState::Sending => self.pause(PauseReason::ApprovalsLapsed, now),
            _ => Ok(()),
        }
    }

    /// `seen` is the hash of what this person looked at. With the second one a draft is approved; what is paused stays so until
    /// it is resumed.
    pub fn approve(&mut self, by: IdentityId, seen: &[u8; 32], now: Timestamp) -> Result<(), BatchError> {
        if !matches!(self.state, BatchState::Draft | BatchState::Paused) || self.is_approved(now) {
            return Err(BatchError::State(self.state.as_str()));
        }
        if by == self.created_by {
            return Err(BatchError::OwnBatch);
        }
        if *seen != self.hash {
            return Err(BatchError::HashMismatch);
        }
        self.approvals.retain(|approval| approval.is_living(now));
        if self.approvals.iter().any(|approval| approval.by == by) {
            return Err(BatchError::ApprovedBefore);
        }
        self.approvals.push(BatchApproval { by, at: now });
        self.updated_at = now;
        if self.is_approved(now) && self.state == BatchState::Draft {
            self.become_(BatchState::Approved, now)?;
        }
        Ok(())
    }

    /// Its first line is about to be sent.
    pub fn begin(&mut self, now: Timestamp) -> Result<(), WrongBatchMove> {
        self.become_(BatchState::Sending, now)
    }

    pub fn pause(&mut self, why: PauseReason, now: Timestamp) -> Result<(), WrongBatchMove> {
        self.become_(BatchState::Paused, now)?;
        self.paused_because = Some(why);
        Ok(())
    }

    pub fn resume(&mut self, now: Timestamp) -> Result<(), BatchError> {
        if self.state == BatchState::Paused && !self.is_approved(now) {
            return Err(BatchError::NotApproved);
        }
        if self.state != BatchState::Paused {
            return Err(BatchError::State(self.state.as_str()));
        }
        self.become_(BatchState::Sending, now)?;
        self.failures_in_row = 0;
        Ok(())
    }

    /// Something else is to be sent than what was agreed to: whoever approved has not approved this. `lines` are those of now.
    pub fn change(&mut self, lines: &[BatchLine], now: Timestamp) -> Result<(), WrongBatchMove> {
        self.hash = hash_of(self.id, lines);
        self.approvals.clear();
        self.updated_at = now;
        match self.state {
            BatchState::Approved => self.become_(BatchState::Draft, now)?,
            BatchState::Sending => self.pause(PauseReason::Changed, now)?,
            _ => {}
        }
        self.end(lines, now)
    }

    /// A line of it is done or failed. `lines` are those of now.
    pub fn line_ended(
        &mut self,
        failed: bool,
        lines: &[BatchLine],
        now: Timestamp,
    ) -> Result<(), WrongBatchMove> {
        self.failures_in_row = if failed {
            self.failures_in_row.saturating_add(1)
        } else {
            0
        };
        self.updated_at = now;
        self.end(lines, now)?;
        if self.state == BatchState::Sending && self.failures_in_row >= FAILURES_IN_ROW_MAX {
            self.pause(PauseReason::RepeatedFailures, now)?;
        }
        Ok(())
    }

    /// Goes to its end, if nothing is left to be sent or to be waited for.
    fn end(&mut self, lines: &[BatchLine], now: Timestamp) -> Result<(), WrongBatchMove> {
        let mut sent = lines.iter().filter(|line| line.left_out.is_none()).peekable();
        let next = match self.state {
            BatchState::Draft if sent.peek().is_none() => BatchState::Discarded,
            BatchState::Sending | BatchState::Paused if lines.iter().all(BatchLine::is_over) => {
                // Given up before anything went out is not done.
                if sent.peek().is_some() && sent.all(BatchLine::is_done) {
                    BatchState::Done
                } else {
                    BatchState::PartlyFailed
                }
            }
            _ => return Ok(()),
        };
        self.become_(next, now)
    }

    pub(crate) fn become_(&mut self, next: BatchState, now: Timestamp) -> Result<(), WrongBatchMove> {
        self.state.check(next)?;
        self.state = next;
        self.paused_because = None;
        self.updated_at = now;
        Ok(())
    }

    pub(crate) fn happened(&self, kind: &'static str, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.id.as_uuid(),
            payload: json!({
                "state": self.state, "hash": hex::encode(self.hash), "made_by": self.created_by,
                "approved_by": self.approvals.iter().map(|approval| approval.by).collect::<Vec<_>>(),
                "paused_because": self.paused_because,
            }),
            at,
        }
    }

    /// What its new state is told as; `None`: it is where it was.
    pub(crate) fn moved_from(&self, before: BatchState, at: Timestamp) -> Option<Event> {
        (before != self.state).then(|| self.happened(self.state.event(), at))
    }
}

#[cfg(test)]
mod tests;
