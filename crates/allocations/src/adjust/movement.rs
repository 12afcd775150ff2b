//! Tokens that move on the books because money moved.

use posx_kernel::{ChainAssetId, EntryId, Timestamp, TokenAmount};
use posx_ledger::{Account, Entry, EntryKind};
use uuid::Uuid;

use crate::{Allocation, LineToDeliver, OrderToDeliver, Release, Settling, TokenSettlement};

/// An entry to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Movement {
    kind: EntryKind,
    cause: Uuid,
    /// The number of the change.
    part: String,
    asset: ChainAssetId,
    amount: TokenAmount,
    debit: Account,
    credit: Account,
}

impl Movement {
    pub(crate) fn entry(self, id: EntryId, now: Timestamp) -> Entry {
        let Self {
            kind,
            cause,
            part,
            asset,
            amount,
            debit,
            credit,
        } = self;
        Entry::of_tokens(id, kind, cause, now, asset, amount, debit, credit).with_part(part)
    }

    /// What was taken of it before and is now.
    pub(crate) fn of_release(release: &Release, before: TokenAmount, now: TokenAmount) -> Self {
        taken(release.id.as_uuid(), release.changes, release.asset, before, now)
    }

    pub(crate) fn of_cut(allocation: &Allocation, before: TokenAmount) -> Self {
        let cause = allocation.id.as_uuid();
        taken(
            cause,
            allocation.changes,
            allocation.asset,
            before,
            allocation.cut,
        )
    }

    /// `None`: what was waived covers the difference.
    pub(crate) fn of_debt(allocation: &Allocation, before: TokenAmount) -> Option<Self> {
        let owed = Account::TokensOwed(allocation.party);
        let (amount, more) = difference(before, allocation.debt());
        if amount.is_zero() {
            return None;
        }
        let (kind, debit, credit) = if more {
            (EntryKind::TokensOwed, owed, Account::TokensClaims)
        } else {
            (EntryKind::TokensSettled, Account::TokensClaims, owed)
        };
        Some(Self {
            kind,
            cause: allocation.id.as_uuid(),
            part: allocation.changes.to_string(),
            asset: allocation.asset,
            amount,
            debit,
            credit,
        })
    }

    /// What was sent is here again, or will not come.
    pub(crate) fn of_settlement(allocation: &Allocation, settlement: &TokenSettlement) -> Self {
        let (kind, debit, credit) = match settlement.how {
            Settling::Received => (
                EntryKind::TokensReceived,
                Account::TokensReturned,
                Account::TokensDelivered,
            ),
            Settling::Waived => (
                EntryKind::TokensWaived,
                Account::TokensClaims,
                Account::TokensOwed(allocation.party),
            ),
        };
        Self {
            kind,
            cause: settlement.id.as_uuid(),
            part: String::new(),
            asset: allocation.asset,
            amount: settlement.amount,
            debit,
            credit,
        }
    }

    /// Whole units of the line for sale again; or, when `back`, taken from there again.
    pub(crate) fn of_restock(
        order: &OrderToDeliver,
        line: &LineToDeliver,
        change: u32,
        amount: TokenAmount,
        back: bool,
    ) -> Self {
        let (debit, credit) = (Account::TokensFree, Account::TokensReturned);
        let (debit, credit) = if back { (credit, debit) } else { (debit, credit) };
        Self {
            kind: EntryKind::TokensRestocked,
            cause: order.order.as_uuid(),
            part: format!("{}.{change}", line.line),
            asset: line.asset,
            amount,
            debit,
            credit,
        }
    }
}

fn taken(cause: Uuid, change: u32, asset: ChainAssetId, before: TokenAmount, now: TokenAmount) -> Movement {
    let (amount, more) = difference(before, now);
    let (sold, returned) = (Account::TokensSold, Account::TokensReturned);
    let (kind, debit, credit) = if more {
        (EntryKind::TokensReturned, returned, sold)
    } else {
        (EntryKind::TokensRestored, sold, returned)
    };
    Movement {
        kind,
        cause,
        part: change.to_string(),
        asset,
        amount,
        debit,
        credit,
    }
}

/// How much, and whether it is more than before.
fn difference(before: TokenAmount, now: TokenAmount) -> (TokenAmount, bool) {
    let amount = before.base_units().abs_diff(now.base_units());
    (TokenAmount::from_base_units(amount), now > before)
}
