//! The use cases' home.

use std::sync::Arc;

use posx_kernel::{Begin, Clock, Ids};

use crate::AllocationsTx;
use crate::custody::Custody;

/// Use cases of this context inside one site.
#[derive(Clone)]
pub struct Allocations {
    pub(crate) db: Arc<dyn Begin<dyn AllocationsTx>>,
    pub(crate) custody: Arc<dyn Custody>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Allocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Allocations")
            .field("custody", &self.custody)
            .finish_non_exhaustive()
    }
}

impl Allocations {
    pub fn new(
        db: Arc<dyn Begin<dyn AllocationsTx>>,
        custody: Arc<dyn Custody>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            db,
            custody,
            clock,
            ids,
        }
    }
}
