//! The use cases of the books themselves: closing periods, counting what must be true.

use std::sync::Arc;

use posx_kernel::{Begin, Clock, Ids};

use crate::{BooksTx, InvariantQueries};

/// Closing, opening again, counting: one file each.
#[derive(Clone)]
pub struct Books {
    pub(crate) db: Arc<dyn Begin<dyn BooksTx>>,
    pub(crate) invariants: Arc<dyn InvariantQueries>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}

impl Books {
    pub fn new(
        db: Arc<dyn Begin<dyn BooksTx>>,
        invariants: Arc<dyn InvariantQueries>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            db,
            invariants,
            clock,
            ids,
        }
    }
}
