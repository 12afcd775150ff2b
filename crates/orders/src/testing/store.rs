//! Storage in memory. A transaction works on a copy and puts it back when it commits; the next one waits for it.

mod orders;
mod promo_codes;
mod returns;
mod tiers;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{
    Begin, ChainAssetId, DisputeId, Event, Idempotency, IdempotentTx, OrderId, Outbox, PartyId,
    PaymentAttemptId, PromoCodeId, RefundId, RememberedAnswers, SiteId, SiteScope, StoreError, TierId,
    Timestamp, Transaction,
};
use posx_ledger::{Entry, LedgerRepository, LedgerTx, Posted};
use posx_tenancy::{FirstPayment, ReferralRepository};
use posx_tiers::{
    AssetRepository, ChainAsset, PromoCode, PromoCodeRepository, Stock, StockRepository, Tier,
    TierRepository, TiersTx,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use self::promo_codes::PromoUsage;
use crate::gateway::IntentId;
use crate::{
    Attempt, AttemptRepository, Bound, Dispute, DisputeRepository, NewWallet, Order, OrderRepository,
    OrdersTx, Refund, RefundRepository, Wallet, WalletRepository,
};

/// What one site's tables hold.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub assets: BTreeMap<ChainAssetId, ChainAsset>,
    pub tiers: BTreeMap<TierId, (Tier, ChainAsset)>,
    pub stock: BTreeMap<TierId, Stock>,
    pub held_by_buyer: BTreeMap<(TierId, PartyId), i64>,
    pub promo_codes: BTreeMap<PromoCodeId, PromoCode>,
    pub promo_usages: BTreeMap<OrderId, PromoUsage>,
    pub orders: BTreeMap<OrderId, Order>,
    pub attempts: BTreeMap<PaymentAttemptId, Attempt>,
    pub refunds: BTreeMap<RefundId, Refund>,
    pub disputes: BTreeMap<DisputeId, Dispute>,
    pub wallets: Vec<(PartyId, Wallet)>,
    /// Party → whom it named when joining.
    pub claimed: BTreeMap<PartyId, PartyId>,
    /// Party → referrer, since when.
    pub referrals: BTreeMap<PartyId, (PartyId, Timestamp)>,
    pub entries: Vec<Entry>,
    pub events: Vec<Event>,
    pub answers: RememberedAnswers,
    pub plan_snapshot: Option<serde_json::Value>,
}

impl State {
    fn add_tier(&mut self, tier: Tier, asset: ChainAsset, supply: i64) {
        let stock = Stock {
            supply,
            reserved: 0,
            sold: 0,
        };
        self.stock.insert(tier.id, stock);
        self.assets.insert(asset.id, asset.clone());
        self.tiers.insert(tier.id, (tier, asset));
    }
}

type ExternalIds = BTreeMap<(String, String), SiteId>;

#[derive(Debug, Default)]
struct Sites {
    first: Option<SiteId>,
    of_first: State,
    of_others: BTreeMap<SiteId, State>,
    /// Of all sites: whose object of which provider it is.
    external_ids: ExternalIds,
}

impl Sites {
    fn of(&mut self, site: SiteId) -> &mut State {
        if *self.first.get_or_insert(site) == site {
            &mut self.of_first
        } else {
            self.of_others.entry(site).or_default()
        }
    }
}

/// Sites and what they hold, each apart. What is arranged and read here is the first site's: the one that is used first.
#[derive(Debug, Clone, Default)]
pub struct FakeStore {
    sites: Arc<Mutex<Sites>>,
}

impl FakeStore {
    /// What is committed.
    pub async fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.sites.lock().await.of_first)
    }

    /// Puts rows there as if another context had committed them.
    pub async fn arrange(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.sites.lock().await.of_first);
    }

    pub async fn add_tier(&self, tier: Tier, asset: ChainAsset, supply: i64) {
        self.arrange(|state| state.add_tier(tier, asset, supply)).await;
    }

    async fn open(&self, scope: &SiteScope) -> Box<FakeTx> {
        let mut sites = Arc::clone(&self.sites).lock_owned().await;
        Box::new(FakeTx {
            site: scope.site(),
            work: sites.of(scope.site()).clone(),
            external_ids: sites.external_ids.clone(),
            sites,
        })
    }
}

#[async_trait]
impl Begin<dyn OrdersTx> for FakeStore {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn OrdersTx>, StoreError> {
        Ok(self.open(scope).await)
    }
}

#[async_trait]
impl Begin<dyn TiersTx> for FakeStore {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn TiersTx>, StoreError> {
        Ok(self.open(scope).await)
    }
}

#[derive(Debug)]
struct FakeTx {
    sites: OwnedMutexGuard<Sites>,
    site: SiteId,
    work: State,
    external_ids: ExternalIds,
}

/// What a constraint of the real store would say.
fn constraint(name: &'static str) -> StoreError {
    StoreError::constraint(name, "refused by the fake")
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        *self.sites.of(self.site) = self.work;
        self.sites.external_ids = self.external_ids;
        Ok(())
    }
}

impl LedgerTx for FakeTx {
    fn ledger(&mut self) -> &mut dyn LedgerRepository {
        self
    }
}

impl IdempotentTx for FakeTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        &mut self.work.answers
    }
}

