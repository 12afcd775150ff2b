//! Numbers of bank accounts, by their check digits.

use std::fmt;

/// An IBAN (ISO 13616) whose check digits hold; without blanks. Prints masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Iban(String);

/// A BIC (ISO 9362): eight or eleven characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bic(String);

impl Iban {
    /// As typed: blanks and lower case are taken away.
    pub fn new(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let text = text.to_ascii_uppercase();
        let fits = (15..=34).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().take(2).all(|byte| byte.is_ascii_uppercase())
            && text.bytes().skip(2).take(2).all(|byte| byte.is_ascii_digit());
        (fits && remainder(&text) == 1).then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Country and the last four characters: enough to know it again.
    pub fn masked(&self) -> String {
        format!("{}…{}", &self.0[..2], &self.0[self.0.len() - 4..])
    }
}

/// Of the number that it stands for, the first four characters last, divided by 97.
fn remainder(iban: &str) -> u32 {
    let (head, tail) = iban.split_at(4);
    let value = |c: char| c.to_digit(36).unwrap_or(0);
    tail.chars()
        .chain(head.chars())
        .map(value)
        .fold(0, |rest, value| {
            let shifted = if value > 9 { rest * 100 } else { rest * 10 };
            (shifted + value) % 97
        })
}

impl fmt::Debug for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iban({})", self.masked())
    }
}

impl Bic {
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let fits = matches!(text.len(), 8 | 11)
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().skip(4).take(2).all(|byte| byte.is_ascii_uppercase());
        fits.then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_known_by_its_check_digits() {
        for good in [
            "DE89 3704 0044 0532 0130 00",
            "GB82WEST12345698765432",
            "kw81cbku0000000000001234560101",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert!(Iban::new(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "DE89",
            "DE88370400440532013000",
            "DE8937040044053201300O",
            "8989370400440532013000",
            "DE89370400440532013000DE89370400440532013000",
            "DE89-3704-0044-0532-0130-00",
        ] {
            assert!(Iban::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn any_one_wrong_digit_is_noticed() {
        let good = "DE89370400440532013000";
        for at in 2..good.len() {
            for digit in b'0'..=b'9' {
                let mut bytes = good.as_bytes().to_vec();
                bytes[at] = digit;
                let text = String::from_utf8(bytes).unwrap();
                assert_eq!(Iban::new(&text).is_some(), text == good, "{text}");
            }
        }
    }

    #[test]
    fn an_iban_does_not_print() {
        let iban = Iban::new("DE89370400440532013000").unwrap();
        assert_eq!(format!("{iban:?}"), "Iban(DE…3000)");
    }

    #[test]
    fn a_bic_has_eight_or_eleven_characters() {
        for (text, good) in [
            ("COBADEFF", true),
            ("cobadeffxxx", true),
            ("COBADEFFX", false),
            ("COBA12FF", false),
            ("", false),
        ] {
            assert_eq!(Bic::new(text).is_some(), good, "{text}");
        }
    }
}
