//! A tier, and what it costs at an instant.

use posx_kernel::{ChainAssetId, Money, TierId, Timestamp, TokenAmount, TokenError};
use serde::Serialize;

use crate::TierError;

/// A lower price in a window: from inclusive, until exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    pub price: Money,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// An offer of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub id: TierId,
    pub name: String,
    pub description: String,
    pub asset: ChainAssetId,
    pub list_price: Money,
    pub promotion: Option<Promotion>,
    pub tokens_per_unit: TokenAmount,
    pub bonus_per_unit: TokenAmount,
    /// 1 to 1000.
    pub max_per_order: u32,
    pub max_per_buyer: Option<u32>,
    pub active: bool,
    /// Lists show tiers in this order.
    pub position: i32,
    /// Grows by one with each edit; an edit names the one it saw.
    pub version: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

pub const MAX_PER_ORDER: u32 = 1000;

impl Tier {
    pub fn price_at(&self, now: Timestamp) -> Money {
        match &self.promotion {
            Some(promotion) if promotion.from <= now && now < promotion.until => promotion.price,
            _ => self.list_price,
        }
    }

    /// Tokens with their bonus for a quantity, in base units.
    pub fn tokens_for(&self, quantity: u32) -> Result<TokenAmount, TokenError> {
        self.tokens_per_unit
            .checked_add(self.bonus_per_unit)?
            .checked_mul(quantity)
    }

    /// Everything that a tier must satisfy, for creating and editing alike.
    pub fn check(&self) -> Result<(), TierError> {
        if self.name.trim().is_empty() || self.name.chars().count() > 200 {
            return Err(TierError::Name);
        }
        if self.description.chars().count() > 5000 {
            return Err(TierError::Description);
        }
        if !self.list_price.is_positive() {
            return Err(TierError::ListPrice);
        }
        let step = self.list_price.currency().charge_step();
        let chargeable = |money: Money| money.minor() % step == 0;
        if !chargeable(self.list_price) {
            return Err(TierError::ChargeStep {
                field: "list_price",
                step,
            });
        }
        if let Some(promotion) = &self.promotion {
            let cheaper = promotion.price.currency() == self.list_price.currency()
                && !promotion.price.is_negative()
                && promotion.price.minor() < self.list_price.minor();
            if !cheaper {
                return Err(TierError::PromotionPrice);
            }
            if !chargeable(promotion.price) {
                return Err(TierError::ChargeStep {
                    field: "promotion",
                    step,
                });
            }
            if promotion.from >= promotion.until {
                return Err(TierError::PromotionWindow);
            }
        }
        if self.tokens_per_unit.is_zero() {
            return Err(TierError::TokensPerUnit);
        }
        if !(1..=MAX_PER_ORDER).contains(&self.max_per_order) {
            return Err(TierError::MaxPerOrder);
        }
        if self.max_per_buyer == Some(0) {
            return Err(TierError::MaxPerBuyer);
        }
        // The greatest order must be countable, in money and in tokens.
        self.list_price
            .checked_mul(self.max_per_order)
            .map_err(|_| TierError::ListPrice)?;
        self.tokens_for(self.max_per_order)
            .map_err(|_| TierError::TokensPerUnit)?;
        Ok(())
    }
}

/// The counters of one tier, as last read: for showing, never for deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    pub supply: i64,
    pub reserved: i64,
    pub sold: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    InStock,
    /// A tenth of the supply or less is left.
    LowStock,
    SoldOut,
}

impl Stock {
    pub const fn available(self) -> i64 {
        self.supply - self.reserved - self.sold
    }

    pub const fn availability(self) -> Availability {
        let available = self.available();
        if available <= 0 {
            Availability::SoldOut
        } else if available.saturating_mul(10) <= self.supply {
            Availability::LowStock
        } else {
            Availability::InStock
        }
    }
}
