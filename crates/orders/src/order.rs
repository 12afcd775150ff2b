//! The order: one aggregate, moved along its axes by facts.

use posx_kernel::{
    ChainAssetId, Currency, LineId, Money, OrderId, PartyId, PromoCodeId, Randomness, TierId, Timestamp,
    TokenAmount,
};
use posx_tenancy::SiteCode;
use posx_tiers::Chain;
use serde::{Deserialize, Serialize};

use crate::{OrderError, RefundReason, WalletAddress};

/// What sort of order it is. A kind is a row of constants, not branches in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    Token,
}

impl OrderKind {
    pub const ALL: &'static [Self] = &[Self::Token];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
        }
    }

    /// Whether a confirmed order can still be cancelled.
    pub const fn cancels_once_confirmed(self) -> bool {
        match self {
            Self::Token => false,
        }
    }
}

/// States that are stored and shown by a stable name.
macro_rules! named_states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.as_str() == name)
            }
        }
    };
}

named_states! {
    /// Where the promise stands.
    Lifecycle {
        Placed = "placed",
        Confirmed = "confirmed",
        Fulfilled = "fulfilled",
        Cancelled = "cancelled",
        Expired = "expired",
    }
}

named_states! {
    /// Derived from what was captured, refunded and returned.
    PaymentStatus {
        Unpaid = "unpaid",
        Partial = "partial",
        Paid = "paid",
        /// Some of it went back or is on its way back.
        PartlyRefunded = "partly_refunded",
        /// All of it.
        Refunded = "refunded",
    }
}

named_states! {
    /// Derived from the order's allocations.
    Delivery {
        None = "none",
        Pending = "pending",
        Partial = "partial",
        Done = "done",
        Failed = "failed",
    }
}

named_states! {
    Approval {
        NotNeeded = "not_needed",
        Pending = "pending",
        Approved = "approved",
        Rejected = "rejected",
    }
}

impl Lifecycle {
    /// Every move that an order of this kind can make; anything else is refused.
    pub const fn may_become(self, next: Self, kind: OrderKind) -> bool {
        match (self, next) {
            (Self::Placed, Self::Confirmed | Self::Cancelled | Self::Expired)
            | (Self::Confirmed, Self::Fulfilled)
            // Money that came late, while there was stock again.
            | (Self::Expired | Self::Cancelled, Self::Confirmed) => true,
            (Self::Confirmed, Self::Cancelled) => kind.cancels_once_confirmed(),
            _ => false,
        }
    }
}

/// A move that the machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {} cannot become {}", from.as_str(), to.as_str())]
pub struct WrongMove {
    pub from: Lifecycle,
    pub to: Lifecycle,
}

/// `NA-4F7K-9Q2M-X3TB`: the site's code and 60 random bits, without look-alikes. It tells nobody how many orders there are,
/// and no two buyers wait for one counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, examples("NA-4F7K-9Q2M-X3TB"))]
pub struct OrderNumber(String);

/// Crockford's base 32.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl OrderNumber {
    pub fn random(site: &SiteCode, randomness: &dyn Randomness) -> Self {
        let mut random = [0; 12];
        randomness.fill(&mut random);
        let mut number = site.to_string();
        for (at, byte) in random.into_iter().enumerate() {
            if at % 4 == 0 {
                number.push('-');
            }
            number.push(char::from(DIGITS[usize::from(byte) % DIGITS.len()]));
        }
        Self(number)
    }

    /// A number read back from storage.
    pub const fn from_stored(number: String) -> Self {
        Self(number)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One tier in an order, with price and tokens as they were when it was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub id: LineId,
    pub tier: TierId,
    pub tier_name: String,
    pub asset: ChainAssetId,
    pub quantity: u32,
    pub unit_price: Money,
    pub amount: Money,
    pub tokens: TokenAmount,
    /// Of the tokens: the bonus of a promo code, issued for this order and none of the tier's supply.
    pub promo_tokens: TokenAmount,
    /// The tier limits what one buyer holds, so releasing this line gives the buyer's count back.
    pub counted_per_buyer: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub id: OrderId,
    pub number: OrderNumber,
    pub kind: OrderKind,
    pub buyer: PartyId,
    pub lines: Vec<Line>,
    pub lifecycle: Lifecycle,
    pub delivery: Delivery,
    pub approval: Approval,
    pub disputed: bool,
    /// Why a person should look, if one should: a stable word.
    pub attention: Option<String>,
    pub subtotal: Money,
    pub discount: Money,
    pub tax: Money,
    pub shipping: Money,
    pub total: Money,
    pub captured: Money,
    pub refunded: Money,
    /// How much of the sale went back or is on its way back: refunds that staff asked for and that did not fail, and what
    /// was lost in disputes. Shares and tokens follow it by [`Money::proportion`] of the total. Money that came too much
    /// and is given back is not in it.
    pub returned: Money,
    pub chain: Chain,
    pub wallet: WalletAddress,
    /// The wallet had just taken another's place when the order was placed: nothing is sent to it before.
    pub wallet_usable_from: Option<Timestamp>,
    pub referrer: Option<PartyId>,
    /// Its discount and bonus come from this code.
    pub promo_code: Option<PromoCodeId>,
    /// The commission plan as it was when the order was placed; the commissions context reads it.
    pub plan_snapshot: Option<serde_json::Value>,
    pub placed_at: Timestamp,
    pub expires_at: Timestamp,
    pub paid_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
}

