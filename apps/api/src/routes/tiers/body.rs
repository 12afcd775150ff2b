//! What admins send about tiers.

use chrono::{DateTime, Utc};
use posx_kernel::{ChainAssetId, Money, TokenAmount};
use posx_tiers::{CreateTier, EditTier, MAX_PER_ORDER, Promotion};
use serde::Deserialize;

use crate::extract::instant;
use crate::problem::EdgeError;

/// The greatest number of units that a limit or a supply can say.
const UNITS_MAX: u32 = 1_000_000_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromotionBody {
    price: Money,
    /// Inclusive.
    #[serde(deserialize_with = "instant")]
    from: DateTime<Utc>,
    /// Exclusive.
    #[serde(deserialize_with = "instant")]
    until: DateTime<Utc>,
}

/// What an admin decides about a tier, whole: a field that is left out gets its default.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TierBody {
    name: String,
    #[serde(default)]
    description: String,
    list_price: Money,
    promotion: Option<PromotionBody>,
    /// 1 to 1000, which is the default.
    #[serde(default = "most")]
    max_per_order: u32,
    max_per_buyer: Option<u32>,
    /// Lists show tiers in this order.
    #[serde(default)]
    position: i32,
    #[serde(default = "yes")]
    active: bool,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTierBody {
    name: String,
    #[serde(default)]
    description: String,
    asset_id: ChainAssetId,
    list_price: Money,
    promotion: Option<PromotionBody>,
    /// Base units of the asset that one unit gives.
    tokens_per_unit: TokenAmount,
    /// Base units on top.
    #[serde(default = "nothing")]
    bonus_per_unit: TokenAmount,
    supply: i64,
    #[serde(default = "most")]
    max_per_order: u32,
    max_per_buyer: Option<u32>,
    #[serde(default)]
    position: i32,
    #[serde(default = "yes")]
    active: bool,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectionBody {
    /// Units more, or fewer when negative.
    pub quantity: i64,
    pub reason: String,
}

impl TierBody {
    pub fn into_terms(self) -> Result<EditTier, EdgeError> {
        if self.max_per_buyer.is_some_and(|most| most > UNITS_MAX) {
            let message = format!("a limit is at most {UNITS_MAX}");
            return Err(EdgeError::FieldInvalid {
                field: "max_per_buyer".to_owned(),
                message,
            });
        }
        Ok(EditTier {
            name: self.name,
            description: self.description,
            list_price: self.list_price,
            promotion: self.promotion.map(|promotion| Promotion {
                price: promotion.price,
                from: promotion.from,
                until: promotion.until,
            }),
            max_per_order: self.max_per_order,
            max_per_buyer: self.max_per_buyer,
            position: self.position,
            active: self.active,
        })
    }
}

impl NewTierBody {
    pub fn into_wish(self) -> Result<CreateTier, EdgeError> {
        let terms = TierBody {
            name: self.name,
            description: self.description,
            list_price: self.list_price,
            promotion: self.promotion,
            max_per_order: self.max_per_order,
            max_per_buyer: self.max_per_buyer,
            position: self.position,
            active: self.active,
        };
        Ok(CreateTier {
            terms: terms.into_terms()?,
            asset: self.asset_id,
            tokens_per_unit: self.tokens_per_unit,
            bonus_per_unit: self.bonus_per_unit,
            supply: self.supply,
        })
    }
}

const fn most() -> u32 {
    MAX_PER_ORDER
}

const fn yes() -> bool {
    true
}

const fn nothing() -> TokenAmount {
    TokenAmount::from_base_units(0)
}
