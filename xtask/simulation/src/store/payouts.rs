//! Payouts, withdrawals among them, and agents' accounts.

use async_trait::async_trait;
use posx_commissions::{
    AccountMethod, AccountStanding, Payout, PayoutAccount, PayoutFile, PayoutFiles, PayoutMethod,
    PayoutRepository, PayoutRules, PayoutState, PayoutsTx, SettlementRepository,
};
use posx_kernel::{
    Currency, Money, Outbox, PartyId, PayoutFileId, PayoutId, SettlementId, StoreError, Timestamp,
};

use super::SimTx;
use crate::bugs::Bug;

impl PayoutsTx for SimTx {
    fn balances(&mut self) -> &mut dyn posx_commissions::AgentBalances {
        self
    }
    fn settlements(&mut self) -> &mut dyn SettlementRepository {
        self
    }
    fn payouts(&mut self) -> &mut dyn PayoutRepository {
        self
    }
    fn files(&mut self) -> &mut dyn PayoutFiles {
        self
    }
    fn accounts(&mut self) -> &mut dyn posx_commissions::PayoutAccounts {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

/// One open withdrawal of an agent.
const fn is_open(payout: &Payout) -> bool {
    payout.settlement.is_none()
        && matches!(
            payout.state,
            PayoutState::Requested | PayoutState::Approved | PayoutState::Sending | PayoutState::Failed
        )
}

impl SimTx {
    async fn lock_payout(&self, id: PayoutId) -> Result<(), StoreError> {
        self.lock(("payout", id.as_uuid().as_u128())).await
    }
}

#[async_trait]
impl PayoutRepository for SimTx {
    async fn find(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError> {
        self.step("payouts.find").await;
        Ok(self.get(|rows| &rows.payouts, &id))
    }

    async fn for_update(&mut self, id: PayoutId) -> Result<Option<Payout>, StoreError> {
        self.step("payouts.for_update").await;
        self.lock_payout(id).await?;
        Ok(self.get(|rows| &rows.payouts, &id))
    }

    async fn insert(&mut self, payouts: &[Payout]) -> Result<bool, StoreError> {
        self.step("payouts.insert").await;
        for payout in payouts {
            if payout.settlement.is_none() {
                self.lock(("open_withdrawal", payout.agent.as_uuid().as_u128()))
                    .await?;
                let open = |old: &Payout| old.agent == payout.agent && is_open(old);
                if self.all(|rows| &rows.payouts).iter().any(open) {
                    return Ok(false);
                }
            }
            self.put(|rows| &mut rows.payouts, payout.id, payout.clone());
        }
        Ok(true)
    }

    async fn save(&mut self, payout: &Payout) -> Result<(), StoreError> {
        self.step("payouts.save").await;
        self.lock_payout(payout.id).await?;
        self.put(|rows| &mut rows.payouts, payout.id, payout.clone());
        Ok(())
    }

    async fn stuck(&mut self, untouched_since: Timestamp, limit: u16) -> Result<Vec<PayoutId>, StoreError> {
        self.step("payouts.stuck").await;
        let mut stuck = self.all(|rows| &rows.payouts);
        stuck.retain(|one| {
            one.method == PayoutMethod::Connect
                && matches!(one.state, PayoutState::Approved | PayoutState::Sending)
                && one.updated_at < untouched_since
        });
        stuck.sort_by_key(|one| (one.updated_at, one.id));
        stuck.truncate(usize::from(limit));
        Ok(stuck.into_iter().map(|one| one.id).collect())
    }

    async fn of_transfer(&mut self, reference: &str) -> Result<Option<PayoutId>, StoreError> {
        self.step("payouts.of_transfer").await;
        let of_it =
            |one: &Payout| one.method == PayoutMethod::Connect && one.reference.as_deref() == Some(reference);
        Ok(self
            .all(|rows| &rows.payouts)
            .into_iter()
            .find(of_it)
            .map(|one| one.id))
    }

    async fn claim_transfer(&mut self, reference: &str) -> Result<(), StoreError> {
        self.step("payouts.claim_transfer").await;
        if self.claim_external(reference) {
            Ok(())
        } else {
            Err(StoreError::broken("another site owns the transfer"))
        }
    }
}

/// Nobody pays by a file here.
#[async_trait]
impl PayoutFiles for SimTx {
    async fn waiting(
        &mut self,
        _: Currency,
        _: Option<SettlementId>,
        _: u16,
    ) -> Result<Vec<Payout>, StoreError> {
        Ok(Vec::new())
    }

    async fn insert(&mut self, _: &PayoutFile) -> Result<(), StoreError> {
        Err(StoreError::broken("no scene does this"))
    }

    async fn find(&mut self, _: PayoutFileId) -> Result<Option<PayoutFile>, StoreError> {
        Ok(None)
    }
}

/// Not imported: it has names of the store's own.
#[async_trait]
impl posx_commissions::PayoutAccounts for SimTx {
    async fn latest(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
    ) -> Result<Option<PayoutAccount>, StoreError> {
        self.step("payout_accounts.latest").await;
        let mut accounts = SimTx::all(self, |rows| &rows.payout_accounts);
        accounts.retain(|one| (one.agent, one.method) == (agent, method));
        Ok(accounts.into_iter().max_by_key(|one| one.version))
    }

    async fn version(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
        version: i32,
    ) -> Result<Option<PayoutAccount>, StoreError> {
        self.step("payout_accounts.version").await;
        let account = self.get(|rows| &rows.payout_accounts, &(agent, version));
        Ok(account.filter(|account| account.method == method))
    }

    async fn all(&mut self, method: AccountMethod) -> Result<Vec<PayoutAccount>, StoreError> {
        self.step("payout_accounts.all").await;
        let mut accounts = SimTx::all(self, |rows| &rows.payout_accounts);
        accounts.retain(|one| one.method == method && one.removed_at.is_none());
        Ok(accounts)
    }

    async fn insert(&mut self, account: &PayoutAccount) -> Result<bool, StoreError> {
        self.step("payout_accounts.insert").await;
        let key = (account.agent, account.version);
        let free = self.get(|rows| &rows.payout_accounts, &key).is_none();
        if free {
            self.put(|rows| &mut rows.payout_accounts, key, account.clone());
        }
        Ok(free)
    }

    async fn remove(&mut self, account: &PayoutAccount, now: Timestamp) -> Result<(), StoreError> {
        self.step("payout_accounts.remove").await;
        let row = PayoutAccount {
            removed_at: Some(now),
            ..account.clone()
        };
        self.put(|rows| &mut rows.payout_accounts, (row.agent, row.version), row);
        Ok(())
    }

    async fn connected(&mut self, connect_account: &str) -> Result<Option<PayoutAccount>, StoreError> {
        self.step("payout_accounts.connected").await;
        let of_it = |one: &PayoutAccount| one.connect_account.as_deref() == Some(connect_account);
        Ok(SimTx::all(self, |rows| &rows.payout_accounts)
            .into_iter()
            .find(of_it))
    }

    async fn claim_connected(&mut self, connect_account: &str) -> Result<(), StoreError> {
        PayoutRepository::claim_transfer(self, connect_account).await
    }

    async fn save_standing(
        &mut self,
        account: &PayoutAccount,
        standing: &AccountStanding,
    ) -> Result<bool, StoreError> {
        self.step("payout_accounts.save_standing").await;
        let key = (account.agent, account.version);
        self.lock(("payout_account", account.agent.as_uuid().as_u128()))
            .await?;
        let stored = self.get(|rows| &rows.payout_accounts, &key);
        let older = |one: &PayoutAccount| one.standing.as_ref().is_none_or(|old| old.at <= standing.at);
        let Some(mut row) = stored.filter(older) else {
            return Ok(false);
        };
        row.standing = Some(standing.clone());
        self.put(|rows| &mut rows.payout_accounts, key, row);
        Ok(true)
    }

    async fn save_stuck_payout(&mut self, account: &PayoutAccount) -> Result<(), StoreError> {
        self.step("payout_accounts.save_stuck_payout").await;
        self.put(
            |rows| &mut rows.payout_accounts,
            (account.agent, account.version),
            account.clone(),
        );
        Ok(())
    }

    /// The least that there is: shares are small here.
    async fn rules(&mut self, currency: Currency) -> Result<PayoutRules, StoreError> {
        self.step("payout_rules.find").await;
        Ok(rules_of(currency))
    }

    async fn all_rules(&mut self) -> Result<Vec<PayoutRules>, StoreError> {
        self.step("payout_rules.all").await;
        let tiers = SimTx::all(self, |rows| &rows.tiers);
        let currency = tiers.first().map(|tier| tier.list_price.currency());
        Ok(currency.map(rules_of).into_iter().collect())
    }

    async fn save_rules(&mut self, _: &PayoutRules, _: Timestamp) -> Result<bool, StoreError> {
        Err(StoreError::broken("no scene does this"))
    }
}

fn rules_of(currency: Currency) -> PayoutRules {
    PayoutRules {
        minimum: Money::from_minor(currency.charge_step(), currency),
        ..PayoutRules::defaults(currency)
    }
}

impl SimTx {
    /// Of who looks at a balance before it is taken from.
    pub(super) async fn lock_agents(&self, agents: &[PartyId]) -> Result<(), StoreError> {
        self.step("agent_balances.lock").await;
        if self.planted(Bug::BalanceReadWithoutLock) {
            return Ok(());
        }
        let mut agents = agents.to_vec();
        agents.sort_unstable();
        for agent in agents {
            self.lock(("agent_balance", agent.as_uuid().as_u128())).await?;
        }
        Ok(())
    }
}
