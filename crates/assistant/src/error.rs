//! Why a call of a model is refused, or got no answer.

use chrono::SecondsFormat;
use posx_kernel::{Kind, Refusal, SecretError, StoreError, Timestamp};

use crate::{BudgetScope, Period, Purpose};

/// Of every use case that asks a model. Its texts name limits and times, never what was asked or answered.
#[derive(Debug, thiserror::Error)]
pub enum AssistantError {
    #[error("the site does not have the module assistant")]
    ModuleOff,
    #[error("the site has not consented to send {} to a model", sent_for(*.0))]
    NoConsent(Purpose),
    #[error("the site has not chosen a model for {}", sent_for(*.0))]
    NoModel(Purpose),
    /// It was chosen when it still had a price.
    #[error("the model that the site chose has no price now: choose another")]
    NoPrice,
    #[error("the model's provider wants a key, and neither the site nor the operator has given one")]
    NoKey,
    #[error("the budget is used up ({}) until {}", budget(*scope, *period), resets_at.to_rfc3339_opts(SecondsFormat::Secs, true))]
    BudgetUsedUp {
        scope: BudgetScope,
        period: Period,
        resets_at: Timestamp,
        retry_after_s: u32,
    },
    #[error("the prompt is longer than {bytes_max} bytes, or than the model takes")]
    PromptTooLong { bytes_max: usize },
    /// After all tries on all endpoints, or while their breakers are open.
    #[error("the model cannot be reached now")]
    Unavailable(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// So many calls are under way in this process already.
    #[error("too many calls of models are under way")]
    Busy,
    /// The key, the credit at the provider, the name of the model: nothing will help until a person acts.
    #[error("the model's provider does not serve the site: its account there needs a person")]
    AccountNeedsAPerson(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider's code is for the log.
    #[error("the model's provider refused the call")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What came before is paid for.
    #[error("the model's answer broke off")]
    BrokeOff(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    #[error("the site's key for the model's provider cannot be read now")]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for AssistantError {
    fn code(&self) -> &'static str {
        match self {
            Self::ModuleOff => "module_off",
            Self::NoConsent(_) => "model_consent_missing",
            Self::NoModel(_) => "model_not_chosen",
            Self::NoPrice => "model_without_price",
            Self::NoKey => "model_key_missing",
            Self::BudgetUsedUp { .. } => "model_budget_used_up",
            Self::PromptTooLong { .. } => "prompt_too_long",
            Self::Unavailable(_) => "model_unavailable",
            Self::Busy => "model_busy",
            Self::AccountNeedsAPerson(_) => "model_account_refused",
            Self::Refused(_) => "model_refused",
            Self::BrokeOff(_) => "model_answer_broke_off",
            Self::Secret(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::ModuleOff => Kind::Forbidden,
            Self::NoConsent(_)
            | Self::NoModel(_)
            | Self::NoPrice
            | Self::NoKey
            | Self::AccountNeedsAPerson(_) => Kind::Conflict,
            Self::BudgetUsedUp { .. } => Kind::UsedUp,
            Self::PromptTooLong { .. } => Kind::TooLarge,
            Self::Unavailable(_) | Self::Busy | Self::BrokeOff(_) => Kind::Unavailable,
            Self::Refused(_) => Kind::Invalid,
            Self::Secret(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::BudgetUsedUp { retry_after_s, .. } => Some(*retry_after_s),
            _ => None,
        }
    }
}

const fn sent_for(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::StaffChat => "the staff's chat",
        Purpose::StorefrontChat => "the storefront's chat",
        Purpose::Documents => "documents",
    }
}

const fn budget(scope: BudgetScope, period: Period) -> &'static str {
    match (scope, period) {
        (BudgetScope::Site, Period::Day) => "the site's day",
        (BudgetScope::Site, Period::Month) => "the site's month",
        (BudgetScope::Purpose, Period::Day) => "the purpose's day",
        (BudgetScope::Purpose, Period::Month) => "the purpose's month",
        (BudgetScope::Member, Period::Day) => "the member's day",
        (BudgetScope::Member, Period::Month) => "the member's month",
        (BudgetScope::Visitor, Period::Day) => "the visitor's day",
        (BudgetScope::Visitor, Period::Month) => "the visitor's month",
        (BudgetScope::Visitors, Period::Day) => "the visitors' day",
        (BudgetScope::Visitors, Period::Month) => "the visitors' month",
    }
}
