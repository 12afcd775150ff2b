//! Refusals of this context.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Money, Refusal, StoreError};

use posx_tiers::PromoRefusal;

use crate::gateway::GatewayError;
use crate::{Lifecycle, WalletError, WrongMove};

#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("there is no such order")]
    NotFound,
    #[error("an order has at least one line")]
    NoLines,
    #[error("an order has at most 20 lines")]
    TooManyLines,
    #[error("there is no such tier")]
    UnknownTier { line: usize },
    #[error("the tier is not on sale")]
    InactiveTier { line: usize },
    #[error("a tier stands in one line only: add the quantities")]
    TierTwice { line: usize },
    #[error("an order delivers to one chain: place one order for each")]
    TwoChains { line: usize },
    #[error("the quantity is a whole number from 1 to {max}")]
    Quantity { line: usize, max: u32 },
    #[error("an order takes at most {max} units of this tier")]
    OverOrderLimit { line: usize, max: u32 },
    #[error("a buyer may hold no more of this tier")]
    OverBuyerLimit { line: usize },
    #[error("not enough is left: {available} units")]
    SoldOut { line: usize, available: i64 },
    #[error("prices on this site are in {0}")]
    Currency(&'static str),
    #[error("a card is charged at least {0}")]
    BelowMinimumCharge(Money),
    #[error("give a wallet address or bind one first")]
    WalletMissing,
    #[error("the wallet address is not usable")]
    Wallet(#[source] WalletError),
    #[error("another buyer has bound this wallet address")]
    WalletTaken,
    #[error("the bound wallet is proven: only a proven one takes its place")]
    WalletProofRequired,
    #[error("{0}")]
    PromoCode(PromoRefusal),
    #[error("the order is {}", .0.as_str())]
    NotPlaced(Lifecycle),
    #[error("the order has expired")]
    Expired,
    #[error("the payment is being processed: the order cannot be cancelled now")]
    PaymentUnderWay,
    #[error("the payment provider refused")]
    PaymentRefused(#[source] GatewayError),
    #[error("the payment provider cannot be reached: try again with the same Idempotency-Key")]
    PaymentUnavailable(#[source] GatewayError),
    #[error("the payment provider does not know the intent")]
    UnknownIntent,
    #[error("the intent does not belong to an order of this site yet")]
    UnattachedIntent,
    #[error("the payment provider reports a state that this version does not know: {0}")]
    UnknownIntentState(String),
    #[error("there is no such refund")]
    RefundNotFound,
    #[error("there is no such dispute")]
    DisputeNotFound,
    #[error("nothing of the order is left to be refunded")]
    NothingToRefund,
    #[error("at most {0} of the order can be refunded")]
    RefundTooMuch(Money),
    #[error("a refund is a positive multiple of {0}")]
    RefundAmount(Money),
    #[error("the order is in {0}")]
    RefundCurrency(&'static str),
    #[error("staff cannot give this reason")]
    RefundReason,
    #[error("a note has 1 to 500 characters, and the reason `other` needs one")]
    RefundNote,
    #[error("the payment is disputed, and the provider takes no refund for it")]
    Disputed,
    #[error("the refund or dispute is of a payment that is not booked yet")]
    NotCaptured,
    #[error("the payment provider does not know the refund, or we do not")]
    UnknownRefund,
    #[error("the payment provider does not know the dispute")]
    UnknownDispute,
    #[error("the payment provider reports a dispute's state that this version does not know")]
    UnknownDisputeState,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    WrongMove(#[from] WrongMove),
    #[error("an amount is out of range")]
    Amount(#[from] posx_kernel::MoneyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OrderError {
    fn line(&self) -> Option<usize> {
        match self {
            Self::UnknownTier { line }
            | Self::InactiveTier { line }
            | Self::TierTwice { line }
            | Self::TwoChains { line }
            | Self::Quantity { line, .. }
            | Self::OverOrderLimit { line, .. }
            | Self::OverBuyerLimit { line }
            | Self::SoldOut { line, .. } => Some(*line),
            _ => None,
        }
    }
}

impl Refusal for OrderError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "order_not_found",
            Self::NoLines => "order_lines_missing",
            Self::TooManyLines => "order_lines_too_many",
            Self::UnknownTier { .. } => "tier_not_found",
            Self::InactiveTier { .. } => "tier_inactive",
            Self::TierTwice { .. } => "tier_repeated",
            Self::TwoChains { .. } => "order_chains_mixed",
            Self::Quantity { .. } => "quantity_invalid",
            Self::OverOrderLimit { .. } => "order_limit_exceeded",
            Self::OverBuyerLimit { .. } => "buyer_limit_exceeded",
            Self::SoldOut { .. } => "tier_sold_out",
            Self::Currency(_) | Self::RefundCurrency(_) => "currency_mismatch",
            Self::BelowMinimumCharge(_) => "order_below_minimum_charge",
            Self::WalletMissing => "wallet_missing",
            Self::Wallet(WalletError::Checksum) => "wallet_checksum_invalid",
            Self::Wallet(WalletError::WrongChain) => "wallet_chain_mismatch",
            Self::Wallet(WalletError::Form) => "wallet_address_invalid",
            Self::Wallet(WalletError::Burn) => "wallet_address_burns",
            Self::WalletTaken => "wallet_taken",
            Self::WalletProofRequired => "wallet_proof_required",
            Self::PromoCode(refusal) => refusal.code(),
            Self::NotPlaced(_) | Self::WrongMove(_) => "order_not_placed",
            Self::Expired => "order_expired",
            Self::PaymentUnderWay => "payment_under_way",
            Self::PaymentRefused(_) => "payment_refused",
            Self::PaymentUnavailable(_) => "payment_unavailable",
            Self::UnknownIntent | Self::UnattachedIntent => "payment_intent_unknown",
            Self::UnknownIntentState(_) => "payment_state_unknown",
            Self::RefundNotFound => "refund_not_found",
            Self::DisputeNotFound => "dispute_not_found",
            Self::NothingToRefund => "nothing_to_refund",
            Self::RefundTooMuch(_) => "refund_exceeds_captured",
            Self::RefundAmount(_) => "refund_amount_invalid",
            Self::RefundReason => "refund_reason_invalid",
            Self::RefundNote => "refund_note_invalid",
            Self::Disputed => "order_disputed",
            Self::NotCaptured => "payment_not_captured",
            Self::UnknownRefund => "provider_refund_unknown",
            Self::UnknownDispute => "provider_dispute_unknown",
            Self::UnknownDisputeState => "dispute_state_unknown",
            Self::Key(refusal) => refusal.code(),
            Self::Amount(_) => "amount_out_of_range",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound | Self::RefundNotFound | Self::DisputeNotFound => Kind::NotFound,
            Self::SoldOut { .. }
            | Self::OverBuyerLimit { .. }
            | Self::WalletTaken
            | Self::WalletProofRequired
            | Self::NotPlaced(_)
            | Self::WrongMove(_)
            | Self::Expired
            | Self::NothingToRefund
            | Self::RefundTooMuch(_)
            | Self::Disputed
            | Self::PaymentUnderWay => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::PromoCode(refusal) => refusal.kind(),
            Self::PaymentUnavailable(_)
            | Self::UnknownIntent
            | Self::UnattachedIntent
            | Self::UnknownIntentState(_)
            | Self::NotCaptured
            | Self::UnknownRefund
            | Self::UnknownDispute
            | Self::UnknownDisputeState => Kind::Unavailable,
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let part = match self {
            Self::UnknownTier { .. }
            | Self::InactiveTier { .. }
            | Self::TierTwice { .. }
            | Self::TwoChains { .. } => "tier_id",
            Self::Quantity { .. }
            | Self::OverOrderLimit { .. }
            | Self::OverBuyerLimit { .. }
            | Self::SoldOut { .. } => "quantity",
            Self::NoLines | Self::TooManyLines => return Some("lines".into()),
            Self::Currency(_) => return Some("currency".into()),
            Self::RefundAmount(_) | Self::RefundCurrency(_) | Self::RefundTooMuch(_) => {
                return Some("amount".into());
            }
            Self::RefundReason => return Some("reason".into()),
            Self::RefundNote => return Some("note".into()),
            Self::PromoCode(_) => return Some("promo_code".into()),
            Self::WalletMissing | Self::Wallet(_) | Self::WalletTaken | Self::WalletProofRequired => {
                return Some("wallet_address".into());
            }
            _ => return None,
        };
        self.line().map(|line| format!("lines/{line}/{part}").into())
    }
}
