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

/// Every account that a use case posts to. An account's row is made when it is first posted to. `docs/books.md` says which
/// movement posts where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Money that the payment provider holds for the site.
    ProviderClearing,
    /// Money in the site's own bank account, as far as POSX moved it.
    Bank,
    /// What the provider keeps of each payment.
    ProviderFees,
    Sales,
    /// Sales that were given back: refunded, or lost in a dispute. Its debit balance is set against sales.
    SalesReturned,
    /// Money to be given back to a buyer.
    RefundsPayable,
    /// Money that the provider took away while a dispute is open.
    DisputesWithdrawn,
    DisputeFees,
    CommissionExpense,
    /// What the site owes one agent. A debit balance is what the agent owes.
    CommissionPayable(PartyId),
    /// Taken from an agent's balance, on its way to the agent.
    PayoutsPending(PartyId),
    /// What agents owed and will not pay.
    CommissionWrittenOff,
    TokensIssued,
    TokensFree,
    TokensReserved,
    TokensSold,
    /// Sold, cut by a refund before they were delivered, not for sale again yet.
    TokensReturned,
    TokensDelivered,
    /// Tokens that one buyer was given and got the money back for.
    TokensOwed(PartyId),
    /// The other side of what buyers owe.
    TokensClaims,
}

macro_rules! chart {
    ($($account:pat => $code:expr, $class:ident;)+) => {
        impl Account {
            pub fn code(&self) -> String {
                match self { $($account => $code,)+ }
            }

            pub const fn class(&self) -> AccountClass {
                #[expect(unused_variables, reason = "a party's accounts are of one class")]
                match self { $($account => AccountClass::$class,)+ }
            }
        }
    };
}

chart! {
    Self::ProviderClearing => "provider:clearing".to_owned(), Asset;
    Self::Bank => "bank".to_owned(), Asset;
    Self::ProviderFees => "provider:fees".to_owned(), Expense;
    Self::Sales => "sales".to_owned(), Income;
    Self::SalesReturned => "sales:returned".to_owned(), Income;
    Self::RefundsPayable => "refunds:payable".to_owned(), Liability;
    Self::DisputesWithdrawn => "disputes:withdrawn".to_owned(), Asset;
    Self::DisputeFees => "disputes:fees".to_owned(), Expense;
    Self::CommissionExpense => "commission:expense".to_owned(), Expense;
    Self::CommissionPayable(agent) => format!("commission:payable:{agent}"), Liability;
    Self::PayoutsPending(agent) => format!("payouts:pending:{agent}"), Liability;
    Self::CommissionWrittenOff => "commission:written_off".to_owned(), Expense;
    Self::TokensIssued => "tokens:issued".to_owned(), Tokens;
    Self::TokensFree => "tokens:free".to_owned(), Tokens;
    Self::TokensReserved => "tokens:reserved".to_owned(), Tokens;
    Self::TokensSold => "tokens:sold".to_owned(), Tokens;
    Self::TokensReturned => "tokens:returned".to_owned(), Tokens;
    Self::TokensDelivered => "tokens:delivered".to_owned(), Tokens;
    Self::TokensOwed(buyer) => format!("tokens:owed:{buyer}"), Tokens;
    Self::TokensClaims => "tokens:claims".to_owned(), Tokens;
}

impl Account {
    /// The party whose account it is.
    pub const fn party(&self) -> Option<PartyId> {
        match self {
            Self::CommissionPayable(party) | Self::PayoutsPending(party) | Self::TokensOwed(party) => {
                Some(*party)
            }
            _ => None,
        }
    }
}
