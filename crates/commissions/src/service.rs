//! The use cases' home.

use std::sync::Arc;

use posx_kernel::{Begin, Clock, Ids};

use crate::CommissionsTx;

/// Use cases of this context inside one site.
#[derive(Clone)]
pub struct Commissions {
    pub(crate) db: Arc<dyn Begin<dyn CommissionsTx>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Commissions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commissions").finish_non_exhaustive()
    }
}

impl Commissions {
    pub fn new(db: Arc<dyn Begin<dyn CommissionsTx>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { db, clock, ids }
    }
}
