//! A promo code, and what it gives to an order.

mod error;
mod manage;
mod ports;
#[cfg(test)]
mod tests;

use posx_kernel::{
    ChainAssetId, Currency, Money, OrderId, PartyId, PromoCodeId, Rate, TierId, Timestamp, TokenAmount,
};
use serde::{Deserialize, Serialize};

pub use self::error::{PromoCodeError, PromoRefusal};
pub use self::manage::{CreatePromoCode, PromoCodes};
pub use self::ports::{
    BonusView, DiscountView, PromoCodeQueries, PromoCodeRepository, PromoCodeTotals, PromoCodeView,
    PromoUsageView,
};

/// Tiers that one code may name.
pub const PROMO_TIERS_MAX: usize = 100;

/// A code as it is looked for: 3 to 40 of A-Z, 0-9, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoCodeText(String);

impl PromoCodeText {
    /// Blanks around it and the case of its letters say nothing. `None`: no code looks like this.
    pub fn parse(typed: &str) -> Option<Self> {
        let text = typed.trim().to_ascii_uppercase();
        let known = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        ((3..=40).contains(&text.len()) && text.bytes().all(known)).then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// Of what the lines cost that the code is for.
    Rate(Rate),
    /// At most what those lines cost.
    Amount(Money),
}

/// Tokens on top, once an order, shared by the lines that sell the asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bonus {
    pub asset: ChainAssetId,
    pub tokens: TokenAmount,
    /// What all orders together get at most.
    pub tokens_max: Option<TokenAmount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromoKind {
    Percentage,
    FixedAmount,
    BonusTokens,
    /// A discount and a bonus.
    Combo,
}

/// What staff decide about a code, for creating and editing alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoTerms {
    pub discount: Option<Discount>,
    pub bonus: Option<Bonus>,
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub uses_max: Option<u32>,
    pub uses_per_buyer: Option<u32>,
    /// The least that the lines of an order cost together, before the discount.
    pub minimum: Money,
    /// Which tiers it is for; all when empty.
    pub tiers: Vec<TierId>,
    pub active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoCode {
    pub id: PromoCodeId,
    pub code: PromoCodeText,
    pub terms: PromoTerms,
    /// Grows by one with each edit; an edit names the one it saw.
    pub version: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// How often it is used, as last read: a first look, the counters themselves decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PromoUses {
    pub used: i64,
    pub bonus_given: TokenAmount,
    pub by_buyer: i64,
}

/// A line of an order, as far as a code looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromoLine {
    pub tier: TierId,
    pub asset: ChainAssetId,
    pub amount: Money,
}

/// What a code gives to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoGift {
    pub discount: Money,
    /// For each line, in their order.
    pub tokens: Vec<TokenAmount>,
}

/// One order's use of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromoUse {
    pub order: OrderId,
    pub buyer: PartyId,
    pub discount: Money,
    pub bonus: TokenAmount,
    pub at: Timestamp,
}

impl PromoTerms {
    /// A code that gives nothing passes [`Self::check`] nowhere.
    pub const fn kind(&self) -> PromoKind {
        match (&self.discount, &self.bonus) {
            (Some(Discount::Rate(_)), None) => PromoKind::Percentage,
            (Some(Discount::Amount(_)), None) => PromoKind::FixedAmount,
            (None, _) => PromoKind::BonusTokens,
            (Some(_), Some(_)) => PromoKind::Combo,
        }
    }

    pub const fn currency(&self) -> Currency {
        self.minimum.currency()
    }

