//! Promo codes, and who used them.

use async_trait::async_trait;
use posx_kernel::{OrderId, PartyId, PromoCodeId, StoreError, Timestamp, TokenAmount};
use posx_tiers::{PromoCode, PromoCodeRepository, PromoCodeText, PromoRefusal, PromoUse, PromoUses};

use super::{FakeTx, State, constraint};
use crate::PromoFacts;

/// An order's use of a code; the counters are sums of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoUsage {
    pub code: PromoCodeId,
    pub used: PromoUse,
    pub released_at: Option<Timestamp>,
}

impl State {
    pub(super) fn promo_facts(&self, text: &PromoCodeText, buyer: PartyId) -> Option<PromoFacts> {
        let code = self.promo_codes.values().find(|code| code.code == *text)?;
        Some(PromoFacts {
            code: code.clone(),
            uses: self.promo_uses(code.id, buyer),
        })
    }

    pub fn promo_uses(&self, code: PromoCodeId, buyer: PartyId) -> PromoUses {
        let of_code = |usage: &&PromoUsage| usage.code == code && usage.released_at.is_none();
        let usages: Vec<_> = self.promo_usages.values().filter(of_code).collect();
        let count = |usages: usize| i64::try_from(usages).expect("a few");
        let given = usages.iter().map(|usage| usage.used.bonus.base_units());
        PromoUses {
            used: count(usages.len()),
            bonus_given: TokenAmount::from_base_units(given.sum()),
            by_buyer: count(usages.iter().filter(|usage| usage.used.buyer == buyer).count()),
        }
    }
}

#[async_trait]
impl PromoCodeRepository for FakeTx {
    async fn find(&mut self, id: PromoCodeId) -> Result<Option<PromoCode>, StoreError> {
        Ok(self.work.promo_codes.get(&id).cloned())
    }

    async fn insert(&mut self, code: &PromoCode) -> Result<bool, StoreError> {
        if self.work.promo_codes.values().any(|old| old.code == code.code) {
            return Ok(false);
        }
        self.work.promo_codes.insert(code.id, code.clone());
        Ok(true)
    }

    async fn save(&mut self, code: &PromoCode, seen: i32) -> Result<bool, StoreError> {
        match self.work.promo_codes.get_mut(&code.id) {
            Some(stored) if stored.version == seen => {
                *stored = code.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn count_use(
        &mut self,
        code: &PromoCode,
        used: &PromoUse,
    ) -> Result<Result<(), PromoRefusal>, StoreError> {
        let (terms, before) = (&code.terms, self.work.promo_uses(code.id, used.buyer));
        let reached = |count: i64, limit: Option<u32>| limit.is_some_and(|most| count >= i64::from(most));
        if reached(before.by_buyer, terms.uses_per_buyer) {
            return Ok(Err(PromoRefusal::BuyerLimit));
        }
        let given = before.bonus_given.base_units() + used.bonus.base_units();
        let bonus_max = terms.bonus.and_then(|bonus| bonus.tokens_max);
        let spent = bonus_max.is_some_and(|most| given > most.base_units());
        if spent || reached(before.used, terms.uses_max) {
            return Ok(Err(PromoRefusal::Exhausted));
        }
        if !self.work.orders.contains_key(&used.order) {
            return Err(constraint("promo_code_usages_site_id_order_id_fkey"));
        }
        let own = self.work.promo_usages.get(&used.order);
        if own.is_some_and(|usage| usage.released_at.is_none()) {
            return Err(StoreError::broken("an order's promo code is used already"));
        }
        let usage = PromoUsage {
            code: code.id,
            used: *used,
            released_at: None,
        };
        self.work.promo_usages.insert(used.order, usage);
        Ok(Ok(()))
    }

    async fn give_back(&mut self, order: OrderId, at: Timestamp) -> Result<bool, StoreError> {
        let usage = self.work.promo_usages.get_mut(&order);
        match usage.filter(|usage| usage.released_at.is_none()) {
            Some(usage) => {
                usage.released_at = Some(at);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
