//! Whether a quote stands in the document, and says what the field says.

use rust_decimal::Decimal;

use super::{FindingCode, currency, tax_number_text};
use crate::documents::Field;
use crate::redact::is_invisible;

const QUOTE_CHARS_MAX: usize = 500;

pub(super) fn check(path: &str, field: &Field, pages: &[String]) -> Result<(), FindingCode> {
    let evidence = field.evidence.as_ref().ok_or(FindingCode::QuoteNotFound)?;
    let at = usize::try_from(evidence.page)
        .ok()
        .and_then(|page| page.checked_sub(1));
    let page = at
        .and_then(|at| pages.get(at))
        .ok_or(FindingCode::QuoteNotFound)?;
    let quote = plain(&evidence.quote);
    let fits = !quote.is_empty() && quote.chars().count() <= QUOTE_CHARS_MAX;
    let page = plain(page);
    if !fits || !stands_in(&page, &quote) {
        return Err(FindingCode::QuoteNotFound);
    }
    if path == "currency" {
        return currency::check(&field.value, &evidence.quote, &page);
    }
    if says(path, &field.value, &evidence.quote) {
        Ok(())
    } else {
        Err(FindingCode::ValueNotInQuote)
    }
}

/// Its numbers whole: `100.00` is no quote of `2100.00`. Words may have lost what stood between them in a PDF.
fn stands_in(page: &str, quote: &str) -> bool {
    let goes_on = |one: Option<char>, other: Option<char>| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        digit(one) && digit(other)
    };
    page.match_indices(quote).any(|(at, found)| {
        let before = page[..at].chars().next_back();
        let after = page[at + found.len()..].chars().next();
        !goes_on(before, found.chars().next()) && !goes_on(found.chars().next_back(), after)
    })
}

/// Whether the quote says the value, in the way that such a field is written.
fn says(path: &str, value: &str, quote: &str) -> bool {
    match path.rsplit('/').next().unwrap_or(path) {
        "quantity" | "unit_price" | "amount" | "subtotal" | "discount" | "tax" | "shipping" | "total" => {
            let wanted = Decimal::from_str_exact(value).ok().map(|value| value.abs());
            wanted.is_some_and(|wanted| numbers(quote).contains(&wanted))
        }
        "tax_number" | "customer_tax_number" | "phone" => {
            let wanted = tax_number_text(value);
            !wanted.is_empty() && tax_number_text(quote).contains(&wanted)
        }
        // A document writes the country's name; two letters can do no harm.
        "country" => true,
        _ => has_words(&plain(quote), &plain(value)),
    }
}

/// `needle` stands in the text, and no word goes on at either end of it.
pub(super) fn has_words(text: &str, needle: &str) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !needle.is_empty()
        && text.match_indices(needle).any(|(at, found)| {
            !goes_on(text[..at].chars().next_back()) && !goes_on(text[at + found.len()..].chars().next())
        })
}

/// Lower case, one blank between words, nothing invisible: what is the same to a reader is the same.
pub(in crate::documents) fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let seen: String = lower.chars().filter(|c| !is_invisible(*c)).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every number that the text may be read to have: with a point or a comma before the decimals, and blanks or quotes
/// between thousands.
fn numbers(text: &str) -> Vec<Decimal> {
    let separates =
        |c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '’' | '\u{a0}' | '\u{202f}'));
    let words: Vec<&str> = text.split(separates).filter(|word| !word.is_empty()).collect();
    let mut found: Vec<Decimal> = words.iter().flat_map(|word| readings(word)).collect();
    // `1 234,50`: groups of three that blanks keep apart.
    let blanks: Vec<&str> = text.split(' ').collect();
    for from in 0..blanks.len() {
        let grouped = |word: &&&str| word.len() >= 3 && word.as_bytes()[..3].iter().all(u8::is_ascii_digit);
        let more = blanks[from + 1..].iter().take_while(grouped).count();
        let joined: String = blanks[from..=from + more].concat();
        if more > 0 {
            found.extend(joined.split(separates).flat_map(readings));
        }
    }
    found
}

fn readings(word: &str) -> Vec<Decimal> {
    let digits_and = |point: char| -> String {
        let kept = word.trim_end_matches(['.', ',']).chars();
        let kept = kept.filter(|c| c.is_ascii_digit() || *c == point);
        kept.map(|c| if c == point { '.' } else { c }).collect()
    };
    let read = |point| Decimal::from_str_exact(&digits_and(point)).ok();
    ['.', ','].into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Evidence;

    #[test]
    fn a_number_is_found_however_it_is_written() {
        for (text, wanted) in [
            ("Total: 1,234.50 USD", "1234.50"),
            ("Summe 1.234,50 €", "1234.50"),
            ("Total 1 234,50", "1234.50"),
            ("CHF 1'234.50", "1234.50"),
            ("2 × 100.00 = 200.00.", "200.00"),
            ("Qty 12,", "12"),
        ] {
            let wanted = Decimal::from_str_exact(wanted).unwrap();
            assert!(numbers(text).contains(&wanted), "{text}");
        }
        let other = Decimal::from_str_exact("34.50").unwrap();
        assert!(!numbers("Total: 1,234.50").contains(&other));
        assert!(!numbers("Total 10034.50").contains(&other));
    }

    #[test]
    fn a_value_is_held_against_the_words_that_it_quotes() {
        let pages = ["Order PO-4123\nBuyer:  Acme   GmbH\nTotal 1,000.00 EUR, 2100.00 before".to_owned()];
        let told = |path: &str, value: &str, page, quote: &str| {
            let field = Field {
                value: value.to_owned(),
                confidence: 100,
                evidence: Some(Evidence {
                    page,
                    quote: quote.to_owned(),
                }),
                edited: false,
            };
            check(path, &field, &pages)
        };
        assert_eq!(told("customer_name", "ACME GmbH", 1, "Buyer: Acme GmbH"), Ok(()));
        assert_eq!(told("number", "PO-4123", 1, "Order PO-4123"), Ok(()));
        assert_eq!(told("total", "1000.00", 1, "Total 1,000.00 EUR"), Ok(()));
        assert_eq!(told("currency", "EUR", 1, "1,000.00 EUR"), Ok(()));
        assert_eq!(
            told("number", "12", 1, "PO-4123"),
            Err(FindingCode::ValueNotInQuote)
        );
        assert_eq!(
            told("total", "100.00", 1, "Total 1,000.00 EUR"),
            Err(FindingCode::ValueNotInQuote)
        );
        assert_eq!(
            told("total", "9.00", 1, "Total 9.00 EUR"),
            Err(FindingCode::QuoteNotFound)
        );
        assert_eq!(
            told("number", "PO-4123", 2, "Order PO-4123"),
            Err(FindingCode::QuoteNotFound)
        );
        assert_eq!(
            told("number", "PO-4123", 0, "Order PO-4123"),
            Err(FindingCode::QuoteNotFound)
        );
        assert_eq!(told("number", "PO-4123", 1, " "), Err(FindingCode::QuoteNotFound));
        for cut in ["100.00", "00.00", "100.0"] {
            assert_eq!(
                told("total", cut, 1, cut),
                Err(FindingCode::QuoteNotFound),
                "{cut}"
            );
        }
    }
}
