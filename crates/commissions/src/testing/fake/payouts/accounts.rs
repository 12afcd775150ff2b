//! Accounts, rules and files in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use posx_kernel::{Currency, PartyId, PayoutFileId, SettlementId, StoreError, Timestamp};

use super::FakeTx;
use crate::{
    AccountMethod, AccountStanding, Payout, PayoutAccount, PayoutAccounts, PayoutFile, PayoutFiles,
    PayoutMethod, PayoutRules, PayoutState,
};

#[async_trait]
impl PayoutFiles for FakeTx {
    async fn waiting(
        &mut self,
        currency: Currency,
        settlement: Option<SettlementId>,
        limit: u16,
    ) -> Result<Vec<Payout>, StoreError> {
        let waits = |one: &&Payout| {
            one.method == PayoutMethod::Bank
                && one.state == PayoutState::Approved
                && one.amount.currency() == currency
                && (settlement.is_none() || one.settlement == settlement)
        };
        let found = self.world.payouts.payouts.values().filter(waits).cloned();
        Ok(found.take(usize::from(limit)).collect())
    }

    async fn insert(&mut self, file: &PayoutFile) -> Result<(), StoreError> {
        self.world.payouts.files.insert(file.id, file.clone());
        Ok(())
    }

    async fn find(&mut self, id: PayoutFileId) -> Result<Option<PayoutFile>, StoreError> {
        Ok(self.world.payouts.files.get(&id).cloned())
    }
}

#[async_trait]
impl PayoutAccounts for FakeTx {
    async fn latest(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
    ) -> Result<Option<PayoutAccount>, StoreError> {
        let of_it = |one: &&PayoutAccount| (one.agent, one.method) == (agent, method);
        let accounts = self.world.payouts.accounts.iter().filter(of_it);
        Ok(accounts.max_by_key(|one| one.version).cloned())
    }

    async fn version(
        &mut self,
        agent: PartyId,
        method: AccountMethod,
        version: i32,
    ) -> Result<Option<PayoutAccount>, StoreError> {
        let key = |one: &PayoutAccount| (one.agent, one.method, one.version);
        let mut accounts = self.world.payouts.accounts.iter();
        Ok(accounts.find(|one| key(one) == (agent, method, version)).cloned())
    }

    async fn all(&mut self, method: AccountMethod) -> Result<Vec<PayoutAccount>, StoreError> {
        let mut latest: BTreeMap<PartyId, PayoutAccount> = BTreeMap::new();
        for account in self
            .world
            .payouts
            .accounts
            .iter()
            .filter(|one| one.method == method)
        {
            let kept = latest.entry(account.agent).or_insert_with(|| account.clone());
            if kept.version < account.version {
                *kept = account.clone();
            }
        }
        Ok(latest
            .into_values()
            .filter(|one| one.removed_at.is_none())
            .collect())
    }

    async fn insert(&mut self, account: &PayoutAccount) -> Result<bool, StoreError> {
        let there = PayoutAccounts::version(self, account.agent, account.method, account.version).await?;
        if there.is_some() {
            return Ok(false);
        }
        self.world.payouts.accounts.push(account.clone());
        Ok(true)
    }

    async fn remove(&mut self, account: &PayoutAccount, now: Timestamp) -> Result<(), StoreError> {
        for one in &mut self.world.payouts.accounts {
            if (one.agent, one.method, one.version) == (account.agent, account.method, account.version) {
                one.removed_at = Some(now);
            }
        }
        Ok(())
    }

    async fn connected(&mut self, connect_account: &str) -> Result<Option<PayoutAccount>, StoreError> {
        let of_it = |one: &&PayoutAccount| one.connect_account.as_deref() == Some(connect_account);
        Ok(self.world.payouts.accounts.iter().find(of_it).cloned())
    }

    async fn claim_connected(&mut self, _connect_account: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn save_standing(
        &mut self,
        account: &PayoutAccount,
        standing: &AccountStanding,
    ) -> Result<bool, StoreError> {
        let of_it = |one: &&mut PayoutAccount| {
            (one.agent, one.method, one.version) == (account.agent, account.method, account.version)
        };
        let found = self.world.payouts.accounts.iter_mut().find(of_it);
        let older = |one: &PayoutAccount| one.standing.as_ref().is_none_or(|old| old.at <= standing.at);
        let Some(one) = found.filter(|one| older(one)) else {
            return Ok(false);
        };
        one.standing = Some(standing.clone());
        Ok(true)
    }

    async fn save_stuck_payout(&mut self, account: &PayoutAccount) -> Result<(), StoreError> {
        for one in &mut self.world.payouts.accounts {
            if (one.agent, one.method, one.version) == (account.agent, account.method, account.version) {
                one.stuck_payout.clone_from(&account.stuck_payout);
            }
        }
        Ok(())
    }

    async fn rules(&mut self, currency: Currency) -> Result<PayoutRules, StoreError> {
        let rules = self.world.payouts.rules.get(&currency).cloned();
        Ok(rules.unwrap_or_else(|| PayoutRules::defaults(currency)))
    }

    async fn all_rules(&mut self) -> Result<Vec<PayoutRules>, StoreError> {
        Ok(self.world.payouts.rules.values().cloned().collect())
    }

    async fn save_rules(&mut self, rules: &PayoutRules, _now: Timestamp) -> Result<bool, StoreError> {
        let currency = rules.minimum.currency();
        let before = PayoutAccounts::rules(self, currency).await?.version;
        if before + 1 != rules.version {
            return Ok(false);
        }
        self.world.payouts.rules.insert(currency, rules.clone());
        Ok(true)
    }
}
