//! Referral codes.

use posx_kernel::Randomness;
use serde::Serialize;

use crate::SiteCode;

/// No 0 and O, no 1, I and L, no 5 and S, no 8 and B, no 2 and Z: read aloud and typed without a mistake.
const ALPHABET: &[u8; 25] = b"ACDEFGHJKMNPQRTUVWXY34679";
const LENGTH: usize = 6;

/// `NA-` and six characters without look-alikes; the prefix is the site's code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, examples("NA-7KQ3XA"))]
pub struct ReferralCode(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a referral code of this site")]
pub struct ReferralCodeError;

impl ReferralCode {
    /// A new code; the caller makes another one when the site already has it.
    pub fn random(site: &SiteCode, randomness: &dyn Randomness) -> Self {
        let mut code = format!("{site}-");
        while code.len() < site.as_str().len() + 1 + LENGTH {
            let mut byte = [0];
            randomness.fill(&mut byte);
            // 250 = 10 × 25: bytes above it are thrown away, so that no letter is likelier than another.
            if byte[0] < 250 {
                code.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
            }
        }
        Self(code)
    }

    /// Folds case and surrounding blanks, as people type; refuses another site's prefix.
    pub fn parse(text: &str, site: &SiteCode) -> Result<Self, ReferralCodeError> {
        let folded = text.trim().to_ascii_uppercase();
        let letters = folded
            .strip_prefix(site.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .filter(|letters| letters.len() == LENGTH)
            .ok_or(ReferralCodeError)?;
        if !letters.bytes().all(|b| ALPHABET.contains(&b)) {
            return Err(ReferralCodeError);
        }
        Ok(Self(folded))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ReferralCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use posx_kernel::SeededIds;

    use super::*;

    #[test]
    fn a_code_reads_back_in_any_case_and_only_on_its_own_site() {
        let (na, asia) = (
            SiteCode::new("NA").expect("a code"),
            SiteCode::new("ASIA").expect("a code"),
        );
        let code = ReferralCode::random(&na, &SeededIds::new(1));
        assert_eq!(
            ReferralCode::parse(&format!(" {} ", code.as_str().to_lowercase()), &na),
            Ok(code.clone())
        );
        assert_eq!(ReferralCode::parse(code.as_str(), &asia), Err(ReferralCodeError));
        assert_eq!(ReferralCode::parse("NA-ABCDE0", &na), Err(ReferralCodeError));
    }
}
