//! What went to agents is what was taken from their balances, and the provider says so too.

use posx_commissions::{Payout, PayoutMethod, PayoutState, SettlementState};
use posx_kernel::PartyId;

use crate::store::rows::Rows;
use crate::world::World;

/// Taken from the balance and not back.
pub(crate) const fn outstanding(payout: &Payout) -> i64 {
    match payout.state {
        PayoutState::Requested | PayoutState::Approved | PayoutState::Sending | PayoutState::Failed => {
            payout.amount.minor()
        }
        PayoutState::Done => payout.amount.minor() - payout.reversed.minor(),
        PayoutState::Returned | PayoutState::Rejected | PayoutState::Cancelled => 0,
    }
}

/// Taken from the balance, and neither paid nor back.
pub(super) const fn pending(payout: &Payout) -> i64 {
    match payout.state {
        PayoutState::Done => 0,
        _ => outstanding(payout),
    }
}

/// What left where the money is.
pub(super) fn paid(rows: &Rows, from: impl Fn(PayoutMethod) -> bool) -> i64 {
    let done = rows.payouts.values().filter(|payout| from(payout.method));
    done.map(|payout| outstanding(payout) - pending(payout)).sum()
}

pub(super) fn is_open(rows: &Rows) -> bool {
    let paying = |state| {
        matches!(
            state,
            SettlementState::Draft | SettlementState::Approved | SettlementState::Paying
        )
    };
    rows.payouts.values().any(|payout| pending(payout) > 0)
        || rows
            .settlements
            .values()
            .any(|settlement| paying(settlement.state))
}

pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for payout in rows.payouts.values().filter(|payout| pending(payout) > 0) {
        broken.push(format!("unfinished: {} is {:?}", payout.id, payout.state));
    }
    for settlement in rows.settlements.values() {
        if !matches!(
            settlement.state,
            SettlementState::Done | SettlementState::PartlyFailed | SettlementState::Discarded
        ) {
            broken.push(format!("unfinished: {} is {:?}", settlement.id, settlement.state));
        }
        if settlement
            .approved
            .is_some_and(|(by, _)| by == settlement.made_by)
        {
            broken.push(format!("{} was approved of by its maker", settlement.id));
        }
        let lines = rows.settlement_lines.get(&(settlement.id, settlement.revision));
        let promised = lines.into_iter().flatten().filter(|line| line.is_paid());
        let mut promised: Vec<_> = promised.map(|line| (line.agent, line.amount.minor())).collect();
        let made = rows
            .payouts
            .values()
            .filter(|payout| payout.settlement == Some(settlement.id));
        let mut made: Vec<(PartyId, i64)> =
            made.map(|payout| (payout.agent, payout.amount.minor())).collect();
        promised.sort_unstable();
        made.sort_unstable();
        if settlement.approved.is_some() && promised != made
            || settlement.approved.is_none() && !made.is_empty()
        {
            broken.push(format!(
                "{} promised {promised:?} and pays {made:?}",
                settlement.id
            ));
        }
    }
    broken
}

/// One transfer at most for each payout, and each that is there is known and of its amount.
pub(super) fn at_the_provider(world: &World) -> Vec<String> {
    let (transfers, mut broken) = (world.transfers.made(), Vec::new());
    let mut known = 0;
    for scene in &world.sites {
        world.db.read(scene.site.id, |rows| {
            for payout in rows.payouts.values() {
                let of_it: Vec<_> = transfers
                    .iter()
                    .filter(|one| one.payout == Some(payout.id))
                    .collect();
                known += of_it.len();
                if of_it.len() > 1 {
                    broken.push(format!("sent twice: {} has {} transfers", payout.id, of_it.len()));
                }
                let came_back = of_it.first().map(|one| one.reversed.minor());
                let expected = match (payout.method, payout.state) {
                    (PayoutMethod::Connect, PayoutState::Done) => Some(payout.reversed.minor()),
                    (PayoutMethod::Connect, PayoutState::Returned) if payout.reversed.is_positive() => {
                        Some(payout.amount.minor())
                    }
                    _ => None,
                };
                if came_back != expected || of_it.iter().any(|one| one.amount != payout.amount) {
                    broken.push(format!(
                        "{} is {:?}; the provider has {of_it:?}",
                        payout.id, payout.state
                    ));
                }
            }
        });
    }
    if known != transfers.len() {
        broken.push(format!(
            "{} transfers, and {known} payouts that they are of",
            transfers.len()
        ));
    }
    broken
}
