//! What the platform plane asks of storage, on a database role of its own.

use async_trait::async_trait;
use posx_kernel::{
    Actor, GrantId, IdentityId, Page, PageRequest, SiteId, StoreError, Timestamp, Transaction,
};

use super::{Act, ActFilter, ActView, PlatformError, SiteFigures, Span, Staff};
use crate::{Grant, GrantView, NewMember, Site, SiteCode};

/// Reads of the plane, and its transactions.
#[async_trait]
pub trait PlatformDirectory: Send + Sync {
    /// What is written is the actor's. A grant is written within its site.
    async fn begin(&self, actor: &Actor, site: Option<SiteId>) -> Result<Box<dyn PlatformTx>, StoreError>;
    /// The identity of an (issuer, subject); made on first sight.
    async fn identity(&self, issuer: &str, subject: &str) -> Result<IdentityId, StoreError>;
    /// By their codes.
    async fn list(&self) -> Result<Vec<Site>, StoreError>;
    /// Newest first.
    async fn sites(&self, page: PageRequest) -> Result<Page<Site>, StoreError>;
    async fn find(&self, code: &SiteCode) -> Result<Option<Site>, StoreError>;
    /// Of the custodian, that the site sends from; in order.
    async fn vaults(&self, site: SiteId) -> Result<Vec<String>, StoreError>;
    /// By their names.
    async fn staff(&self) -> Result<Vec<Staff>, StoreError>;
    async fn staff_member(&self, identity: IdentityId) -> Result<Option<Staff>, StoreError>;
    /// Newest first.
    async fn grants(&self, site: SiteId, page: PageRequest) -> Result<Page<GrantView>, StoreError>;
    /// Newest first.
    async fn audit(&self, filter: &ActFilter, page: PageRequest) -> Result<Page<ActView>, StoreError>;
    /// Newest site first.
    async fn figures(&self, span: Span, page: PageRequest) -> Result<Page<SiteFigures>, StoreError>;
}

/// A transaction of the plane. It commits with what it records, or not at all.
#[async_trait]
pub trait PlatformTx: Transaction {
    async fn record(&mut self, act: &Act) -> Result<(), StoreError>;
    /// Refuses a code that another site has. Host names come by [`change_hosts`](Self::change_hosts).
    async fn insert_site(&mut self, site: &Site) -> Result<(), PlatformError>;
    async fn site_for_update(&mut self, code: &SiteCode) -> Result<Option<Site>, StoreError>;
    /// State, origins and modules.
    async fn save_site(&mut self, site: &Site) -> Result<(), StoreError>;
    /// Refuses a host name that another site has.
    async fn change_hosts(
        &mut self,
        site: SiteId,
        added: &[String],
        removed: &[String],
    ) -> Result<(), PlatformError>;
    /// In order.
    async fn vaults(&mut self, site: SiteId) -> Result<Vec<String>, StoreError>;
    /// Refuses a vault that another site has.
    async fn change_vaults(
        &mut self,
        site: SiteId,
        added: &[String],
        removed: &[String],
    ) -> Result<(), PlatformError>;
    /// Adds a member with any role, or gives one another role: how a site gets its first people.
    async fn appoint_member(&mut self, site: SiteId, member: &NewMember) -> Result<(), PlatformError>;
    /// Every active admin, locked in one order.
    async fn admins_for_update(&mut self) -> Result<Vec<IdentityId>, StoreError>;
    async fn staff_for_update(&mut self, identity: IdentityId) -> Result<Option<Staff>, StoreError>;
    async fn save_staff(&mut self, staff: &Staff) -> Result<(), StoreError>;
    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError>;
    async fn end_grant(&mut self, grant: GrantId, at: Timestamp) -> Result<(), StoreError>;
}
