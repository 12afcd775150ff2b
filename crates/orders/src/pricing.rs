//! What an order would cost: a pure function of tiers, quantities and the instant.

use posx_kernel::{Currency, Money, TierId, Timestamp, TokenAmount};
use posx_tiers::{Chain, Tier};

use crate::{OrderError, TierFacts};

/// Tiers in one order.
pub const LINES_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WishedLine {
    pub tier: TierId,
    pub quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteLine {
    pub tier: Tier,
    pub quantity: u32,
    pub unit_price: Money,
    pub amount: Money,
    pub tokens: TokenAmount,
}

/// lines − discount + tax + shipping = total
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub lines: Vec<QuoteLine>,
    pub chain: Chain,
    pub subtotal: Money,
    pub discount: Money,
    pub tax: Money,
    pub shipping: Money,
    pub total: Money,
}

/// Prices the lines as of `now`. Tells what is wrong with which line; availability is only a first look, the counter itself
/// decides when the order is placed.
pub fn quote(
    wished: &[WishedLine],
    tiers: &[TierFacts],
    currency: Currency,
    now: Timestamp,
) -> Result<Quote, OrderError> {
    if wished.is_empty() {
        return Err(OrderError::NoLines);
    }
    if wished.len() > LINES_MAX {
        return Err(OrderError::TooManyLines);
    }
    let mut lines = Vec::with_capacity(wished.len());
    let mut chain: Option<Chain> = None;
    let mut subtotal = Money::zero(currency);
    for (at, wish) in wished.iter().enumerate() {
        if wished[..at].iter().any(|earlier| earlier.tier == wish.tier) {
            return Err(OrderError::TierTwice { line: at });
        }
        let facts = tiers
            .iter()
            .find(|facts| facts.tier.id == wish.tier)
            .ok_or(OrderError::UnknownTier { line: at })?;
        let line = quote_line(at, wish, facts, now)?;
        if *chain.get_or_insert(facts.asset.chain) != facts.asset.chain {
            return Err(OrderError::TwoChains { line: at });
        }
        subtotal = subtotal
            .checked_add(line.amount)
            .map_err(|_| OrderError::Quantity { line: at, max: 1 })?;
        lines.push(line);
    }
    let chain = chain.ok_or(OrderError::NoLines)?;
    let zero = Money::zero(currency);
    let quote = Quote {
        lines,
        chain,
        subtotal,
        discount: zero,
        tax: zero,
        shipping: zero,
        total: subtotal,
    };
    if quote.total.is_positive() && quote.total.minor() < currency.minimum_charge() {
        return Err(OrderError::BelowMinimumCharge(Money::from_minor(
            currency.minimum_charge(),
            currency,
        )));
    }
    Ok(quote)
}

fn quote_line(
    at: usize,
    wish: &WishedLine,
    facts: &TierFacts,
    now: Timestamp,
) -> Result<QuoteLine, OrderError> {
    let tier = &facts.tier;
    if !tier.active || !facts.asset.active {
        return Err(OrderError::InactiveTier { line: at });
    }
    if wish.quantity == 0 {
        return Err(OrderError::Quantity {
            line: at,
            max: tier.max_per_order,
        });
    }
    if wish.quantity > tier.max_per_order {
        return Err(OrderError::OverOrderLimit {
            line: at,
            max: tier.max_per_order,
        });
    }
    if facts.available < i64::from(wish.quantity) {
        return Err(OrderError::SoldOut {
            line: at,
            available: facts.available.max(0),
        });
    }
    let wrong = |_| OrderError::Quantity {
        line: at,
        max: tier.max_per_order,
    };
    let unit_price = tier.price_at(now);
    Ok(QuoteLine {
        amount: unit_price.checked_mul(wish.quantity).map_err(wrong)?,
        tokens: tier.tokens_for(wish.quantity).map_err(|_| OrderError::Quantity {
            line: at,
            max: tier.max_per_order,
        })?,
        tier: tier.clone(),
        quantity: wish.quantity,
        unit_price,
    })
}
