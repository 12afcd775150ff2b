//! What a site allows of money on its way out, in each currency.

use posx_kernel::{Currency, Money, Timestamp};

use crate::{Bic, Iban, PayoutError};

/// The default minimum is so many times the least that a card is charged: about ten US dollars.
const MINIMUM_CHARGES: i64 = 20;
const DAYS_MAX: u16 = 3_650;
const NAME_CHARACTERS_MAX: usize = 70;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutRules {
    /// Less than this stays with the agent's balance.
    pub minimum: Money,
    /// Of one withdrawal.
    pub maximum: Option<Money>,
    pub write_off: Option<WriteOffRule>,
    pub debtor: Option<Debtor>,
    /// 0: nobody ever set any.
    pub version: i32,
    pub updated_at: Option<Timestamp>,
}

/// When a debt is given up without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOffRule {
    pub up_to: Money,
    /// For so long the balance has been negative.
    pub after_days: u16,
}

/// The site's own bank account, from which files of payments pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debtor {
    pub name: String,
    pub iban: Iban,
    pub bic: Option<Bic>,
}

impl PayoutRules {
    pub const fn defaults(currency: Currency) -> Self {
        Self {
            minimum: Money::from_minor(currency.minimum_charge() * MINIMUM_CHARGES, currency),
            maximum: None,
            write_off: None,
            debtor: None,
            version: 0,
            updated_at: None,
        }
    }

    pub fn check(&self) -> Result<(), PayoutError> {
        let currency = self.minimum.currency();
        if !self.minimum.is_positive() {
            return Err(PayoutError::Minimum);
        }
        if let Some(maximum) = self.maximum
            && (maximum.currency() != currency || maximum.minor() < self.minimum.minor())
        {
            return Err(PayoutError::Maximum);
        }
        if let Some(rule) = self.write_off
            && (rule.up_to.currency() != currency
                || !rule.up_to.is_positive()
                || !(1..=DAYS_MAX).contains(&rule.after_days))
        {
            return Err(PayoutError::WriteOffRule);
        }
        Ok(())
    }
}

impl Debtor {
    pub fn new(name: &str, iban: &str, bic: Option<&str>) -> Result<Self, PayoutError> {
        let name = name.trim();
        let fits = (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count());
        if !fits || name.chars().any(char::is_control) {
            return Err(PayoutError::DebtorName);
        }
        Ok(Self {
            name: name.to_owned(),
            iban: Iban::new(iban).ok_or(PayoutError::DebtorIban)?,
            bic: bic
                .map(|bic| Bic::new(bic).ok_or(PayoutError::DebtorBic))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::usd;

    #[test]
    fn the_default_minimum_of_every_currency_is_above_zero_and_can_be_transferred() {
        for currency in Currency::all() {
            let rules = PayoutRules::defaults(currency);
            assert!(rules.check().is_ok(), "{currency}");
            assert_eq!(rules.minimum.minor() % currency.charge_step(), 0, "{currency}");
        }
        assert_eq!(PayoutRules::defaults(usd(1).currency()).minimum, usd(1_000));
    }

    #[test]
    fn rules_that_contradict_each_other_are_refused() {
        let rules = PayoutRules::defaults(usd(1).currency());
        let check = |rules: PayoutRules| rules.check().is_ok();
        assert!(!check(PayoutRules {
            minimum: usd(0),
            ..rules.clone()
        }));
        assert!(!check(PayoutRules {
            maximum: Some(usd(999)),
            ..rules.clone()
        }));
        assert!(check(PayoutRules {
            maximum: Some(usd(1_000)),
            ..rules.clone()
        }));
        let rule = WriteOffRule {
            up_to: usd(500),
            after_days: 0,
        };
        assert!(!check(PayoutRules {
            write_off: Some(rule),
            ..rules
        }));
    }
}
