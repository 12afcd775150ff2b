//! Orders, and the reads of screens.

use async_trait::async_trait;
use posx_kernel::{
    Claim, DisputeId, Event, Idempotency as _, IdempotentCall, OrderId, Page, PageRequest, PartyId,
    SiteScope, StoreError, TierId, Timestamp,
};
use posx_ledger::LedgerRepository as _;
use posx_tiers::{ChainAsset, PromoCodeText, Tier};

use super::{FakeStore, FakeTx, State, constraint};
use crate::{
    DisputeFilter, DisputeView, DueOrder, EventView, Lifecycle, NewOrder, Order, OrderFilter, OrderQueries,
    OrderRepository, OrderSummary, OrderView, PlacingFacts, RefundFilter, RefundView, TierFacts, Wallet,
};

impl State {
    fn facts(&self, buyer: PartyId, tiers: &[TierId], promo: Option<&PromoCodeText>) -> PlacingFacts {
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
            promo: promo.and_then(|code| self.promo_facts(code, buyer)),
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
        promo: Option<&PromoCodeText>,
        _: Timestamp,
    ) -> Result<(Claim, PlacingFacts), StoreError> {
        let claim = match call {
            Some(call) => self.work.answers.claim(call).await?,
            None => Claim::New,
        };
        Ok((claim, self.work.facts(buyer, tiers, promo)))
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
        let (refunds, disputes) = (state.refunds_of(id), state.disputes_of(id));
        let view = order.map(|order| OrderView::of(order, state.history(id)));
        Ok(view.map(|view| view.with_returns(refunds, disputes, buyer.is_some())))
    }

    async fn facts(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        tiers: &[TierId],
        promo: Option<&PromoCodeText>,
        _: Timestamp,
    ) -> Result<PlacingFacts, StoreError> {
        let mut sites = self.sites.lock().await;
        Ok(sites.of(scope.site()).facts(buyer, tiers, promo))
    }

    async fn wallets(&self, scope: &SiteScope, party: PartyId) -> Result<Vec<Wallet>, StoreError> {
        Ok(self.sites.lock().await.of(scope.site()).wallets_of(party))
    }

    async fn refunds(
        &self,
        scope: &SiteScope,
        filter: RefundFilter,
        page: PageRequest,
    ) -> Result<Page<RefundView>, StoreError> {
        let mut sites = self.sites.lock().await;
        let rows = sites.of(scope.site()).refund_views(filter);
        Ok(paged(rows, page, |refund| refund.id.as_uuid()))
    }

    async fn disputes(
        &self,
        scope: &SiteScope,
        filter: DisputeFilter,
        page: PageRequest,
    ) -> Result<Page<DisputeView>, StoreError> {
        let mut sites = self.sites.lock().await;
        let rows = sites.of(scope.site()).dispute_views(filter);
        Ok(paged(rows, page, |dispute| dispute.id.as_uuid()))
    }

    async fn dispute(&self, scope: &SiteScope, id: DisputeId) -> Result<Option<DisputeView>, StoreError> {
        let mut sites = self.sites.lock().await;
        let found = sites.of(scope.site()).disputes.get(&id).cloned();
        Ok(found.map(DisputeView::of))
    }
}

fn paged<T>(rows: Vec<T>, page: PageRequest, id: fn(&T) -> uuid::Uuid) -> Page<T> {
    let behind = |row: &T| page.after_id().is_none_or(|after| id(row) < after);
    let rows = rows
        .into_iter()
        .filter(behind)
        .take(usize::from(page.limit()) + 1);
    Page::from_rows(rows.collect(), page, id)
}
