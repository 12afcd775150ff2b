//! What staff send about promo codes, and what buyers ask about one.

use chrono::{DateTime, Utc};
use posx_kernel::{ChainAssetId, Currency, Cursor, Money, Rate, TierId, TokenAmount};
use posx_orders::{PromoView, Quote};
use posx_tiers::{Bonus, CreatePromoCode, Discount, PromoTerms};
use serde::{Deserialize, Serialize};

use crate::extract::instant;
use crate::routes::orders::LineBody;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DiscountBody {
    /// Of what the lines cost that the code is for: `0.1` is ten per cent.
    Rate(Rate),
    /// At most what those lines cost.
    Amount(Money),
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BonusBody {
    asset_id: ChainAssetId,
    /// Base units, once an order.
    tokens: TokenAmount,
    /// What all orders together get at most.
    tokens_max: Option<TokenAmount>,
}

/// What staff decide about a code, whole: a field that is left out gets its default.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoTermsBody {
    discount: Option<DiscountBody>,
    bonus: Option<BonusBody>,
    /// Inclusive.
    #[serde(default)]
    valid_from: Option<Instant>,
    /// Exclusive.
    #[serde(default)]
    valid_until: Option<Instant>,
    /// As often as buyers like when it is left out.
    uses_max: Option<u32>,
    /// 1 when it is left out; as often as they like when it is null.
    #[serde(default = "once")]
    uses_per_buyer: Option<u32>,
    /// The least that the lines of an order cost together.
    minimum: Option<Money>,
    /// All tiers when empty.
    #[serde(default)]
    tier_ids: Vec<TierId>,
    #[serde(default = "yes")]
    active: bool,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPromoCodeBody {
    /// 3 to 40 of A-Z, 0-9, `-` and `_`, in upper or lower case. It never changes.
    code: String,
    discount: Option<DiscountBody>,
    bonus: Option<BonusBody>,
    /// Inclusive.
    #[serde(default)]
    valid_from: Option<Instant>,
    /// Exclusive.
    #[serde(default)]
    valid_until: Option<Instant>,
    /// As often as buyers like when it is left out.
    uses_max: Option<u32>,
    /// 1 when it is left out; as often as they like when it is null.
    #[serde(default = "once")]
    uses_per_buyer: Option<u32>,
    /// The least that the lines of an order cost together.
    minimum: Option<Money>,
    /// All tiers when empty.
    #[serde(default)]
    tier_ids: Vec<TierId>,
    #[serde(default = "yes")]
    active: bool,
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Instant(#[serde(deserialize_with = "instant")] DateTime<Utc>);

#[expect(clippy::unnecessary_wraps, reason = "a default is of the field's type")]
const fn once() -> Option<u32> {
    Some(1)
}

const fn yes() -> bool {
    true
}

impl PromoTermsBody {
    pub fn into_terms(self, currency: Currency) -> PromoTerms {
        PromoTerms {
            discount: self.discount.map(|discount| match discount {
                DiscountBody::Rate(rate) => Discount::Rate(rate),
                DiscountBody::Amount(amount) => Discount::Amount(amount),
            }),
            bonus: self.bonus.map(|bonus| Bonus {
                asset: bonus.asset_id,
                tokens: bonus.tokens,
                tokens_max: bonus.tokens_max,
            }),
            from: self.valid_from.map(|at| at.0),
            until: self.valid_until.map(|at| at.0),
            uses_max: self.uses_max,
            uses_per_buyer: self.uses_per_buyer,
            minimum: self.minimum.unwrap_or_else(|| Money::zero(currency)),
            tiers: self.tier_ids,
            active: self.active,
        }
    }
}

impl NewPromoCodeBody {
    pub fn into_wish(self, currency: Currency) -> CreatePromoCode {
        let terms = PromoTermsBody {
            discount: self.discount,
            bonus: self.bonus,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            uses_max: self.uses_max,
            uses_per_buyer: self.uses_per_buyer,
            minimum: self.minimum,
            tier_ids: self.tier_ids,
            active: self.active,
        };
        CreatePromoCode {
            code: self.code,
            terms: terms.into_terms(currency),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateBody {
    pub code: String,
    /// 1 to 20, each of another tier, all on one chain.
    pub lines: Vec<LineBody>,
}

/// What a code would do to an order of these lines now. It holds nothing and promises nothing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PromoCheckView {
    #[serde(flatten)]
    pub promo: PromoView,
    pub subtotal: Money,
    pub total: Money,
}

impl PromoCheckView {
    /// `None`: no code was asked about.
    pub fn of(quote: &Quote) -> Option<Self> {
        Some(Self {
            promo: PromoView::of(quote)?,
            subtotal: quote.subtotal,
            total: quote.total,
        })
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// 1 to 100, else 25.
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<Cursor>,
    pub active: Option<bool>,
}
