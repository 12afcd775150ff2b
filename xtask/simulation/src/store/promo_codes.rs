//! Promo codes, and the counters of their uses.

use async_trait::async_trait;
use posx_kernel::{OrderId, PartyId, PromoCodeId, StoreError, Timestamp, TokenAmount};
use posx_orders::PromoFacts;
use posx_tiers::{PromoCode, PromoCodeRepository, PromoCodeText, PromoRefusal, PromoUse, PromoUses};

use super::SimTx;
use crate::bugs::Bug;

/// How often a code is used, and what it gave on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PromoCounter {
    pub(crate) used: i64,
    pub(crate) bonus_given: u128,
}

/// One order's use of a code, or that it was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PromoUsage {
    pub(crate) code: PromoCodeId,
    pub(crate) buyer: PartyId,
    pub(crate) bonus: TokenAmount,
    pub(crate) used: bool,
}

impl SimTx {
    /// Without a lock.
    pub(super) fn promo_facts(&self, text: &PromoCodeText, buyer: PartyId) -> Option<PromoFacts> {
        let codes = self.all(|rows| &rows.promo_codes);
        let code = codes.into_iter().find(|code| code.code == *text)?;
        let counter = self
            .get(|rows| &rows.promo_counters, &code.id)
            .unwrap_or_default();
        let by_buyer = self.get(|rows| &rows.promo_held, &(code.id, buyer));
        let uses = PromoUses {
            used: counter.used,
            bonus_given: TokenAmount::from_base_units(counter.bonus_given),
            by_buyer: by_buyer.unwrap_or_default(),
        };
        Some(PromoFacts { code, uses })
    }

    async fn lock_promo(&self, code: PromoCodeId, buyer: PartyId) -> Result<(), StoreError> {
        let key = code.as_uuid().as_u128() ^ buyer.as_uuid().as_u128().rotate_left(1);
        self.lock(("promo_held", key)).await?;
        self.lock(("promo_counter", code.as_uuid().as_u128())).await
    }

    fn count_promo(&mut self, usage: PromoUsage, sign: i64) {
        let held = self.get(|rows| &rows.promo_held, &(usage.code, usage.buyer));
        let counter = self.get(|rows| &rows.promo_counters, &usage.code);
        let counter = counter.unwrap_or_default();
        let bonus = usage.bonus.base_units();
        let next = PromoCounter {
            used: counter.used + sign,
            bonus_given: if sign > 0 {
                counter.bonus_given + bonus
            } else {
                counter.bonus_given.saturating_sub(bonus)
            },
        };
        self.put(
            |rows| &mut rows.promo_held,
            (usage.code, usage.buyer),
            held.unwrap_or_default() + sign,
        );
        self.put(|rows| &mut rows.promo_counters, usage.code, next);
    }
}

#[async_trait]
impl PromoCodeRepository for SimTx {
    async fn find(&mut self, id: PromoCodeId) -> Result<Option<PromoCode>, StoreError> {
        self.step("promo_codes.find").await;
        Ok(self.get(|rows| &rows.promo_codes, &id))
    }

    async fn insert(&mut self, code: &PromoCode) -> Result<bool, StoreError> {
        self.step("promo_codes.insert").await;
        let free = !self
            .all(|rows| &rows.promo_codes)
            .iter()
            .any(|old| old.code == code.code);
        if free {
            self.put(|rows| &mut rows.promo_codes, code.id, code.clone());
        }
        Ok(free)
    }

    async fn save(&mut self, code: &PromoCode, seen: i32) -> Result<bool, StoreError> {
        self.step("promo_codes.save").await;
        self.lock(("promo_code", code.id.as_uuid().as_u128())).await?;
        let stored = self.get(|rows| &rows.promo_codes, &code.id);
        let fits = stored.is_some_and(|stored| stored.version == seen);
        if fits {
            self.put(|rows| &mut rows.promo_codes, code.id, code.clone());
        }
        Ok(fits)
    }

    async fn count_use(
        &mut self,
        code: &PromoCode,
        used: &PromoUse,
    ) -> Result<Result<(), PromoRefusal>, StoreError> {
        self.step("promo_codes.count_use").await;
        if self.planted(Bug::PromoUsesLookedAtOnly) {
            // The first look was enough for it.
            self.note_use(code, used);
            return Ok(Ok(()));
        }
        self.lock_promo(code.id, used.buyer).await?;
        let facts = self.promo_facts(&code.code, used.buyer);
        let (counts, terms) = (facts.map(|facts| facts.uses).unwrap_or_default(), &code.terms);
        if terms
            .uses_per_buyer
            .is_some_and(|most| counts.by_buyer >= i64::from(most))
        {
            return Ok(Err(PromoRefusal::BuyerLimit));
        }
        let given = counts.bonus_given.base_units() + used.bonus.base_units();
        let most = terms.bonus.and_then(|bonus| bonus.tokens_max);
        if terms.uses_max.is_some_and(|most| counts.used >= i64::from(most))
            || most.is_some_and(|most| given > most.base_units())
        {
            return Ok(Err(PromoRefusal::Exhausted));
        }
        if self
            .get(|rows| &rows.promo_usages, &used.order)
            .is_some_and(|usage| usage.used)
        {
            return Err(StoreError::broken("an order's promo code is used already"));
        }
        self.note_use(code, used);
        Ok(Ok(()))
    }

    async fn give_back(&mut self, order: OrderId, _: Timestamp) -> Result<bool, StoreError> {
        self.step("promo_codes.give_back").await;
        let Some(usage) = self.get(|rows| &rows.promo_usages, &order) else {
            return Ok(false);
        };
        self.lock_promo(usage.code, usage.buyer).await?;
        let usage = self.get(|rows| &rows.promo_usages, &order);
        let Some(usage) = usage.filter(|usage| usage.used) else {
            return Ok(false);
        };
        if !self.planted(Bug::PromoUseNotGivenBack) {
            self.count_promo(usage, -1);
        }
        let released = PromoUsage { used: false, ..usage };
        self.put(|rows| &mut rows.promo_usages, order, released);
        Ok(true)
    }
}

impl SimTx {
    fn note_use(&mut self, code: &PromoCode, used: &PromoUse) {
        let usage = PromoUsage {
            code: code.id,
            buyer: used.buyer,
            bonus: used.bonus,
            used: true,
        };
        self.count_promo(usage, 1);
        self.put(|rows| &mut rows.promo_usages, used.order, usage);
    }
}
