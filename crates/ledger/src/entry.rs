//! Entries.

use std::collections::BTreeMap;

use posx_kernel::{ChainAssetId, EntryId, Money, Timestamp, TokenAmount};
use uuid::Uuid;

use crate::{Account, Unit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Debit,
    Credit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub account: Account,
    pub unit: Unit,
    pub side: Side,
    /// Minor or base units, never zero.
    pub amount: u128,
}

macro_rules! entry_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// The facts that are booked. The name is stored, and with the cause it makes an entry unique.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EntryKind {
            $($(#[$doc])* $name,)+
        }

        impl EntryKind {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

entry_kinds! {
    /// A tier's supply is created or corrected.
    TokensIssued = "tokens.issued";
    TokensReserved = "tokens.reserved";
    TokensReleased = "tokens.released";
    TokensSold = "tokens.sold";
    TokensUnsold = "tokens.unsold";
    /// Cut from what is still to be delivered, because money went back.
    TokensReturned = "tokens.returned";
    /// The money did not go back after all.
    TokensRestored = "tokens.restored";
    /// Returned tokens are for sale again.
    TokensRestocked = "tokens.restocked";
    TokensDelivered = "tokens.delivered";
    /// The buyer has both the money and the tokens.
    TokensOwed = "tokens.owed";
    /// A buyer's debt of tokens ends.
    TokensSettled = "tokens.settled";
    /// A buyer sent tokens back that the buyer owed.
    TokensReceived = "tokens.received";
    /// What a buyer owes of tokens is given up.
    TokensWaived = "tokens.waived";
    PaymentCaptured = "payment.captured";
    /// Money that arrived and cannot be kept: it is owed back.
    RefundOwed = "refund.owed";
    /// Staff gives money of a sale back.
    RefundRequested = "refund.requested";
    RefundPaid = "refund.paid";
    /// The provider paid a refund, and its money came back.
    RefundBounced = "refund.bounced";
    /// A requested refund failed or was cancelled: the sale stands.
    RefundUndone = "refund.undone";
    /// The provider took disputed money away.
    DisputeWithdrawn = "dispute.withdrawn";
    /// The provider gave disputed money back.
    DisputeReinstated = "dispute.reinstated";
    DisputeFee = "dispute.fee";
    /// Disputed money is gone for good: the sale is undone.
    DisputeLost = "dispute.lost";
    /// A lost dispute was won after all.
    DisputeRecovered = "dispute.recovered";
    CommissionAccrued = "commission.accrued";
    CommissionReversed = "commission.reversed";
    CommissionRestored = "commission.restored";
    /// What an agent owes is given up.
    CommissionWrittenOff = "commission.written_off";
    /// Taken from an agent's balance for a payout or a withdrawal.
    PayoutTaken = "payout.taken";
    /// It did not arrive, and is the agent's again.
    PayoutReturned = "payout.returned";
    PayoutPaid = "payout.paid";
    ProviderFee = "provider.fee";
    /// The provider paid its balance to the site's bank.
    ProviderPaidOut = "provider.paid_out";
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry's debits and credits differ in {unit}")]
pub struct Unbalanced {
    pub unit: String,
}

/// A balanced entry. Its maker nets nothing: postings of zero are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    id: EntryId,
    kind: EntryKind,
    cause: Uuid,
    part: String,
    postings: Vec<Posting>,
    at: Timestamp,
}

impl Entry {
    /// Fails when debits and credits differ in any unit.
    pub fn new(
        id: EntryId,
        kind: EntryKind,
        cause: Uuid,
        at: Timestamp,
        postings: Vec<Posting>,
    ) -> Result<Self, Unbalanced> {
        let mut sums: BTreeMap<Unit, (u128, u128)> = BTreeMap::new();
        let postings: Vec<_> = postings
            .into_iter()
            .filter(|posting| posting.amount > 0)
            .collect();
        for posting in &postings {
            let (debit, credit) = sums.entry(posting.unit).or_default();
            let side = if posting.side == Side::Debit {
                debit
            } else {
                credit
            };
            *side = side.checked_add(posting.amount).ok_or_else(|| Unbalanced {
                unit: posting.unit.to_string(),
            })?;
        }
        match sums.into_iter().find(|(_, (debit, credit))| debit != credit) {
            Some((unit, _)) => Err(Unbalanced {
                unit: unit.to_string(),
            }),
            None => Ok(Self {
                id,
                kind,
                cause,
                part: String::new(),
                postings,
                at,
            }),
        }
    }

    /// Money moves from `credit` to `debit`. A negative amount moves the other way.
    pub fn of_money(
        id: EntryId,
        kind: EntryKind,
        cause: Uuid,
        at: Timestamp,
        amount: Money,
        debit: Account,
        credit: Account,
    ) -> Self {
        let (debit, credit) = if amount.is_negative() {
            (credit, debit)
        } else {
            (debit, credit)
        };
        Self::pair(
            id,
            kind,
            cause,
            at,
            Unit::Currency(amount.currency()),
            u128::from(amount.minor().unsigned_abs()),
            debit,
            credit,
        )
    }

    /// Tokens move from `credit` to `debit`.
    #[expect(clippy::too_many_arguments, reason = "an entry is exactly these facts")]
    pub fn of_tokens(
        id: EntryId,
        kind: EntryKind,
        cause: Uuid,
        at: Timestamp,
        asset: ChainAssetId,
        amount: TokenAmount,
        debit: Account,
        credit: Account,
    ) -> Self {
        Self::pair(
            id,
            kind,
            cause,
            at,
            Unit::Asset(asset),
            amount.base_units(),
            debit,
            credit,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "an entry is exactly these facts")]
    fn pair(
        id: EntryId,
        kind: EntryKind,
        cause: Uuid,
        at: Timestamp,
        unit: Unit,
        amount: u128,
        debit: Account,
        credit: Account,
    ) -> Self {
        let posting = |account, side| Posting {
            account,
            unit,
            side,
            amount,
        };
        let postings = if amount == 0 {
            Vec::new()
        } else {
            vec![posting(debit, Side::Debit), posting(credit, Side::Credit)]
        };
        Self {
            id,
            kind,
            cause,
            part: String::new(),
            postings,
            at,
        }
    }

    /// Tells two entries of one kind and cause apart: an order with two lines, a batch with many agents.
    #[must_use]
    pub fn with_part(mut self, part: impl Into<String>) -> Self {
        self.part = part.into();
        self
    }

    pub const fn id(&self) -> EntryId {
        self.id
    }

    pub const fn kind(&self) -> EntryKind {
        self.kind
    }

    pub const fn cause(&self) -> Uuid {
        self.cause
    }

    pub fn part(&self) -> &str {
        &self.part
    }

    /// None for a fact of zero, which is not posted.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use posx_kernel::{Currency, EntryId};

    use super::*;

    #[test]
    fn p31_an_entry_that_does_not_balance_in_each_unit_cannot_be_made() {
        let (usd, kwd) = (
            Currency::from_code("USD").expect("USD"),
            Currency::from_code("KWD").expect("KWD"),
        );
        let posting = |account, unit, side, amount| Posting {
            account,
            unit: Unit::Currency(unit),
            side,
            amount,
        };
        let entry = |postings| {
            let id = EntryId::from_uuid(Uuid::nil());
            Entry::new(
                id,
                EntryKind::PaymentCaptured,
                Uuid::nil(),
                Timestamp::UNIX_EPOCH,
                postings,
            )
        };
        let debit = posting(Account::ProviderClearing, usd, Side::Debit, 100);
        assert!(
            entry(vec![
                debit.clone(),
                posting(Account::Sales, usd, Side::Credit, 100)
            ])
            .is_ok()
        );
        assert!(
            entry(vec![
                debit.clone(),
                posting(Account::Sales, usd, Side::Credit, 99)
            ])
            .is_err()
        );
        assert!(
            entry(vec![
                debit.clone(),
                posting(Account::Sales, kwd, Side::Credit, 100)
            ])
            .is_err()
        );
        assert!(entry(vec![debit]).is_err());
        let most = |side| posting(Account::Sales, usd, side, u128::MAX);
        assert!(
            entry(vec![most(Side::Debit), most(Side::Debit), most(Side::Credit)]).is_err(),
            "no overflow"
        );
    }
}
