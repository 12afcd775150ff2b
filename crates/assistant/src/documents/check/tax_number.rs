//! The check digits of VAT numbers, for the countries whose rule is public and simple: AT, BE, CH, DE, DK, FI, FR, GB, IT, LU,
//! NL, PL, PT. Whether a number was ever given out, no rule can tell.

use super::tax_number_text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// Two letters of a country, then 4 to 18 letters and digits: it is not so.
    Malformed,
    Wrong,
    /// Not one of the countries above.
    NoRule,
}

pub(super) fn judge(text: &str) -> Verdict {
    let text = tax_number_text(text);
    let well_formed =
        (6..=20).contains(&text.len()) && text.as_bytes()[..2].iter().all(u8::is_ascii_uppercase);
    if !well_formed {
        return Verdict::Malformed;
    }
    let (country, rest) = text.split_at(2);
    let holds = match country {
        "AT" => digits(rest.strip_prefix('U')).is_some_and(|d| austrian(&d)),
        "BE" => digits(Some(rest))
            .is_some_and(|d| d.len() == 10 && d[0] < 2 && 97 - number(&d[..8]) % 97 == number(&d[8..])),
        "CH" => swiss(rest),
        "DE" => digits(Some(rest)).is_some_and(|d| german(&d)),
        "DK" => digits(Some(rest)).is_some_and(|d| weighted(&d, &[2, 7, 6, 5, 4, 3, 2, 1]) == Some(0)),
        "FI" => digits(Some(rest)).is_some_and(|d| closes(&d, &[7, 9, 10, 5, 8, 4, 2], |r| (11 - r) % 11)),
        "FR" => match digits(Some(rest)) {
            Some(d) => d.len() == 11 && (12 + 3 * (number(&d[2..]) % 97)) % 97 == number(&d[..2]),
            // A newer key has letters, by a rule that is not public.
            None => return Verdict::NoRule,
        },
        "GB" => digits(Some(rest)).is_some_and(|d| british(&d)),
        "IT" => digits(Some(rest)).is_some_and(|d| d.len() == 11 && luhn(&d)),
        "LU" => digits(Some(rest)).is_some_and(|d| d.len() == 8 && number(&d[..6]) % 89 == number(&d[6..])),
        "NL" => dutch(rest),
        "PL" => digits(Some(rest)).is_some_and(|d| closes(&d, &[6, 5, 7, 2, 3, 4, 5, 6, 7], |r| r)),
        "PT" => digits(Some(rest))
            .is_some_and(|d| closes(&d, &[9, 8, 7, 6, 5, 4, 3, 2], |r| if r < 2 { 0 } else { 11 - r })),
        _ => return Verdict::NoRule,
    };
    if holds { Verdict::Holds } else { Verdict::Wrong }
}

fn digits(text: Option<&str>) -> Option<Vec<u64>> {
    let digit = |b: u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    text?.bytes().map(digit).collect()
}

fn number(digits: &[u64]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + digit)
}

/// The weighted sum modulo 11; none when there are not as many digits as weights.
fn weighted(digits: &[u64], weights: &[u64]) -> Option<u64> {
    let sum = digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum::<u64>();
    (digits.len() == weights.len()).then_some(sum % 11)
}

/// Whether the last digit is what the others' weighted sum says.
fn closes(digits: &[u64], weights: &[u64], closing: impl FnOnce(u64) -> u64) -> bool {
    let Some((last, others)) = digits.split_last() else {
        return false;
    };
    weighted(others, weights).is_some_and(|rest| closing(rest) == *last)
}

fn austrian(d: &[u64]) -> bool {
    let digit_sum = |(at, digit): (usize, &u64)| {
        if at % 2 == 1 {
            digit * 2 / 10 + digit * 2 % 10
        } else {
            *digit
        }
    };
    d.len() == 8 && (96 - d[..7].iter().enumerate().map(digit_sum).sum::<u64>()) % 10 == d[7]
}

