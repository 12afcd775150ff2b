//! What calls cost: the operator's price book.
//!
//! A version is never edited: a new price is a new version. Arithmetic is in whole numbers and rounds up, once.

use posx_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Micros, Usage};

/// Prices are for so many tokens.
const PER: u128 = 1_000_000;
/// Of one price: a million units for a million tokens. Above it a price is a mistake.
const RATE_MAX: Micros = match Micros::new(1_000_000_000_000) {
    Some(most) => most,
    None => Micros::MAX,
};

/// What a million tokens cost in calls with at least so much input. The whole call is of one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTier {
    /// The first tier begins at zero.
    #[serde(default)]
    pub from_input_tokens: u64,
    pub input: Micros,
    /// Of input from the provider's cache.
    pub cached_input: Micros,
    /// Reasoning included.
    pub output: Micros,
}

/// One model's price in one version of the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    pub version: u32,
    pub provider: String,
    pub model: String,
    pub valid_from: Timestamp,
    /// By `from_input_tokens`, ascending.
    pub tiers: Vec<PriceTier>,
}

/// The most that a call can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokensMax {
    pub input: u64,
    /// Reasoning included.
    pub output: u64,
}

impl Price {
    /// The dearest of the tiers that the call can reach, all of the input at the dearer of its two prices.
    pub fn worst_case(&self, most: TokensMax) -> Micros {
        let reached = self
            .tiers
            .iter()
            .filter(|tier| tier.from_input_tokens <= most.input);
        let cost = |tier: &PriceTier| {
            let input = tier.input.max(tier.cached_input);
            sum(&[(most.input, input), (most.output, tier.output)])
        };
        reached.map(cost).max().unwrap_or(Micros::MAX)
    }

    /// Tokens from the cache are part of the input, and reasoning is part of the output, whatever the provider says.
    pub fn cost(&self, usage: &Usage) -> Micros {
        let cached = usage.cached_input.min(usage.input);
        let output = usage.output.max(usage.reasoning);
        let mut tiers = self.tiers.iter().rev();
        let of_call = tiers.find(|tier| tier.from_input_tokens <= usage.input);
        of_call.map_or(Micros::MAX, |tier| {
            sum(&[
                (usage.input - cached, tier.input),
                (cached, tier.cached_input),
                (output, tier.output),
            ])
        })
    }
}

/// Rounded up to the next millionth; what is too large to count is [`Micros::MAX`], which no budget holds.
fn sum(parts: &[(u64, Micros)]) -> Micros {
    let total = parts.iter().fold(0_u128, |total, (tokens, rate)| {
        total.saturating_add(u128::from(*tokens) * u128::from(rate.get()))
    });
    let micros = u64::try_from(total.div_ceil(PER)).ok();
    micros.and_then(Micros::new).unwrap_or(Micros::MAX)
}

/// Why a list of prices is no price book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceBookError {
    #[error("version {version} has two prices of {provider}/{model}")]
    Twice {
        version: u32,
        provider: String,
        model: String,
    },
    #[error("version {version} begins before the version that it follows")]
    Order { version: u32 },
    #[error(
        "{provider}/{model} in version {version}: tiers begin at zero, ascend, and no price is above 1000000000000"
    )]
    Tiers {
        version: u32,
        provider: String,
        model: String,
    },
}

/// Every version that the operator keeps, as of the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceBook {
    /// By version.
    prices: Vec<Price>,
}

impl PriceBook {
    pub fn new(mut prices: Vec<Price>) -> Result<Self, PriceBookError> {
        prices.sort_by_key(|price| price.version);
        for (at, price) in prices.iter().enumerate() {
            let named = || (price.version, price.provider.clone(), price.model.clone());
            let same = |other: &Price| {
                (other.version, &other.provider, &other.model)
                    == (price.version, &price.provider, &price.model)
            };
            if prices[..at].iter().any(same) {
                let (version, provider, model) = named();
                return Err(PriceBookError::Twice {
                    version,
                    provider,
                    model,
                });
            }
            if !has_good_tiers(price) {
                let (version, provider, model) = named();
                return Err(PriceBookError::Tiers {
                    version,
                    provider,
                    model,
                });
            }
        }
        if let Some(pair) = prices.windows(2).find(|pair| !follows(&pair[0], &pair[1])) {
            let version = pair[1].version;
            return Err(PriceBookError::Order { version });
        }
        Ok(Self { prices })
    }

    pub fn prices(&self) -> &[Price] {
        &self.prices
    }

    /// The model's price at that time: of the last version that had begun and names the model.
    pub fn price(&self, provider: &str, model: &str, at: Timestamp) -> Option<&Price> {
        let mut prices = self.prices.iter().rev();
        prices.find(|price| price.valid_from <= at && price.provider == provider && price.model == model)
    }

    /// By the version that a call was reserved with.
    pub fn of_version(&self, version: u32, provider: &str, model: &str) -> Option<&Price> {
        let mut prices = self.prices.iter();
        prices.find(|price| (price.version, &*price.provider, &*price.model) == (version, provider, model))
    }
}

/// A version begins as a whole, and none before one with a smaller number.
fn follows(one: &Price, next: &Price) -> bool {
    if one.version == next.version {
        one.valid_from == next.valid_from
    } else {
        one.valid_from <= next.valid_from
    }
}

fn has_good_tiers(price: &Price) -> bool {
    let ascend = |pair: &[PriceTier]| pair[0].from_input_tokens < pair[1].from_input_tokens;
    let counts = |tier: &PriceTier| {
        [tier.input, tier.cached_input, tier.output]
            .into_iter()
            .all(|rate| rate <= RATE_MAX)
    };
    price
        .tiers
        .first()
        .is_some_and(|first| first.from_input_tokens == 0)
        && price.tiers.windows(2).all(ascend)
        && price.tiers.iter().all(counts)
}

#[cfg(test)]
mod tests;
