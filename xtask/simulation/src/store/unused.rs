//! Ports that no scene uses: nobody binds wallets, has promo codes, changes plans or vests tokens here, and nobody looks at
//! screens. Who asks is told that there is none; who writes is told that it cannot be.

use async_trait::async_trait;
use posx_allocations::{Release, VestingPolicy, VestingRepository, VestingSchedule};
use posx_commissions::{AgentFacts, AgentTerms, Plan, PlanRepository, TermsRepository};
use posx_kernel::{
    DisputeId, OrderId, Page, PageRequest, PartyId, PlanId, PromoCodeId, SiteScope, StoreError, TierId,
    Timestamp, VestingPolicyId, VestingScheduleId,
};
use posx_orders::{
    Bound, DisputeFilter, DisputeView, NewWallet, OrderFilter, OrderQueries, OrderSummary, OrderView,
    PlacingFacts, RefundFilter, RefundView, Wallet, WalletRepository,
};
use posx_tiers::{PromoCode, PromoCodeRepository, PromoCodeText, PromoRefusal, PromoUse};

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

#[async_trait]
impl PromoCodeRepository for SimTx {
    async fn find(&mut self, _: PromoCodeId) -> Result<Option<PromoCode>, StoreError> {
        Ok(None)
    }

    async fn insert(&mut self, _: &PromoCode) -> Result<bool, StoreError> {
        not_here()
    }

    async fn save(&mut self, _: &PromoCode, _: i32) -> Result<bool, StoreError> {
        not_here()
    }

    async fn count_use(
        &mut self,
        _: &PromoCode,
        _: &PromoUse,
    ) -> Result<Result<(), PromoRefusal>, StoreError> {
        not_here()
    }

    async fn give_back(&mut self, _: OrderId, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
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

/// Nobody has terms of their own.
#[async_trait]
impl TermsRepository for SimTx {
    async fn latest_number(&mut self, _: PartyId) -> Result<Option<u32>, StoreError> {
        Ok(Some(0))
    }

    async fn append(&mut self, _: &AgentTerms) -> Result<bool, StoreError> {
        not_here()
    }

    async fn facts_of(&mut self, parties: &[PartyId], _: Timestamp) -> Result<Vec<AgentFacts>, StoreError> {
        Ok(vec![AgentFacts::default(); parties.len()])
    }
}

#[async_trait]
impl VestingRepository for SimTx {
    async fn latest_version(&mut self, _: &str) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn insert_policy(&mut self, _: &VestingPolicy) -> Result<bool, StoreError> {
        not_here()
    }

    async fn policy(&mut self, _: VestingPolicyId) -> Result<Option<VestingPolicy>, StoreError> {
        Ok(None)
    }

    async fn save_start(&mut self, _: &VestingPolicy, _: i32) -> Result<bool, StoreError> {
        not_here()
    }

    async fn started_policies(&mut self) -> Result<Vec<VestingPolicy>, StoreError> {
        Ok(Vec::new())
    }

    async fn insert_tier_terms(
        &mut self,
        _: TierId,
        _: Option<VestingPolicyId>,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        not_here()
    }

    async fn insert_schedule(&mut self, _: &VestingSchedule, _: &[Release]) -> Result<(), StoreError> {
        not_here()
    }

    async fn schedule(&mut self, _: VestingScheduleId) -> Result<Option<VestingSchedule>, StoreError> {
        Ok(None)
    }

    async fn mark_revoked(&mut self, _: VestingScheduleId, _: Timestamp) -> Result<(), StoreError> {
        not_here()
    }

    async fn releases_of_order(&mut self, _: OrderId) -> Result<Vec<Release>, StoreError> {
        Ok(Vec::new())
    }

    async fn save_releases(&mut self, _: &[Release]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn due_orders(
        &mut self,
        _: VestingPolicyId,
        _: u16,
        _: Option<OrderId>,
        _: u16,
    ) -> Result<Vec<OrderId>, StoreError> {
        Ok(Vec::new())
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
