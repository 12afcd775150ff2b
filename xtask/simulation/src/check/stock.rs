//! Counters, movements, what buyers hold, and the tokens on the books.

use posx_allocations::AllocationState;
use posx_kernel::{ChainAssetId, TokenAmount};
use posx_ledger::{Account, Unit};
use posx_orders::{Lifecycle, Line, Order};
use posx_tiers::{Stock, StockChange};

use super::money::balance;
use crate::store::rows::Rows;

fn is_sold(order: &Order) -> bool {
    matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled)
}

fn is_placed(order: &Order) -> bool {
    order.lifecycle == Lifecycle::Placed
}

pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for (tier, stock) in &rows.stock {
        let units = |counts: fn(&Order) -> bool| -> i64 {
            let lines = rows
                .orders
                .values()
                .filter(|order| counts(order))
                .flat_map(|order| &order.lines);
            let of_tier = lines.filter(|line| line.tier == *tier);
            of_tier.map(|line| i64::from(line.quantity)).sum()
        };
        let expected = (
            units(is_placed),
            units(is_sold) - restocked(rows, |line| line.tier == *tier),
        );
        if (stock.reserved, stock.sold) != expected {
            broken.push(format!("{tier} counts {stock:?}, its orders {expected:?}"));
        }
        let moved = rows
            .movements
            .values()
            .filter(|(movement, _)| movement.tier == *tier);
        let (mut reserved, mut sold) = (0, 0);
        for (movement, change) in moved {
            let n = movement.quantity;
            match change {
                StockChange::Reserve => reserved += n,
                StockChange::Release => reserved -= n,
                StockChange::Sell => (reserved, sold) = (reserved - n, sold + n),
                StockChange::SellFree => sold += n,
                StockChange::Unsell => sold -= n,
                StockChange::Correct { .. } => {}
            }
        }
        if (stock.reserved, stock.sold) != (reserved, sold) {
            broken.push(format!(
                "{tier} counts {stock:?}, its movements {:?}",
                (reserved, sold)
            ));
        }
        if stock.sold + stock.reserved > stock.supply {
            broken.push(format!("oversold: {tier} has {stock:?}"));
        }
        broken.extend(of_tokens(rows, stock, *tier));
    }
    broken.extend(of_buyers(rows));
    broken
}

/// Units of such lines that went back to the stock.
fn restocked(rows: &Rows, counts: impl Fn(&Line) -> bool) -> i64 {
    let lines = rows
        .orders
        .values()
        .flat_map(|order| &order.lines)
        .filter(|line| counts(line));
    let units = lines.filter_map(|line| rows.restocks.get(&line.id));
    units.map(|restock| i64::from(restock.units)).sum()
}

fn of_tokens(rows: &Rows, stock: &Stock, tier: posx_kernel::TierId) -> Vec<String> {
    let Some(tier) = rows.tiers.get(&tier) else {
        return Vec::new();
    };
    let tokens = |counts: fn(&Order) -> bool| -> u128 {
        let lines = rows
            .orders
            .values()
            .filter(|order| counts(order))
            .flat_map(|order| &order.lines);
        let own = lines.filter(|line: &&Line| line.asset == tier.asset);
        own.map(|line| line.tokens.base_units()).sum()
    };
    let of_asset = || {
        rows.allocations
            .values()
            .filter(|allocation| allocation.asset == tier.asset)
    };
    let done = of_asset().filter(|one| matches!(one.state, AllocationState::Done { .. }));
    let delivered: u128 = done
        .map(|one| one.left().base_units() - one.received.base_units())
        .sum();
    let of_releases = rows
        .releases
        .values()
        .filter(|release| release.asset == tier.asset && release.state.allocation().is_none());
    let unsent: u128 = of_releases.map(super::vesting::taken).sum();
    let cut = unsent + of_asset().map(|one| one.cut.base_units()).sum::<u128>();
    let owed: u128 = of_asset().map(|one| one.debt().base_units()).sum();
    let unit = tier.tokens_for(1).unwrap_or(TokenAmount::ZERO).base_units();
    let back = u128::try_from(restocked(rows, |line| line.tier == tier.id)).unwrap_or_default() * unit;
    let supply = u32::try_from(stock.supply)
        .ok()
        .and_then(|units| tier.tokens_for(units).ok());
    let issued = supply.unwrap_or(TokenAmount::ZERO).base_units();
    let (reserved, sold) = (tokens(is_placed), tokens(is_sold));
    let gifts = gifts(rows, tier.asset);
    let expected = [
        (Account::TokensReserved, reserved),
        (Account::TokensDelivered, delivered),
        (Account::TokensReturned, cut.saturating_sub(back)),
        (Account::TokensSold, sold.saturating_sub(delivered + cut)),
        (
            Account::TokensFree,
            (issued + back + gifts).saturating_sub(reserved + sold),
        ),
    ];
    let wrong = |(account, expected): &(Account, u128)| {
        let booked = of_asset_account(rows, account, tier.asset);
        let expected = i128::try_from(*expected).unwrap_or(i128::MAX);
        (booked != expected).then(|| {
            format!(
                "books: {} of {} is {booked}, not {expected}",
                account.code(),
                tier.asset
            )
        })
    };
    let mut broken: Vec<_> = expected.iter().filter_map(wrong).collect();
    let claims = of_asset_account(rows, &Account::TokensClaims, tier.asset);
    if -claims != i128::try_from(owed).unwrap_or(i128::MAX) {
        broken.push(format!(
            "books: buyers owe {owed} of {}, the claims are {claims}",
            tier.asset
        ));
    }
    broken
}

/// What promo codes gave on top: issued with the order, and none of the supply.
fn gifts(rows: &Rows, asset: ChainAssetId) -> u128 {
    let alive = rows
        .orders
        .values()
        .filter(|order| is_placed(order) || is_sold(order));
    let lines = alive
        .flat_map(|order| &order.lines)
        .filter(|line| line.asset == asset);
    lines.map(|line| line.promo_tokens.base_units()).sum()
}

fn of_asset_account(rows: &Rows, account: &Account, asset: ChainAssetId) -> i128 {
    balance(rows, account, Unit::Asset(asset))
}

/// What limited tiers count for a buyer is what the buyer has placed and paid.
fn of_buyers(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for ((tier, buyer), held) in &rows.held_by_buyer {
        let alive = |order: &&Order| order.buyer == *buyer && (is_placed(order) || is_sold(order));
        let lines = rows.orders.values().filter(alive).flat_map(|order| &order.lines);
        let counted = lines.filter(|line| line.tier == *tier && line.counted_per_buyer);
        let units = |line: &Line| {
            let back = rows.restocks.get(&line.id).map_or(0, |restock| restock.units);
            i64::from(line.quantity) - i64::from(back)
        };
        let expected: i64 = counted.map(units).sum();
        let limit = rows.tiers.get(tier).and_then(|tier| tier.max_per_buyer);
        if *held != expected {
            broken.push(format!("{buyer} is counted {held} of {tier}, and has {expected}"));
        }
        // Who bought again what had gone back, and then had it restored, may hold more.
        let lines = rows
            .orders
            .values()
            .filter(|order| order.buyer == *buyer)
            .flat_map(|order| &order.lines);
        let restored = lines
            .filter_map(|line| rows.restocks.get(&line.id))
            .any(|restock| restock.changes > 1);
        if !restored && limit.is_some_and(|limit| *held > i64::from(limit)) {
            broken.push(format!("{buyer} holds {held} of {tier}: more than one buyer may"));
        }
    }
    broken
}
