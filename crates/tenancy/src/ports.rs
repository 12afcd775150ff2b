//! What this context asks of storage and of the limiter.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    IdentityId, OrderId, Outbox, Page, PageRequest, PartyId, SiteId, SiteScope, StoreError, Timestamp,
    Transaction,
};
use serde::Serialize;

use crate::{PlatformError, ReferralCode, Role, Site, SiteCode, SiteState};

/// What may be asked before the site is known.
#[async_trait]
pub trait Directory: Send + Sync {
    async fn site_by_code(&self, code: &SiteCode) -> Result<Option<Site>, StoreError>;
    /// `host` is a lower-case name without a port.
    async fn site_by_host(&self, host: &str) -> Result<Option<Site>, StoreError>;
    async fn site(&self, id: SiteId) -> Result<Option<Site>, StoreError>;
    /// The identity of a verified (issuer, subject); made on first sight.
    async fn identity(&self, issuer: &str, subject: &str) -> Result<IdentityId, StoreError>;
    /// The active membership, for the caller check of each request; may be answered from a cache up to 60 s old.
    async fn member(&self, site: SiteId, identity: IdentityId) -> Result<Option<Member>, StoreError>;
}

/// An identity's active place in one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub identity: IdentityId,
    pub party: PartyId,
    pub role: Role,
    pub referral_code: ReferralCode,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    pub identity: IdentityId,
    pub party: PartyId,
    pub role: Role,
    pub referral_code: ReferralCode,
    pub claimed_referrer: Option<PartyId>,
    pub at: Timestamp,
}

#[async_trait]
pub trait MemberRepository: Send {
    async fn find(&mut self, identity: IdentityId) -> Result<Option<Member>, StoreError>;
    async fn party_by_code(&mut self, code: &ReferralCode) -> Result<Option<PartyId>, StoreError>;
    /// Stores party and membership. False: the code is taken, or the identity joined in the meantime; nothing is stored.
    async fn insert(&mut self, member: &NewMember) -> Result<bool, StoreError>;
}

/// The first paid order of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstPayment {
    pub order: OrderId,
    pub party: PartyId,
    /// Named with the order. It comes before the one that the party claimed when joining.
    pub named: Option<PartyId>,
    pub at: Timestamp,
}

#[async_trait]
pub trait ReferralRepository: Send {
    /// Binds the party to its referrer for ever and returns that referrer. `None`, and nothing is stored: the party is
    /// bound, has paid another order before, named nobody or itself, or named one below itself.
    ///
    /// Belongs into the transaction that makes the order paid, so that whoever sees the payment sees the binding. One
    /// binding per site at a time: it holds a lock until the transaction ends, so it comes late, but before any stock.
    async fn bind(&mut self, payment: FirstPayment) -> Result<Option<PartyId>, StoreError>;
}

#[async_trait]
pub trait ReferralTree: Send {
    /// Who stood above the party at that time (bindings of that very moment count): nearest first, at most `depth`. What is bound later does
    /// not change the answer.
    async fn ancestors(
        &mut self,
        party: PartyId,
        depth: u8,
        at: Timestamp,
    ) -> Result<Vec<PartyId>, StoreError>;
}

/// A transaction in which members can be changed.
pub trait TenancyTx: Transaction {
    fn members(&mut self) -> &mut dyn MemberRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

/// One party that the caller referred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReferralEntry {
    pub party: PartyId,
    /// Since its first paid order; absent while it has only claimed.
    pub bound_at: Option<DateTime<Utc>>,
}

#[async_trait]
pub trait ReferralQueries: Send + Sync {
    /// Parties that named or are bound to `referrer`, newest first.
    async fn referred_by(
        &self,
        scope: &SiteScope,
        referrer: PartyId,
        page: PageRequest,
    ) -> Result<Page<ReferralEntry>, StoreError>;
}

/// The platform plane, on a database role of its own.
#[async_trait]
pub trait PlatformDirectory: Send + Sync {
    /// Refuses a code or host that another site has.
    async fn create(&self, site: &Site) -> Result<(), PlatformError>;
    async fn identity(&self, issuer: &str, subject: &str) -> Result<IdentityId, StoreError>;
    /// Adds a member with any role: how a site gets its first people.
    async fn appoint(&self, site: SiteId, member: &NewMember) -> Result<(), StoreError>;
    async fn list(&self) -> Result<Vec<Site>, StoreError>;
    async fn find(&self, code: &SiteCode) -> Result<Option<Site>, StoreError>;
    async fn set_state(&self, site: SiteId, state: SiteState) -> Result<(), StoreError>;
}

/// What the limiter says of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateVerdict {
    Allowed { remaining: u32 },
    Refused { retry_after_s: u32 },
}

/// Counts calls against a limit of `per_minute` per key, with bursts of the same size. On any fault of a shared counter
/// the limiter goes on in the process.
#[async_trait]
pub trait RateLimiter: Send + Sync + std::fmt::Debug {
    async fn check(&self, class: &'static str, key: &str, per_minute: u32) -> RateVerdict;
}
