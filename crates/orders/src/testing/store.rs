//! Storage in memory. A transaction works on a copy and puts it back when it commits; the next one waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{
    Begin, ChainAssetId, Claim, Event, Idempotency, IdempotentCall, IdempotentTx, IdentityId, MovementId,
    OrderId, Outbox, Page, PageRequest, PartyId, PaymentAttemptId, RefundId, RememberedAnswers, SiteScope,
    StoreError, TierId, Timestamp, Transaction,
};
use posx_ledger::{Entry, LedgerRepository, LedgerTx, Posted};
use posx_tenancy::{FirstPayment, ReferralRepository};
use posx_tiers::{
    AssetRepository, ChainAsset, Stock, StockChange, StockMove, StockRefusal, StockRepository, Tier,
    TierRepository, TiersTx,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::gateway::IntentId;
use crate::{
    Attempt, AttemptRepository, DueOrder, Lifecycle, NewOrder, Order, OrderFilter, OrderQueries,
    OrderRepository, OrderSummary, OrderView, OrdersTx, PlacingFacts, Refund, RefundRepository, TierFacts,
    Wallet, WalletAddress, WalletRepository,
};

/// What one site's tables hold.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub tiers: BTreeMap<TierId, (Tier, ChainAsset)>,
    pub stock: BTreeMap<TierId, Stock>,
    pub held_by_buyer: BTreeMap<(TierId, PartyId), i64>,
    pub orders: BTreeMap<OrderId, Order>,
    pub attempts: BTreeMap<PaymentAttemptId, Attempt>,
    pub refunds: BTreeMap<RefundId, Refund>,
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

/// One site's storage.
#[derive(Debug, Clone, Default)]
pub struct FakeStore {
    state: Arc<Mutex<State>>,
}

impl FakeStore {
    /// What is committed.
    pub async fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&*self.state.lock().await)
    }

    /// Puts rows there as if another context had committed them.
    pub async fn arrange(&self, change: impl FnOnce(&mut State)) {
        change(&mut *self.state.lock().await);
    }

    pub async fn add_tier(&self, tier: Tier, asset: ChainAsset, supply: i64) {
        self.arrange(|state| {
            state.stock.insert(
                tier.id,
                Stock {
                    supply,
                    reserved: 0,
                    sold: 0,
                },
            );
            state.tiers.insert(tier.id, (tier, asset));
        })
        .await;
    }
}

#[async_trait]
impl Begin<dyn OrdersTx> for FakeStore {
    async fn begin(&self, _: &SiteScope) -> Result<Box<dyn OrdersTx>, StoreError> {
        let committed = Arc::clone(&self.state).lock_owned().await;
        let work = committed.clone();
        Ok(Box::new(FakeTx { committed, work }))
    }
}

#[derive(Debug)]
struct FakeTx {
    committed: OwnedMutexGuard<State>,
    work: State,
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        *self.committed = self.work;
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
impl AssetRepository for FakeTx {
    async fn find(&mut self, id: ChainAssetId) -> Result<Option<ChainAsset>, StoreError> {
        Ok(self
            .work
            .tiers
            .values()
            .map(|(_, asset)| asset)
            .find(|asset| asset.id == id)
            .cloned())
    }
    async fn insert(&mut self, _: &ChainAsset) -> Result<bool, StoreError> {
        Err(StoreError::broken("assets come with their tiers here"))
    }
}

#[async_trait]
impl TierRepository for FakeTx {
    async fn find(&mut self, id: TierId) -> Result<Option<Tier>, StoreError> {
        Ok(self.work.tiers.get(&id).map(|(tier, _)| tier.clone()))
    }
    async fn find_many(&mut self, ids: &[TierId]) -> Result<Vec<(Tier, ChainAsset)>, StoreError> {
        Ok(ids
            .iter()
            .filter_map(|id| self.work.tiers.get(id).cloned())
            .collect())
    }
    async fn insert(&mut self, _: &Tier, _: i64, _: MovementId, _: IdentityId) -> Result<(), StoreError> {
        Err(StoreError::broken("tiers are arranged here"))
    }
    async fn save(&mut self, tier: &Tier, seen: i32) -> Result<bool, StoreError> {
        let Some((stored, _)) = self
            .work
            .tiers
            .get_mut(&tier.id)
            .filter(|(stored, _)| stored.version == seen)
        else {
            return Ok(false);
        };
        *stored = tier.clone();
        Ok(true)
    }
}

#[async_trait]
impl StockRepository for FakeTx {
    async fn change(
        &mut self,
        movement: &StockMove,
        change: &StockChange,
    ) -> Result<Result<Stock, StockRefusal>, StoreError> {
        let Some(stock) = self.work.stock.get_mut(&movement.tier) else {
            return Ok(Err(StockRefusal::NoSuchTier));
        };
        let n = movement.quantity;
        let mut next = *stock;
        match change {
            StockChange::Reserve => next.reserved += n,
            StockChange::Release => next.reserved -= n,
            StockChange::Sell => (next.reserved, next.sold) = (next.reserved - n, next.sold + n),
            StockChange::SellFree => next.sold += n,
            StockChange::Correct { .. } => next.supply += n,
        }
        if next.reserved < 0 || next.sold < 0 || next.available() < 0 {
            return Ok(Err(StockRefusal::NotEnough {
                available: stock.available(),
            }));
        }
        *stock = next;
        Ok(Ok(next))
    }

