//! Whether a quote names the currency that the field says.

use posx_kernel::Currency;

use super::FindingCode;
use super::evidence::{has_words, plain};

/// Signs of one currency alone. `$` is written for twenty, `¥` for two.
const SIGNS: &[(&str, &str)] = &[
    ("EUR", "€"),
    ("GBP", "£"),
    ("INR", "₹"),
    ("USD", "us$"),
    ("AUD", "a$"),
    ("AUD", "au$"),
    ("CAD", "ca$"),
    ("HKD", "hk$"),
    ("NZD", "nz$"),
    ("SGD", "s$"),
    ("SGD", "sg$"),
    ("CNY", "cn¥"),
    ("JPY", "jp¥"),
];
/// With the codes that they are written for.
const SHARED: &[(&[char], &[&str])] = &[
    (
        &['$', '\u{ff04}'],
        &[
            "USD", "AUD", "CAD", "HKD", "NZD", "SGD", "MXN", "TWD", "CLP", "COP", "ARS", "BBD", "BMD", "BND",
            "BSD", "BZD", "FJD", "GYD", "JMD", "KYD", "LRD", "NAD", "SBD", "SRD", "TTD", "UYU", "XCD",
        ],
    ),
    (&['¥', '\u{ffe5}'], &["CNY", "JPY"]),
];

/// By its code, or by a sign. `page` is [`plain`] and has the quote: what stands before a sign may have been left out of it.
pub(super) fn check(code: &str, quote: &str, page: &str) -> Result<(), FindingCode> {
    let words = || quote.split(|c: char| !c.is_alphanumeric());
    let others = words().any(|word| word != code && Currency::from_code(word).is_some());
    let plain_quote = plain(quote);
    match (has_words(&plain_quote, &plain(code)), others) {
        (true, false) => return Ok(()),
        (true, true) => return Err(FindingCode::CurrencyAmbiguous),
        (false, true) => return Err(FindingCode::ValueNotInQuote),
        (false, false) => {}
    }
    let said: Vec<String> = signs(&plain_quote, page);
    let is_own = |sign: &String| SIGNS.contains(&(code, sign.as_str()));
    let is_shared = |sign: &String| {
        let one_of = |(signs, codes): &(&[char], &[&str])| {
            codes.contains(&code) && sign.strip_prefix(*signs).is_some_and(str::is_empty)
        };
        SHARED.iter().any(one_of)
    };
    if !said.is_empty() && said.iter().all(is_own) {
        Ok(())
    } else if said.iter().any(|sign| is_own(sign) || is_shared(sign)) {
        Err(FindingCode::CurrencyAmbiguous)
    } else {
        Err(FindingCode::ValueNotInQuote)
    }
}

/// The signs of the quote with the letters right before them, wherever it stands on the page.
fn signs(quote: &str, page: &str) -> Vec<String> {
    let is_sign = |c: char| SHARED.iter().any(|(signs, _)| signs.contains(&c)) || "€£₹".contains(c);
    let with_letters = |end: usize, sign: char| -> String {
        let before = page[..end].chars().rev();
        let letters: Vec<char> = before.take_while(|c| c.is_alphabetic()).collect();
        letters.into_iter().rev().chain([sign]).collect()
    };
    let places = page.match_indices(quote).map(|(at, _)| at);
    let said = places.flat_map(|from| {
        let of_quote = quote.char_indices().filter(|(_, c)| is_sign(*c));
        of_quote.map(move |(at, sign)| (from + at, sign))
    });
    said.map(|(at, sign)| with_letters(at, sign)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: &str, quote: &str, page: &str) -> Result<(), FindingCode> {
        check(code, quote, &plain(page))
    }

    #[test]
    fn a_code_or_a_sign_of_one_currency_alone_names_it() {
        for (code, quote) in [
            ("USD", "Total 200.00 USD"),
            ("USD", "usd 200"),
            ("USD", "US$ 200.00"),
            ("EUR", "200,00 €"),
            ("GBP", "£200"),
            ("CAD", "CA$200"),
            ("JPY", "JP¥ 200"),
            ("CHF", "CHF 200.00"),
        ] {
            assert_eq!(told(code, quote, quote), Ok(()), "{code}: {quote}");
        }
    }

    #[test]
    fn a_sign_that_many_currencies_have_is_ambiguous() {
        for (code, quote) in [
            ("USD", "$ 200.00"),
            ("CAD", "$200"),
            ("JPY", "¥ 200"),
            ("CNY", "\u{ffe5}200"),
            ("USD", "USD 200.00 (EUR 180.00)"),
            ("EUR", "€ 180 / $ 200"),
        ] {
            assert_eq!(
                told(code, quote, quote),
                Err(FindingCode::CurrencyAmbiguous),
                "{code}: {quote}"
            );
        }
    }

    #[test]
    fn a_sign_with_letters_before_it_is_another_currencys() {
        for (code, quote, page) in [
            ("USD", "A$ 200.00", "Total A$ 200.00"),
            ("USD", "CA$ 200.00", "Total CA$ 200.00"),
            ("USD", "HK$ 200.00", "Total HK$ 200.00"),
            ("USD", "R$ 200", "R$ 200"),
            // The quote leaves out what makes it another.
            ("USD", "$ 200.00", "Total A$ 200.00"),
            ("USD", "$", "Currency: CA$"),
            ("JPY", "¥ 200", "CN¥ 200"),
            ("USD", "$ 200.00 CAD", "$ 200.00 CAD"),
            ("USD", "€ 200", "€ 200"),
            ("EUR", "$ 200", "$ 200"),
            ("USD", "200.00", "200.00"),
        ] {
            assert_eq!(
                told(code, quote, page),
                Err(FindingCode::ValueNotInQuote),
                "{code}: {quote}"
            );
        }
    }
}
