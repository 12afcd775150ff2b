//! What a refusal says of the way on (members of the problem document, RFC 9457 section 3.2).

use chrono::{DateTime, Utc};
use posx_kernel::{ApprovalId, Timestamp};
use posx_tenancy::{Approval, ApprovalStateName};
use serde::Serialize;

/// How the caller gets past `second_factor_needed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SecondFactorHint {
    /// One of them is enough.
    pub ways: Vec<SecondFactorWay>,
    /// How old the proof may be.
    pub max_age_s: i64,
    /// What to ask the identity provider for (`acr_values`), if it knows such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorWay {
    /// Nothing is enrolled here yet: POST /api/v1/me/second-factor.
    Enrol,
    /// A code: POST /api/v1/me/second-factor/verify.
    Verify,
    /// With a second factor, at the identity provider.
    SignInAgain,
}

/// What waits for a second person, or for being sent again with the header `Approval`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ApprovalHint {
    pub id: ApprovalId,
    pub state: ApprovalStateName,
    /// What the second person names.
    pub hash: String,
    pub expires_at: DateTime<Utc>,
}

impl ApprovalHint {
    pub fn of(approval: &Approval, now: Timestamp) -> Self {
        Self {
            id: approval.id,
            state: approval.state_name(now),
            hash: hex::encode(approval.request.hash),
            expires_at: approval.expires_at,
        }
    }
}
