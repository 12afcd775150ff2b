//! Allocations and batches, and orders as this context reads them.

use async_trait::async_trait;
use posx_allocations::{
    Allocation, AllocationRepository, AllocationState, AllocationsTx, BatchRepository, CustodyAsset,
    DeliveredOrders, Delivery, ExternalIds, LineToDeliver, OrderToDeliver, Restock, StateName,
    TokenSettlement, VestingRepository,
};
use posx_kernel::{AllocationId, ChainAssetId, Money, OrderId, Outbox, StoreError, Timestamp, TokenAmount};
use posx_orders::{Lifecycle, Order, Refund, RefundOrigin};
use posx_tiers::StockRepository;

use super::SimTx;
use crate::bugs::Bug;

impl AllocationsTx for SimTx {
    fn allocations(&mut self) -> &mut dyn AllocationRepository {
        self
    }
    fn batches(&mut self) -> &mut dyn BatchRepository {
        self
    }
    fn delivered_orders(&mut self) -> &mut dyn DeliveredOrders {
        self
    }
    fn external_ids(&mut self) -> &mut dyn ExternalIds {
        self
    }
    fn vesting(&mut self) -> &mut dyn VestingRepository {
        self
    }
    fn stock(&mut self) -> &mut dyn StockRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl ExternalIds for SimTx {
    async fn claim(&mut self, _: &str, external_id: &str) -> Result<bool, StoreError> {
        self.step("external_ids.claim").await;
        Ok(self.claim_external(external_id))
    }
}

impl SimTx {
    fn to_deliver(&self, order: &Order) -> OrderToDeliver {
        let unit = |tier| {
            let tier = self.get(|rows| &rows.tiers, &tier);
            tier.and_then(|tier| tier.tokens_for(1).ok())
                .unwrap_or(TokenAmount::ZERO)
        };
        let line = |line: &posx_orders::Line| LineToDeliver {
            line: line.id,
            tier: line.tier,
            quantity: line.quantity,
            counted_per_buyer: line.counted_per_buyer,
            unit_tokens: unit(line.tier),
            asset: line.asset,
            tokens: line.tokens,
            vesting: self.vesting_of(line.tier, order.placed_at),
        };
        let stays_sold = |refund: &Refund| {
            refund.order == order.id
                && refund.origin != RefundOrigin::Automatic
                && refund.restock == posx_orders::Restock::None
                && refund.state.counts()
        };
        let refunds = self.all(|rows| &rows.refunds);
        let not_restocked = refunds
            .iter()
            .filter(|refund| stays_sold(refund))
            .map(|refund| refund.amount.minor())
            .sum();
        OrderToDeliver {
            order: order.id,
            buyer: order.buyer,
            address: Some(order.wallet.as_str().to_owned()),
            wallet_usable_from: order.wallet_usable_from,
            paid: matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled),
            total: order.total,
            returned: order.returned,
            not_restocked: Money::from_minor(not_restocked, order.currency()),
            disputed: order.disputed,
            lines: order.lines.iter().map(line).collect(),
        }
    }
}

#[async_trait]
impl DeliveredOrders for SimTx {
    async fn for_update(&mut self, order: OrderId) -> Result<Option<OrderToDeliver>, StoreError> {
        self.step("delivered_orders.for_update").await;
        if !self.planted(Bug::DeliveryDerivedWithoutLock) {
            self.lock_order(order).await?;
        }
        let found = self.get(|rows| &rows.orders, &order);
        Ok(found.map(|order| self.to_deliver(&order)))
    }

    async fn disputed(&mut self, orders: &[OrderId]) -> Result<Vec<OrderId>, StoreError> {
        self.step("delivered_orders.disputed").await;
        let disputed = |id: &OrderId| {
            self.get(|rows| &rows.orders, id)
                .is_some_and(|order| order.disputed)
        };
        Ok(orders.iter().copied().filter(disputed).collect())
    }

