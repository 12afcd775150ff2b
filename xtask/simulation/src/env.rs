//! What every part of a run shares: time and chance, the faults it meets, and the bug that is planted, if one is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bugs::Bug;
use crate::faults::Fault;
use crate::sim::Sim;

pub(crate) struct Env {
    pub(crate) sim: Arc<Sim>,
    faults: Mutex<BTreeSet<Fault>>,
    bug: Option<Bug>,
}

impl Env {
    pub(crate) fn new(sim: Arc<Sim>, faults: BTreeSet<Fault>, bug: Option<Bug>) -> Arc<Self> {
        Arc::new(Self {
            sim,
            faults: Mutex::new(faults),
            bug,
        })
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&fault)
    }

    /// By chance, if this run meets the fault at all.
    pub(crate) fn strikes(&self, fault: Fault, one_in: u64) -> bool {
        self.has(fault) && self.sim.one_in(one_in)
    }

    /// From now on the world behaves.
    pub(crate) fn calm(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.sim.crash_one_in(0);
    }

    pub(crate) fn planted(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}