impl TiersTx for FakeTx {
    fn assets(&mut self) -> &mut dyn AssetRepository {
        self
    }
    fn tiers(&mut self) -> &mut dyn TierRepository {
        self
    }
    fn stock(&mut self) -> &mut dyn StockRepository {
        self
    }
    fn promo_codes(&mut self) -> &mut dyn PromoCodeRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

impl OrdersTx for FakeTx {
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

#[async_trait]
impl ReferralRepository for FakeTx {
    async fn bind(&mut self, payment: FirstPayment) -> Result<Option<PartyId>, StoreError> {
        let State {
            orders,
            claimed,
            referrals,
            ..
        } = &mut self.work;
        let paid = |order: &Order| {
            order.buyer == payment.party && order.id != payment.order && order.paid_at.is_some()
        };
        let Some(referrer) = payment.named.or_else(|| claimed.get(&payment.party).copied()) else {
            return Ok(None);
        };
        let up = |party: &PartyId| referrals.get(party).map(|(above, _)| *above);
        let below = std::iter::successors(Some(referrer), up).any(|above| above == payment.party);
        if below || referrals.contains_key(&payment.party) || orders.values().any(paid) {
            return Ok(None);
        }
        referrals.insert(payment.party, (referrer, payment.at));
        Ok(Some(referrer))
    }

    async fn bound_after(&mut self, party: PartyId, at: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let bound = self.work.referrals.get(&party).map(|(_, since)| *since);
        Ok(bound.filter(|since| *since > at))
    }
}

#[async_trait]
impl LedgerRepository for FakeTx {
    async fn post(&mut self, entry: &Entry) -> Result<Posted, StoreError> {
        let key = |entry: &Entry| (entry.kind(), entry.cause(), entry.part().to_owned());
        if self.work.entries.iter().any(|posted| key(posted) == key(entry)) {
            return Ok(Posted::Already);
        }
        if !entry.postings().is_empty() {
            self.work.entries.push(entry.clone());
        }
        Ok(Posted::New)
    }
}

#[async_trait]
impl Outbox for FakeTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.work.events.push(event);
        Ok(())
    }
}

#[async_trait]
impl AttemptRepository for FakeTx {
    async fn open_of(&mut self, order: OrderId) -> Result<Option<Attempt>, StoreError> {
        Ok(self
            .work
            .attempts
            .values()
            .find(|a| a.order == order && a.state.is_open())
            .cloned())
    }
    async fn find(&mut self, id: PaymentAttemptId) -> Result<Option<Attempt>, StoreError> {
        Ok(self.work.attempts.get(&id).cloned())
    }
    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Attempt>, StoreError> {
        let own = self.work.attempts.values().filter(|a| a.order == order);
        Ok(own.cloned().collect())
    }
    async fn by_intent(&mut self, provider: &str, intent: &IntentId) -> Result<Option<Attempt>, StoreError> {
        let same = |a: &&Attempt| a.provider == provider && a.intent.as_ref() == Some(intent);
        Ok(self.work.attempts.values().find(same).cloned())
    }
    async fn insert(&mut self, attempt: &Attempt) -> Result<bool, StoreError> {
        if self.open_of(attempt.order).await?.is_some() {
            return Ok(false);
        }
        self.work.attempts.insert(attempt.id, attempt.clone());
        Ok(true)
    }
    async fn save(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        let stored = self.work.attempts.get_mut(&attempt.id);
        *stored.ok_or_else(|| StoreError::broken("an attempt that was read is gone"))? = attempt.clone();
        Ok(())
    }
    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Attempt>, StoreError> {
        let open = |a: &&Attempt| a.state.is_open() && a.updated_at < before;
        let mut unsettled: Vec<_> = self.work.attempts.values().filter(open).cloned().collect();
        unsettled.sort_by_key(|attempt| attempt.updated_at);
        unsettled.truncate(usize::from(limit));
        Ok(unsettled)
    }
    async fn claim_external_id(&mut self, provider: &str, external_id: &str) -> Result<bool, StoreError> {
        let key = (provider.to_owned(), external_id.to_owned());
        Ok(*self.external_ids.entry(key).or_insert(self.site) == self.site)
    }
}

#[async_trait]
impl WalletRepository for FakeTx {
    async fn bind(&mut self, party: PartyId, new: &NewWallet) -> Result<Bound, StoreError> {
        let wallets = &mut self.work.wallets;
        let same = |wallet: &Wallet| wallet.address == new.address;
        if wallets.iter().any(|(of, wallet)| *of != party && same(wallet)) {
            return Ok(Bound::Taken);
        }
        let family = new.address.family();
        let at = wallets
            .iter()
            .position(|(of, wallet)| *of == party && wallet.address.family() == family);
        let old = at.map(|at| wallets[at].1.clone());
        if !new.proven
            && old
                .as_ref()
                .is_some_and(|old| old.proven_at.is_some() && !same(old))
        {
            return Ok(Bound::ProofRequired);
        }
        let kept = old.as_ref().filter(|old| same(old));
        let bound = Wallet {
            address: new.address.clone(),
            bound_at: kept.map_or(new.at, |old| old.bound_at),
            proven_at: new
                .proven
                .then_some(new.at)
                .or(kept.and_then(|old| old.proven_at)),
            contract_chain: if new.proven {
                new.contract_chain
            } else {
                kept.and_then(|old| old.contract_chain)
            },
            usable_from: match (&old, kept) {
                (_, Some(kept)) => kept.usable_from,
                (Some(_), None) => Some(new.usable_from),
                (None, None) => None,
            },
        };
        if let Some(at) = at {
            wallets.remove(at);
        }
        wallets.push((party, bound.clone()));
        Ok(Bound::Bound(bound))
    }
    async fn of_party(&mut self, party: PartyId) -> Result<Vec<Wallet>, StoreError> {
        Ok(self.work.wallets_of(party))
    }
}
