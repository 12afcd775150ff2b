//! Refusals: of a code that a buyer typed, and of what staff decide about one.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Money, Refusal, StoreError};

/// Why a code gives nothing to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromoRefusal {
    #[error("there is no such promo code")]
    NotFound,
    #[error("the promo code is not active")]
    Inactive,
    #[error("the promo code is not valid yet")]
    NotYetValid,
    #[error("the promo code's time is over")]
    Expired,
    #[error("the promo code is used up")]
    Exhausted,
    #[error("a buyer may use this promo code no more often")]
    BuyerLimit,
    #[error("the promo code is for orders of at least {0}")]
    MinimumNotMet(Money),
    #[error("the promo code is for none of these tiers")]
    TierNotApplicable,
    #[error("the promo code is in another currency")]
    Currency,
}

impl PromoRefusal {
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "promo_code_not_found",
            Self::Inactive => "promo_code_inactive",
            Self::NotYetValid => "promo_code_not_yet_valid",
            Self::Expired => "promo_code_expired",
            Self::Exhausted => "promo_code_exhausted",
            Self::BuyerLimit => "promo_code_buyer_limit",
            Self::MinimumNotMet(_) => "promo_code_minimum_not_met",
            Self::TierNotApplicable => "promo_code_tier_not_applicable",
            Self::Currency => "promo_code_currency",
        }
    }

    pub const fn kind(self) -> Kind {
        match self {
            Self::Exhausted | Self::BuyerLimit => Kind::Conflict,
            _ => Kind::Invalid,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PromoCodeError {
    #[error("there is no such promo code")]
    NotFound,
    #[error("the promo code was changed by someone else: read it again")]
    Stale,
    #[error("the site has this promo code already")]
    Taken,
    #[error("a promo code is 3 to 40 of A-Z, 0-9, - and _")]
    Code,
    #[error("a promo code gives a discount, a bonus or both")]
    NoBenefit,
    #[error("a rate is above 0 and at most 1")]
    Rate,
    #[error("a discount is above zero")]
    Amount,
    #[error("discounts in this currency are multiples of {0} minor units")]
    ChargeStep(i64),
    #[error("amounts are in the site's currency, {0}")]
    Currency(&'static str),
    #[error("a bonus is above zero, and all bonuses together are at least one")]
    Bonus,
    #[error("there is no such chain asset on this site")]
    UnknownAsset,
    #[error("the chain asset is not active")]
    InactiveAsset,
    #[error("a promo code's time ends after it begins")]
    Window,
    #[error("a promo code is used at least once, or as often as buyers like")]
    UsesMax,
    #[error("a buyer uses a promo code at least once, or as often as they like")]
    UsesPerBuyer,
    #[error("the least amount of an order is not negative")]
    Minimum,
    #[error("a promo code names at most 100 tiers")]
    TooManyTiers,
    #[error("there is no such tier on this site")]
    UnknownTier { at: usize },
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for PromoCodeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "promo_code_not_found",
            Self::Stale => "version_stale",
            Self::Taken => "promo_code_taken",
            Self::Code => "promo_code_invalid",
            Self::NoBenefit => "promo_code_gives_nothing",
            Self::Rate => "promo_code_rate_invalid",
            Self::Amount => "promo_code_amount_invalid",
            Self::ChargeStep(_) => "price_not_chargeable",
            Self::Currency(_) => "currency_mismatch",
            Self::Bonus => "promo_code_bonus_invalid",
            Self::UnknownAsset => "chain_asset_not_found",
            Self::InactiveAsset => "chain_asset_inactive",
            Self::Window => "promo_code_window_invalid",
            Self::UsesMax | Self::UsesPerBuyer => "promo_code_uses_invalid",
            Self::Minimum => "promo_code_minimum_invalid",
            Self::TooManyTiers => "promo_code_tiers_too_many",
            Self::UnknownTier { .. } => "tier_not_found",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Stale => Kind::Stale,
            Self::Taken => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Taken | Self::Code => "code",
            Self::NoBenefit | Self::Rate | Self::Amount | Self::ChargeStep(_) | Self::Currency(_) => {
                "discount"
            }
            Self::Bonus | Self::UnknownAsset | Self::InactiveAsset => "bonus",
            Self::Window => "valid_until",
            Self::UsesMax => "uses_max",
            Self::UsesPerBuyer => "uses_per_buyer",
            Self::Minimum => "minimum",
            Self::TooManyTiers => "tier_ids",
            Self::UnknownTier { at } => return Some(format!("tier_ids/{at}").into()),
            Self::NotFound | Self::Stale | Self::Key(_) | Self::Store(_) => return None,
        };
        Some(field.into())
    }
}
