//! What staff do with promo codes.

use std::sync::Arc;

use posx_kernel::{
    Begin, Clock, Currency, Event, IdempotentCall, Ids, Made, PromoCodeId, SiteScope, Timestamp, changes,
    made_before_in_tx, remember_in_tx,
};
use serde_json::{Value, json};

use super::{Discount, PromoCode, PromoCodeError, PromoCodeText, PromoTerms};
use crate::TiersTx;

/// Use cases of staff.
#[derive(Clone)]
pub struct PromoCodes {
    db: Arc<dyn Begin<dyn TiersTx>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for PromoCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromoCodes").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct CreatePromoCode {
    /// As typed.
    pub code: String,
    pub terms: PromoTerms,
}

impl PromoCodes {
    pub fn new(db: Arc<dyn Begin<dyn TiersTx>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { db, clock, ids }
    }

    /// Amounts must be in `currency`, the site's own.
    pub async fn create(
        &self,
        scope: &SiteScope,
        currency: Currency,
        wish: CreatePromoCode,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PromoCodeId>, PromoCodeError> {
        let now = self.clock.now();
        let code = PromoCode {
            id: PromoCodeId::from_uuid(self.ids.uuid(now)),
            code: PromoCodeText::parse(&wish.code).ok_or(PromoCodeError::Code)?,
            terms: wish.terms,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        check(&code.terms, currency)?;
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PromoCodeError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        look_up_in_tx(tx.as_mut(), &code.terms).await?;
        if !tx.promo_codes().insert(&code).await? {
            return Err(PromoCodeError::Taken);
        }
        let mut created = happened("promo_code.created", &code, now);
        created.payload["terms"] = facts(&code.terms);
        tx.outbox().append(created).await?;
        remember_in_tx(tx.as_mut(), call, &code.id).await?;
        tx.commit().await?;
        Ok(Made::now(code.id))
    }

    /// `seen` is the version that was edited: another one stored is [`PromoCodeError::Stale`]. Orders that are placed keep
    /// what they were given.
    pub async fn edit(
        &self,
        scope: &SiteScope,
        currency: Currency,
        id: PromoCodeId,
        seen: i32,
        terms: PromoTerms,
    ) -> Result<PromoCode, PromoCodeError> {
        check(&terms, currency)?;
        self.change(scope, id, seen, |code| code.terms = terms).await
    }

    /// A code that is not active gives nothing to new orders.
    pub async fn set_active(
        &self,
        scope: &SiteScope,
        id: PromoCodeId,
        seen: i32,
        active: bool,
    ) -> Result<PromoCode, PromoCodeError> {
        self.change(scope, id, seen, |code| code.terms.active = active)
            .await
    }

    async fn change(
        &self,
        scope: &SiteScope,
        id: PromoCodeId,
        seen: i32,
        change: impl FnOnce(&mut PromoCode) + Send,
    ) -> Result<PromoCode, PromoCodeError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let before = tx.promo_codes().find(id).await?.ok_or(PromoCodeError::NotFound)?;
        let mut code = before.clone();
        change(&mut code);
        // An asset that was switched off must not keep a code on that names it.
        let names = |terms: &PromoTerms| (terms.bonus, terms.tiers.clone());
        if code.terms.active || names(&code.terms) != names(&before.terms) {
            look_up_in_tx(tx.as_mut(), &code.terms).await?;
        }
        code.version = seen.checked_add(1).ok_or(PromoCodeError::Stale)?;
        code.updated_at = now;
        if !tx.promo_codes().save(&code, seen).await? {
            return Err(PromoCodeError::Stale);
        }
        let mut edited = happened("promo_code.edited", &code, now);
        edited.payload["changes"] = changes(&facts(&before.terms), &facts(&code.terms));
        tx.outbox().append(edited).await?;
        tx.commit().await?;
        Ok(code)
    }
}

fn check(terms: &PromoTerms, currency: Currency) -> Result<(), PromoCodeError> {
    if terms.currency() != currency {
        return Err(PromoCodeError::Currency(currency.code()));
    }
    terms.check()
}

/// What the code names is there, in this site.
async fn look_up_in_tx(tx: &mut dyn TiersTx, terms: &PromoTerms) -> Result<(), PromoCodeError> {
    if let Some(bonus) = terms.bonus {
        match tx.assets().find(bonus.asset).await? {
            None => return Err(PromoCodeError::UnknownAsset),
            Some(asset) if !asset.active => return Err(PromoCodeError::InactiveAsset),
            Some(_) => {}
        }
    }
    if terms.tiers.is_empty() {
        return Ok(());
    }
    let found = tx.tiers().find_many(&terms.tiers).await?;
    let is_there = |id| found.iter().any(|(tier, _)| tier.id == id);
    match terms.tiers.iter().position(|id| !is_there(*id)) {
        Some(at) => Err(PromoCodeError::UnknownTier { at }),
        None => Ok(()),
    }
}

/// What an edit may change, as the history shows it.
fn facts(terms: &PromoTerms) -> Value {
    let (rate, amount) = match terms.discount {
        Some(Discount::Rate(rate)) => (Some(rate), None),
        Some(Discount::Amount(amount)) => (None, Some(amount)),
        None => (None, None),
    };
    let bonus = |bonus: super::Bonus| json!({ "asset_id": bonus.asset, "tokens": bonus.tokens, "tokens_max": bonus.tokens_max });
    json!({
        "rate": rate,
        "amount": amount,
        "bonus": terms.bonus.map(bonus),
        "valid_from": terms.from,
        "valid_until": terms.until,
        "uses_max": terms.uses_max,
        "uses_per_buyer": terms.uses_per_buyer,
        "minimum": terms.minimum,
        "tier_ids": terms.tiers,
        "active": terms.active,
    })
}

fn happened(kind: &'static str, code: &PromoCode, at: Timestamp) -> Event {
    Event {
        kind,
        subject: code.id.as_uuid(),
        payload: json!({ "code": code.code.as_str(), "version": code.version }),
        at,
    }
}
