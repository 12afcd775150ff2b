//! What this context asks of storage.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    ChainAssetId, IdempotentTx, IdentityId, Money, MovementId, OrderId, Outbox, PartyId, SiteScope,
    StoreError, TierId, Timestamp, TokenAmount,
};
use posx_ledger::LedgerTx;
use serde::Serialize;

use crate::{Availability, Chain, ChainAsset, PromoCodeRepository, Stock, Tier};

/// Why an asset is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetRefusal {
    /// The site has this chain and symbol already.
    Taken,
    /// The platform has not given the vault to the site: it may be another's, or nobody's.
    ForeignVault,
}

#[async_trait]
pub trait AssetRepository: Send {
    async fn find(&mut self, id: ChainAssetId) -> Result<Option<ChainAsset>, StoreError>;
    /// After a refusal the transaction is of no more use.
    async fn insert(&mut self, asset: &ChainAsset) -> Result<Result<(), AssetRefusal>, StoreError>;
}

#[async_trait]
pub trait TierRepository: Send {
    async fn find(&mut self, id: TierId) -> Result<Option<Tier>, StoreError>;
    /// Each with its asset, in one round trip and in no given order; what is not there is left out.
    async fn find_many(&mut self, ids: &[TierId]) -> Result<Vec<(Tier, ChainAsset)>, StoreError>;
    /// Stores the tier and its stock row (`supply`, nothing reserved or sold) with the movement that made it.
    async fn insert(
        &mut self,
        tier: &Tier,
        supply: i64,
        movement: MovementId,
        actor: Option<IdentityId>,
    ) -> Result<(), StoreError>;
    /// Stores the tier if the stored version is still `seen`. False: it is not, and nothing is stored.
    async fn save(&mut self, tier: &Tier, seen: i32) -> Result<bool, StoreError>;
}

/// One guarded change of a tier's counters, and the movement that records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockChange {
    /// free → reserved
    Reserve,
    /// reserved → free
    Release,
    /// reserved → sold
    Sell,
    /// free → sold: money that came after the reservation had lapsed.
    SellFree,
    /// sold → free: its money went back before it was delivered.
    Unsell,
    /// supply ± with a reason
    Correct { reason: String, actor: IdentityId },
}

/// Why a guarded change did not happen. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockRefusal {
    NoSuchTier,
    /// Fewer are left than asked for.
    NotEnough {
        available: i64,
    },
    /// The buyer would hold more than the tier allows one buyer.
    BuyerLimit,
}

/// One movement: which tier, how many, for which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMove {
    pub id: MovementId,
    pub tier: TierId,
    /// Units; negative only for a correction downwards.
    pub quantity: i64,
    pub order: Option<OrderId>,
    pub at: Timestamp,
}

/// The contended row. Each call is one guarded statement: call it last before the commit.
#[async_trait]
pub trait StockRepository: Send {
    async fn change(
        &mut self,
        movement: &StockMove,
        change: &StockChange,
    ) -> Result<Result<Stock, StockRefusal>, StoreError>;
    /// Counts `quantity` more (or fewer, when negative) for the buyer, if it stays within `limit`.
    async fn count_for_buyer(
        &mut self,
        tier: TierId,
        buyer: PartyId,
        quantity: i64,
        limit: Option<u32>,
    ) -> Result<Result<(), StockRefusal>, StoreError>;
}

/// A transaction in which tiers and their stock can be changed.
pub trait TiersTx: LedgerTx + IdempotentTx {
    fn assets(&mut self) -> &mut dyn AssetRepository;
    fn tiers(&mut self) -> &mut dyn TierRepository;
    fn stock(&mut self) -> &mut dyn StockRepository;
    fn promo_codes(&mut self) -> &mut dyn PromoCodeRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromotionView {
    pub price: Money,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StockView {
    pub supply: i64,
    pub reserved: i64,
    pub sold: i64,
    pub available: i64,
}

/// A tier as it is shown. Buyers see `availability`; the counters are for staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TierView {
    pub id: TierId,
    pub name: String,
    pub description: String,
    pub chain: Chain,
    pub symbol: String,
    pub asset_id: ChainAssetId,
    pub decimals: u8,
    pub list_price: Money,
    /// What a unit costs now: the promotional price inside its window.
    pub price: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionView>,
    pub tokens_per_unit: TokenAmount,
    pub bonus_per_unit: TokenAmount,
    pub max_per_order: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_buyer: Option<u32>,
    pub availability: Availability,
    pub active: bool,
    pub position: i32,
    pub version: i32,
    /// Present for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<StockView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AssetView {
    pub id: ChainAssetId,
    pub chain: Chain,
    pub symbol: String,
    pub decimals: u8,
    pub provider_asset: String,
    pub vault: String,
    pub active: bool,
}

#[async_trait]
pub trait TierQueries: Send + Sync {
    /// In order of position. Buyers get active tiers without counters, staff all of them with counters.
    async fn tiers(
        &self,
        scope: &SiteScope,
        staff: bool,
        now: Timestamp,
    ) -> Result<Vec<TierView>, StoreError>;
    async fn tier(
        &self,
        scope: &SiteScope,
        id: TierId,
        staff: bool,
        now: Timestamp,
    ) -> Result<Option<TierView>, StoreError>;
    async fn assets(&self, scope: &SiteScope) -> Result<Vec<AssetView>, StoreError>;
    async fn asset(&self, scope: &SiteScope, id: ChainAssetId) -> Result<Option<AssetView>, StoreError>;
}
