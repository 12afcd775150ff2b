//! A site's consent that what a purpose handles is sent to a provider.

use posx_kernel::{IdentityId, Timestamp};

use crate::Purpose;

/// Of `docs/assistant.md`, "What is consented to". Who consented to an older text has not consented to this one: raise it when
/// the text says more than before.
pub const CONSENT_TEXT_VERSION: u16 = 1;

/// Never changed, but that it may be withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConsent {
    pub purpose: Purpose,
    /// Counts from 1 for each purpose.
    pub number: i32,
    pub text_version: u16,
    pub given_at: Timestamp,
    /// None: a key or a job of ours.
    pub given_by: Option<IdentityId>,
    pub withdrawn_at: Option<Timestamp>,
    pub withdrawn_by: Option<IdentityId>,
}
