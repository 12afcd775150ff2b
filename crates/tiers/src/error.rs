//! Refusals of this context.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum TierError {
    #[error("there is no such tier")]
    NotFound,
    #[error("the tier was changed by someone else: read it again")]
    Stale,
    #[error("a tier has a name of 1 to 200 characters")]
    Name,
    #[error("a description has at most 5000 characters")]
    Description,
    #[error("prices are in the site's currency, {0}")]
    Currency(&'static str),
    #[error("the list price is above zero, and an order of the greatest quantity can be counted")]
    ListPrice,
    #[error("prices in this currency are multiples of {step} minor units")]
    ChargeStep { field: &'static str, step: i64 },
    #[error("a promotional price is below the list price and not negative")]
    PromotionPrice,
    #[error("a promotion ends after it begins")]
    PromotionWindow,
    #[error("a unit gives at least one base unit, and an order of the greatest quantity can be counted")]
    TokensPerUnit,
    #[error("an order takes at most 1 to 1000 units of a tier")]
    MaxPerOrder,
    #[error("a buyer may hold at least one unit")]
    MaxPerBuyer,
    #[error("the supply is between 0 and 1,000,000,000")]
    Supply,
    #[error("there is no such chain asset on this site")]
    UnknownAsset,
    #[error("the chain asset is not active")]
    InactiveAsset,
    #[error("a correction is not zero")]
    CorrectionZero,
    #[error("a correction has a reason of 1 to 500 characters")]
    CorrectionReason,
    #[error("the supply cannot fall below what is reserved and sold: {available} units are free")]
    CorrectionTooLow { available: i64 },
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for TierError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "tier_not_found",
            Self::Stale => "version_stale",
            Self::Name => "tier_name_invalid",
            Self::Description => "tier_description_invalid",
            Self::Currency(_) => "currency_mismatch",
            Self::ListPrice => "tier_list_price_invalid",
            Self::ChargeStep { .. } => "price_not_chargeable",
            Self::PromotionPrice => "tier_promotion_price_invalid",
            Self::PromotionWindow => "tier_promotion_window_invalid",
            Self::TokensPerUnit => "tier_tokens_invalid",
            Self::MaxPerOrder => "tier_max_per_order_invalid",
            Self::MaxPerBuyer => "tier_max_per_buyer_invalid",
            Self::Supply => "tier_supply_invalid",
            Self::UnknownAsset => "chain_asset_not_found",
            Self::InactiveAsset => "chain_asset_inactive",
            Self::CorrectionZero => "supply_correction_zero",
            Self::CorrectionReason => "supply_correction_reason_missing",
            Self::CorrectionTooLow { .. } => "supply_correction_too_low",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Stale => Kind::Stale,
            Self::CorrectionTooLow { .. } => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Name => "name",
            Self::Description => "description",
            Self::Currency(_) | Self::ListPrice => "list_price",
            Self::ChargeStep { field, .. } => field,
            Self::PromotionPrice | Self::PromotionWindow => "promotion",
            Self::TokensPerUnit => "tokens_per_unit",
            Self::MaxPerOrder => "max_per_order",
            Self::MaxPerBuyer => "max_per_buyer",
            Self::Supply => "supply",
            Self::UnknownAsset | Self::InactiveAsset => "asset_id",
            Self::CorrectionZero | Self::CorrectionTooLow { .. } => "quantity",
            Self::CorrectionReason => "reason",
            Self::NotFound | Self::Stale | Self::Key(_) | Self::Store(_) => return None,
        };
        Some(field.into())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    #[error("this site has the token {symbol} on {chain} already")]
    Taken { chain: &'static str, symbol: String },
    #[error("a symbol is 1 to 16 of A-Z and 0-9")]
    Symbol,
    #[error("an asset has 0 to 18 decimals")]
    Decimals,
    #[error("the custodian's asset id is 1 to 100 characters")]
    ProviderAsset,
    #[error("the vault is 1 to 100 characters")]
    Vault,
    /// The same for another site's vault and for one that there is not.
    #[error("the platform has not given this vault to the site")]
    ForeignVault,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for AssetError {
    fn code(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "chain_asset_taken",
            Self::Symbol => "chain_asset_symbol_invalid",
            Self::Decimals => "chain_asset_decimals_invalid",
            Self::ProviderAsset => "chain_asset_provider_asset_invalid",
            Self::Vault => "chain_asset_vault_invalid",
            Self::ForeignVault => "chain_asset_vault_foreign",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Taken { .. } => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Taken { .. } | Self::Symbol => "symbol",
            Self::Decimals => "decimals",
            Self::ProviderAsset => "provider_asset",
            Self::Vault | Self::ForeignVault => "vault",
            Self::Key(_) | Self::Store(_) => return None,
        };
        Some(field.into())
    }
}
