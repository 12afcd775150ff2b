//! Ports that no scene uses: nobody binds wallets or changes plans here, and nobody looks at screens. Who asks is told that there is none; who writes is told that it cannot be.

use async_trait::async_trait;
use posx_commissions::{Plan, PlanRepository};
use posx_kernel::{
    DisputeId, OrderId, Page, PageRequest, PartyId, PlanId, SiteScope, StoreError, TierId, Timestamp,
};
use posx_orders::{
    Bound, DisputeFilter, DisputeView, NewWallet, OrderFilter, OrderQueries, OrderSummary, OrderView,
    PlacingFacts, RefundFilter, RefundView, Wallet, WalletRepository,
};
use posx_tiers::PromoCodeText;

use super::{Db, SimTx};

fn not_here<T>() -> Result<T, StoreError> {
    Err(StoreError::broken("no scene does this"))
}

#[async_trait]
impl WalletRepository for SimTx {
    async fn bind(&mut self, _: PartyId, _: &NewWallet) -> Result<Bound, StoreError> {
        not_here()
    }

    async fn of_party(&mut self, _: PartyId) -> Result<Vec<Wallet>, StoreError> {
        Ok(Vec::new())
    }
}

/// What orders need of a plan is frozen on them.
#[async_trait]
impl PlanRepository for SimTx {
    async fn find(&mut self, _: PlanId) -> Result<Option<Plan>, StoreError> {
        Ok(None)
    }

    async fn in_force(&mut self, _: Timestamp) -> Result<Option<Plan>, StoreError> {
        Ok(None)
    }

    async fn latest_version(&mut self, _: &str) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn insert(&mut self, _: &Plan) -> Result<bool, StoreError> {
        not_here()
    }

    async fn lock_activations(&mut self) -> Result<u32, StoreError> {
        not_here()
    }

    async fn save_window(&mut self, _: &Plan) -> Result<(), StoreError> {
        not_here()
    }
}

#[async_trait]
impl OrderQueries for Db {
    async fn list(
        &self,
        _: &SiteScope,
        _: OrderFilter,
        _: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        not_here()
    }

    async fn get(
        &self,
        _: &SiteScope,
        _: OrderId,
        _: Option<PartyId>,
    ) -> Result<Option<OrderView>, StoreError> {
        not_here()
    }

    async fn facts(
        &self,
        _: &SiteScope,
        _: PartyId,
        _: &[TierId],
        _: Option<&PromoCodeText>,
        _: Timestamp,
    ) -> Result<PlacingFacts, StoreError> {
        not_here()
    }

    async fn wallets(&self, _: &SiteScope, _: PartyId) -> Result<Vec<Wallet>, StoreError> {
        not_here()
    }

    async fn refunds(
        &self,
        _: &SiteScope,
        _: RefundFilter,
        _: PageRequest,
    ) -> Result<Page<RefundView>, StoreError> {
        not_here()
    }

    async fn disputes(
        &self,
        _: &SiteScope,
        _: DisputeFilter,
        _: PageRequest,
    ) -> Result<Page<DisputeView>, StoreError> {
        not_here()
    }

    async fn dispute(&self, _: &SiteScope, _: DisputeId) -> Result<Option<DisputeView>, StoreError> {
        not_here()
    }
}
