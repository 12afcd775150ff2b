//! A process that dies before or after any step leaves what the next one brings to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use posx_kernel::{
    Begin, Idempotency, IdempotentTx, Outbox, PayoutId, SeededIds, SiteId, SiteScope, StoreError, StoreFault,
    Transaction,
};
use posx_ledger::{Account, LedgerRepository, LedgerTx};

use super::{ANN, Shop, approved};
use crate::payout::gateway::{
    NewRecipient, Onboarding, PayoutGateway, PayoutGatewayError, SendPayout, Standing, Transfer,
};
use crate::testing::{FakeDb, FakeKeeper, FakePayoutGateway};
use crate::{
    AgentBalances, CommissionState, PayoutAccounts, PayoutFiles, PayoutRepository, PayoutState, Payouts,
    PayoutsTx, Sent, SettlementRepository, SettlementState,
};

/// So many steps are taken; then nothing is any more.
#[derive(Debug, Clone)]
struct Life(Arc<AtomicI64>);

impl Life {
    fn of(steps: i64) -> Self {
        Self(Arc::new(AtomicI64::new(steps)))
    }

    fn step(&self) -> Result<(), StoreError> {
        if self.0.fetch_sub(1, Ordering::SeqCst) > 0 {
            Ok(())
        } else {
            Err(StoreError::new(StoreFault::Unavailable, "the process was killed"))
        }
    }

    fn ask(&self) -> Result<(), PayoutGatewayError> {
        self.step()
            .map_err(|killed| PayoutGatewayError::Unknown(Box::new(killed)))
    }

    fn survived(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= 0
    }
}

#[derive(Debug)]
struct MortalDb(FakeDb, Life);

struct MortalTx(Box<dyn PayoutsTx>, Life);

#[async_trait]
impl Begin<dyn PayoutsTx> for MortalDb {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn PayoutsTx>, StoreError> {
        self.1.step()?;
        let tx: Box<dyn PayoutsTx> = Begin::<dyn PayoutsTx>::begin(&self.0, scope).await?;
        Ok(Box::new(MortalTx(tx, self.1.clone())))
    }
}

#[async_trait]
impl Transaction for MortalTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self(tx, life) = *self;
        life.step()?;
        tx.commit().await?;
        life.step()
    }
}

impl LedgerTx for MortalTx {
    fn ledger(&mut self) -> &mut dyn LedgerRepository {
        self.0.ledger()
    }
}

impl IdempotentTx for MortalTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        self.0.idempotency()
    }
}

impl PayoutsTx for MortalTx {
    fn balances(&mut self) -> &mut dyn AgentBalances {
        self.0.balances()
    }
    fn settlements(&mut self) -> &mut dyn SettlementRepository {
        self.0.settlements()
    }
    fn payouts(&mut self) -> &mut dyn PayoutRepository {
        self.0.payouts()
    }
    fn files(&mut self) -> &mut dyn PayoutFiles {
        self.0.files()
    }
    fn accounts(&mut self) -> &mut dyn PayoutAccounts {
        self.0.accounts()
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self.0.outbox()
    }
}

#[derive(Debug)]
struct MortalCaller(FakePayoutGateway, Life);

#[async_trait]
impl PayoutGateway for MortalCaller {
    async fn open_account(&self, new: &NewRecipient<'_>) -> Result<String, PayoutGatewayError> {
        self.0.open_account(new).await
    }

    async fn onboarding(
        &self,
        site: SiteId,
        account: &str,
        refresh_url: &str,
        return_url: &str,
    ) -> Result<Onboarding, PayoutGatewayError> {
        self.0.onboarding(site, account, refresh_url, return_url).await
    }

    async fn standing(&self, site: SiteId, account: &str) -> Result<Option<Standing>, PayoutGatewayError> {
        self.1.ask()?;
        self.0.standing(site, account).await
    }

    async fn send(&self, request: &SendPayout) -> Result<Transfer, PayoutGatewayError> {
        self.1.ask()?;
        let sent = self.0.send(request).await;
        self.1.ask()?;
        sent
    }

    async fn find(&self, site: SiteId, payout: PayoutId) -> Result<Option<Transfer>, PayoutGatewayError> {
        self.1.ask()?;
        self.0.find(site, payout).await
    }

    async fn transfer(&self, site: SiteId, reference: &str) -> Result<Option<Transfer>, PayoutGatewayError> {
        self.0.transfer(site, reference).await
    }
}

fn mortal(shop: &Shop, life: &Life) -> Payouts {
    Payouts::new(
        Arc::new(MortalDb(shop.db.clone(), life.clone())),
        Arc::new(MortalCaller(shop.provider.clone(), life.clone())),
        Arc::new(FakeKeeper),
        shop.clock.clone(),
        Arc::new(SeededIds::new(7)),
    )
}

fn paid_once(shop: &Shop, id: PayoutId, when: &str) {
    assert_eq!(shop.provider.transfers().len(), 1, "{when}");
    assert_eq!(shop.payout(id).state, PayoutState::Done, "{when}");
    assert_eq!(shop.commission(1), CommissionState::Paid, "{when}");
    assert_eq!(shop.settlement_state(), SettlementState::Done, "{when}");
    assert_eq!(
        (
            shop.balance(ANN),
            shop.credit(&Account::PayoutsPending(ANN)),
            shop.credit(&Account::ProviderClearing)
        ),
        (0, 0, 5_000),
        "{when}"
    );
}

#[tokio::test]
async fn s48_killed_between_any_two_steps_a_payout_is_sent_once_and_booked_once() {
    for steps in 0.. {
        let (shop, id) = approved().await;
        let life = Life::of(steps);
        let outcome = mortal(&shop, &life).send(&shop.scope, id).await;
        if life.survived() {
            assert_eq!(outcome.unwrap(), Sent::Done);
            assert!(steps > 8, "a run has more steps than {steps}");
            break;
        }
        shop.service.send(&shop.scope, id).await.unwrap();
        paid_once(&shop, id, &format!("killed after {steps} steps"));
    }
}

#[tokio::test]
async fn s48_killed_twice_at_any_two_steps_a_payout_is_sent_once() {
    for first in 0..12 {
        for second in 0..12 {
            let (shop, id) = approved().await;
            for steps in [first, second] {
                let _ = mortal(&shop, &Life::of(steps)).send(&shop.scope, id).await;
            }
            shop.service.send(&shop.scope, id).await.unwrap();
            paid_once(&shop, id, &format!("killed after {first} and {second} steps"));
        }
    }
}