    async fn restocks(&mut self, order: OrderId) -> Result<Vec<Restock>, StoreError> {
        self.step("delivered_orders.restocks").await;
        let Some(order) = self.get(|rows| &rows.orders, &order) else {
            return Ok(Vec::new());
        };
        if self.planted(Bug::RestockForgotten) {
            return Ok(Vec::new());
        }
        let restock = |line: &posx_orders::Line| self.get(|rows| &rows.restocks, &line.id);
        Ok(order.lines.iter().filter_map(restock).collect())
    }

    async fn save_restock(&mut self, restock: &Restock) -> Result<(), StoreError> {
        self.step("delivered_orders.save_restock").await;
        self.put(|rows| &mut rows.restocks, restock.line, *restock);
        Ok(())
    }

    async fn set_delivery(
        &mut self,
        order: OrderId,
        delivery: Delivery,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        self.step("delivered_orders.set_delivery").await;
        if !self.planted(Bug::DeliveryDerivedWithoutLock) {
            self.lock_order(order).await?;
        }
        let Some(mut row) = self.get(|rows| &rows.orders, &order) else {
            return Err(StoreError::broken("an order that was read is gone"));
        };
        if let Some(delivery) = posx_orders::Delivery::from_name(delivery.as_str()) {
            row.delivery = delivery;
        }
        if delivery == Delivery::Done && row.lifecycle == Lifecycle::Confirmed {
            row.lifecycle = Lifecycle::Fulfilled;
        }
        self.put(|rows| &mut rows.orders, order, row);
        Ok(())
    }

    async fn flag(&mut self, order: OrderId, why: &str) -> Result<(), StoreError> {
        self.step("delivered_orders.flag").await;
        self.lock_order(order).await?;
        if let Some(mut row) = self.get(|rows| &rows.orders, &order) {
            row.attention.get_or_insert_with(|| why.to_owned());
            self.put(|rows| &mut rows.orders, order, row);
        }
        Ok(())
    }
}

impl SimTx {
    async fn lock_allocation(&self, id: AllocationId) -> Result<(), StoreError> {
        self.lock(("allocation", id.as_uuid().as_u128())).await
    }
}

#[async_trait]
impl AllocationRepository for SimTx {
    async fn for_update(&mut self, id: AllocationId) -> Result<Option<Allocation>, StoreError> {
        self.step("allocations.for_update").await;
        self.lock_allocation(id).await?;
        Ok(self.get(|rows| &rows.allocations, &id))
    }

    async fn for_update_many(&mut self, ids: &[AllocationId]) -> Result<Vec<Allocation>, StoreError> {
        self.step("allocations.for_update_many").await;
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let mut found = Vec::new();
        for id in ids {
            self.lock_allocation(id).await?;
            found.extend(self.get(|rows| &rows.allocations, &id));
        }
        Ok(found)
    }

    async fn by_provider_id(&mut self, provider_id: &str) -> Result<Option<AllocationId>, StoreError> {
        self.step("allocations.by_provider_id").await;
        let theirs = |allocation: &Allocation| allocation.state.provider_id() == Some(provider_id);
        let found = self.all(|rows| &rows.allocations).into_iter().find(theirs);
        Ok(found.map(|allocation| allocation.id))
    }

