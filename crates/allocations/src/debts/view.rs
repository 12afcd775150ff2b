//! How a debt ended, as screens read it.

use chrono::{DateTime, Utc};
use posx_kernel::{IdentityId, TokenAmount, TokenSettlementId};
use serde::Serialize;

use super::Settling;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TokenSettlementView {
    pub id: TokenSettlementId,
    pub how: Settling,
    pub amount: TokenAmount,
    pub reason: String,
    /// By which the tokens came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    pub made_by: IdentityId,
    pub at: DateTime<Utc>,
}
