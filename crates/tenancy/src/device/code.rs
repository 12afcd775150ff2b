//! The code that a person types into a device to pair it.

use posx_kernel::Randomness;

use crate::CredentialHash;

/// Crockford's base 32: no I, L, O and U, so that nothing looks like something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARS: usize = 8;

/// 8 of 32 characters are 40 bits, or 1.1e12 codes. A site has at most 20 open at a time, each for ten minutes, and takes at most
/// 30 tries a minute from everyone together: 330 tries in the life of a code with the first burst. They hit one of twenty with
/// a chance of 330 × 20 / 2^40 = 6e-9; who tries without a pause for a year hits one with 52,560 × 6e-9 = 3e-4. One address that
/// fails waits longer each time, up to a quarter of an hour, so it takes many to get that far. A limiter without Redis counts
/// per process: with four of them the year's chance is 1.3e-3.
pub fn new_code(randomness: &dyn Randomness) -> String {
    let mut bytes = [0; CODE_CHARS];
    randomness.fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

/// As it is shown: `7K2M-9QXD`.
pub fn shown(code: &str) -> String {
    let (first, second) = code.split_at(CODE_CHARS / 2);
    format!("{first}-{second}")
}

/// In any case, with or without dash and spaces, and with the look-alikes that people type. What is no code gives the hash of
/// something that nobody has.
pub fn hash_typed(typed: &str) -> CredentialHash {
    let plain: String = typed
        .chars()
        .filter(|c| *c != '-' && !c.is_whitespace())
        .take(CODE_CHARS + 1)
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    CredentialHash::of(&plain)
}

#[cfg(test)]
mod tests {
    use posx_kernel::SeededIds;

    use super::*;

    #[test]
    fn a_code_is_eight_characters_that_look_like_nothing_else() {
        let randomness = SeededIds::new(5);
        for _ in 0..200 {
            let code = new_code(&randomness);
            assert_eq!(code.len(), 8);
            assert!(!code.contains(['I', 'L', 'O', 'U']), "{code}");
            assert!(code.bytes().all(|b| ALPHABET.contains(&b)));
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let hash = hash_typed("1K0M9QXD");
        for typed in ["1K0M-9QXD", "1k0m 9qxd", " lkom-9qxd ", "IKOM9QXD"] {
            assert_eq!(hash_typed(typed), hash, "{typed}");
        }
        for wrong in ["", "1K0M9QX", "1K0M9QXD0", "1K0M9QXE", &"1".repeat(10_000)] {
            assert_ne!(hash_typed(wrong), hash, "{wrong}");
        }
        assert_eq!(shown("1K0M9QXD"), "1K0M-9QXD");
    }
}
