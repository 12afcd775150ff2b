//! Whether a secret is none.

/// What is written in the place of a secret, in small letters.
const PLACEHOLDERS: [&str; 11] = [
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "example",
    "password",
    "default",
    "replace",
    "your-",
    "your_",
    "dummy",
];

/// Shorter is guessed, or a placeholder.
pub(super) const SECRET_CHARACTERS_MIN: usize = 16;

/// What is wrong with it, never it.
pub(super) fn weakness(secret: &str, characters_min: usize) -> Option<String> {
    let lower = secret.to_lowercase();
    let characters: Vec<_> = secret.chars().collect();
    if characters.len() < characters_min {
        Some(format!("it has fewer than {characters_min} characters"))
    } else if characters.iter().any(|c| c.is_whitespace() || c.is_control()) {
        Some("it has white space in it".into())
    } else if repeats(&characters, 1) {
        Some("it is one character, repeated".into())
    } else if (2..=characters.len() / 2).any(|period| repeats(&characters, period)) {
        Some("it is one piece, repeated".into())
    } else if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        Some("it is a placeholder".into())
    } else {
        None
    }
}

fn repeats(characters: &[char], period: usize) -> bool {
    characters
        .iter()
        .zip(characters.iter().skip(period))
        .all(|(one, later)| one == later)
}

/// As [`weakness`], of the password in the middle of an address; an address without one is not judged.
pub(super) fn weakness_of_password(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    weakness(url.password()?, SECRET_CHARACTERS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_repeated_or_a_placeholder_is_no_secret() {
        for (secret, said) in [
            ("kT9-correct", "fewer than 16"),
            ("kT9 correct horse battery", "white space"),
            ("aaaaaaaaaaaaaaaaaaaa", "one character, repeated"),
            ("abcabcabcabcabcabcab", "one piece, repeated"),
            ("kT9-correctkT9-correct", "one piece, repeated"),
            ("My-PassWord-is-this-1", "a placeholder"),
            ("your-secret-goes-here", "a placeholder"),
        ] {
            let found = weakness(secret, SECRET_CHARACTERS_MIN);
            assert!(
                found.as_deref().is_some_and(|found| found.contains(said)),
                "{secret}: {found:?}"
            );
        }
        assert_eq!(weakness("kT9-correct-horse", SECRET_CHARACTERS_MIN), None);
        // Its two ends are alike; it is no repetition.
        assert_eq!(weakness("kT9-correct-horse-kT9", SECRET_CHARACTERS_MIN), None);
    }
}
