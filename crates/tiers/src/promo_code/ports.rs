//! What promo codes ask of storage, and how they are shown.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    ChainAssetId, Money, OrderId, Page, PageRequest, PartyId, PromoCodeId, Rate, SiteScope, StoreError,
    TierId, Timestamp, TokenAmount,
};
use serde::Serialize;

use super::{Discount, PromoCode, PromoKind, PromoRefusal, PromoUse, PromoUses};

#[async_trait]
pub trait PromoCodeRepository: Send {
    async fn find(&mut self, id: PromoCodeId) -> Result<Option<PromoCode>, StoreError>;
    /// False: the site has this code already.
    async fn insert(&mut self, code: &PromoCode) -> Result<bool, StoreError>;
    /// Stores the code if the stored version is still `seen`. False: it is not, and nothing is stored.
    async fn save(&mut self, code: &PromoCode, seen: i32) -> Result<bool, StoreError>;
    /// Counts the order's use within the code's limits and notes it, in one guarded statement; a use that was given back is
    /// taken again. The code's counter is a contended row: only the stock is touched after it. After a refusal the
    /// transaction is only good for dropping.
    async fn count_use(
        &mut self,
        code: &PromoCode,
        used: &PromoUse,
    ) -> Result<Result<(), PromoRefusal>, StoreError>;
    /// Gives the order's use back, in one statement. False: there is none, or it was given back before.
    async fn give_back(&mut self, order: OrderId, at: Timestamp) -> Result<bool, StoreError>;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscountView {
    /// Of what the lines cost that the code is for.
    Rate(Rate),
    Amount(Money),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BonusView {
    pub asset_id: ChainAssetId,
    /// Base units, once an order.
    pub tokens: TokenAmount,
    /// What all orders together get at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_max: Option<TokenAmount>,
}

/// A code as staff see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromoCodeView {
    pub id: PromoCodeId,
    pub code: String,
    pub kind: PromoKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<DiscountView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bonus: Option<BonusView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DateTime<Utc>>,
    /// Exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses_per_buyer: Option<u32>,
    pub minimum: Money,
    /// All tiers when empty.
    pub tier_ids: Vec<TierId>,
    pub active: bool,
    pub version: i32,
    /// Uses that were not given back.
    pub used: i64,
    /// Bonus tokens of those uses, in base units.
    pub bonus_given: TokenAmount,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl PromoCodeView {
    pub fn of(code: PromoCode, uses: PromoUses) -> Self {
        let terms = code.terms;
        Self {
            id: code.id,
            code: code.code.as_str().to_owned(),
            kind: terms.kind(),
            discount: terms.discount.map(|discount| match discount {
                Discount::Rate(rate) => DiscountView::Rate(rate),
                Discount::Amount(amount) => DiscountView::Amount(amount),
            }),
            bonus: terms.bonus.map(|bonus| BonusView {
                asset_id: bonus.asset,
                tokens: bonus.tokens,
                tokens_max: bonus.tokens_max,
            }),
            valid_from: terms.from,
            valid_until: terms.until,
            uses_max: terms.uses_max,
            uses_per_buyer: terms.uses_per_buyer,
            minimum: terms.minimum,
            tier_ids: terms.tiers,
            active: terms.active,
            version: code.version,
            used: uses.used,
            bonus_given: uses.bonus_given,
            created_at: code.created_at,
            updated_at: code.updated_at,
        }
    }
}

/// An order that a code was applied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromoUsageView {
    pub order_id: OrderId,
    pub order_number: String,
    pub buyer_id: PartyId,
    pub discount: Money,
    pub bonus_tokens: TokenAmount,
    /// `used`, or `released` when the order lapsed or was cancelled.
    pub state: String,
    pub used_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<DateTime<Utc>>,
}

/// What came of a code. Discount, tokens and sales are those of paid orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromoCodeTotals {
    /// Uses that were not given back, of placed and of paid orders.
    pub used: i64,
    pub released: i64,
    pub paid_orders: i64,
    pub discount: Money,
    pub bonus_tokens: TokenAmount,
    /// What the paid orders cost, after the discount.
    pub sales: Money,
    /// What of that went back.
    pub returned: Money,
}

#[async_trait]
pub trait PromoCodeQueries: Send + Sync {
    /// Newest first.
    async fn list(
        &self,
        scope: &SiteScope,
        active: Option<bool>,
        page: PageRequest,
    ) -> Result<Page<PromoCodeView>, StoreError>;
    async fn get(&self, scope: &SiteScope, id: PromoCodeId) -> Result<Option<PromoCodeView>, StoreError>;
    /// Newest first.
    async fn usages(
        &self,
        scope: &SiteScope,
        id: PromoCodeId,
        page: PageRequest,
    ) -> Result<Page<PromoUsageView>, StoreError>;
    async fn totals(&self, scope: &SiteScope, id: PromoCodeId)
    -> Result<Option<PromoCodeTotals>, StoreError>;
}
