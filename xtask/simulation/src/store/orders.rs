//! Orders, payment attempts and the binding of referrers.

use async_trait::async_trait;
use posx_kernel::{
    Claim, IdempotentCall, OrderId, PartyId, PaymentAttemptId, StoreError, StoreFault, TierId, Timestamp,
};
use posx_orders::gateway::IntentId;
use posx_orders::{
    Attempt, AttemptRepository, DisputeRepository, DueOrder, Lifecycle, NewOrder, Order, OrderRepository,
    OrdersTx, PlacingFacts, RefundRepository, TierFacts, WalletRepository,
};
use posx_tenancy::{FirstPayment, ReferralRepository};
use posx_tiers::PromoCodeText;

use super::{SimTx, constraint};
use crate::bugs::Bug;

impl OrdersTx for SimTx {
    fn orders(&mut self) -> &mut dyn OrderRepository {
        self
    }
    fn attempts(&mut self) -> &mut dyn AttemptRepository {
        self
    }
    fn refunds(&mut self) -> &mut dyn RefundRepository {
        self
    }
    fn disputes(&mut self) -> &mut dyn DisputeRepository {
        self
    }
    fn wallets(&mut self) -> &mut dyn WalletRepository {
        self
    }
    fn referrals(&mut self) -> &mut dyn ReferralRepository {
        self
    }
}

impl SimTx {
    pub(super) async fn lock_order(&self, id: OrderId) -> Result<(), StoreError> {
        self.lock(("order", id.as_uuid().as_u128())).await
    }

    fn facts(&self, buyer: PartyId, tiers: &[TierId], promo: Option<&PromoCodeText>) -> PlacingFacts {
        let facts = |id: &TierId| {
            let tier = self.get(|rows| &rows.tiers, id)?;
            let asset = self.get(|rows| &rows.assets, &tier.asset)?;
            let available = self.get(|rows| &rows.stock, id)?.available();
            Some(TierFacts {
                tier,
                asset,
                available,
            })
        };
        PlacingFacts {
            tiers: tiers.iter().filter_map(facts).collect(),
            wallets: Vec::new(),
            plan_snapshot: self.db.read(self.site, |rows| rows.plan.clone()),
            promo: promo.and_then(|text| self.promo_facts(text, buyer)),
        }
    }
}

#[async_trait]
impl OrderRepository for SimTx {
    async fn begin_placing(
        &mut self,
        call: Option<&IdempotentCall>,
        buyer: PartyId,
        tiers: &[TierId],
        promo: Option<&PromoCodeText>,
        _: Timestamp,
    ) -> Result<(Claim, PlacingFacts), StoreError> {
        self.step("orders.begin_placing").await;
        let claim = call.map_or(Claim::New, |call| self.claim_now(call));
        Ok((claim, self.facts(buyer, tiers, promo)))
    }

    async fn insert(&mut self, new: NewOrder<'_>) -> Result<(), StoreError> {
        self.step("orders.insert").await;
        if self.get(|rows| &rows.orders, &new.order.id).is_some() {
            return Err(constraint("orders_pkey"));
        }
        self.put(|rows| &mut rows.orders, new.order.id, new.order.clone());
        for event in new.events {
            self.keep(event.clone());
        }
        for entry in new.entries {
            self.book(entry);
        }
        match new.answer {
            Some((call, answer)) => self.store_now(call, answer),
            None => Ok(()),
        }
    }

    async fn for_update(&mut self, id: OrderId) -> Result<Option<Order>, StoreError> {
        self.step("orders.for_update").await;
        if !self.planted(Bug::OrderReadWithoutLock) {
            self.lock_order(id).await?;
        }
        Ok(self.get(|rows| &rows.orders, &id))
    }

    async fn save(&mut self, order: &Order) -> Result<(), StoreError> {
        self.step("orders.save").await;
        if !self.planted(Bug::OrderReadWithoutLock) {
            self.lock_order(order.id).await?;
        }
        // Columns of the deliveries are another context's.
        let mut row = order.clone();
        let Some(stored) = self.get(|rows| &rows.orders, &order.id) else {
            return Err(StoreError::broken("an order that was read is gone"));
        };
        if self.planted(Bug::AttentionOverwritten) {
            row.attention = stored.attention;
        }
        self.put(|rows| &mut rows.orders, order.id, row);
        Ok(())
    }

    async fn due(
        &mut self,
        now: Timestamp,
        after: Option<DueOrder>,
        limit: u16,
    ) -> Result<Vec<DueOrder>, StoreError> {
        self.step("orders.due").await;
        let due = |order: &Order| DueOrder {
            expires_at: order.expires_at,
            order: order.id,
        };
        let orders = self.all(|rows| &rows.orders);
        let mut due: Vec<_> = orders
            .iter()
            .filter(|order| order.lifecycle == Lifecycle::Placed && order.expires_at <= now)
            .map(due)
            .filter(|due| Some(*due) > after)
            .collect();
        due.sort_unstable();
        due.truncate(usize::from(limit));
        Ok(due)
    }
}

