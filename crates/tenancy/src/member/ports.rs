//! What managing members asks of storage.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{IdentityId, Page, PageRequest, PartyId, PlaceId, SiteScope, StoreError};
use serde::Serialize;

use super::{MemberState, Membership};
use crate::Role;

/// Why a membership was not stored. The transaction is only good for dropping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipRefusal {
    /// No active owner would be left, whatever happens at the same time.
    LastOwner,
    NoSuchPlace,
}

#[async_trait]
pub trait MembershipRepository: Send {
    /// Those that are there, locked until the transaction ends; always in the same order, so that two callers who want each
    /// other's wait and do not deadlock.
    async fn lock(&mut self, identities: &[IdentityId]) -> Result<Vec<Membership>, StoreError>;
    /// Stores role, state, places and version of a locked one.
    async fn save(&mut self, membership: &Membership) -> Result<Result<(), MembershipRefusal>, StoreError>;
}

/// A membership as staff see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MemberView {
    pub identity_id: IdentityId,
    pub party_id: PartyId,
    pub role: Role,
    pub state: MemberState,
    /// Where the membership holds; the whole site when empty.
    pub places: BTreeSet<PlaceId>,
    pub version: i32,
    pub joined_at: DateTime<Utc>,
}

/// Which members a list shows; all when nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberFilter {
    pub role: Option<Role>,
    pub state: Option<MemberState>,
}

#[async_trait]
pub trait MemberQueries: Send + Sync {
    /// Newest identity first.
    async fn members(
        &self,
        scope: &SiteScope,
        filter: MemberFilter,
        page: PageRequest,
    ) -> Result<Page<MemberView>, StoreError>;
    async fn member(&self, scope: &SiteScope, identity: IdentityId)
    -> Result<Option<MemberView>, StoreError>;
}
