//! What a refusal says of the way on (members of the problem document, RFC 9457 section 3.2).

use std::fmt;

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

/// A visitor's session. The token is shown when it begins and never again.
#[derive(Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChatSession {
    /// Send it with the next message.
    pub token: String,
    pub expires_at: DateTime<Utc>,
}

/// Whoever has the token goes on with the talk: it does not print.
impl fmt::Debug for ChatSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatSession").finish_non_exhaustive()
    }
}
