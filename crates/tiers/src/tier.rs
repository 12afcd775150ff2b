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

#[cfg(test)]
mod tests {
    use posx_kernel::{Currency, Refusal};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn tier(currency: &str, price: i64) -> Tier {
        let currency = Currency::from_code(currency).expect("a currency");
        let id = uuid::Uuid::nil();
        Tier {
            id: TierId::from_uuid(id),
            name: "Seed".to_owned(),
            description: String::new(),
            asset: ChainAssetId::from_uuid(id),
            list_price: Money::from_minor(price, currency),
            promotion: None,
            tokens_per_unit: TokenAmount::from_base_units(100),
            bonus_per_unit: TokenAmount::from_base_units(5),
            max_per_order: 10,
            max_per_buyer: None,
            active: true,
            position: 0,
            version: 1,
            created_at: at("2026-01-01T00:00:00Z"),
            updated_at: at("2026-01-01T00:00:00Z"),
        }
    }

    #[test]
    fn the_promotional_price_holds_from_its_first_instant_until_just_before_its_last() {
        let mut tier = tier("USD", 10_000);
        let (from, until) = (at("2026-06-01T00:00:00Z"), at("2026-06-02T00:00:00Z"));
        let price = Money::from_minor(8_000, tier.list_price.currency());
        tier.promotion = Some(Promotion { price, from, until });
        let minor = |now: &str| tier.price_at(at(now)).minor();
        assert_eq!(minor("2026-05-31T23:59:59.999999Z"), 10_000);
        assert_eq!(minor("2026-06-01T00:00:00Z"), 8_000);
        assert_eq!(minor("2026-06-01T23:59:59.999999Z"), 8_000);
        assert_eq!(minor("2026-06-02T00:00:00Z"), 10_000);
    }

    #[test]
    fn a_tenth_or_less_is_low_and_nothing_is_sold_out() {
        let stock = |supply, reserved, sold| {
            Stock {
                supply,
                reserved,
                sold,
            }
            .availability()
        };
        assert_eq!(stock(100, 0, 89), Availability::InStock);
        assert_eq!(stock(100, 5, 85), Availability::LowStock);
        assert_eq!(stock(100, 50, 50), Availability::SoldOut);
        assert_eq!(stock(0, 0, 0), Availability::SoldOut);
    }

    #[test]
    fn each_wrong_term_is_named_with_its_field() {
        type Spoil = fn(&mut Tier);
        let cases: &[(Spoil, &str, &str)] = &[
            (|t| t.name = " ".to_owned(), "tier_name_invalid", "name"),
            (
                |t| t.list_price = Money::zero(t.list_price.currency()),
                "tier_list_price_invalid",
                "list_price",
            ),
            (
                |t| t.list_price = Money::from_minor(12_505, t.list_price.currency()),
                "price_not_chargeable",
                "list_price",
            ),
            (
                |t| t.list_price = Money::from_minor(i64::MAX - 7, t.list_price.currency()),
                "tier_list_price_invalid",
                "list_price",
            ),
            (
                |t| t.tokens_per_unit = TokenAmount::ZERO,
                "tier_tokens_invalid",
                "tokens_per_unit",
            ),
            (
                |t| t.bonus_per_unit = TokenAmount::MAX,
                "tier_tokens_invalid",
                "tokens_per_unit",
            ),
            (
                |t| t.max_per_order = 1001,
                "tier_max_per_order_invalid",
                "max_per_order",
            ),
            (
                |t| t.max_per_buyer = Some(0),
                "tier_max_per_buyer_invalid",
                "max_per_buyer",
            ),
            (
                |t| {
                    t.promotion = Some(Promotion {
                        price: t.list_price,
                        from: t.created_at,
                        until: t.created_at,
                    });
                },
                "tier_promotion_price_invalid",
                "promotion",
            ),
        ];
        for (spoil, code, field) in cases {
            let mut tier = tier("KWD", 12_500);
            tier.check().expect("right before it is spoilt");
            spoil(&mut tier);
            let refusal = tier.check().expect_err(code);
            assert_eq!(
                (refusal.code(), refusal.field().as_deref()),
                (*code, Some(*field))
            );
        }
    }
}