/// ISO 7064, modulo 11 and 10.
fn german(d: &[u64]) -> bool {
    let step = |product: u64, digit: &u64| match (digit + product) % 10 {
        0 => 20 % 11,
        sum => sum * 2 % 11,
    };
    d.len() == 9 && (11 - d[..8].iter().fold(10, step)) % 10 == d[8]
}

fn swiss(rest: &str) -> bool {
    let number = rest
        .strip_prefix('E')
        .map(|rest| rest.trim_end_matches(|c: char| c.is_ascii_uppercase()));
    digits(number).is_some_and(|d| closes(&d, &[5, 4, 3, 2, 7, 6, 5, 4], |rest| (11 - rest) % 11))
}

fn british(d: &[u64]) -> bool {
    if d.len() != 9 {
        return false;
    }
    let sum: u64 = d[..7]
        .iter()
        .zip([8, 7, 6, 5, 4, 3, 2])
        .map(|(digit, weight)| digit * weight)
        .sum();
    let closing = number(&d[7..]);
    (sum + closing).is_multiple_of(97) || (sum + 55 + closing).is_multiple_of(97)
}

fn luhn(d: &[u64]) -> bool {
    let value = |(at, digit): (usize, &u64)| {
        if at % 2 == 1 {
            digit * 2 / 10 + digit * 2 % 10
        } else {
            *digit
        }
    };
    d.iter()
        .rev()
        .enumerate()
        .map(value)
        .sum::<u64>()
        .is_multiple_of(10)
}

/// Nine digits, `B`, two digits: by the old rule of modulo 11, or by the one of 2020 over all of it.
fn dutch(rest: &str) -> bool {
    let Some((firm, branch)) = rest.split_once('B') else {
        return false;
    };
    let (Some(firm), Some(branch)) = (digits(Some(firm)), digits(Some(branch))) else {
        return false;
    };
    if firm.len() != 9 || branch.len() != 2 {
        return false;
    }
    // N is 23, L is 21, B is 11.
    let all = [&[2, 3, 2, 1][..], &firm, &[1, 1], &branch].concat();
    let modulo_97 = all.iter().fold(0, |rest, digit| (rest * 10 + digit) % 97);
    closes(&firm, &[9, 8, 7, 6, 5, 4, 3, 2], |rest| rest) || modulo_97 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &[&str] = &[
        "ATU10223006",
        "BE0428759497",
        "CHE-100.155.212 MWST",
        "DE136695976",
        "DE 136 695 976",
        "DK13585628",
        "FI20774740",
        "FR40303265045",
        "GB980780684",
        "IT00743110157",
        "LU15027442",
        "NL004495445B01",
        "PL8567346215",
        "PT501964843",
    ];

    #[test]
    fn a_number_that_was_given_out_holds() {
        for number in VALID {
            assert_eq!(judge(number), Verdict::Holds, "{number}");
        }
    }

    #[test]
    fn one_digit_more_or_less_in_any_place_does_not_hold() {
        for number in VALID {
            let text = tax_number_text(number);
            // Of the Dutch number the digits after B count in the newer rule only.
            let end = text.find('B').filter(|at| *at > 2).unwrap_or(text.len());
            for at in 2..end {
                let byte = text.as_bytes()[at];
                if !byte.is_ascii_digit() {
                    continue;
                }
                let other = char::from(if byte == b'9' { b'8' } else { byte + 1 });
                let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                assert_eq!(judge(&changed), Verdict::Wrong, "{changed}");
            }
        }
    }

    #[test]
    fn what_no_rule_knows_is_not_called_right_or_wrong() {
        assert_eq!(judge("US12345678"), Verdict::NoRule);
        assert_eq!(judge("FRK7303265045"), Verdict::NoRule);
        for malformed in ["", "DE", "136695976", "DEx", "D1234567"] {
            assert_eq!(judge(malformed), Verdict::Malformed, "{malformed}");
        }
        assert_eq!(judge("DE13669597"), Verdict::Wrong);
    }
}
