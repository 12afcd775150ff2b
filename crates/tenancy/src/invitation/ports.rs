//! What invitations ask of storage.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    IdempotentTx, IdentityId, InvitationId, Page, PageRequest, PlaceId, SiteScope, StoreError, Timestamp,
};
use serde::Serialize;

use super::{Delivery, Invitation, InvitationState, TokenHash};
use crate::{EmailAddress, Role, TenancyTx};

/// Why an invitation was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationRefusal {
    /// One to this address is pending, in whatever case it is written.
    Pending,
    NoSuchPlace,
}

/// How full the site is of invitations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Whose time was up: they are stored as expired now.
    pub expired: Vec<InvitationId>,
    pub pending: u32,
}

#[async_trait]
pub trait InvitationRepository: Send {
    /// Ends what is past its time and counts the rest. One caller per site at a time: holds a lock until the transaction
    /// ends, so that the count stays true.
    async fn make_room(&mut self, now: Timestamp) -> Result<Room, StoreError>;
    async fn insert(&mut self, invitation: &Invitation) -> Result<Result<(), InvitationRefusal>, StoreError>;
    /// Locked until the transaction ends.
    async fn lock(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError>;
    /// As [`lock`](Self::lock), whatever its state.
    async fn lock_by_token(&mut self, token: &TokenHash) -> Result<Option<Invitation>, StoreError>;
    /// Stores everything of a locked one but address, role, places and who made it.
    async fn save(&mut self, invitation: &Invitation) -> Result<(), StoreError>;
}

/// A transaction in which invitations can be changed.
pub trait InvitationsTx: TenancyTx + IdempotentTx {
    fn invitations(&mut self) -> &mut dyn InvitationRepository;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InvitationView {
    pub id: InvitationId,
    pub email: EmailAddress,
    pub role: Role,
    /// Where the membership will hold; the whole site when empty.
    pub places: BTreeSet<PlaceId>,
    pub state: InvitationState,
    /// Counts from 1 the messages that were asked for.
    pub sending: u8,
    pub delivery: Delivery,
    pub invited_by: IdentityId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<IdentityId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl InvitationView {
    pub fn of(invitation: Invitation, now: Timestamp) -> Self {
        Self {
            state: invitation.state_at(now),
            id: invitation.id,
            email: invitation.email,
            role: invitation.terms.role,
            places: invitation.terms.places,
            sending: invitation.sending,
            delivery: invitation.delivery,
            invited_by: invitation.invited_by,
            accepted_by: invitation.accepted_by,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

#[async_trait]
pub trait InvitationQueries: Send + Sync {
    /// Newest first, those that are in `state` at `now`, or all.
    async fn invitations(
        &self,
        scope: &SiteScope,
        state: Option<InvitationState>,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<InvitationView>, StoreError>;
    async fn invitation(
        &self,
        scope: &SiteScope,
        id: InvitationId,
        now: Timestamp,
    ) -> Result<Option<InvitationView>, StoreError>;
}
