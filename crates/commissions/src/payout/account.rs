//! Where an agent's money goes.

use chrono::TimeDelta;
use posx_kernel::{PartyId, Sealed, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Bic, Iban, PayoutError};

/// An account that replaces another is not paid to for so long: time for its owner to notice that somebody else did it.
pub(crate) const COOLING_OFF: TimeDelta = TimeDelta::hours(72);
const HOLDER_CHARACTERS_MAX: usize = 70;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AccountMethod {
    Connect,
    Bank,
}

impl AccountMethod {
    pub const ALL: &'static [Self] = &[Self::Connect, Self::Bank];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Bank => "bank",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str() == name)
    }
}

/// One version of an agent's account. It never changes, but that it may be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutAccount {
    pub agent: PartyId,
    pub method: AccountMethod,
    /// Counts from 1.
    pub version: i32,
    /// [`BankDetails`], of a bank account that is not forgotten.
    pub details: Option<Sealed>,
    pub masked: String,
    /// The provider's id of a connected account.
    pub connect_account: Option<String>,
    pub created_at: Timestamp,
    /// No money goes there before.
    pub usable_from: Timestamp,
    pub removed_at: Option<Timestamp>,
    /// What the provider said last of a connected account.
    pub standing: Option<AccountStanding>,
    /// Money did not get from a connected account to its owner's bank: the provider's id of that payout.
    pub stuck_payout: Option<String>,
}

/// What is kept of what the provider said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStanding {
    pub payouts_enabled: bool,
    pub charges_enabled: bool,
    pub disabled_reason: Option<String>,
    /// When it was asked for.
    pub at: Timestamp,
}

impl PayoutAccount {
    /// Its row's text in the place that its details are sealed for.
    pub fn row(agent: PartyId, version: i32) -> String {
        format!("{agent}:{version}")
    }

    pub fn usable(&self, now: Timestamp) -> Result<(), PayoutError> {
        if self.removed_at.is_some() {
            return Err(PayoutError::NoAccount);
        }
        if now < self.usable_from {
            return Err(PayoutError::CoolingOff);
        }
        Ok(())
    }

    /// As [`usable`](Self::usable), and as far as the provider told nothing stands against it. Before something is sent the
    /// provider is asked in any case.
    pub fn payable(&self, now: Timestamp) -> Result<(), PayoutError> {
        self.usable(now)?;
        match &self.standing {
            Some(standing) if !standing.payouts_enabled => Err(PayoutError::AccountDisabled),
            _ => Ok(()),
        }
    }

    /// The first account may be used at once: there is nobody whose money it could divert.
    pub(crate) fn usable_from(replaced: Option<&Self>, now: Timestamp) -> Timestamp {
        replaced.map_or(now, |_| now + COOLING_OFF)
    }
}

/// A bank account. Kept sealed, shown masked.
#[derive(Clone, PartialEq, Eq)]
pub struct BankDetails {
    holder: String,
    iban: Iban,
    bic: Option<Bic>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BankDetailsError {
    #[error("the holder is 1 to 70 characters, and of those that banks take")]
    Holder,
    #[error("the IBAN's check digits do not hold")]
    Iban,
    #[error("a BIC has 8 or 11 characters")]
    Bic,
}

#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    holder: std::borrow::Cow<'a, str>,
    iban: std::borrow::Cow<'a, str>,
    bic: Option<std::borrow::Cow<'a, str>>,
}

impl BankDetails {
    pub fn new(holder: &str, iban: &str, bic: Option<&str>) -> Result<Self, BankDetailsError> {
        let holder = holder.trim();
        let length = (1..=HOLDER_CHARACTERS_MAX).contains(&holder.chars().count());
        if !length || holder.chars().any(char::is_control) {
            return Err(BankDetailsError::Holder);
        }
        Ok(Self {
            holder: holder.to_owned(),
            iban: Iban::new(iban).ok_or(BankDetailsError::Iban)?,
            bic: bic
                .map(|bic| Bic::new(bic).ok_or(BankDetailsError::Bic))
                .transpose()?,
        })
    }

    pub fn holder(&self) -> &str {
        &self.holder
    }

    pub const fn iban(&self) -> &Iban {
        &self.iban
    }

    pub const fn bic(&self) -> Option<&Bic> {
        self.bic.as_ref()
    }

    /// What is sealed.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let kept = Kept {
            holder: self.holder.as_str().into(),
            iban: self.iban.as_str().into(),
            bic: self.bic.as_ref().map(|bic| bic.as_str().into()),
        };
        serde_json::to_vec(&kept).expect("three texts are JSON")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let kept: Kept<'_> = serde_json::from_slice(bytes).ok()?;
        Self::new(&kept.holder, &kept.iban, kept.bic.as_deref()).ok()
    }
}

impl std::fmt::Debug for BankDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BankDetails")
            .field("iban", &self.iban)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, party};

    #[test]
    fn bank_details_come_back_as_they_were_sealed_and_do_not_print() {
        let details =
            BankDetails::new(" Ada \"L\" ", "DE89 3704 0044 0532 0130 00", Some("COBADEFF")).unwrap();
        assert_eq!(
            BankDetails::from_bytes(&details.to_bytes()).as_ref(),
            Some(&details)
        );
        let shown = format!("{details:?}");
        assert!(
            !shown.contains("Ada") && !shown.contains("0532") && !shown.contains("COBA"),
            "{shown}"
        );
    }

    #[test]
    fn details_that_no_bank_takes_are_refused() {
        let iban = "DE89370400440532013000";
        assert_eq!(
            BankDetails::new("", iban, None).unwrap_err(),
            BankDetailsError::Holder
        );
        assert_eq!(
            BankDetails::new("a\nb", iban, None).unwrap_err(),
            BankDetailsError::Holder
        );
        assert_eq!(
            BankDetails::new("Ada", "DE1", None).unwrap_err(),
            BankDetailsError::Iban
        );
        assert_eq!(
            BankDetails::new("Ada", iban, Some("X")).unwrap_err(),
            BankDetailsError::Bic
        );
    }

    #[test]
    fn a_first_account_is_usable_at_once_and_one_that_replaces_it_only_later() {
        let first = PayoutAccount {
            agent: party(1),
            method: AccountMethod::Bank,
            version: 1,
            details: None,
            masked: "DE…3000".to_owned(),
            connect_account: None,
            created_at: at(0),
            usable_from: PayoutAccount::usable_from(None, at(0)),
            removed_at: None,
            standing: None,
            stuck_payout: None,
        };
        assert!(first.usable(at(0)).is_ok());
        let second = PayoutAccount {
            usable_from: PayoutAccount::usable_from(Some(&first), at(1)),
            ..first.clone()
        };
        assert!(matches!(second.usable(at(3)), Err(PayoutError::CoolingOff)));
        assert!(second.usable(at(4)).is_ok());
        let removed = PayoutAccount {
            removed_at: Some(at(1)),
            ..first
        };
        assert!(matches!(removed.usable(at(9)), Err(PayoutError::NoAccount)));
    }
}