    /// Everything that a code must satisfy, for creating and editing alike.
    pub fn check(&self) -> Result<(), PromoCodeError> {
        if self.discount.is_none() && self.bonus.is_none() {
            return Err(PromoCodeError::NoBenefit);
        }
        let currency = self.currency();
        match self.discount {
            Some(Discount::Rate(rate)) if rate == Rate::ZERO => return Err(PromoCodeError::Rate),
            Some(Discount::Amount(amount)) if amount.currency() != currency => {
                return Err(PromoCodeError::Currency(currency.code()));
            }
            Some(Discount::Amount(amount)) if !amount.is_positive() => return Err(PromoCodeError::Amount),
            Some(Discount::Amount(amount)) if amount.minor() % currency.charge_step() != 0 => {
                return Err(PromoCodeError::ChargeStep(currency.charge_step()));
            }
            _ => {}
        }
        if let Some(bonus) = self.bonus
            && (bonus.tokens.is_zero() || bonus.tokens_max.is_some_and(|most| most < bonus.tokens))
        {
            return Err(PromoCodeError::Bonus);
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && from >= until
        {
            return Err(PromoCodeError::Window);
        }
        let counts = |limit: Option<u32>| limit.is_none_or(|most| (1..=1_000_000_000).contains(&most));
        match () {
            () if !counts(self.uses_max) => Err(PromoCodeError::UsesMax),
            () if !counts(self.uses_per_buyer) => Err(PromoCodeError::UsesPerBuyer),
            () if self.minimum.is_negative() => Err(PromoCodeError::Minimum),
            () if self.tiers.len() > PROMO_TIERS_MAX => Err(PromoCodeError::TooManyTiers),
            () => Ok(()),
        }
    }

    fn is_for(&self, tier: TierId) -> bool {
        self.tiers.is_empty() || self.tiers.contains(&tier)
    }
}

impl PromoCode {
    /// What it gives to an order of these lines, whose prices are multiples of the currency's charge step: so is the
    /// discount. It gives all that it promises or nothing.
    pub fn give(
        &self,
        lines: &[PromoLine],
        subtotal: Money,
        uses: PromoUses,
        now: Timestamp,
    ) -> Result<PromoGift, PromoRefusal> {
        let terms = &self.terms;
        self.is_usable(uses, now)?;
        if terms.currency() != subtotal.currency() {
            return Err(PromoRefusal::Currency);
        }
        if subtotal.minor() < terms.minimum.minor() {
            return Err(PromoRefusal::MinimumNotMet(terms.minimum));
        }
        if !lines.iter().any(|line| terms.is_for(line.tier)) {
            return Err(PromoRefusal::TierNotApplicable);
        }
        Ok(PromoGift {
            discount: terms.discount_on(lines, subtotal.currency()),
            tokens: terms.bonus_for(lines)?,
        })
    }

    fn is_usable(&self, uses: PromoUses, now: Timestamp) -> Result<(), PromoRefusal> {
        let terms = &self.terms;
        let reached = |used: i64, limit: Option<u32>| limit.is_some_and(|most| used >= i64::from(most));
        let spent = terms.bonus.is_some_and(|bonus| {
            let next = uses.bonus_given.checked_add(bonus.tokens);
            bonus
                .tokens_max
                .is_some_and(|most| next.is_ok_and(|next| next > most))
        });
        match () {
            () if !terms.active => Err(PromoRefusal::Inactive),
            () if terms.from.is_some_and(|from| now < from) => Err(PromoRefusal::NotYetValid),
            () if terms.until.is_some_and(|until| now >= until) => Err(PromoRefusal::Expired),
            () if spent || reached(uses.used, terms.uses_max) => Err(PromoRefusal::Exhausted),
            () if reached(uses.by_buyer, terms.uses_per_buyer) => Err(PromoRefusal::BuyerLimit),
            () => Ok(()),
        }
    }
}

impl PromoTerms {
    /// Rounded half-even once, to the step in which the currency is charged.
    fn discount_on(&self, lines: &[PromoLine], currency: Currency) -> Money {
        let eligible = lines.iter().filter(|line| self.is_for(line.tier));
        let eligible: i64 = eligible.map(|line| line.amount.minor()).sum();
        match self.discount {
            None => Money::zero(currency),
            Some(Discount::Amount(amount)) => Money::from_minor(amount.minor().min(eligible), currency),
            Some(Discount::Rate(rate)) => {
                let step = currency.charge_step();
                let steps = Money::from_minor(eligible / step, currency).share(rate);
                Money::from_minor(steps.minor() * step, currency)
            }
        }
    }

    /// By what the lines cost, exactly: each line gets what of the bonus belongs to it and the lines before it, less what
    /// those got.
    fn bonus_for(&self, lines: &[PromoLine]) -> Result<Vec<TokenAmount>, PromoRefusal> {
        let mut tokens = vec![TokenAmount::ZERO; lines.len()];
        let Some(bonus) = self.bonus else {
            return Ok(tokens);
        };
        let sells = |line: &PromoLine| line.asset == bonus.asset && self.is_for(line.tier);
        let lines: Vec<_> = (0..).zip(lines).filter(|(_, line)| sells(line)).collect();
        let (first, _) = *lines.first().ok_or(PromoRefusal::TierNotApplicable)?;
        let cost = |line: &PromoLine| line.amount.minor().unsigned_abs();
        let whole = lines.iter().map(|(_, line)| cost(line)).sum();
        let (mut up_to_here, mut given) = (0, TokenAmount::ZERO);
        for (at, line) in lines {
            up_to_here += cost(line);
            let Some(so_far) = bonus.tokens.fraction(up_to_here, whole) else {
                // Lines that cost nothing say nothing of their shares.
                tokens[first] = bonus.tokens;
                break;
            };
            tokens[at] = TokenAmount::from_base_units(so_far.base_units() - given.base_units());
            given = so_far;
        }
        Ok(tokens)
    }
}
