//! Both sides of a comparison in the same words.

use posx_kernel::{EntryId, Money, Timestamp};

use crate::{EntryKind, Side};

/// Whose account is compared, as the settings and stored ids name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The payment provider: `provider:clearing`.
    Stripe,
    /// The custodian: what is booked as delivered.
    Fireblocks,
}

impl Provider {
    pub const ALL: [Self; 2] = [Self::Stripe, Self::Fireblocks];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Fireblocks => "fireblocks",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }
}

macro_rules! movements {
    ($($(#[$doc:meta])* $name:ident = $text:literal, [$($kind:ident),*];)+) => {
        /// What a line is about. With the reference it says which entry a line belongs to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Movement {
            $($(#[$doc])* $name,)+
        }

        impl Movement {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The entries that book it.
            pub const fn kinds(self) -> &'static [EntryKind] {
                match self { $(Self::$name => &[$(EntryKind::$kind),*],)+ }
            }
        }
    };
}

movements! {
    /// By the intent.
    Payment = "payment", [PaymentCaptured, RefundOwed];
    /// By the provider's refund.
    Refund = "refund", [RefundPaid];
    /// A refund's money came back; by the provider's refund.
    RefundFailure = "refund_failure", [RefundBounced];
    /// Disputed money is taken or given back; by the provider's dispute and the line.
    Dispute = "dispute", [DisputeWithdrawn, DisputeReinstated];
    /// By the provider's dispute and the line.
    DisputeFee = "dispute_fee", [DisputeFee];
    /// To a connected account; by the transfer.
    Transfer = "transfer", [PayoutPaid];
    /// By the transfer that it takes back.
    TransferReversal = "transfer_reversal", [PayoutReturned];
    /// What the provider keeps; by the line itself.
    Fee = "fee", [ProviderFee];
    /// To the site's bank, or back from it; by the line itself.
    PaidOut = "paid_out", [ProviderPaidOut];
    /// Tokens left the vault; by our external id of the transfer.
    Delivery = "delivery", [TokensDelivered];
    /// POSX books nothing like it.
    Other = "other", [];
}

impl Movement {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|movement| movement.as_str() == name)
    }

    /// What an entry of this kind books at a provider.
    pub fn of_kind(kind: &str) -> Self {
        let booked = |movement: &&Self| movement.kinds().iter().any(|known| known.as_str() == kind);
        Self::ALL.iter().find(booked).copied().unwrap_or(Self::Other)
    }

    /// Known from the provider's line alone: the run books it.
    pub const fn is_booked_by_line(self) -> bool {
        matches!(self, Self::Fee | Self::PaidOut)
    }
}

/// How much, and which way: debit is what the account of the comparison gains. A unit is written as entries write it; a currency
/// that POSX does not know can stand here, and matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub unit: String,
    pub side: Side,
    pub amount: u128,
}

impl Moved {
    /// A positive amount arrives.
    pub fn of_minor(minor: i64, unit: impl Into<String>) -> Self {
        Self {
            unit: unit.into(),
            side: if minor < 0 { Side::Credit } else { Side::Debit },
            amount: u128::from(minor.unsigned_abs()),
        }
    }

    /// In a currency that POSX knows, and not more than money can say.
    pub fn money(&self) -> Option<Money> {
        let currency = posx_kernel::Currency::from_code(&self.unit)?;
        let minor = i64::try_from(self.amount).ok()?;
        Some(Money::from_minor(
            if self.side == Side::Credit { -minor } else { minor },
            currency,
        ))
    }

    /// As postings are shown: debits positive.
    pub fn signed(&self) -> String {
        let sign = if self.side == Side::Credit { "-" } else { "" };
        format!("{sign}{}", self.amount)
    }

    pub fn from_signed(signed: &str, unit: impl Into<String>) -> Option<Self> {
        let (side, digits) = match signed.strip_prefix('-') {
            Some(digits) => (Side::Credit, digits),
            None => (Side::Debit, signed),
        };
        let (unit, amount) = (unit.into(), digits.parse().ok()?);
        Some(Self { unit, side, amount })
    }
}

/// One movement on the provider's account. What the provider writes in one line, an amount and the fee on it, is two of these
/// with one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The provider's.
    pub id: String,
    pub movement: Movement,
    /// What it is about, by the provider's id (custodian: by ours).
    pub reference: String,
    pub moved: Moved,
    pub at: Timestamp,
}

impl Line {
    /// A line of a balance: its amount, and the fee that was kept of it. Parts of zero are left out.
    pub fn of_balance(
        id: &str,
        movement: Movement,
        reference: &str,
        at: Timestamp,
        unit: &str,
        (amount, fee): (i64, i64),
    ) -> Vec<Self> {
        let line = |movement, reference: &str, minor: i64| Self {
            id: id.to_owned(),
            movement,
            reference: reference.to_owned(),
            moved: Moved::of_minor(minor, unit),
            at,
        };
        let parts = match movement {
            // A fee on a fee is one fee.
            Movement::Fee => vec![line(Movement::Fee, id, amount.saturating_sub(fee))],
            Movement::Dispute => vec![
                line(movement, reference, amount),
                line(Movement::DisputeFee, reference, fee.saturating_neg()),
            ],
            Movement::PaidOut => vec![
                line(movement, id, amount),
                line(Movement::Fee, id, fee.saturating_neg()),
            ],
            _ => vec![
                line(movement, reference, amount),
                line(Movement::Fee, id, fee.saturating_neg()),
            ],
        };
        parts.into_iter().filter(|part| part.moved.amount > 0).collect()
    }
}

/// What an entry says of the provider's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub entry: EntryId,
    /// The entry's, as stored.
    pub kind: String,
    pub movement: Movement,
    /// What a line about it refers to; none is known for what the provider cannot know of.
    pub reference: Option<String>,
    /// The line that it was booked from, where the entry says so: then no other will do.
    pub line: Option<String>,
    pub moved: Moved,
    pub at: Timestamp,
    /// No line about it can be older.
    pub since: Timestamp,
}

/// Why a line rightly has no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbooked {
    /// The provider has taken the money of a refund that is not through yet.
    OnItsWay,
    /// A refund that was never paid. Its money came back if all lines about it sum to nothing; none is older than `since`.
    CameToNothing { since: Timestamp },
}
