//! The chart of accounts.

use posx_kernel::{ChainAssetId, Currency, PartyId};

/// What an account counts: a currency in minor units, or a chain asset in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    Currency(Currency),
    Asset(ChainAssetId),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a unit is a currency code or an asset id")]
pub struct UnitError;

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Currency(currency) => write!(f, "{currency}"),
            Self::Asset(asset) => write!(f, "{asset}"),
        }
    }
}

impl std::str::FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        Currency::from_code(text)
            .map(Self::Currency)
            .or_else(|| text.parse().ok().map(Self::Asset))
            .ok_or(UnitError)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountClass {
    Asset,
    Liability,
    Income,
    Expense,
    /// Counts tokens, not money.
    Tokens,
}

impl AccountClass {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Liability => "liability",
            Self::Income => "income",
            Self::Expense => "expense",
            Self::Tokens => "tokens",
        }
    }
}

/// Every account that a use case posts to. An account's row is made when it is first posted to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Money that the payment provider holds for the site.
    ProviderClearing,
    Sales,
    /// Money to be given back to a buyer: paid late, paid twice.
    RefundsPayable,
    CommissionExpense,
    /// What the site owes one agent.
    CommissionPayable(PartyId),
    TokensIssued,
    TokensFree,
    TokensReserved,
    TokensSold,
    TokensDelivered,
}

impl Account {
    pub fn code(&self) -> String {
        match self {
            Self::ProviderClearing => "provider:clearing".to_owned(),
            Self::Sales => "sales".to_owned(),
            Self::RefundsPayable => "refunds:payable".to_owned(),
            Self::CommissionExpense => "commission:expense".to_owned(),
            Self::CommissionPayable(agent) => format!("commission:payable:{agent}"),
            Self::TokensIssued => "tokens:issued".to_owned(),
            Self::TokensFree => "tokens:free".to_owned(),
            Self::TokensReserved => "tokens:reserved".to_owned(),
            Self::TokensSold => "tokens:sold".to_owned(),
            Self::TokensDelivered => "tokens:delivered".to_owned(),
        }
    }

    pub const fn class(&self) -> AccountClass {
        match self {
            Self::ProviderClearing => AccountClass::Asset,
            Self::RefundsPayable | Self::CommissionPayable(_) => AccountClass::Liability,
            Self::Sales => AccountClass::Income,
            Self::CommissionExpense => AccountClass::Expense,
            Self::TokensIssued
            | Self::TokensFree
            | Self::TokensReserved
            | Self::TokensSold
            | Self::TokensDelivered => AccountClass::Tokens,
        }
    }

    /// The party whose account it is.
    pub const fn party(&self) -> Option<PartyId> {
        match self {
            Self::CommissionPayable(agent) => Some(*agent),
            _ => None,
        }
    }
}
