//! A draft: what everybody would get now.

use std::collections::{BTreeMap, BTreeSet};

use posx_kernel::{
    Currency, IdempotentCall, IdentityId, Made, Money, PartyId, PayoutId, SettlementId, SiteScope, Timestamp,
    made_before_in_tx, remember_in_tx, retry_busy,
};
use serde::{Deserialize, Serialize};

use super::{Settlement, SettlementLine, SettlementState, hash_of};
use crate::{AgentBalance, PayoutAccount, PayoutError, PayoutMethod, PayoutRules, Payouts, PayoutsTx};

/// More are paid with the next settlement.
pub const LINES_MAX: usize = 1_000;

/// Why an agent is not paid this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftBecause {
    /// The agent owes it.
    Negative,
    BelowMinimum,
    NoAccount,
    AccountCoolingOff,
    /// The provider does not pay out to it.
    AccountDisabled,
    BatchFull,
}

impl LeftBecause {
    pub const ALL: &'static [Self] = &[
        Self::Negative,
        Self::BelowMinimum,
        Self::NoAccount,
        Self::AccountCoolingOff,
        Self::AccountDisabled,
        Self::BatchFull,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::BelowMinimum => "below_minimum",
            Self::NoAccount => "no_account",
            Self::AccountCoolingOff => "account_cooling_off",
            Self::AccountDisabled => "account_disabled",
            Self::BatchFull => "batch_full",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|why| why.as_str() == name)
    }
}

/// What decides about lines, besides balances.
#[derive(Debug)]
pub struct Terms<'a> {
    pub method: PayoutMethod,
    pub accounts: &'a BTreeMap<PartyId, PayoutAccount>,
    /// The defaults hold for currencies that are not in it.
    pub rules: &'a BTreeMap<Currency, PayoutRules>,
    pub now: Timestamp,
}

/// One line for each agent and currency with something in it, in this order. Pure: the same facts, the same lines.
pub fn lines_of(
    balances: &[AgentBalance],
    terms: &Terms<'_>,
    mut id: impl FnMut() -> PayoutId,
) -> Vec<SettlementLine> {
    let mut sorted: Vec<_> = balances
        .iter()
        .filter(|one| !one.settleable().is_zero())
        .collect();
    sorted.sort_by_key(|one| (one.agent, one.balance.currency()));
    let mut paid = 0;
    let line = |one: &AgentBalance| {
        let (amount, account_version, left) = terms.decide(one);
        let left = left.or_else(|| (paid == LINES_MAX).then_some(LeftBecause::BatchFull));
        paid += usize::from(left.is_none());
        SettlementLine {
            id: id(),
            agent: one.agent,
            amount,
            account_version,
            left,
        }
    };
    sorted.into_iter().map(line).collect()
}

impl Terms<'_> {
    fn decide(&self, one: &AgentBalance) -> (Money, Option<i32>, Option<LeftBecause>) {
        let settleable = one.settleable();
        if settleable.is_negative() {
            return (settleable, None, Some(LeftBecause::Negative));
        }
        let currency = settleable.currency();
        let minimum = match self.rules.get(&currency) {
            Some(rules) => rules.minimum,
            None => PayoutRules::defaults(currency).minimum,
        };
        let amount = transferable(self.method, settleable);
        if amount.minor() < minimum.minor() || amount.is_zero() {
            return (settleable, None, Some(LeftBecause::BelowMinimum));
        }
        if self.method.account().is_none() {
            return (amount, None, None);
        }
        let Some(account) = self.accounts.get(&one.agent) else {
            return (amount, None, Some(LeftBecause::NoAccount));
        };
        let left = match account.payable(self.now) {
            Ok(()) => None,
            Err(PayoutError::CoolingOff) => Some(LeftBecause::AccountCoolingOff),
            Err(PayoutError::AccountDisabled) => Some(LeftBecause::AccountDisabled),
            Err(_) => Some(LeftBecause::NoAccount),
        };
        (amount, Some(account.version), left)
    }
}

/// A provider moves multiples of the currency's step only: what is over stays with the balance.
pub(crate) const fn transferable(method: PayoutMethod, amount: Money) -> Money {
    let step = match method {
        PayoutMethod::Connect => amount.currency().charge_step(),
        PayoutMethod::Bank | PayoutMethod::Manual => 1,
    };
    Money::from_minor(amount.minor() - amount.minor() % step, amount.currency())
}

