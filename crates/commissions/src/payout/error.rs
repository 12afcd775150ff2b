//! Refusals of settlements, payouts and withdrawals.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, SecretError, StoreError};

use super::WrongPayoutMove;
use super::account::BankDetailsError;
use super::gateway::PayoutGatewayError;
use crate::settlement::WrongSettlementMove;

#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    #[error("there is no such settlement")]
    SettlementNotFound,
    #[error("there is no such payout")]
    NotFound,
    #[error("there is no such withdrawal")]
    WithdrawalNotFound,
    #[error("there is no such file of payments")]
    FileNotFound,
    #[error("the site has a draft already: approve or discard it first")]
    DraftOpen,
    #[error("nobody has anything to be settled")]
    NothingToSettle,
    #[error("a settlement that is {0} cannot do this")]
    SettlementState(&'static str),
    #[error("whoever made a settlement does not approve it")]
    OwnSettlement,
    #[error("balances or accounts changed since the preview: it was made anew, look at it again")]
    PreviewStale,
    #[error("the hash is not the preview's")]
    HashMismatch,
    #[error("a payout that is {0} cannot do this")]
    State(&'static str),
    #[error("this payout goes by the provider: nobody marks it by hand")]
    NotByHand,
    #[error("the provider has a transfer for this payout: try it again, and it is found")]
    WasSent,
    #[error("a reference is 1 to 140 characters")]
    Reference,
    #[error("a reason is 1 to 500 characters")]
    Reason,
    #[error("the amount is less than is paid out in this currency")]
    BelowMinimum,
    #[error("the amount is more than one withdrawal may take in this currency")]
    AboveMaximum,
    #[error("the amount is not above zero, or not a multiple of what can be transferred")]
    Amount,
    #[error("less is available")]
    NotAvailable,
    #[error("there is an open withdrawal in this currency")]
    WithdrawalOpen,
    #[error("nobody decides on their own withdrawal")]
    OwnWithdrawal,
    #[error("what the withdrawal took is not covered any more")]
    NotCovered,
    #[error("there is no account of this kind to pay to")]
    NoAccount,
    #[error("the account is new: no money goes there before its cooling-off time is over")]
    CoolingOff,
    #[error("the provider has disabled the account: its owner must complete it there")]
    AccountDisabled,
    #[error("the account is being changed by someone else: try again")]
    AccountBusy,
    #[error("{0}")]
    Bank(#[from] BankDetailsError),
    #[error("a country is two capital letters (ISO 3166)")]
    Country,
    #[error("the addresses to come back to are https, and at most 2,000 characters")]
    ReturnUrl,
    #[error("the provider refused: {0}")]
    ProviderRefused(String),
    #[error("the provider cannot be asked now")]
    ProviderUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Met by a job.
    #[error("what the provider did with the payout is not known yet")]
    Unsettled,
    /// Met by a job: a person must look.
    #[error("the provider's transfer is of another amount than the payout")]
    TransferMismatch,
    #[error("the site's own bank account is not set for this currency")]
    NoDebtor,
    #[error("nothing waits for the bank in this currency")]
    NothingWaits,
    #[error("the details of an account that was paid to are forgotten")]
    DetailsForgotten,
    #[error("a minimum is above zero")]
    Minimum,
    #[error("a maximum is of the minimum's currency and not below it")]
    Maximum,
    #[error("a rule for writing off has an amount above zero in the currency, and 1 to 3650 days")]
    WriteOffRule,
    #[error("the name is 1 to 70 characters")]
    DebtorName,
    #[error("the IBAN's check digits do not hold")]
    DebtorIban,
    #[error("a BIC has 8 or 11 characters")]
    DebtorBic,
    #[error("someone else changed it since it was read")]
    Stale,
    #[error("the agent does not owe that much")]
    OwesLess,
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WrongPayoutMove> for PayoutError {
    fn from(wrong: WrongPayoutMove) -> Self {
        Self::State(wrong.from.as_str())
    }
}

impl From<WrongSettlementMove> for PayoutError {
    fn from(wrong: WrongSettlementMove) -> Self {
        Self::SettlementState(wrong.from.as_str())
    }
}

impl From<PayoutGatewayError> for PayoutError {
    fn from(error: PayoutGatewayError) -> Self {
        match error {
            PayoutGatewayError::Refused { code } => Self::ProviderRefused(code),
            PayoutGatewayError::Unknown(source) => Self::ProviderUnavailable(source),
        }
    }
}

impl Refusal for PayoutError {
    fn code(&self) -> &'static str {
        match self {
            Self::SettlementNotFound => "settlement_not_found",
            Self::NotFound => "payout_not_found",
            Self::WithdrawalNotFound => "withdrawal_not_found",
            Self::FileNotFound => "payout_file_not_found",
            Self::DraftOpen => "settlement_draft_open",
            Self::NothingToSettle => "settlement_empty",
            Self::SettlementState(_) => "settlement_state",
            Self::OwnSettlement => "settlement_own",
            Self::PreviewStale => "preview_stale",
            Self::HashMismatch => "settlement_hash_mismatch",
            Self::State(_) => "payout_state",
            Self::NotByHand => "payout_not_by_hand",
            Self::WasSent => "payout_was_sent",
            Self::Reference => "payout_reference_invalid",
            Self::Reason => "payout_reason_invalid",
            Self::BelowMinimum => "payout_below_minimum",
            Self::AboveMaximum => "payout_above_maximum",
            Self::Amount => "payout_amount_invalid",
            Self::NotAvailable => "balance_not_available",
            Self::WithdrawalOpen => "withdrawal_open",
            Self::OwnWithdrawal => "withdrawal_own",
            Self::NotCovered => "withdrawal_not_covered",
            Self::NoAccount => "payout_account_missing",
            Self::CoolingOff => "payout_account_cooling_off",
            Self::AccountDisabled => "payout_account_disabled",
            Self::AccountBusy => "payout_account_busy",
            Self::Bank(_) => "payout_account_invalid",
            Self::Country => "payout_account_country_invalid",
            Self::ReturnUrl => "payout_return_url_invalid",
            Self::ProviderRefused(_) => "payout_provider_refused",
            Self::ProviderUnavailable(_) => "payout_provider_unavailable",
            Self::Unsettled => "payout_unsettled",
            Self::TransferMismatch => "payout_transfer_mismatch",
            Self::NoDebtor => "payout_debtor_missing",
            Self::NothingWaits => "payout_file_empty",
            Self::DetailsForgotten => "payout_details_forgotten",
            Self::Minimum => "payout_minimum_invalid",
            Self::Maximum => "payout_maximum_invalid",
            Self::WriteOffRule => "write_off_rule_invalid",
            Self::DebtorName | Self::DebtorIban | Self::DebtorBic => "payout_debtor_invalid",
            Self::Stale => "version_stale",
            Self::OwesLess => "write_off_above_debt",
            Self::Secret(error) => error.code(),
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::SettlementNotFound | Self::NotFound | Self::WithdrawalNotFound | Self::FileNotFound => {
                Kind::NotFound
            }
            Self::Reference
            | Self::Reason
            | Self::BelowMinimum
            | Self::AboveMaximum
            | Self::Amount
            | Self::Bank(_)
            | Self::Country
            | Self::ReturnUrl
            | Self::Minimum
            | Self::Maximum
            | Self::WriteOffRule
            | Self::DebtorName
            | Self::DebtorIban
            | Self::DebtorBic
            | Self::ProviderRefused(_) => Kind::Invalid,
            Self::OwnSettlement | Self::OwnWithdrawal => Kind::Forbidden,
            Self::Stale => Kind::Stale,
            Self::ProviderUnavailable(_) | Self::Unsettled => Kind::Unavailable,
            Self::TransferMismatch => Kind::Internal,
            Self::Secret(error) => error.kind(),
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            _ => Kind::Conflict,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Reference => "reference",
            Self::Reason => "reason",
            Self::BelowMinimum | Self::AboveMaximum | Self::Amount => "amount",
            Self::Bank(BankDetailsError::Holder) => "bank/holder",
            Self::Bank(BankDetailsError::Iban) => "bank/iban",
            Self::Bank(BankDetailsError::Bic) => "bank/bic",
            Self::Country => "country",
            Self::ReturnUrl => "return_url",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::WriteOffRule => "write_off",
            Self::DebtorName => "debtor/name",
            Self::DebtorIban => "debtor/iban",
            Self::DebtorBic => "debtor/bic",
            Self::HashMismatch => "hash",
            _ => return None,
        };
        Some(field.into())
    }
}
