//! Sites.

use chrono_tz::Tz;
use posx_kernel::{Currency, SiteId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Origin;

/// `NA`, `ASIA`: 2 to 20 of `A–Z 0–9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[A-Z0-9_-]{2,20}$")]
pub struct SiteCode(String);

impl SiteCode {
    /// `None` when it is not a code; lower case is not folded, so that one site has one spelling.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        ((2..=20).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SiteCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SiteState {
    Active,
    /// Nobody works in it, and its jobs wait; nothing is lost but what no site keeps longer.
    Suspended,
}

/// A switch for a part of the product, not a fork of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Module {
    TokenSale,
    Pos,
    Storefront,
    Brokerage,
    Channel,
    Assistant,
}

impl Module {
    /// In the order in which a site has them.
    pub const ALL: [Self; 6] = [
        Self::TokenSale,
        Self::Pos,
        Self::Storefront,
        Self::Brokerage,
        Self::Channel,
        Self::Assistant,
    ];
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub id: SiteId,
    pub code: SiteCode,
    pub name: String,
    pub host_names: Vec<String>,
    /// Whose pages may call the API for it from a browser.
    pub cors_origins: Vec<Origin>,
    pub currency: Currency,
    pub time_zone: Tz,
    pub state: SiteState,
    pub modules: Vec<Module>,
    /// How long a placed token order waits for its payment.
    pub order_expiry_minutes: u16,
    pub created_at: Timestamp,
}