#[async_trait]
impl AttemptRepository for SimTx {
    async fn open_of(&mut self, order: OrderId) -> Result<Option<Attempt>, StoreError> {
        self.step("attempts.open_of").await;
        let open = |attempt: &Attempt| attempt.order == order && attempt.state.is_open();
        if self.planted(Bug::OpenAttemptForgotten) {
            return Ok(None);
        }
        Ok(self.all(|rows| &rows.attempts).into_iter().find(open))
    }

    async fn find(&mut self, id: PaymentAttemptId) -> Result<Option<Attempt>, StoreError> {
        self.step("attempts.find").await;
        Ok(self.get(|rows| &rows.attempts, &id))
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Attempt>, StoreError> {
        self.step("attempts.of_order").await;
        let mut attempts = self.all(|rows| &rows.attempts);
        attempts.retain(|attempt| attempt.order == order);
        Ok(attempts)
    }

    async fn by_intent(&mut self, provider: &str, intent: &IntentId) -> Result<Option<Attempt>, StoreError> {
        self.step("attempts.by_intent").await;
        let same = |a: &Attempt| a.provider == provider && a.intent.as_ref() == Some(intent);
        Ok(self.all(|rows| &rows.attempts).into_iter().find(same))
    }

    async fn insert(&mut self, attempt: &Attempt) -> Result<bool, StoreError> {
        self.step("attempts.insert").await;
        if !self.planted(Bug::OpenAttemptForgotten) {
            self.lock(("open_attempt", attempt.order.as_uuid().as_u128()))
                .await?;
            if self.open_of(attempt.order).await?.is_some() {
                return Ok(false);
            }
        }
        self.put(|rows| &mut rows.attempts, attempt.id, attempt.clone());
        Ok(true)
    }

    async fn save(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        self.step("attempts.save").await;
        if !self.planted(Bug::OrderReadWithoutLock) {
            self.lock(("attempt", attempt.id.as_uuid().as_u128())).await?;
        }
        let mut row = attempt.clone();
        if self.planted(Bug::IntentNotStored) {
            row.intent = None;
        }
        self.put(|rows| &mut rows.attempts, attempt.id, row);
        Ok(())
    }

    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Attempt>, StoreError> {
        self.step("attempts.unsettled").await;
        let mut unsettled = self.all(|rows| &rows.attempts);
        unsettled.retain(|attempt| attempt.state.is_open() && attempt.updated_at < before);
        unsettled.sort_by_key(|attempt| attempt.updated_at);
        unsettled.truncate(usize::from(limit));
        Ok(unsettled)
    }

    async fn claim_external_id(&mut self, _: &str, external_id: &str) -> Result<bool, StoreError> {
        self.step("attempts.claim_external_id").await;
        Ok(self.claim_external(external_id))
    }
}

impl SimTx {
    /// False: it is another site's.
    pub(super) fn claim_external(&mut self, external_id: &str) -> bool {
        if self.planted(Bug::ExternalIdNotStored) {
            return true;
        }
        if let Some(site) = self.db.site_of(external_id) {
            return site == self.site;
        }
        self.external_ids.push(external_id.to_owned());
        true
    }
}

#[async_trait]
impl ReferralRepository for SimTx {
    async fn bind(&mut self, payment: FirstPayment) -> Result<Option<PartyId>, StoreError> {
        self.step("referrals.bind").await;
        let claimed = self.get(|rows| &rows.claimed, &payment.party);
        let Some(referrer) = payment.named.or(claimed) else {
            return Ok(None);
        };
        let paid = |order: &Order| {
            order.buyer == payment.party && order.id != payment.order && order.paid_at.is_some()
        };
        let bound = self.get(|rows| &rows.referrals, &payment.party).is_some();
        if bound || self.is_below(referrer, payment.party) || self.all(|rows| &rows.orders).iter().any(paid) {
            return Ok(None);
        }
        self.lock(("referrals", self.site.as_uuid().as_u128())).await?;
        if self.get(|rows| &rows.referrals, &payment.party).is_some() {
            // The party's other order was first.
            return Ok(None);
        }
        if self.is_below(referrer, payment.party) {
            // The other edge came in between: again, it is seen and nothing is bound.
            return Err(StoreError::new(StoreFault::Retry, "referrals_no_cycle"));
        }
        self.put(|rows| &mut rows.referrals, payment.party, (referrer, payment.at));
        Ok(Some(referrer))
    }

    async fn bound_after(&mut self, party: PartyId, at: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.step("referrals.bound_after").await;
        let bound = self.get(|rows| &rows.referrals, &party);
        Ok(bound.map(|(_, since)| since).filter(|since| *since > at))
    }
}

impl SimTx {
    fn is_below(&self, party: PartyId, above: PartyId) -> bool {
        let up = |party: &PartyId| self.get(|rows| &rows.referrals, party).map(|(above, _)| above);
        std::iter::successors(Some(party), up)
            .take(64)
            .any(|one| one == above)
    }
}
