//! What this context asks of storage and of the limiter.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    IdentityId, OrderId, Outbox, Page, PageRequest, PartyId, PlaceId, SiteId, SiteScope, StoreError,
    Timestamp, Transaction,
};
use serde::Serialize;

use crate::{MembershipRepository, Origin, Rank, ReferralCode, Role, Site, SiteCode};

/// What may be asked before the site is known.
#[async_trait]
pub trait Directory: Send + Sync {
    async fn site_by_code(&self, code: &SiteCode) -> Result<Option<Site>, StoreError>;
    /// `host` is a lower-case name without a port.
    async fn site_by_host(&self, host: &str) -> Result<Option<Site>, StoreError>;
    async fn site(&self, id: SiteId) -> Result<Option<Site>, StoreError>;
    /// Whether any active site lists it: all that can be said to a browser that asks before it may name the site.
    async fn knows_origin(&self, origin: &Origin) -> Result<bool, StoreError>;
    /// The identity of a verified (issuer, subject); made on first sight.
    async fn identity(&self, issuer: &str, subject: &str) -> Result<IdentityId, StoreError>;
    /// The active membership, for the caller check of each request; may be answered from a cache up to 60 s old.
    async fn member(&self, site: SiteId, identity: IdentityId) -> Result<Option<Member>, StoreError>;
    /// The membership was changed: the next [`member`](Self::member) of this process reads it anew. Nothing to do where
    /// nothing is kept.
    async fn forget_member(&self, _site: SiteId, _identity: IdentityId) {}
}

/// An identity's active place in one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub identity: IdentityId,
    pub party: PartyId,
    pub role: Role,
    /// Where the membership holds; the whole site when empty.
    pub places: BTreeSet<PlaceId>,
    pub referral_code: ReferralCode,
}

impl Member {
    /// An owner has the whole site, whatever else is stored.
    pub fn is_everywhere(&self) -> bool {
        self.role.rank() == Rank::Owner || self.places.is_empty()
    }

    pub fn reaches(&self, place: PlaceId) -> bool {
        self.is_everywhere() || self.places.contains(&place)
    }
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
    /// When the party was bound, if that was after `at`: by another payment that read its clock later and committed earlier.
    async fn bound_after(&mut self, party: PartyId, at: Timestamp) -> Result<Option<Timestamp>, StoreError>;
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
    fn memberships(&mut self) -> &mut dyn MembershipRepository;
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
