//! Currencies: ISO 4217 exponents, and the step in which a card can be charged.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 currency that POSX knows. Unknown codes are refused rather than guessed to have two decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(&'static Row);

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Row {
    code: &'static str,
    exponent: u8,
    charge_step: i64,
    minimum_charge: i64,
}

const fn row(code: &'static str, exponent: u8, charge_step: i64, minimum_charge: i64) -> Row {
    Row {
        code,
        exponent,
        charge_step,
        minimum_charge,
    }
}

/// Exponents by ISO 4217. Charge steps and minimum charges by the card provider's currency page: three-decimal
/// currencies are charged in multiples of ten minor units; the minimum is about half a US dollar.
static TABLE: &[Row] = &[
    row("AED", 2, 1, 200),
    row("AUD", 2, 1, 50),
    row("BHD", 3, 10, 200),
    row("BRL", 2, 1, 50),
    row("CAD", 2, 1, 50),
    row("CHF", 2, 1, 50),
    row("CLP", 0, 1, 500),
    row("CZK", 2, 1, 1500),
    row("DKK", 2, 1, 250),
    row("EUR", 2, 1, 50),
    row("GBP", 2, 1, 30),
    row("HKD", 2, 1, 400),
    row("HUF", 2, 100, 17500),
    row("INR", 2, 1, 50),
    row("JOD", 3, 10, 400),
    row("JPY", 0, 1, 50),
    row("KRW", 0, 1, 700),
    row("KWD", 3, 10, 200),
    row("MXN", 2, 1, 1000),
    row("MYR", 2, 1, 200),
    row("NOK", 2, 1, 300),
    row("NZD", 2, 1, 50),
    row("OMR", 3, 10, 200),
    row("PLN", 2, 1, 200),
    row("QAR", 2, 1, 200),
    row("RON", 2, 1, 200),
    row("SAR", 2, 1, 200),
    row("SEK", 2, 1, 300),
    row("SGD", 2, 1, 50),
    row("THB", 2, 1, 1000),
    row("TND", 3, 10, 1600),
    row("TWD", 2, 100, 1600),
    row("USD", 2, 1, 50),
    row("VND", 0, 1, 13000),
];

impl Currency {
    /// `None` for a code that is not in the table, also in lower case.
    pub fn from_code(code: &str) -> Option<Self> {
        TABLE
            .binary_search_by(|row| row.code.cmp(code))
            .ok()
            .map(|at| Self(&TABLE[at]))
    }

    /// Every currency, in order of its code.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(Self)
    }

    pub const fn code(self) -> &'static str {
        self.0.code
    }

    /// Decimals between the unit and its minor unit: 0 for JPY, 2 for USD, 3 for KWD.
    pub const fn exponent(self) -> u8 {
        self.0.exponent
    }

    /// A card is charged in multiples of this many minor units: 10 for KWD.
    pub const fn charge_step(self) -> i64 {
        self.0.charge_step
    }

    /// The least that a card is charged, in minor units.
    pub const fn minimum_charge(self) -> i64 {
        self.0.minimum_charge
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom("unknown currency code"))
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Z]{3}$"))
            .examples(["KWD"])
            .into()
    }
}

impl utoipa::ToSchema for Currency {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_so_that_every_code_is_found() {
        for currency in Currency::all() {
            assert_eq!(Currency::from_code(currency.code()), Some(currency));
        }
        assert_eq!(Currency::from_code("usd"), None);
        assert_eq!(Currency::from_code("XXX"), None);
    }

    #[test]
    fn a_minimum_charge_is_a_multiple_of_the_step() {
        for currency in Currency::all() {
            assert_eq!(
                currency.minimum_charge() % currency.charge_step(),
                0,
                "{currency}"
            );
        }
    }
}
