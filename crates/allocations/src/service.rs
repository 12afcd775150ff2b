//! The use cases' home.

use std::sync::Arc;

use posx_kernel::{Begin, Clock, Ids};

use crate::custody::Custody;
use crate::{AllocationsTx, GasFloor};

/// Use cases of this context inside one site.
#[derive(Clone)]
pub struct Allocations {
    pub(crate) db: Arc<dyn Begin<dyn AllocationsTx>>,
    pub(crate) custody: Arc<dyn Custody>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) gas_floors: Arc<[GasFloor]>,
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
            gas_floors: Arc::default(),
        }
    }

    /// A token that has none is sent whatever its vault holds for fees.
    #[must_use]
    pub fn with_gas_floors(self, floors: Vec<GasFloor>) -> Self {
        Self {
            gas_floors: floors.into(),
            ..self
        }
    }
}
