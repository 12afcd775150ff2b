//! What staff do with tiers and chain assets.

use std::sync::Arc;

use posx_kernel::{
    Begin, ChainAssetId, Clock, Currency, EntryId, Event, IdempotentCall, IdentityId, Ids, Made, Money,
    MovementId, SiteScope, TierId, Timestamp, TokenAmount, changes, made_before_in_tx, remember_in_tx,
};
use posx_ledger::{Account, Entry, EntryKind};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    AssetError, AssetRefusal, Chain, ChainAsset, Promotion, StockChange, StockMove, StockRefusal, Tier,
    TierError, TiersTx,
};

const SUPPLY_MAX: i64 = 1_000_000_000;

/// Use cases of staff.
#[derive(Clone)]
pub struct Tiers {
    db: Arc<dyn Begin<dyn TiersTx>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Tiers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tiers").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct CreateAsset {
    pub chain: Chain,
    pub symbol: String,
    pub decimals: u8,
    pub provider_asset: String,
    pub vault: String,
}

/// What an admin decides about a tier, for creating and editing alike.
#[derive(Debug, Clone)]
pub struct EditTier {
    pub name: String,
    pub description: String,
    pub list_price: Money,
    pub promotion: Option<Promotion>,
    pub max_per_order: u32,
    pub max_per_buyer: Option<u32>,
    pub position: i32,
    pub active: bool,
}

#[derive(Debug, Clone)]
pub struct CreateTier {
    pub terms: EditTier,
    pub asset: ChainAssetId,
    pub tokens_per_unit: TokenAmount,
    pub bonus_per_unit: TokenAmount,
    pub supply: i64,
}

#[derive(Debug, Clone)]
pub struct CorrectSupply {
    pub tier: TierId,
    /// Units more, or fewer when negative.
    pub quantity: i64,
    pub reason: String,
}

impl Tiers {
    pub fn new(db: Arc<dyn Begin<dyn TiersTx>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { db, clock, ids }
    }

    fn id(&self, now: Timestamp) -> Uuid {
        self.ids.uuid(now)
    }

