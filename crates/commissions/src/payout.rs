//! Money on its way to an agent: one machine for the lines of settlements and for withdrawals.

mod account;
mod account_use;
mod by_hand;
mod error;
mod file;
pub mod gateway;
mod iban;
mod ports;
mod rules;
mod send;
mod service;
mod standing;
mod take_back;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use posx_kernel::{EntryId, Event, IdentityId, Money, PartyId, PayoutId, SettlementId, Timestamp};
use posx_ledger::{Account, Entry, EntryKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use account::{AccountMethod, AccountStanding, BankDetails, BankDetailsError, PayoutAccount};
pub use account_use::NewConnectAccount;
pub(crate) use by_hand::reason;
pub use error::PayoutError;
pub use file::{FileLine, PayoutFile, Remittance};
pub use iban::{Bic, Iban};
pub use ports::{
    AgentBalance, AgentBalances, PayoutAccounts, PayoutFiles, PayoutRepository, PayoutsTx,
    SettlementRepository,
};
pub use rules::{Debtor, PayoutRules, WriteOffRule};
pub use send::Sent;
pub use service::Payouts;
pub(crate) use service::save_in_tx;
pub use view::{
    NegativeBalance, PayoutAccountView, PayoutFileView, PayoutFilter, PayoutQueries, PayoutRulesView,
    PayoutView, SettlementLineView, SettlementView, WithdrawalView, WriteOffView,
};

/// How the money goes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PayoutMethod {
    /// A transfer to the agent's connected account at the payment provider.
    Connect,
    /// A file of payments that a person gives to the site's bank.
    Bank,
    /// A person pays it somehow, and writes down how.
    Manual,
}

impl PayoutMethod {
    pub const ALL: &'static [Self] = &[Self::Connect, Self::Bank, Self::Manual];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Bank => "bank",
            Self::Manual => "manual",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str() == name)
    }

    /// What kind of account the money needs to go to; none where a person sees to it.
    pub const fn account(self) -> Option<AccountMethod> {
        match self {
            Self::Connect => Some(AccountMethod::Connect),
            Self::Bank => Some(AccountMethod::Bank),
            Self::Manual => None,
        }
    }

    /// Where the money comes from.
    const fn source(self) -> Account {
        match self {
            Self::Connect => Account::ProviderClearing,
            Self::Bank | Self::Manual => Account::Bank,
        }
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PayoutState {
    /// A withdrawal that nobody has decided on.
    Requested,
    Approved,
    /// Under way, or nobody knows.
    Sending,
    Done,
    /// Certainly not sent. It is tried again, or given back.
    Failed,
    /// The money is the agent's again.
    Returned,
    Rejected,
    Cancelled,
}

impl PayoutState {
    pub const ALL: &'static [Self] = &[
        Self::Requested,
        Self::Approved,
        Self::Sending,
        Self::Done,
        Self::Failed,
        Self::Returned,
        Self::Rejected,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Returned => "returned",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Requested, Self::Approved | Self::Rejected | Self::Cancelled)
                | (Self::Approved, Self::Sending | Self::Cancelled)
                | (Self::Sending, Self::Done | Self::Failed)
                | (Self::Failed, Self::Approved | Self::Returned)
                | (Self::Done, Self::Returned)
        )
    }
}

