//! Codes: of an authenticator, and on paper.

use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::{Randomness, Timestamp};
use totp_rs::{Algorithm, Builder, Secret, Totp};

/// 160 bits, as RFC 4226 recommends and every authenticator takes.
pub(super) const SECRET_BYTES: usize = 20;
const STEP_S: u64 = 30;
/// Clocks of phones: one step before and after.
const SKEW: u16 = 1;
const DIGITS: u8 = 6;

/// How many recovery codes one gets at a time.
pub const RECOVERY_CODES: usize = 10;
const RECOVERY_CODE_BYTES: usize = 10;
/// Crockford's: none is taken for another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn totp(secret: &[u8]) -> Builder {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW)
        .with_step_duration(STEP_S)
        .with_secret(Secret::from(secret))
}

/// The step whose code this is; none if it is wrong.
pub(super) fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let totp: Totp = totp(secret).build().ok()?;
    let now_s = u64::try_from(now.timestamp()).ok()?;
    totp.check(code, now_s).and_then(|step| i64::try_from(step).ok())
}

/// What a person types or scans: the secret in base 32, and the address (`otpauth://`) that carries it.
pub(super) fn shown(secret: &[u8], issuer: &str, account: &str) -> Option<(String, String)> {
    // The address uses the colon itself.
    let plain = |text: &str| text.replace(':', " ");
    let totp = totp(secret)
        .with_issuer(Some(plain(issuer)))
        .with_account_name(plain(account))
        .build()
        .ok()?;
    Some((totp.secret().to_base32(), totp.to_url().ok()?))
}

/// Whether the text may be a code of an authenticator; else it may be a recovery code.
pub(super) fn is_of_authenticator(code: &str) -> bool {
    code.len() == usize::from(DIGITS) && code.bytes().all(|byte| byte.is_ascii_digit())
}

/// 80 random bits. The text is shown once, its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(String);

impl std::fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryCode")
    }
}

impl RecoveryCode {
    pub(super) fn random(randomness: &dyn Randomness) -> Self {
        let mut bytes = [0; RECOVERY_CODE_BYTES];
        randomness.fill(&mut bytes);
        let digits = bytes.chunks_exact(5).flat_map(|five| {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8_u32).rev().map(move |at| (bits >> (5 * at)) & 31)
        });
        let digit = |digit: u64| ALPHABET.get(usize::try_from(digit).unwrap_or(0)).copied();
        Self(digits.filter_map(digit).map(char::from).collect())
    }

    /// As typed: case, dashes, spaces and look-alikes make no difference.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        let mut text = String::new();
        for typed in typed.chars().filter(|typed| !matches!(typed, '-' | ' ')) {
            text.push(match typed.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                digit if digit.is_ascii() && ALPHABET.contains(&(digit as u8)) => digit,
                _ => return None,
            });
            if text.len() > RECOVERY_CODE_BYTES * 8 / 5 {
                return None;
            }
        }
        (text.len() == RECOVERY_CODE_BYTES * 8 / 5).then_some(Self(text))
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        hash
    }

    /// `XXXX-XXXX-XXXX-XXXX`
    pub fn shown(&self) -> String {
        let groups: Vec<_> = (0..self.0.len())
            .step_by(4)
            .filter_map(|at| self.0.get(at..at + 4))
            .collect();
        groups.join("-")
    }
}
