//! What Stripe charges, checked before anything is sent: <https://docs.stripe.com/currencies>. Prices are rounded to the
//! step when they are set; here an amount that does not fit is refused, never rounded.

use posx_kernel::{Currency, Money};
use serde::{Deserialize, Deserializer, de};

use crate::error::{Refusal, StripeError};

/// Refuses with the code that Stripe would answer with. Least amounts and steps are the kernel's, per currency; the
/// greatest depends on currency and account, so it is left to Stripe.
pub(crate) fn chargeable(amount: Money) -> Result<(), StripeError> {
    if amount.is_positive() && amount.minor() < amount.currency().minimum_charge() {
        return Err(Refusal::unsent("amount_too_small"));
    }
    sendable(amount)
}

/// For what is smaller than a charge may be: refunds, transfers, reversals.
pub(crate) fn sendable(amount: Money) -> Result<(), StripeError> {
    if !amount.is_positive() {
        return Err(Refusal::unsent("parameter_invalid_integer"));
    }
    if amount.minor() % amount.currency().charge_step() != 0 {
        return Err(Refusal::unsent("invalid_charge_amount"));
    }
    Ok(())
}

/// `kwd`: Stripe writes currencies in lower case.
pub(crate) fn wire_code(currency: Currency) -> String {
    currency.code().to_ascii_lowercase()
}

pub(crate) fn known(wire_code: &str) -> Option<Currency> {
    Currency::from_code(&wire_code.to_ascii_uppercase())
}

/// For fields whose amounts we act on: a currency that we do not know has an exponent that we would have to guess.
pub(crate) fn currency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
    let code = String::deserialize(deserializer)?;
    known(&code).ok_or_else(|| de::Error::custom("a currency that is not known here"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::from_minor(minor, Currency::from_code(code).unwrap())
    }

    fn refusal(amount: Money) -> String {
        match chargeable(amount) {
            Err(StripeError::Refused(refusal)) => refusal.code,
            other => panic!("{amount}: {other:?}"),
        }
    }

    /// As published on the page of currencies. ISK and UGX have no decimals and are sent with two: a row for them in the
    /// kernel's table would need that said.
    #[test]
    fn s09_minor_units_are_stripes() {
        let zero_decimal = [
            "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF",
            "XPF",
        ];
        let three_decimal = ["BHD", "JOD", "KWD", "OMR", "TND"];
        for currency in Currency::all() {
            let exponent = match currency.code() {
                code if zero_decimal.contains(&code) => 0,
                code if three_decimal.contains(&code) => 3,
                _ => 2,
            };
            assert_eq!(currency.exponent(), exponent, "{currency}");
            if exponent == 3 {
                assert_eq!(currency.charge_step(), 10, "{currency}");
            }
            assert_eq!(known(&wire_code(currency)), Some(currency));
        }
    }

    /// As published under "Minimum and maximum charge amounts", per settlement currency: what is converted must reach that
    /// one's minimum, which only Stripe can tell. For the currencies that are not on the page the kernel's table keeps to
    /// about half a US dollar.
    #[test]
    fn s09_the_least_charge_is_stripes() {
        for (code, minor) in [
            ("USD", 50),
            ("AED", 200),
            ("AUD", 50),
            ("BRL", 50),
            ("CAD", 50),
            ("CHF", 50),
            ("CZK", 1500),
            ("DKK", 250),
            ("EUR", 50),
            ("GBP", 30),
            ("HKD", 400),
            ("HUF", 17500),
            ("INR", 50),
            ("JPY", 50),
            ("MXN", 1000),
            ("MYR", 200),
            ("NOK", 300),
            ("NZD", 50),
            ("PLN", 200),
            ("RON", 200),
            ("SEK", 300),
            ("SGD", 50),
            ("THB", 1000),
        ] {
            let least = money(minor, code);
            chargeable(least).unwrap_or_else(|error| panic!("{least}: {error}"));
            let step = least.currency().charge_step();
            assert_eq!(refusal(money(minor - step, code)), "amount_too_small", "{code}");
        }
    }

    #[test]
    fn s09_an_amount_that_stripe_would_refuse_is_refused_here_with_a_stable_code() {
        for (amount, code) in [
            (money(0, "USD"), "parameter_invalid_integer"),
            (money(-500, "USD"), "parameter_invalid_integer"),
            (money(49, "USD"), "amount_too_small"),
            (money(190, "KWD"), "amount_too_small"),
            (money(12_505, "KWD"), "invalid_charge_amount"),
            (money(1_601, "TND"), "invalid_charge_amount"),
        ] {
            assert_eq!(refusal(amount), code, "{amount}");
        }
        chargeable(money(12_500, "KWD")).unwrap();
        sendable(money(10, "KWD")).unwrap();
        sendable(money(1, "USD")).unwrap();
        assert!(sendable(money(5, "KWD")).is_err());
    }

    proptest! {
        #[test]
        fn s09_whatever_is_chargeable_is_a_positive_multiple_of_the_step(
            currency in proptest::sample::select(Currency::all().collect::<Vec<_>>()),
            minor in any::<i64>(),
        ) {
            if chargeable(Money::from_minor(minor, currency)).is_ok() {
                prop_assert!(minor >= currency.minimum_charge() && minor % currency.charge_step() == 0);
            }
        }
    }
}
