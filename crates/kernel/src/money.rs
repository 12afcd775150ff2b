//! Money: integer minor units of one currency.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use crate::{Currency, Rate};

/// An amount in minor units: `12.500 KWD` is 12 500. Negative amounts are debts and reversals.
///
/// Arithmetic is checked: it refuses to mix currencies and to overflow, instead of being wrong in silence.
/// JSON: `{"amount": "12.500", "currency": "KWD"}`, with exactly or at most the currency's decimals; a JSON number is
/// refused, because a float has already lost cents before we see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("two currencies cannot be added: {0} and {1}")]
    CurrencyMismatch(Currency, Currency),
    #[error("the amount is out of range")]
    OutOfRange,
    #[error("an amount is decimal text such as \"12.50\"")]
    NotDecimal,
    #[error("{currency} has {exponent} decimals")]
    TooFine { currency: Currency, exponent: u8 },
    #[error("unknown currency code")]
    UnknownCurrency,
}

impl Money {
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// From decimal text in the currency's unit. More decimals than the currency has are refused unless they are zeros.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        let plain = amount
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
        if amount.len() > 32 || !plain {
            return Err(MoneyError::NotDecimal);
        }
        let value = Decimal::from_str_exact(amount).map_err(|_| MoneyError::NotDecimal)?;
        let scaled = value
            .checked_mul(power_of_ten(currency))
            .ok_or(MoneyError::OutOfRange)?;
        if !scaled.fract().is_zero() {
            return Err(MoneyError::TooFine {
                currency,
                exponent: currency.exponent(),
            });
        }
        Ok(Self {
            minor: i64::try_from(scaled).map_err(|_| MoneyError::OutOfRange)?,
            currency,
        })
    }

    pub const fn minor(self) -> i64 {
        self.minor
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyError::OutOfRange)?;
        Ok(Self { minor, ..self })
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self
            .minor
            .checked_sub(other.minor)
            .ok_or(MoneyError::OutOfRange)?;
        Ok(Self { minor, ..self })
    }

    pub fn checked_mul(self, by: u32) -> Result<Self, MoneyError> {
        let minor = self
            .minor
            .checked_mul(i64::from(by))
            .ok_or(MoneyError::OutOfRange)?;
        Ok(Self { minor, ..self })
    }

    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        Ok(Self {
            minor: self.minor.checked_neg().ok_or(MoneyError::OutOfRange)?,
            ..self
        })
    }

    /// This much of it, rounded half-even to the minor unit: the one rounding of a share.
    pub fn share(self, rate: Rate) -> Self {
        let exact = Decimal::from(self.minor) * rate.as_decimal();
        let rounded = exact.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
        let minor = i64::try_from(rounded).expect("a share of at most one fits where the whole did");
        Self { minor, ..self }
    }

    /// What of this amount belongs to `part` of a `whole`, rounded half-even to the minor unit. Reversals go by it: what is to
    /// be taken back in all is a function of how much of the order went back in all, so that no number or order of refunds
    /// changes the sum, and the whole of the one takes the whole of the other.
    ///
    /// `part` counts as at most `whole`, and a negative one as none. `None` when the whole is not positive, or in another
    /// currency than its part.
    pub fn proportion(self, part: Self, whole: Self) -> Option<Self> {
        if part.currency != whole.currency || whole.minor <= 0 {
            return None;
        }
        let part = i128::from(part.minor.clamp(0, whole.minor));
        let whole = i128::from(whole.minor);
        let product = i128::from(self.minor) * part;
        let (floor, left) = (product.div_euclid(whole), product.rem_euclid(whole));
        let up = match (left * 2).cmp(&whole) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Equal => floor.rem_euclid(2),
        };
        let minor = i64::try_from(floor + up).expect("a part is at most the amount");
        Some(Self { minor, ..self })
    }

    /// Parts in proportion to `weights` that sum to the whole exactly. What rounding leaves goes, one minor unit each,
    /// to the largest fractions, then to the larger weight: parts of equal weight are alike, so permuting the parts
    /// permutes the result.
    ///
    /// `None` when there are no weights or they are all zero.
    pub fn split(self, weights: &[u64]) -> Option<Vec<Self>> {
        let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
        if total == 0 {
            return None;
        }
        let whole = u128::from(self.minor.unsigned_abs());
        let mut parts: Vec<(usize, u128, u128)> = weights
            .iter()
            .enumerate()
            .map(|(at, &w)| {
                let product = whole * u128::from(w);
                (at, product / total, product % total)
            })
            .collect();
        let given: u128 = parts.iter().map(|part| part.1).sum();
        let left = usize::try_from(whole - given).expect("what is left is less than one unit a part");
        parts.sort_by(|a, b| {
            b.2.cmp(&a.2)
                .then(weights[b.0].cmp(&weights[a.0]))
                .then(a.0.cmp(&b.0))
        });
        for part in parts.iter_mut().take(left) {
            part.1 += 1;
        }
        parts.sort_by_key(|part| part.0);
        let sign = self.minor.signum();
        let part = |units: u128| i64::try_from(units).expect("a part is at most the whole") * sign;
        Some(
            parts
                .into_iter()
                .map(|(_, units, _)| Self {
                    minor: part(units),
                    ..self
                })
                .collect(),
        )
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch(self.currency, other.currency))
        }
    }

    /// Decimal text in the currency's unit, always with all its decimals: `12.500`.
    pub fn amount(self) -> String {
        Decimal::from_i128_with_scale(i128::from(self.minor), u32::from(self.currency.exponent())).to_string()
    }
}