impl Order {
    pub const fn currency(&self) -> Currency {
        self.total.currency()
    }

    /// Derived, never set. Of a sale that stands, what went back of the sale decides: money that came too much does not.
    pub const fn payment(&self) -> PaymentStatus {
        let (captured, total) = (self.captured.minor(), self.total.minor());
        let (back, of) = if self.paid_at.is_some() {
            (self.returned.minor(), total)
        } else {
            (self.refunded.minor(), captured)
        };
        if back > 0 && back >= of {
            PaymentStatus::Refunded
        } else if back > 0 {
            PaymentStatus::PartlyRefunded
        } else if captured >= total && (captured > 0 || self.paid_at.is_some()) {
            PaymentStatus::Paid
        } else if captured > 0 {
            PaymentStatus::Partial
        } else {
            PaymentStatus::Unpaid
        }
    }

    fn become_(&mut self, next: Lifecycle) -> Result<(), WrongMove> {
        if !self.lifecycle.may_become(next, self.kind) {
            return Err(WrongMove {
                from: self.lifecycle,
                to: next,
            });
        }
        self.lifecycle = next;
        Ok(())
    }

    /// All of the total is there: the order is confirmed. The caller has moved the stock, or will in this transaction.
    pub fn confirm(&mut self, received: Money, now: Timestamp) -> Result<(), OrderError> {
        self.become_(Lifecycle::Confirmed)?;
        // Money that came too late, and is on its way back, may have come before.
        self.captured = self.captured.checked_add(received)?;
        self.paid_at = Some(now);
        self.closed_at = None;
        Ok(())
    }

    pub fn expire(&mut self, now: Timestamp) -> Result<(), WrongMove> {
        self.become_(Lifecycle::Expired)?;
        self.closed_at = Some(now);
        Ok(())
    }

    pub fn cancel(&mut self, now: Timestamp) -> Result<(), WrongMove> {
        self.become_(Lifecycle::Cancelled)?;
        self.closed_at = Some(now);
        Ok(())
    }

    /// Money came that cannot be kept; it counts as captured until the refund is through.
    pub fn owe_back(&mut self, received: Money, reason: RefundReason) -> Result<(), posx_kernel::MoneyError> {
        self.captured = self.captured.checked_add(received)?;
        self.attention = Some(reason.as_str().to_owned());
        Ok(())
    }

    /// Tokens by asset, in the order of the lines: what is booked when stock moves.
    pub fn line_tokens(&self) -> impl Iterator<Item = (&Line, TokenAmount)> {
        self.lines.iter().map(|line| (line, line.tokens))
    }
}

pub(crate) use named_states;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p16_only_the_listed_moves_exist_for_each_kind() {
        use Lifecycle::{Cancelled, Confirmed, Expired, Fulfilled, Placed};
        let listed = [
            (Placed, Confirmed),
            (Placed, Cancelled),
            (Placed, Expired),
            (Confirmed, Fulfilled),
            (Expired, Confirmed),
            (Cancelled, Confirmed),
        ];
        for kind in OrderKind::ALL {
            for from in Lifecycle::ALL {
                for to in Lifecycle::ALL {
                    assert_eq!(
                        from.may_become(*to, *kind),
                        listed.contains(&(*from, *to)),
                        "{from:?} → {to:?} for {kind:?}"
                    );
                }
            }
        }
    }
}
