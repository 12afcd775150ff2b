//! Entries, events, and the jobs that events ask for.

use async_trait::async_trait;
use posx_kernel::{Event, Outbox, StoreError};
use posx_ledger::{Entry, EntryKind, LedgerRepository, LedgerTx, Posted};

use super::SimTx;
use crate::bugs::Bug;
use crate::queue::NewJob;
use crate::reactions::reactions_to;

impl LedgerTx for SimTx {
    fn ledger(&mut self) -> &mut dyn LedgerRepository {
        self
    }
}

#[async_trait]
impl LedgerRepository for SimTx {
    async fn post(&mut self, entry: &Entry) -> Result<Posted, StoreError> {
        self.step("ledger.post").await;
        Ok(self.book(entry))
    }
}

impl SimTx {
    pub(super) fn book(&mut self, entry: &Entry) -> Posted {
        let mut key = (entry.kind(), entry.cause(), entry.part().to_owned());
        if self.planted(Bug::BalanceLineBookedAgain) && entry.kind() == EntryKind::DisputeWithdrawn {
            key.2 = entry.id().to_string();
        }
        if self.get(|rows| &rows.entries, &key).is_some() {
            return Posted::Already;
        }
        if entry.postings().is_empty() {
            return Posted::New;
        }
        if self.planted(Bug::EntryOutsideTransaction) {
            // On a connection of its own, as an audit writer would.
            let (db, site) = (self.db.clone(), self.site);
            db.arrange(site, |rows| {
                rows.entries.insert(key, entry.clone());
            });
        } else {
            self.put(|rows| &mut rows.entries, key, entry.clone());
        }
        Posted::New
    }
}

#[async_trait]
impl Outbox for SimTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.step("outbox.append").await;
        self.keep(event);
        Ok(())
    }
}

impl SimTx {
    pub(super) fn keep(&mut self, event: Event) {
        for reaction in reactions_to(event.kind) {
            if self.planted(Bug::SharesNotReversed) && reaction.task == "adjust_commissions"
                || self.planted(Bug::TokensNotCut) && reaction.task == "adjust_allocations"
            {
                continue;
            }
            let job = NewJob::of(reaction, &event, self.planted(Bug::JobKeyWithoutSubject));
            if self.planted(Bug::JobsAddedBeforeCommit) {
                let now = self.db.env.sim.now();
                self.db.state().queue.add(self.site, job, now);
                self.db.env.sim.job_added();
            } else {
                self.jobs.push(job);
            }
        }
        self.own.events.push(event);
    }
}
