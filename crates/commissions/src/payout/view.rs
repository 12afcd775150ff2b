//! What screens read, and the port that answers.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    Currency, IdentityId, Money, Page, PageRequest, PartyId, PayoutFileId, PayoutId, SettlementId, SiteScope,
    StoreError, Timestamp, WithdrawalId, WriteOffId,
};
use serde::Serialize;

use crate::{
    AccountMethod, AgentBalance, LeftBecause, PayoutAccount, PayoutMethod, PayoutRules, PayoutState,
    SettlementState,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SettlementView {
    pub id: SettlementId,
    pub method: PayoutMethod,
    pub state: SettlementState,
    pub revision: i32,
    /// Of the preview: what a second person names to approve of it.
    pub hash: String,
    /// How many agents and currencies are paid, and how much in each currency.
    pub lines: u32,
    pub totals: Vec<Money>,
    pub made_by: IdentityId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<IdentityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SettlementLineView {
    /// Also the payout's, once it is approved.
    pub id: PayoutId,
    pub agent: PartyId,
    /// What the agent could have; below zero the agent owes it.
    pub amount: Money,
    /// Why it is not paid this time; absent: it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_because: Option<LeftBecause>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PayoutView {
    pub id: PayoutId,
    /// Absent: a withdrawal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement: Option<SettlementId>,
    pub agent: PartyId,
    pub amount: Money,
    pub method: PayoutMethod,
    pub state: PayoutState,
    /// How often it was begun to be sent.
    pub tries: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How much of it came back after it had been paid.
    pub reversed: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<IdentityId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A payout that an agent asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WithdrawalView {
    pub id: WithdrawalId,
    pub agent: PartyId,
    pub amount: Money,
    pub method: PayoutMethod,
    pub state: PayoutState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<PayoutView> for WithdrawalView {
    fn from(payout: PayoutView) -> Self {
        Self {
            id: WithdrawalId::from_uuid(payout.id.as_uuid()),
            agent: payout.agent,
            amount: payout.amount,
            method: payout.method,
            state: payout.state,
            reference: payout.reference,
            reason: payout.reason,
            created_at: payout.created_at,
            updated_at: payout.updated_at,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct PayoutFilter {
    pub settlement: Option<SettlementId>,
    pub state: Option<PayoutState>,
    pub agent: Option<PartyId>,
    pub withdrawals_only: bool,
}

/// An account as it may be shown: never what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PayoutAccountView {
    pub method: AccountMethod,
    pub version: i32,
    pub masked: String,
    pub created_at: DateTime<Utc>,
    /// No money goes there before.
    pub usable_from: DateTime<Utc>,
    /// Whether the provider takes what is sent there, as far as it told; of a connected account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payouts_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charges_enabled: Option<bool>,
    /// Why the provider restricts it, in its word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// Money did not get from there to its owner's bank: another bank account must be given at the provider.
    pub bank_failed: bool,
}

impl From<&PayoutAccount> for PayoutAccountView {
    fn from(account: &PayoutAccount) -> Self {
        Self {
            method: account.method,
            version: account.version,
            masked: account.masked.clone(),
            created_at: account.created_at,
            usable_from: account.usable_from,
            payouts_enabled: account.standing.as_ref().map(|standing| standing.payouts_enabled),
            charges_enabled: account.standing.as_ref().map(|standing| standing.charges_enabled),
            disabled_reason: account
                .standing
                .as_ref()
                .and_then(|standing| standing.disabled_reason.clone()),
            bank_failed: account.stuck_payout.is_some(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PayoutRulesView {
    pub currency: Currency,
    pub minimum: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_off_up_to: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_off_after_days: Option<u16>,
    /// The site's own bank account, for files of payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debtor_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debtor_iban: Option<String>,
    /// 0: the defaults.
    pub version: i32,
}

impl From<&PayoutRules> for PayoutRulesView {
    fn from(rules: &PayoutRules) -> Self {
        Self {
            currency: rules.minimum.currency(),
            minimum: rules.minimum,
            maximum: rules.maximum,
            write_off_up_to: rules.write_off.map(|rule| rule.up_to),
            write_off_after_days: rules.write_off.map(|rule| rule.after_days),
            debtor_name: rules.debtor.as_ref().map(|debtor| debtor.name.clone()),
            debtor_iban: rules.debtor.as_ref().map(|debtor| debtor.iban.masked()),
            version: rules.version,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PayoutFileView {
    pub id: PayoutFileId,
    pub payments: i32,
    pub total: Money,
    pub created_by: IdentityId,
    pub created_at: DateTime<Utc>,
}

/// What one agent owes, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NegativeBalance {
    pub agent: PartyId,
    /// Above zero.
    pub owes: Money,
    pub since: DateTime<Utc>,
    pub days: i64,
    /// `0-30`, `31-60`, `61-90` or `90+` days.
    pub age: &'static str,
}

impl NegativeBalance {
    pub fn new(agent: PartyId, owes: Money, since: Timestamp, now: Timestamp) -> Self {
        let days = (now - since).num_days();
        let age = match days {
            ..=30 => "0-30",
            31..=60 => "31-60",
            61..=90 => "61-90",
            _ => "90+",
        };
        Self {
            agent,
            owes,
            since,
            days,
            age,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WriteOffView {
    pub id: WriteOffId,
    pub agent: PartyId,
    pub amount: Money,
    pub reason: String,
    /// Absent: the site's rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<IdentityId>,
    pub at: DateTime<Utc>,
}

/// Reads for screens: one short read-only transaction each. Lists are newest first.
#[async_trait]
pub trait PayoutQueries: Send + Sync {
    async fn settlements(
        &self,
        scope: &SiteScope,
        page: PageRequest,
    ) -> Result<Page<SettlementView>, StoreError>;
    async fn settlement(
        &self,
        scope: &SiteScope,
        id: SettlementId,
    ) -> Result<Option<SettlementView>, StoreError>;
    /// Of the present revision; `left`: only those who are not paid, or only those who are.
    async fn settlement_lines(
        &self,
        scope: &SiteScope,
        id: SettlementId,
        left: Option<bool>,
        page: PageRequest,
    ) -> Result<Page<SettlementLineView>, StoreError>;
    async fn payouts(
        &self,
        scope: &SiteScope,
        filter: &PayoutFilter,
        page: PageRequest,
    ) -> Result<Page<PayoutView>, StoreError>;
    /// `only`: an agent who may see their own; another one's is not found.
    async fn payout(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        only: Option<PartyId>,
    ) -> Result<Option<PayoutView>, StoreError>;
    async fn payout_files(
        &self,
        scope: &SiteScope,
        page: PageRequest,
    ) -> Result<Page<PayoutFileView>, StoreError>;
    async fn payout_accounts(
        &self,
        scope: &SiteScope,
        agent: PartyId,
    ) -> Result<Vec<PayoutAccountView>, StoreError>;
    async fn payout_rules(&self, scope: &SiteScope) -> Result<Vec<PayoutRules>, StoreError>;
    async fn agent_balances(
        &self,
        scope: &SiteScope,
        agent: PartyId,
    ) -> Result<Vec<AgentBalance>, StoreError>;
    /// Who owes something, the longest first; at most 1,000.
    async fn negative_balances(
        &self,
        scope: &SiteScope,
        now: Timestamp,
    ) -> Result<Vec<NegativeBalance>, StoreError>;
    async fn write_offs(
        &self,
        scope: &SiteScope,
        page: PageRequest,
    ) -> Result<Page<WriteOffView>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, party, usd};

    #[test]
    fn debts_are_counted_by_whole_days() {
        for (days, age) in [
            (0, "0-30"),
            (30, "0-30"),
            (31, "31-60"),
            (60, "31-60"),
            (61, "61-90"),
            (90, "61-90"),
            (91, "90+"),
        ] {
            let one = NegativeBalance::new(party(1), usd(1), at(0), at(days));
            assert_eq!((one.days, one.age), (days, age));
        }
    }
}