    pub async fn create_asset(
        &self,
        scope: &SiteScope,
        wish: CreateAsset,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<ChainAssetId>, AssetError> {
        let now = self.clock.now();
        let symbol_ok = (1..=16).contains(&wish.symbol.len())
            && wish
                .symbol
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let name_ok = |name: &str| (1..=100).contains(&name.chars().count());
        match () {
            () if !symbol_ok => return Err(AssetError::Symbol),
            () if wish.decimals > TokenAmount::DECIMALS_MAX => return Err(AssetError::Decimals),
            () if !name_ok(&wish.provider_asset) => return Err(AssetError::ProviderAsset),
            () if !name_ok(&wish.vault) => return Err(AssetError::Vault),
            () => {}
        }
        let asset = ChainAsset {
            id: ChainAssetId::from_uuid(self.id(now)),
            chain: wish.chain,
            symbol: wish.symbol,
            decimals: wish.decimals,
            provider_asset: wish.provider_asset,
            vault: wish.vault,
            active: true,
            created_at: now,
        };
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, AssetError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        if let Err(refusal) = tx.assets().insert(&asset).await? {
            return Err(match refusal {
                AssetRefusal::Taken => AssetError::Taken {
                    chain: asset.chain.as_str(),
                    symbol: asset.symbol,
                },
                AssetRefusal::ForeignVault => AssetError::ForeignVault,
            });
        }
        tx.outbox()
            .append(Event {
                kind: "chain_asset.created",
                subject: asset.id.as_uuid(),
                payload: json!({ "chain": asset.chain.as_str(), "symbol": asset.symbol }),
                at: now,
            })
            .await?;
        remember_in_tx(tx.as_mut(), call, &asset.id).await?;
        tx.commit().await?;
        Ok(Made::now(asset.id))
    }

    /// Prices must be in `currency`, the site's own.
    pub async fn create(
        &self,
        scope: &SiteScope,
        currency: Currency,
        wish: CreateTier,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<TierId>, TierError> {
        let now = self.clock.now();
        let terms = wish.terms;
        let tier = Tier {
            id: TierId::from_uuid(self.id(now)),
            name: terms.name,
            description: terms.description,
            asset: wish.asset,
            list_price: terms.list_price,
            promotion: terms.promotion,
            tokens_per_unit: wish.tokens_per_unit,
            bonus_per_unit: wish.bonus_per_unit,
            max_per_order: terms.max_per_order,
            max_per_buyer: terms.max_per_buyer,
            active: terms.active,
            position: terms.position,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        check_currency(&tier, currency)?;
        tier.check()?;
        if !(0..=SUPPLY_MAX).contains(&wish.supply) {
            return Err(TierError::Supply);
        }
        let issued = self.issued(&tier, wish.supply, tier.id.as_uuid(), now)?;
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, TierError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        match tx.assets().find(tier.asset).await? {
            None => return Err(TierError::UnknownAsset),
            Some(asset) if !asset.active => return Err(TierError::InactiveAsset),
            Some(_) => {}
        }
        tx.tiers()
            .insert(
                &tier,
                wish.supply,
                MovementId::from_uuid(self.id(now)),
                scope.actor().who.identity(),
            )
            .await?;
        tx.ledger().post(&issued).await?;
        tx.outbox().append(happened("tier.created", &tier, now)).await?;
        remember_in_tx(tx.as_mut(), call, &tier.id).await?;
        tx.commit().await?;
        Ok(Made::now(tier.id))
    }

    /// `seen` is the version that the admin edited: another one stored is [`TierError::Stale`].
    pub async fn edit(
        &self,
        scope: &SiteScope,
        currency: Currency,
        id: TierId,
        seen: i32,
        terms: EditTier,
    ) -> Result<Tier, TierError> {
        self.change(scope, id, seen, |tier| {
            tier.name = terms.name;
            tier.description = terms.description;
            tier.list_price = terms.list_price;
            tier.promotion = terms.promotion;
            tier.max_per_order = terms.max_per_order;
            tier.max_per_buyer = terms.max_per_buyer;
            tier.position = terms.position;
            tier.active = terms.active;
            check_currency(tier, currency)
        })
        .await
    }

    /// A tier that is not active is not shown to buyers and takes no new orders; placed ones go on.
    pub async fn set_active(
        &self,
        scope: &SiteScope,
        id: TierId,
        seen: i32,
        active: bool,
    ) -> Result<Tier, TierError> {
        self.change(scope, id, seen, |tier| {
            tier.active = active;
            Ok(())
        })
        .await
    }

    async fn change(
        &self,
        scope: &SiteScope,
        id: TierId,
        seen: i32,
        change: impl FnOnce(&mut Tier) -> Result<(), TierError> + Send,
    ) -> Result<Tier, TierError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let before = tx.tiers().find(id).await?.ok_or(TierError::NotFound)?;
        let mut tier = before.clone();
        change(&mut tier)?;
        tier.check()?;
        tier.version = seen.checked_add(1).ok_or(TierError::Stale)?;
        tier.updated_at = now;
        if !tx.tiers().save(&tier, seen).await? {
            return Err(TierError::Stale);
        }
        let mut edited = happened("tier.edited", &tier, now);
        edited.payload["changes"] = changes(&terms(&before), &terms(&tier));
        tx.outbox().append(edited).await?;
        tx.commit().await?;
        Ok(tier)
    }

    /// Adds to or takes from the supply; what is reserved or sold is never taken.
    pub async fn correct_supply(
        &self,
        scope: &SiteScope,
        actor: IdentityId,
        wish: CorrectSupply,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<MovementId>, TierError> {
        let now = self.clock.now();
        if wish.quantity == 0 {
            return Err(TierError::CorrectionZero);
        }
        if wish.quantity.unsigned_abs() > SUPPLY_MAX.unsigned_abs() {
            return Err(TierError::Supply);
        }
        let reason = wish.reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > 500 {
            return Err(TierError::CorrectionReason);
        }
        let id = MovementId::from_uuid(self.id(now));
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, TierError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let tier = tx.tiers().find(wish.tier).await?.ok_or(TierError::NotFound)?;
        tx.ledger()
            .post(&self.issued(&tier, wish.quantity, id.as_uuid(), now)?)
            .await?;
        tx.outbox()
            .append(happened("tier.supply_corrected", &tier, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        let movement = StockMove {
            id,
            tier: tier.id,
            quantity: wish.quantity,
            order: None,
            at: now,
        };
        match tx
            .stock()
            .change(&movement, &StockChange::Correct { reason, actor })
            .await?
        {
            Ok(stock) if stock.supply > SUPPLY_MAX => return Err(TierError::Supply),
            Ok(_) => {}
            Err(StockRefusal::NotEnough { available }) => {
                return Err(TierError::CorrectionTooLow { available });
            }
            Err(StockRefusal::NoSuchTier | StockRefusal::BuyerLimit) => return Err(TierError::NotFound),
        }
        tx.commit().await?;
        Ok(Made::now(id))
    }

    /// Tokens come into being, or leave, on the site's books.
    fn issued(&self, tier: &Tier, units: i64, cause: Uuid, now: Timestamp) -> Result<Entry, TierError> {
        let per_unit = tier.tokens_for(1).map_err(|_| TierError::TokensPerUnit)?;
        let count = u32::try_from(units.unsigned_abs()).map_err(|_| TierError::Supply)?;
        let tokens = per_unit.checked_mul(count).map_err(|_| TierError::Supply)?;
        let (debit, credit) = (Account::TokensFree, Account::TokensIssued);
        let (debit, credit) = if units < 0 {
            (credit, debit)
        } else {
            (debit, credit)
        };
        let id = EntryId::from_uuid(self.id(now));
        Ok(Entry::of_tokens(
            id,
            EntryKind::TokensIssued,
            cause,
            now,
            tier.asset,
            tokens,
            debit,
            credit,
        ))
    }
}

fn check_currency(tier: &Tier, currency: Currency) -> Result<(), TierError> {
    if tier.list_price.currency() == currency {
        Ok(())
    } else {
        Err(TierError::Currency(currency.code()))
    }
}

/// What an edit may change, as the history shows it.
fn terms(tier: &Tier) -> Value {
    let promotion = tier.promotion.as_ref();
    json!({
        "name": tier.name,
        "description": tier.description,
        "list_price": tier.list_price,
        "promotion": promotion.map(|it| json!({ "price": it.price, "from": it.from, "until": it.until })),
        "max_per_order": tier.max_per_order,
        "max_per_buyer": tier.max_per_buyer,
        "position": tier.position,
        "active": tier.active,
    })
}

fn happened(kind: &'static str, tier: &Tier, at: Timestamp) -> Event {
    Event {
        kind,
        subject: tier.id.as_uuid(),
        payload: json!({ "version": tier.version, "active": tier.active }),
        at,
    }
}
