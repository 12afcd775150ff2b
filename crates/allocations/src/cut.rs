//! What one allocation does when money of its order goes back, or does not after all.

use posx_kernel::{BatchId, Timestamp, TokenAmount};

use crate::{Allocation, AllocationState, Applied};

/// Where the tokens of a part are, as far as money that goes back is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Here: it can be cut, and what was cut can be restored.
    Open,
    /// On its way, or nobody can say: it waits for its end.
    Moving,
    /// At the buyer's.
    Sent,
}

impl Allocation {
    /// What is sent, or was.
    pub fn left(&self) -> TokenAmount {
        less(self.amount, self.cut)
    }

    pub const fn place(&self) -> Place {
        match &self.state {
            AllocationState::Done { .. } => Place::Sent,
            // An earlier try may live.
            _ if self.parked.is_some() => Place::Moving,
            AllocationState::Pending
            | AllocationState::Cancelled { .. }
            | AllocationState::Failed {
                tx_hash: None,
                needs_person: false,
                ..
            } => Place::Open,
            _ => Place::Moving,
        }
    }

    /// Pending or failed ⇄ cancelled, as something is left or not. Only what is [`Place::Open`] is ever told this.
    pub fn set_cut(&mut self, cut: TokenAmount, now: Timestamp) -> Applied {
        if self.place() != Place::Open || self.cut == cut || cut > self.amount {
            return Applied::AlreadyApplied;
        }
        self.cut = cut;
        self.changes += 1;
        self.updated_at = now;
        self.state = match (&self.state, self.left().is_zero()) {
            (AllocationState::Pending, true) => AllocationState::Cancelled {
                failure: None,
                provider_id: None,
            },
            (
                AllocationState::Failed {
                    reason, provider_id, ..
                },
                true,
            ) => AllocationState::Cancelled {
                failure: Some(reason.clone()),
                provider_id: provider_id.clone(),
            },
            (AllocationState::Cancelled { failure, provider_id }, false) => match failure {
                None => AllocationState::Pending,
                Some(reason) => AllocationState::Failed {
                    reason: reason.clone(),
                    needs_person: false,
                    provider_id: provider_id.clone(),
                    tx_hash: None,
                },
            },
            (same, _) => same.clone(),
        };
        if matches!(self.state, AllocationState::Cancelled { .. }) {
            self.batch = None;
        }
        Applied::Applied
    }

    /// What of it did not come back: with `cut`, what this part has of its line.
    pub fn kept(&self) -> TokenAmount {
        less(self.amount, self.received)
    }

    /// What the buyer still owes.
    pub fn debt(&self) -> TokenAmount {
        less(self.owed, self.waived)
    }

    /// What the buyer owes of it, before what was waived. Only what is [`Place::Sent`] is ever told this.
    pub fn set_owed(&mut self, owed: TokenAmount, now: Timestamp) -> Applied {
        if self.place() != Place::Sent || self.owed == owed || owed > less(self.left(), self.received) {
            return Applied::AlreadyApplied;
        }
        self.owed = owed;
        self.changes += 1;
        self.updated_at = now;
        Applied::Applied
    }

    /// Of what is done: gives away what had been cut of it, which another part is then to deliver. Zero: nothing was cut.
    pub fn give_up_cut(&mut self, now: Timestamp) -> TokenAmount {
        if self.place() != Place::Sent || self.cut.is_zero() {
            return TokenAmount::ZERO;
        }
        let given = self.cut;
        self.amount = self.left();
        self.cut = TokenAmount::ZERO;
        self.changes += 1;
        self.updated_at = now;
        given
    }

    /// Queued → pending: it is not sent with its batch. Says which batch it left.
    pub fn hold_back(&mut self, now: Timestamp) -> Option<BatchId> {
        if self.state != AllocationState::Queued {
            return None;
        }
        self.state = AllocationState::Pending;
        self.updated_at = now;
        self.batch.take()
    }
}

fn less(amount: TokenAmount, taken: TokenAmount) -> TokenAmount {
    TokenAmount::from_base_units(amount.base_units().saturating_sub(taken.base_units()))
}