    async fn order_of(&mut self, id: AllocationId) -> Result<Option<OrderId>, StoreError> {
        self.step("allocations.order_of").await;
        Ok(self
            .get(|rows| &rows.allocations, &id)
            .map(|allocation| allocation.order))
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Allocation>, StoreError> {
        self.step("allocations.of_order").await;
        let all = self.all(|rows| &rows.allocations);
        let mut found = Vec::new();
        for allocation in all.iter().filter(|allocation| allocation.order == order) {
            self.lock_allocation(allocation.id).await?;
            found.extend(self.get(|rows| &rows.allocations, &allocation.id));
        }
        Ok(if self.planted(Bug::LineAllocatedTwice) {
            Vec::new()
        } else {
            found
        })
    }

    async fn insert_new(&mut self, allocations: &[Allocation]) -> Result<Vec<AllocationId>, StoreError> {
        self.step("allocations.insert_new").await;
        let mut made = Vec::new();
        for new in allocations {
            let unguarded = self.planted(Bug::LineAllocatedTwice);
            if !unguarded {
                self.lock(("allocation_line", new.line.as_uuid().as_u128()))
                    .await?;
            }
            let taken = self
                .all(|rows| &rows.allocations)
                .iter()
                .any(|old| (old.line, old.part) == (new.line, new.part));
            if unguarded || !taken {
                self.put(|rows| &mut rows.allocations, new.id, new.clone());
                made.push(new.id);
            }
        }
        Ok(made)
    }

    async fn save(&mut self, allocations: &[Allocation]) -> Result<(), StoreError> {
        self.step("allocations.save").await;
        for allocation in allocations {
            self.lock_allocation(allocation.id).await?;
            let mut row = allocation.clone();
            if self.planted(Bug::DebtSettledTwice)
                && let Some(stored) = self.get(|rows| &rows.allocations, &allocation.id)
            {
                (row.received, row.waived) = (stored.received, stored.waived);
            }
            if self.planted(Bug::TryNotStored) && row.state == AllocationState::Unknown {
                // The name of the try is only in memory, and the next run makes another.
                row.state = AllocationState::Queued;
            }
            self.put(|rows| &mut rows.allocations, allocation.id, row);
        }
        Ok(())
    }

    async fn states_of_order(&mut self, order: OrderId) -> Result<Vec<StateName>, StoreError> {
        self.step("allocations.states_of_order").await;
        let allocations = self.all(|rows| &rows.allocations);
        let of_order = allocations.iter().filter(|allocation| allocation.order == order);
        let ahead = self
            .releases_of(order)
            .into_iter()
            .filter(|release| !release.left().is_zero());
        let states = of_order.map(|allocation| allocation.state.name());
        Ok(states.chain(ahead.map(|_| StateName::Pending)).collect())
    }

    async fn insert_settlement(&mut self, settlement: &TokenSettlement) -> Result<bool, StoreError> {
        self.step("allocations.insert_settlement").await;
        if let Some(transaction) = settlement.transaction() {
            // Settlements of one debt wait for each other, and a name here says which debt it is of.
            let others = self.all(|rows| &rows.token_settlements);
            if others
                .iter()
                .any(|other| other.transaction().as_ref() == Some(&transaction))
            {
                return Ok(false);
            }
        }
        self.put(
            |rows| &mut rows.token_settlements,
            settlement.id,
            settlement.clone(),
        );
        Ok(true)
    }

    async fn stuck(&mut self, before: Timestamp, limit: u16) -> Result<Vec<AllocationId>, StoreError> {
        self.step("allocations.stuck").await;
        let on_its_way = StateName::Unknown.rank()..=StateName::Confirming.rank();
        let mut stuck = self.all(|rows| &rows.allocations);
        stuck.retain(|allocation| {
            on_its_way.contains(&allocation.state.name().rank()) && allocation.updated_at < before
        });
        stuck.sort_by_key(|allocation| (allocation.updated_at, allocation.id));
        stuck.truncate(usize::from(limit));
        Ok(stuck.into_iter().map(|allocation| allocation.id).collect())
    }

    async fn custody_asset(&mut self, id: ChainAssetId) -> Result<Option<CustodyAsset>, StoreError> {
        self.step("allocations.custody_asset").await;
        let asset = self.get(|rows| &rows.assets, &id);
        Ok(asset.map(|asset| CustodyAsset {
            provider_asset: asset.provider_asset,
            vault: asset.vault,
            decimals: asset.decimals,
        }))
    }
}
