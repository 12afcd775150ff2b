//! Orders, and the reads of screens.

use async_trait::async_trait;
use posx_kernel::{
    Claim, Event, Idempotency as _, IdempotentCall, OrderId, Page, PageRequest, PartyId, SiteScope,
    StoreError, TierId, Timestamp,
};
use posx_ledger::LedgerRepository as _;
use posx_tiers::{ChainAsset, Tier};

use super::{FakeStore, FakeTx, State, constraint};
use crate::{
    DueOrder, EventView, Lifecycle, NewOrder, Order, OrderFilter, OrderQueries, OrderRepository,
    OrderSummary, OrderView, PlacingFacts, TierFacts, Wallet,
};

impl State {
    fn facts(&self, buyer: PartyId, tiers: &[TierId]) -> PlacingFacts {
        let wanted = self.tiers.values().filter(|(tier, _)| tiers.contains(&tier.id));
        let facts = |(tier, asset): &(Tier, ChainAsset)| TierFacts {
            available: self.stock[&tier.id].available(),
            tier: tier.clone(),
            asset: asset.clone(),
        };
        PlacingFacts {
            tiers: wanted.map(facts).collect(),
            wallets: self.wallets_of(buyer),
            plan_snapshot: self.plan_snapshot.clone(),
        }
    }

    pub(super) fn wallets_of(&self, party: PartyId) -> Vec<Wallet> {
        let own = self.wallets.iter().filter(|(of, _)| *of == party);
        own.map(|(_, wallet)| wallet.clone()).collect()
    }

    /// Oldest first.
    fn history(&self, order: OrderId) -> Vec<EventView> {
        let own = self
            .events
            .iter()
            .filter(|event| event.subject == order.as_uuid());
        let view = |event: &Event| EventView {
            kind: event.kind.to_owned(),
            at: event.at,
            payload: event.payload.clone(),
        };
        own.map(view).collect()
    }
}

#[async_trait]
impl OrderRepository for FakeTx {
    async fn begin_placing(
        &mut self,
        call: Option<&IdempotentCall>,
        buyer: PartyId,
        tiers: &[TierId],
    ) -> Result<(Claim, PlacingFacts), StoreError> {
        let claim = match call {
            Some(call) => self.work.answers.claim(call).await?,
            None => Claim::New,
        };
        Ok((claim, self.work.facts(buyer, tiers)))
    }

    async fn insert(&mut self, new: NewOrder<'_>) -> Result<(), StoreError> {
        if self.work.orders.contains_key(&new.order.id) {
            return Err(constraint("orders_pkey"));
        }
        self.work.orders.insert(new.order.id, new.order.clone());
        self.work.events.extend(new.events.iter().cloned());
        for entry in new.entries {
            self.post(entry).await?;
        }
        match new.answer {
            Some((call, answer)) => self.work.answers.store(call, answer).await,
            None => Ok(()),
        }
    }

    async fn for_update(&mut self, id: OrderId) -> Result<Option<Order>, StoreError> {
        Ok(self.work.orders.get(&id).cloned())
    }

    async fn save(&mut self, order: &Order) -> Result<(), StoreError> {
        match self.work.orders.get_mut(&order.id) {
            Some(stored) => {
                *stored = order.clone();
                Ok(())
            }
            None => Err(StoreError::broken("an order that was read is gone")),
        }
    }

    async fn due(
        &mut self,
        now: Timestamp,
        after: Option<DueOrder>,
        limit: u16,
    ) -> Result<Vec<DueOrder>, StoreError> {
        let mut due: Vec<_> = self
            .work
            .orders
            .values()
            .filter(|order| order.lifecycle == Lifecycle::Placed && order.expires_at <= now)
            .map(|order| DueOrder {
                expires_at: order.expires_at,
                order: order.id,
            })
            .filter(|due| Some(*due) > after)
            .collect();
        due.sort_unstable();
        due.truncate(usize::from(limit));
        Ok(due)
    }
}

fn passes(order: &Order, filter: OrderFilter) -> bool {
    filter.buyer.is_none_or(|buyer| buyer == order.buyer)
        && filter
            .lifecycle
            .is_none_or(|lifecycle| lifecycle == order.lifecycle)
        && filter.payment.is_none_or(|payment| payment == order.payment())
        && (!filter.attention || order.attention.is_some())
}

fn summary(order: &Order) -> OrderSummary {
    OrderSummary {
        id: order.id,
        number: order.number.to_string(),
        kind: order.kind,
        buyer_id: order.buyer,
        lifecycle: order.lifecycle,
        payment: order.payment(),
        delivery: order.delivery,
        attention: order.attention.clone(),
        total: order.total,
        placed_at: order.placed_at,
        paid_at: order.paid_at,
    }
}

#[async_trait]
impl OrderQueries for FakeStore {
    async fn list(
        &self,
        scope: &SiteScope,
        filter: OrderFilter,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        let mut sites = self.sites.lock().await;
        let behind = |order: &&Order| page.after_id().is_none_or(|after| order.id.as_uuid() < after);
        let orders = sites.of(scope.site()).orders.values().rev();
        let rows = orders
            .filter(behind)
            .filter(|order| passes(order, filter))
            .map(summary)
            .take(usize::from(page.limit()) + 1)
            .collect();
        Ok(Page::from_rows(rows, page, |order: &OrderSummary| {
            order.id.as_uuid()
        }))
    }

    async fn get(
        &self,
        scope: &SiteScope,
        id: OrderId,
        buyer: Option<PartyId>,
    ) -> Result<Option<OrderView>, StoreError> {
        let mut sites = self.sites.lock().await;
        let state = sites.of(scope.site());
        let order = state
            .orders
            .get(&id)
            .filter(|order| buyer.is_none_or(|buyer| buyer == order.buyer));
        Ok(order.map(|order| OrderView::of(order, state.history(id))))
    }

    async fn facts(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        tiers: &[TierId],
    ) -> Result<PlacingFacts, StoreError> {
        Ok(self.sites.lock().await.of(scope.site()).facts(buyer, tiers))
    }

    async fn wallets(&self, scope: &SiteScope, party: PartyId) -> Result<Vec<Wallet>, StoreError> {
        Ok(self.sites.lock().await.of(scope.site()).wallets_of(party))
    }
}
