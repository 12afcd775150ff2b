//! What places ask of storage.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{IdempotentTx, Page, PageRequest, PlaceId, SiteScope, StoreError};
use serde::Serialize;

use super::{Place, PlaceState};
use crate::TenancyTx;

#[async_trait]
pub trait PlaceRepository: Send {
    async fn find(&mut self, id: PlaceId) -> Result<Option<Place>, StoreError>;
    /// False: the site has this code already.
    async fn insert(&mut self, place: &Place) -> Result<bool, StoreError>;
    /// Stores name, time zone, state and version if the stored version is still `seen`. False: it is not, and nothing is
    /// stored.
    async fn save(&mut self, place: &Place, seen: i32) -> Result<bool, StoreError>;
}

/// A transaction in which places can be changed.
pub trait PlacesTx: TenancyTx + IdempotentTx {
    fn places(&mut self) -> &mut dyn PlaceRepository;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PlaceView {
    pub id: PlaceId,
    pub code: String,
    pub name: String,
    /// An IANA name; the site's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    pub state: PlaceState,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[async_trait]
pub trait PlaceQueries: Send + Sync {
    /// Newest first, those in `state` or all.
    async fn places(
        &self,
        scope: &SiteScope,
        state: Option<PlaceState>,
        page: PageRequest,
    ) -> Result<Page<PlaceView>, StoreError>;
    async fn place(&self, scope: &SiteScope, id: PlaceId) -> Result<Option<PlaceView>, StoreError>;
}
