//! What vesting asks of storage while a transaction is open.

use async_trait::async_trait;
use posx_kernel::{OrderId, StoreError, TierId, Timestamp, VestingPolicyId, VestingScheduleId};

use super::{Release, VestingPolicy, VestingSchedule};

#[async_trait]
pub trait VestingRepository: Send {
    /// The greatest version of the name; 0: there is none.
    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError>;
    /// False: the site has this name and version already; nothing is stored.
    async fn insert_policy(&mut self, policy: &VestingPolicy) -> Result<bool, StoreError>;
    async fn policy(&mut self, id: VestingPolicyId) -> Result<Option<VestingPolicy>, StoreError>;
    /// Stores the start if the stored revision is still `seen`. False: it is not, and nothing is stored.
    async fn save_start(&mut self, policy: &VestingPolicy, seen: i32) -> Result<bool, StoreError>;
    /// Those that have a start.
    async fn started_policies(&mut self) -> Result<Vec<VestingPolicy>, StoreError>;
    /// From `since` on what the tier sells is vested by the policy, or not any more. False: there is no such tier.
    async fn insert_tier_terms(
        &mut self,
        tier: TierId,
        policy: Option<VestingPolicyId>,
        since: Timestamp,
    ) -> Result<bool, StoreError>;
    async fn insert_schedule(
        &mut self,
        schedule: &VestingSchedule,
        releases: &[Release],
    ) -> Result<(), StoreError>;
    async fn schedule(&mut self, id: VestingScheduleId) -> Result<Option<VestingSchedule>, StoreError>;
    async fn mark_revoked(&mut self, id: VestingScheduleId, at: Timestamp) -> Result<(), StoreError>;
    /// In order of schedule and number. The order's row is locked by whoever asks.
    async fn releases_of_order(&mut self, order: OrderId) -> Result<Vec<Release>, StoreError>;
    /// Stores them in one statement. What is fixed at their making is not written again.
    async fn save_releases(&mut self, releases: &[Release]) -> Result<(), StoreError>;
    /// Orders with a locked release of the policy up to this number, by id, those behind `after` only.
    async fn due_orders(
        &mut self,
        policy: VestingPolicyId,
        through: u16,
        after: Option<OrderId>,
        limit: u16,
    ) -> Result<Vec<OrderId>, StoreError>;
}
