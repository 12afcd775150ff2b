//! Offers of tokens: what a unit costs, how many tokens it gives, and how many are left.
//!
//! Invariants:
//! * `sold + reserved ≤ supply` at every moment: the stock is a guarded counter in a table of its own, changed by one
//!   guarded statement and never read-then-written.
//! * Movements are append-only and sum to the counters.
//! * An edit names the version it saw; a stale one is refused.
//! * A promo code's uses are counted as stock is: never more than its limits, and given back once.
//! * The price of a tier at an instant is a pure function: the promotional price inside its window, else the list price.

mod asset;
mod error;
mod manage;
mod ports;
mod promo_code;
#[cfg(feature = "testing")]
pub mod testing;
mod tier;

pub use asset::{Chain, ChainAsset, ChainFamily};
pub use error::{AssetError, TierError};
pub use manage::{CorrectSupply, CreateAsset, CreateTier, EditTier, Tiers};
pub use ports::{
    AssetRefusal, AssetRepository, AssetView, PromotionView, StockChange, StockMove, StockRefusal,
    StockRepository, StockView, TierQueries, TierRepository, TierView, TiersTx,
};
pub use promo_code::{
    Bonus, BonusView, CreatePromoCode, Discount, DiscountView, PROMO_TIERS_MAX, PromoCode, PromoCodeError,
    PromoCodeQueries, PromoCodeRepository, PromoCodeText, PromoCodeTotals, PromoCodeView, PromoCodes,
    PromoGift, PromoKind, PromoLine, PromoRefusal, PromoTerms, PromoUsageView, PromoUse, PromoUses,
};
pub use tier::{Availability, MAX_PER_ORDER, Promotion, Stock, Tier};