/// A move that the machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payout that is {} cannot become {}", from.as_str(), to.as_str())]
pub struct WrongPayoutMove {
    pub from: PayoutState,
    pub to: PayoutState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub id: PayoutId,
    /// None: a withdrawal.
    pub settlement: Option<SettlementId>,
    pub agent: PartyId,
    /// Positive. Taken from the agent's balance when the payout was made.
    pub amount: Money,
    pub method: PayoutMethod,
    /// Which version of the agent's account it goes to; none where a person sees to it.
    pub account_version: Option<i32>,
    pub state: PayoutState,
    /// How often it was begun to be sent. With the id, it is the key that a try is sent under.
    pub tries: i32,
    /// When the last try began.
    pub begun_at: Option<Timestamp>,
    /// The provider's id of the transfer, or what the person wrote down who paid it.
    pub reference: Option<String>,
    /// Why the last try failed, or why it was refused or given back.
    pub reason: Option<String>,
    /// How much of it came back after it had been paid.
    pub reversed: Money,
    /// Who approved of it, or refused it.
    pub decided_by: Option<IdentityId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Payout {
    pub const fn become_(&mut self, next: PayoutState, now: Timestamp) -> Result<(), WrongPayoutMove> {
        if !self.state.may_become(next) {
            return Err(WrongPayoutMove {
                from: self.state,
                to: next,
            });
        }
        self.state = next;
        self.updated_at = now;
        Ok(())
    }

    /// Begins the next try, under a key that no try had before.
    pub const fn begin(&mut self, now: Timestamp) -> Result<(), WrongPayoutMove> {
        if let Err(refused) = self.become_(PayoutState::Sending, now) {
            return Err(refused);
        }
        self.tries += 1;
        self.begun_at = Some(now);
        Ok(())
    }

    pub fn paid(&mut self, reference: String, now: Timestamp) -> Result<(), WrongPayoutMove> {
        self.become_(PayoutState::Done, now)?;
        self.reference = Some(reference);
        self.reason = None;
        Ok(())
    }

    pub fn fail(&mut self, reason: String, now: Timestamp) -> Result<(), WrongPayoutMove> {
        self.become_(PayoutState::Failed, now)?;
        self.reason = Some(reason);
        Ok(())
    }

    /// What it gives back to the balance, now that `reversed` of it came back in all. None: no more than before.
    pub fn reverse(&mut self, reversed: Money, now: Timestamp) -> Result<Option<Money>, WrongPayoutMove> {
        let more = reversed.minor() - self.reversed.minor();
        if more <= 0 {
            return Ok(None);
        }
        if self.state != PayoutState::Done {
            return Err(WrongPayoutMove {
                from: self.state,
                to: PayoutState::Returned,
            });
        }
        self.reversed = reversed;
        self.updated_at = now;
        if reversed == self.amount {
            self.become_(PayoutState::Returned, now)?;
        }
        Ok(Some(Money::from_minor(more, self.amount.currency())))
    }

    pub(crate) fn taken(&self, id: EntryId, now: Timestamp) -> Entry {
        let (debit, credit) = (
            Account::CommissionPayable(self.agent),
            Account::PayoutsPending(self.agent),
        );
        self.entry(id, EntryKind::PayoutTaken, self.amount, debit, credit, now)
    }

    pub(crate) fn given_back(&self, id: EntryId, now: Timestamp) -> Entry {
        let (debit, credit) = (
            Account::PayoutsPending(self.agent),
            Account::CommissionPayable(self.agent),
        );
        self.entry(id, EntryKind::PayoutReturned, self.amount, debit, credit, now)
            .with_part(self.tries.to_string())
    }

    pub(crate) fn paid_entry(&self, id: EntryId, now: Timestamp) -> Entry {
        let (debit, credit) = (Account::PayoutsPending(self.agent), self.method.source());
        self.entry(id, EntryKind::PayoutPaid, self.amount, debit, credit, now)
    }

    /// After [`reverse`](Self::reverse), with what it said.
    pub(crate) fn came_back(&self, id: EntryId, more: Money, now: Timestamp) -> Entry {
        let (debit, credit) = (self.method.source(), Account::CommissionPayable(self.agent));
        self.entry(id, EntryKind::PayoutReturned, more, debit, credit, now)
            .with_part(format!("reversed:{}", self.reversed.minor()))
    }

    fn entry(
        &self,
        id: EntryId,
        kind: EntryKind,
        amount: Money,
        debit: Account,
        credit: Account,
        now: Timestamp,
    ) -> Entry {
        Entry::of_money(id, kind, self.id.as_uuid(), now, amount, debit, credit)
    }

    /// Whether the agent asked for it.
    pub const fn is_withdrawal(&self) -> bool {
        self.settlement.is_none()
    }

    pub(crate) fn happened(&self, kind: &'static str, at: Timestamp) -> Event {
        let mut payload = json!({
            "agent": self.agent, "amount": self.amount, "method": self.method, "settlement": self.settlement,
            "try": self.tries,
        });
        if let Some(reason) = &self.reason {
            payload["reason"] = Value::from(reason.as_str());
        }
        Event {
            kind,
            subject: self.id.as_uuid(),
            payload,
            at,
        }
    }
}

#[cfg(test)]
mod entity_tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::{at, party, usd};

    fn payout(state: PayoutState) -> Payout {
        Payout {
            id: PayoutId::from_uuid(Uuid::from_u128(1)),
            settlement: None,
            agent: party(1),
            amount: usd(1_000),
            method: PayoutMethod::Connect,
            account_version: Some(1),
            state,
            tries: 1,
            begun_at: Some(at(0)),
            reference: None,
            reason: None,
            reversed: usd(0),
            decided_by: None,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    #[test]
    fn only_the_listed_moves_exist() {
        use PayoutState::{Approved, Cancelled, Done, Failed, Rejected, Requested, Returned, Sending};
        let listed = [
            (Requested, Approved),
            (Requested, Rejected),
            (Requested, Cancelled),
            (Approved, Sending),
            (Approved, Cancelled),
            (Sending, Done),
            (Sending, Failed),
            (Failed, Approved),
            (Failed, Returned),
            (Done, Returned),
        ];
        for from in PayoutState::ALL {
            for to in PayoutState::ALL {
                let (mut one, listed) = (payout(*from), listed.contains(&(*from, *to)));
                assert_eq!(one.become_(*to, at(1)).is_ok(), listed, "{from:?} → {to:?}");
                assert_eq!(one.state == *to, listed || from == to);
            }
            assert_eq!(PayoutState::from_name(from.as_str()), Some(*from));
        }
    }

    #[test]
    fn each_try_has_a_number_that_no_try_had_before() {
        let mut one = payout(PayoutState::Approved);
        one.begin(at(1)).unwrap();
        one.fail("balance_insufficient".to_owned(), at(1)).unwrap();
        one.become_(PayoutState::Approved, at(2)).unwrap();
        one.begin(at(2)).unwrap();
        assert_eq!((one.tries, one.begun_at), (3, Some(at(2))));
        assert!(one.begin(at(3)).is_err());
    }

    #[test]
    fn s45_what_came_back_counts_once_however_often_it_is_told_and_all_of_it_is_an_end() {
        let mut one = payout(PayoutState::Done);
        assert_eq!(one.reverse(usd(300), at(1)), Ok(Some(usd(300))));
        assert_eq!(one.reverse(usd(300), at(1)), Ok(None));
        assert_eq!(one.reverse(usd(200), at(1)), Ok(None));
        assert_eq!(one.state, PayoutState::Done);
        assert_eq!(one.reverse(usd(1_000), at(2)), Ok(Some(usd(700))));
        assert_eq!(one.state, PayoutState::Returned);
        assert_eq!(one.reverse(usd(1_000), at(2)), Ok(None));
        assert!(payout(PayoutState::Sending).reverse(usd(1), at(1)).is_err());
    }
}
