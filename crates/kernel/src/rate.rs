//! Rates: exact fractions, written as decimal text.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share between 0 and 1 with at most six decimals: `0.12` is twelve per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(Decimal);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    #[error("a rate is decimal text such as \"0.12\"")]
    NotDecimal,
    #[error("a rate is between 0 and 1")]
    OutOfRange,
    #[error("a rate has at most six decimals")]
    TooFine,
}

impl Rate {
    pub const ZERO: Self = Self(Decimal::ZERO);
    pub const ONE: Self = Self(Decimal::ONE);

    pub fn new(value: Decimal) -> Result<Self, RateError> {
        let value = value.normalize();
        if value.is_sign_negative() && !value.is_zero() || value > Decimal::ONE {
            return Err(RateError::OutOfRange);
        }
        if value.scale() > 6 {
            return Err(RateError::TooFine);
        }
        Ok(Self(value))
    }

    pub const fn as_decimal(self) -> Decimal {
        self.0
    }

    /// As a whole number: 0 to 1,000,000.
    pub fn millionths(self) -> u32 {
        let scaled = (self.0 * Decimal::from(1_000_000)).to_u32();
        scaled.expect("a rate is at most one, with at most six decimals")
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::str::FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let plain = text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
        if !plain {
            return Err(RateError::NotDecimal);
        }
        Self::new(Decimal::from_str_exact(text).map_err(|_| RateError::NotDecimal)?)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Rate {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$"))
            .examples(["0.12"])
            .into()
    }
}

impl utoipa::ToSchema for Rate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_fraction_with_at_most_six_decimals() {
        assert_eq!(
            "0.120".parse::<Rate>().map(|r| r.to_string()),
            Ok("0.12".to_owned())
        );
        assert_eq!("1.000001".parse::<Rate>(), Err(RateError::OutOfRange));
        assert_eq!("-0.1".parse::<Rate>(), Err(RateError::OutOfRange));
        assert_eq!("0.0000001".parse::<Rate>(), Err(RateError::TooFine));
        assert_eq!("1e-2".parse::<Rate>(), Err(RateError::NotDecimal));
    }
}