fn power_of_ten(currency: Currency) -> Decimal {
    Decimal::from(10_i64.pow(u32::from(currency.exponent())))
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{} {}", self.amount(), self.currency))
    }
}

impl std::fmt::Debug for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Money", 2)?;
        fields.serialize_field("amount", &self.amount())?;
        fields.serialize_field("currency", &self.currency)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount(String);
        impl<'de> Deserialize<'de> for Amount {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = Amount;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an amount as text such as \"12.50\", never a JSON number")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                        Ok(Amount(text.to_owned()))
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Money;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("money as {\"amount\": \"12.50\", \"currency\": \"USD\"}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Money, A::Error> {
                let (mut amount, mut currency) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "amount" if amount.is_none() => amount = Some(map.next_value::<Amount>()?.0),
                        "currency" if currency.is_none() => currency = Some(map.next_value::<Currency>()?),
                        "amount" => return Err(de::Error::duplicate_field("amount")),
                        "currency" => return Err(de::Error::duplicate_field("currency")),
                        other => return Err(de::Error::unknown_field(other, &["amount", "currency"])),
                    }
                }
                let amount = amount.ok_or_else(|| de::Error::missing_field("amount"))?;
                let currency = currency.ok_or_else(|| de::Error::missing_field("currency"))?;
                Money::parse(&amount, currency).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{ObjectBuilder, schema::AdditionalProperties, schema::Type};
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property(
                "amount",
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some(r"^-?[0-9]+(\.[0-9]+)?$"))
                    .examples(["12.50"]),
            )
            .required("amount")
            .property("currency", Currency::schema())
            .required("currency")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl utoipa::ToSchema for Money {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).expect("in the table")
    }

    fn any_currency() -> impl Strategy<Value = Currency> {
        proptest::sample::select(Currency::all().collect::<Vec<_>>())
    }

    #[test]
    fn a_currency_keeps_its_own_decimals() {
        for (text, code, minor) in [
            ("12.500", "KWD", 12_500),
            ("12.5", "USD", 1250),
            ("12", "JPY", 12),
            ("-0.01", "EUR", -1),
        ] {
            let money = Money::parse(text, currency(code)).expect(text);
            assert_eq!(money.minor(), minor);
        }
        assert!(matches!(
            Money::parse("0.001", currency("USD")),
            Err(MoneyError::TooFine { exponent: 2, .. })
        ));
        assert_eq!(
            Money::parse("99999999999999999999", currency("USD")),
            Err(MoneyError::OutOfRange)
        );
        assert_eq!(Money::parse("1e3", currency("USD")), Err(MoneyError::NotDecimal));
    }

    #[test]
    fn p30_a_json_number_is_never_money() {
        for body in [
            r#"{"amount": 12.5, "currency": "USD"}"#,
            r#"{"amount": 12, "currency": "USD"}"#,
            "12.5",
            r#""12.5""#,
            r#"{"amount": "12.5", "currency": "USD", "x": 1}"#,
            r#"{"amount": "12.5", "amount": "1", "currency": "USD"}"#,
            r#"{"amount": "12.555", "currency": "USD"}"#,
            r#"{"amount": "1", "currency": "usd"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(body).is_err(), "{body}");
        }
    }

    #[test]
    fn two_currencies_never_add() {
        let sum = Money::from_minor(1, currency("USD")).checked_add(Money::from_minor(1, currency("KWD")));
        assert_eq!(
            sum,
            Err(MoneyError::CurrencyMismatch(currency("USD"), currency("KWD")))
        );
    }

    #[test]
    fn a_share_is_rounded_half_even_once() {
        let half: Rate = "0.5".parse().expect("a rate");
        for (minor, share) in [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2)] {
            assert_eq!(
                Money::from_minor(minor, currency("USD")).share(half).minor(),
                share,
                "{minor}"
            );
        }
    }

    #[test]
    fn p15_seven_refunds_of_one_take_back_what_was_earned_and_not_one_by_one_more() {
        // Rounding each event by itself would take 7 of 5.
        let usd = |minor| Money::from_minor(minor, currency("USD"));
        let taken: Vec<_> = (0..=7)
            .map(|back| usd(5).proportion(usd(back), usd(7)).expect("a whole").minor())
            .collect();
        assert_eq!(taken, [0, 1, 1, 2, 3, 4, 4, 5]);
        assert_eq!(
            usd(5).proportion(usd(9), usd(7)),
            Some(usd(5)),
            "never more than all"
        );
        assert_eq!(usd(5).proportion(usd(1), usd(0)), None);
        assert_eq!(
            usd(5).proportion(usd(1), Money::from_minor(7, currency("KWD"))),
            None
        );
        let halves =
            [1, 3, 5, -1, -3].map(|amount| usd(amount).proportion(usd(1), usd(2)).expect("half").minor());
        assert_eq!(halves, [0, 2, 2, 0, -2], "half-even");
    }

    proptest! {
        #[test]
        fn p29_a_split_sums_to_the_whole_and_equal_parts_differ_by_at_most_one(
            minor in any::<i64>().prop_filter("a magnitude", |m| *m != i64::MIN), parts in 1_usize..60, currency in any_currency()
        ) {
            let money = Money::from_minor(minor, currency);
            let split = money.split(&vec![1; parts]).expect("there are parts");
            let sum: i128 = split.iter().map(|m| i128::from(m.minor())).sum();
            prop_assert_eq!(sum, i128::from(minor));
            let (least, most) = (split.iter().map(|m| m.minor()).min(), split.iter().map(|m| m.minor()).max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1));
        }

        #[test]
        fn p29_a_weighted_split_does_not_depend_on_the_order_of_the_parts(
            minor in 0_i64..1_000_000_000_000, mut weights in proptest::collection::vec(0_u64..1_000_000, 1..20), currency in any_currency()
        ) {
            prop_assume!(weights.iter().any(|w| *w > 0));
            let money = Money::from_minor(minor, currency);
            let mut split = money.split(&weights).expect("a weight is not zero");
            prop_assert_eq!(split.iter().map(|m| m.minor()).sum::<i64>(), minor);
            weights.reverse();
            let mut reversed = money.split(&weights).expect("a weight is not zero");
            split.sort_by_key(|m| m.minor());
            reversed.sort_by_key(|m| m.minor());
            prop_assert_eq!(split, reversed);
        }

        #[test]
        fn p15_a_proportion_is_monotone_and_whole_for_the_whole(
            minor in any::<i64>(), whole in 1_i64..=i64::MAX, parts in (any::<i64>(), any::<i64>()), currency in any_currency(),
        ) {
            let money = |minor| Money::from_minor(minor, currency);
            let of = |part| money(minor).proportion(money(part), money(whole)).expect("a whole").minor();
            let (less, more) = (of(parts.0.min(parts.1)), of(parts.0.max(parts.1)));
            let (least, most) = if minor < 0 { (more, less) } else { (less, more) };
            prop_assert!(least <= most);
            prop_assert_eq!((of(0), of(whole)), (0, minor));
        }

        #[test]
        fn money_round_trips_through_json(minor in any::<i64>(), currency in any_currency()) {
            let money = Money::from_minor(minor, currency);
            let text = serde_json::to_string(&money).expect("money is JSON");
            prop_assert_eq!(serde_json::from_str::<Money>(&text).expect("and back"), money);
        }

        #[test]
        fn parsing_any_text_never_panics(text in ".*", currency in any_currency()) {
            let _ = Money::parse(&text, currency);
        }
    }
}