    async fn count_for_buyer(
        &mut self,
        tier: TierId,
        buyer: PartyId,
        quantity: i64,
        limit: Option<u32>,
    ) -> Result<Result<(), StockRefusal>, StoreError> {
        let held = self.work.held_by_buyer.entry((tier, buyer)).or_default();
        let next = *held + quantity;
        if next < 0 || limit.is_some_and(|limit| next > i64::from(limit)) {
            return Ok(Err(StockRefusal::BuyerLimit));
        }
        *held = next;
        Ok(Ok(()))
    }
}

impl State {
    fn facts(&self, buyer: PartyId, tiers: &[TierId]) -> PlacingFacts {
        let tier = |id: &TierId| {
            let (tier, asset) = self.tiers.get(id)?.clone();
            Some(TierFacts {
                tier,
                asset,
                available: self.stock.get(id)?.available(),
            })
        };
        PlacingFacts {
            tiers: tiers.iter().filter_map(tier).collect(),
            wallets: self
                .wallets
                .iter()
                .filter(|(party, _)| *party == buyer)
                .map(|(_, w)| w.address.clone())
                .collect(),
            plan_snapshot: self.plan_snapshot.clone(),
        }
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
        self.work.orders.insert(new.order.id, new.order.clone());
        self.work.events.extend(new.events.iter().cloned());
        for entry in new.entries {
            self.post(entry).await?;
        }
        if let Some((call, answer)) = new.answer {
            self.work.answers.store(call, answer).await?;
        }
        Ok(())
    }

    async fn for_update(&mut self, id: OrderId) -> Result<Option<Order>, StoreError> {
        Ok(self.work.orders.get(&id).cloned())
    }

    async fn save(&mut self, order: &Order) -> Result<(), StoreError> {
        self.work.orders.insert(order.id, order.clone());
        Ok(())
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
        self.work.attempts.insert(attempt.id, attempt.clone());
        Ok(())
    }
    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Attempt>, StoreError> {
        let open = |a: &&Attempt| a.state.is_open() && a.updated_at < before;
        Ok(self
            .work
            .attempts
            .values()
            .filter(open)
            .take(usize::from(limit))
            .cloned()
            .collect())
    }
    async fn claim_external_id(&mut self, _: &str, _: &str) -> Result<bool, StoreError> {
        Ok(true)
    }
}

#[async_trait]
impl RefundRepository for FakeTx {
    async fn insert(&mut self, refund: &Refund) -> Result<bool, StoreError> {
        let same = |r: &Refund| r.attempt == refund.attempt && r.reason == refund.reason;
        if self.work.refunds.values().any(same) {
            return Ok(false);
        }
        self.work.refunds.insert(refund.id, refund.clone());
        Ok(true)
    }
    async fn find(&mut self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        Ok(self.work.refunds.get(&id).cloned())
    }
    async fn save(&mut self, refund: &Refund) -> Result<(), StoreError> {
        self.work.refunds.insert(refund.id, refund.clone());
        Ok(())
    }
}

#[async_trait]
impl WalletRepository for FakeTx {
    async fn bind(
        &mut self,
        party: PartyId,
        address: &WalletAddress,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        if self
            .work
            .wallets
            .iter()
            .any(|(other, wallet)| wallet.address == *address && *other != party)
        {
            return Ok(false);
        }
        self.work
            .wallets
            .retain(|(of, wallet)| *of != party || wallet.address.family() != address.family());
        self.work.wallets.push((
            party,
            Wallet {
                address: address.clone(),
                bound_at: at,
            },
        ));
        Ok(true)
    }
    async fn of_party(&mut self, party: PartyId) -> Result<Vec<Wallet>, StoreError> {
        Ok(self
            .work
            .wallets
            .iter()
            .filter(|(of, _)| *of == party)
            .map(|(_, wallet)| wallet.clone())
            .collect())
    }
}

#[async_trait]
impl OrderQueries for FakeStore {
    async fn list(
        &self,
        _: &SiteScope,
        _: OrderFilter,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        Ok(Page::from_rows(Vec::new(), page, |row: &OrderSummary| {
            row.id.as_uuid()
        }))
    }
    async fn get(
        &self,
        _: &SiteScope,
        id: OrderId,
        buyer: Option<PartyId>,
    ) -> Result<Option<OrderView>, StoreError> {
        let seen = |order: &&Order| buyer.is_none_or(|buyer| buyer == order.buyer);
        Ok(self
            .read(|state| {
                state
                    .orders
                    .get(&id)
                    .filter(seen)
                    .map(|order| OrderView::of(order, Vec::new()))
            })
            .await)
    }
    async fn facts(
        &self,
        _: &SiteScope,
        buyer: PartyId,
        tiers: &[TierId],
    ) -> Result<PlacingFacts, StoreError> {
        Ok(self.read(|state| state.facts(buyer, tiers)).await)
    }
    async fn wallets(&self, _: &SiteScope, party: PartyId) -> Result<Vec<Wallet>, StoreError> {
        let of_party = |state: &State| {
            state
                .wallets
                .iter()
                .filter(|(of, _)| *of == party)
                .map(|(_, w)| w.clone())
                .collect()
        };
        Ok(self.read(of_party).await)
    }
}