impl Payouts {
    /// Makes a draft of what all agents would be paid by `method`, and takes up the ready commissions of those who are.
    pub async fn preview(
        &self,
        scope: &SiteScope,
        method: PayoutMethod,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<SettlementId>, PayoutError> {
        retry_busy(|| self.try_preview(scope, method, by, call)).await
    }

    async fn try_preview(
        &self,
        scope: &SiteScope,
        method: PayoutMethod,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<SettlementId>, PayoutError> {
        let now = self.clock.now();
        let mut settlement = Settlement {
            id: SettlementId::from_uuid(self.id(now)),
            method,
            state: SettlementState::Draft,
            revision: 1,
            hash: [0; 32],
            made_by: by,
            approved: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PayoutError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        if !tx.settlements().insert(&settlement).await? {
            return Err(PayoutError::DraftOpen);
        }
        if !self.preview_in_tx(tx.as_mut(), &mut settlement, now).await? {
            return Err(PayoutError::NothingToSettle);
        }
        remember_in_tx(tx.as_mut(), call, &settlement.id).await?;
        tx.commit().await?;
        Ok(Made::now(settlement.id))
    }

    /// Makes a draft's preview anew; who asks for it has made it.
    pub async fn preview_again(
        &self,
        scope: &SiteScope,
        id: SettlementId,
        by: IdentityId,
    ) -> Result<(), PayoutError> {
        retry_busy(|| self.try_preview_again(scope, id, Some(by))).await
    }

    /// `by`: nobody, when an approval found it stale.
    pub(super) async fn try_preview_again(
        &self,
        scope: &SiteScope,
        id: SettlementId,
        by: Option<IdentityId>,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let mut settlement = draft_in_tx(tx.as_mut(), id).await?;
        tx.settlements().give_back(id, None, now).await?;
        settlement.revision += 1;
        settlement.made_by = by.unwrap_or(settlement.made_by);
        settlement.updated_at = now;
        self.preview_in_tx(tx.as_mut(), &mut settlement, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives back what a draft has taken up.
    pub async fn discard(&self, scope: &SiteScope, id: SettlementId) -> Result<(), PayoutError> {
        retry_busy(|| self.try_discard(scope, id)).await
    }

    async fn try_discard(&self, scope: &SiteScope, id: SettlementId) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let found = tx.settlements().for_update(id).await?;
        let mut settlement = found.ok_or(PayoutError::SettlementNotFound)?;
        if settlement.state == SettlementState::Discarded {
            return Ok(());
        }
        settlement.become_(SettlementState::Discarded, now)?;
        tx.settlements().give_back(id, None, now).await?;
        tx.settlements().save(&settlement).await?;
        tx.outbox()
            .append(settlement.happened(settlement.state.event(), now))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Everything ready is taken up first and counted then: what becomes ready between the two is not in either. False: nobody
    /// has anything.
    async fn preview_in_tx(
        &self,
        tx: &mut dyn PayoutsTx,
        settlement: &mut Settlement,
        now: Timestamp,
    ) -> Result<bool, PayoutError> {
        tx.settlements().take_up(settlement.id, now).await?;
        let balances = tx.balances().of(None).await?;
        let lines = self.lines_in_tx(tx, settlement.method, &balances, now).await?;
        // Also of those who have nothing left and so no line: a withdrawal took it before.
        let paid: BTreeSet<_> = lines
            .iter()
            .filter(|line| line.is_paid())
            .map(|line| (line.agent, line.amount.currency()))
            .collect();
        let left: Vec<_> = balances
            .iter()
            .map(|one| (one.agent, one.balance.currency()))
            .filter(|of| !paid.contains(of))
            .collect();
        tx.settlements()
            .give_back(settlement.id, Some(&left), now)
            .await?;
        let paid: Vec<_> = lines.iter().filter(|line| line.is_paid()).cloned().collect();
        settlement.hash = hash_of(settlement.id, settlement.method, settlement.revision, &paid);
        tx.settlements().insert_lines(settlement, &lines).await?;
        tx.settlements().save(settlement).await?;
        tx.outbox()
            .append(settlement.happened(settlement.state.event(), now))
            .await?;
        Ok(!lines.is_empty())
    }

    /// As of now, of those whose balances these are.
    pub(super) async fn lines_in_tx(
        &self,
        tx: &mut dyn PayoutsTx,
        method: PayoutMethod,
        balances: &[AgentBalance],
        now: Timestamp,
    ) -> Result<Vec<SettlementLine>, PayoutError> {
        let accounts = match method.account() {
            Some(kind) => tx.accounts().all(kind).await?,
            None => Vec::new(),
        };
        let accounts = accounts
            .into_iter()
            .map(|account| (account.agent, account))
            .collect();
        let rules = tx.accounts().all_rules().await?;
        let rules = rules
            .into_iter()
            .map(|rules| (rules.minimum.currency(), rules))
            .collect();
        let terms = Terms {
            method,
            accounts: &accounts,
            rules: &rules,
            now,
        };
        Ok(lines_of(balances, &terms, || PayoutId::from_uuid(self.id(now))))
    }
}

/// Locked, and a draft.
pub(super) async fn draft_in_tx(tx: &mut dyn PayoutsTx, id: SettlementId) -> Result<Settlement, PayoutError> {
    let found = tx.settlements().for_update(id).await?;
    let settlement = found.ok_or(PayoutError::SettlementNotFound)?;
    if settlement.state != SettlementState::Draft {
        return Err(PayoutError::SettlementState(settlement.state.as_str()));
    }
    Ok(settlement)
}
