//! Token amounts: integer base units of a chain asset.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Money;

/// An amount of tokens in base units (wei, sun), 0 to `u128::MAX`; JSON and database hold it as decimal digits. How many
/// decimals a whole token has, 0 to 18, is the asset's business: see [`TokenAmount::in_tokens`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenAmount(u128);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("a token amount is decimal text such as \"1000.5\"")]
    NotDecimal,
    #[error("the asset has {0} decimals")]
    TooFine(u8),
    #[error("the token amount is out of range")]
    OutOfRange,
}

impl TokenAmount {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u128::MAX);
    pub const DECIMALS_MAX: u8 = 18;

    pub const fn from_base_units(units: u128) -> Self {
        Self(units)
    }

    pub const fn base_units(self) -> u128 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// From text in whole tokens of an asset with `decimals` decimals.
    pub fn parse(text: &str, decimals: u8) -> Result<Self, TokenError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.len() <= 40 && part.bytes().all(|b| b.is_ascii_digit());
        let dangling = text.contains('.') && fraction.is_empty();
        if whole.is_empty() || dangling || !digits(whole) || !digits(fraction) {
            return Err(TokenError::NotDecimal);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > usize::from(decimals) {
            return Err(TokenError::TooFine(decimals));
        }
        let shifted = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
        shifted.parse().map(Self).map_err(|_| TokenError::OutOfRange)
    }

    /// Text in whole tokens, without trailing zeros: `1000.5`.
    pub fn in_tokens(self, decimals: u8) -> String {
        let decimals = usize::from(decimals);
        let digits = format!("{:0>width$}", self.0, width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{fraction}")
        }
    }

    pub fn checked_add(self, other: Self) -> Result<Self, TokenError> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or(TokenError::OutOfRange)
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, TokenError> {
        self.0
            .checked_sub(other.0)
            .map(Self)
            .ok_or(TokenError::OutOfRange)
    }

    /// What of this amount belongs to `part` of a `whole`, by the rule of [`Money::proportion`].
    pub fn proportion(self, part: Money, whole: Money) -> Option<Self> {
        if part.currency() != whole.currency() || whole.minor() <= 0 {
            return None;
        }
        let of = |money: i64| money.clamp(0, whole.minor()).unsigned_abs();
        self.fraction(of(part.minor()), of(whole.minor()))
    }

    /// `part` `whole`-ths of this amount, never more than all of it, rounded half-even. `None`: of a whole of zero.
    pub fn fraction(self, part: u64, whole: u64) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        let (part, whole) = (u128::from(part.min(whole)), u128::from(whole));
        // In two steps, so that nothing overflows: both products are below 2¹²⁸.
        let (times, rest) = (self.0 / whole, self.0 % whole);
        let (floor, left) = (times * part + rest * part / whole, rest * part % whole);
        let up = match (left * 2).cmp(&whole) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Equal => floor % 2,
        };
        Some(Self(floor + up))
    }

    pub fn checked_mul(self, by: u32) -> Result<Self, TokenError> {
        self.0
            .checked_mul(u128::from(by))
            .map(Self)
            .ok_or(TokenError::OutOfRange)
    }
}

impl std::fmt::Display for TokenAmount {
    /// Base units.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::fmt::Debug for TokenAmount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} base units", self.0)
    }
}

impl std::str::FromStr for TokenAmount {
    type Err = TokenError;

    /// Base units: the form that JSON and the database hold.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() || text.len() > 40 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TokenError::NotDecimal);
        }
        text.parse().map(Self).map_err(|_| TokenError::OutOfRange)
    }
}

impl Serialize for TokenAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for TokenAmount {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("Token amount in base units, decimal digits"))
            .pattern(Some("^[0-9]{1,39}$"))
            .examples(["1000000000000000000"])
            .into()
    }
}

impl utoipa::ToSchema for TokenAmount {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn p28_any_amount_of_base_units_round_trips_at_every_number_of_decimals(units in any::<u128>(), decimals in 0_u8..=18) {
            let amount = TokenAmount::from_base_units(units);
            prop_assert_eq!(TokenAmount::parse(&amount.in_tokens(decimals), decimals), Ok(amount));
            let json = serde_json::to_string(&amount).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<TokenAmount>(&json).expect("and back"), amount);
        }

        #[test]
        fn parsing_any_text_never_panics(text in ".*", decimals in 0_u8..=18) {
            let _ = TokenAmount::parse(&text, decimals);
            let _ = text.parse::<TokenAmount>();
        }
    }

    proptest! {
        #[test]
        fn p15_a_proportion_is_monotone_never_more_than_the_amount_and_whole_for_the_whole(
            units in any::<u128>(), whole in 1_i64..=i64::MAX, parts in (any::<i64>(), any::<i64>()),
        ) {
            let usd = |minor| Money::from_minor(minor, crate::Currency::from_code("USD").expect("USD"));
            let amount = TokenAmount::from_base_units(units);
            let of = |part| amount.proportion(usd(part), usd(whole)).expect("a whole");
            let (less, more) = (parts.0.min(parts.1), parts.0.max(parts.1));
            prop_assert!(of(less) <= of(more) && of(more) <= amount);
            prop_assert_eq!(of(whole), amount);
            prop_assert_eq!(of(0), TokenAmount::ZERO);
        }
    }

    #[test]
    fn p28_the_greatest_amount_round_trips() {
        for decimals in 0..=TokenAmount::DECIMALS_MAX {
            assert_eq!(
                TokenAmount::parse(&TokenAmount::MAX.in_tokens(decimals), decimals),
                Ok(TokenAmount::MAX)
            );
        }
    }

    #[test]
    fn more_decimals_than_the_asset_has_are_refused() {
        assert_eq!(TokenAmount::parse("1.5", 0), Err(TokenError::TooFine(0)));
        assert_eq!(
            TokenAmount::parse("1.500", 1),
            Ok(TokenAmount::from_base_units(15))
        );
        assert_eq!(TokenAmount::parse("1.", 1), Err(TokenError::NotDecimal));
        assert_eq!(TokenAmount::parse(".5", 1), Err(TokenError::NotDecimal));
        assert_eq!(
            TokenAmount::parse("340282366920938463463374607431768211456", 0),
            Err(TokenError::OutOfRange)
        );
    }
}
