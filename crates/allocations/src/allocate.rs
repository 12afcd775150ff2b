//! A paid order's allocations: one per line, or a schedule whose releases become allocations.

use posx_kernel::{AllocationId, OrderId, SiteScope};

use crate::{AllocateError, Allocations};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allocated {
    /// Of lines that are vested only what has unlocked.
    Applied(Vec<AllocationId>),
    /// Every line has its allocation or schedule from an earlier run, and nothing else was to be done.
    AlreadyApplied,
}

impl Allocations {
    /// The body of the job that follows `order.paid`. Safe to run any number of times, also at once.
    pub async fn allocate(&self, scope: &SiteScope, order: OrderId) -> Result<Allocated, AllocateError> {
        let adjusted = self.adjust_once(scope, order).await?;
        Ok(if adjusted.changed {
            Allocated::Applied(adjusted.made)
        } else {
            Allocated::AlreadyApplied
        })
    }
}
