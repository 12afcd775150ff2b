//! What an order would cost: a pure function of tiers, quantities and the instant.

use posx_kernel::{Currency, Money, PromoCodeId, TierId, Timestamp, TokenAmount};
use posx_tiers::{Chain, PromoCode, PromoLine, PromoRefusal, Tier};

use crate::{OrderError, PromoFacts, TierFacts};

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
    /// Of the tokens: the bonus of a promo code.
    pub promo_tokens: TokenAmount,
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
    /// The code that gave the discount and the bonus, or why it gave nothing. `None`: no code was typed.
    pub promo: Option<Result<PromoCode, PromoRefusal>>,
}

/// Prices the lines as of `now`. Tells what is wrong with which line; availability is only a first look, the counter itself
/// decides when the order is placed. So it is with a promo code, and one that gives nothing changes nothing.
pub fn quote(
    wished: &[WishedLine],
    tiers: &[TierFacts],
    promo: Option<Result<&PromoFacts, PromoRefusal>>,
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
    let mut quote = Quote {
        lines,
        chain,
        subtotal,
        discount: zero,
        tax: zero,
        shipping: zero,
        total: subtotal,
        promo: None,
    };
    quote.promo = promo.map(|facts| quote.apply(facts?, now));
    if quote.total.is_positive() && quote.total.minor() < currency.minimum_charge() {
        return Err(OrderError::BelowMinimumCharge(Money::from_minor(
            currency.minimum_charge(),
            currency,
        )));
    }
    Ok(quote)
}

impl Quote {
    /// What is left to pay is nothing, or what a card can be charged: the discount gives way.
    fn apply(&mut self, facts: &PromoFacts, now: Timestamp) -> Result<PromoCode, PromoRefusal> {
        let lines: Vec<_> = self.lines.iter().map(promo_line).collect();
        let gift = facts.code.give(&lines, self.subtotal, facts.uses, now)?;
        let added = self.lines.iter().zip(&gift.tokens);
        let tokens = added.map(|(line, bonus)| line.tokens.checked_add(*bonus));
        let tokens: Vec<_> = tokens
            .collect::<Result<_, _>>()
            // More than can be counted: such a tier has no room for a bonus.
            .map_err(|_| PromoRefusal::TierNotApplicable)?;
        for ((line, tokens), bonus) in self.lines.iter_mut().zip(tokens).zip(gift.tokens) {
            (line.tokens, line.promo_tokens) = (tokens, bonus);
        }
        let (currency, subtotal) = (self.subtotal.currency(), self.subtotal.minor());
        let (left, least) = (subtotal - gift.discount.minor(), currency.minimum_charge());
        let total = if left > 0 && left < least {
            least.min(subtotal)
        } else {
            left
        };
        self.total = Money::from_minor(total, currency);
        self.discount = Money::from_minor(subtotal - total, currency);
        Ok(facts.code.clone())
    }

    /// Of the code that was applied.
    pub fn promo_code(&self) -> Option<PromoCodeId> {
        let applied = self.promo.as_ref().and_then(|promo| promo.as_ref().ok());
        applied.map(|code| code.id)
    }

    /// What the promo code gives on top, in base units.
    pub fn promo_tokens(&self) -> TokenAmount {
        let given = self.lines.iter().map(|line| line.promo_tokens.base_units());
        TokenAmount::from_base_units(given.sum())
    }
}

const fn promo_line(line: &QuoteLine) -> PromoLine {
    PromoLine {
        tier: line.tier.id,
        asset: line.tier.asset,
        amount: line.amount,
    }
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
        promo_tokens: TokenAmount::ZERO,
        tier: tier.clone(),
        quantity: wish.quantity,
        unit_price,
    })
}
