//! What may be known of choices and consents.

use chrono::{DateTime, Utc};
use posx_kernel::IdentityId;
use serde::{Deserialize, Serialize};

use crate::{CONSENT_TEXT_VERSION, ModelAccount, ModelChoice, ModelConsent, ProviderKind, Purpose};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelChoice)]
pub struct ModelChoiceBody {
    /// One of the operator's.
    #[schema(max_length = 40)]
    pub provider: String,
    /// As the provider names it; with a price.
    #[schema(max_length = 200)]
    pub model: String,
}

impl From<ModelChoiceBody> for ModelChoice {
    fn from(body: ModelChoiceBody) -> Self {
        let ModelChoiceBody { provider, model } = body;
        Self { provider, model }
    }
}

impl From<&ModelChoice> for ModelChoiceBody {
    fn from(choice: &ModelChoice) -> Self {
        Self {
            provider: choice.provider.clone(),
            model: choice.model.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ModelAccountView {
    pub purpose: Purpose,
    pub main: ModelChoiceBody,
    /// Absent: the operator's key is used, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_key_last4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<ModelChoiceBody>,
    pub version: i32,
    pub updated_at: DateTime<Utc>,
}

impl From<&ModelAccount> for ModelAccountView {
    fn from(account: &ModelAccount) -> Self {
        Self {
            purpose: account.purpose,
            main: (&account.main).into(),
            own_key_last4: account.own_key.as_ref().map(|key| key.last4.clone()),
            fallback: account.fallback.as_ref().map(Into::into),
            version: account.version,
            updated_at: account.updated_at,
        }
    }
}

/// A provider that a site may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ModelProviderView {
    pub name: String,
    pub kind: ProviderKind,
    /// False: only with a key of the site's own.
    pub has_key: bool,
    /// Those that have a price now.
    pub models: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ModelConsentView {
    pub purpose: Purpose,
    /// Counts from 1 for each purpose.
    pub number: i32,
    pub text_version: u16,
    pub given_at: DateTime<Utc>,
    /// Absent: no person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_by: Option<IdentityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_by: Option<IdentityId>,
    /// Whether calls may be made by it now.
    pub holds: bool,
}

impl From<&ModelConsent> for ModelConsentView {
    fn from(consent: &ModelConsent) -> Self {
        Self {
            purpose: consent.purpose,
            number: consent.number,
            text_version: consent.text_version,
            given_at: consent.given_at,
            given_by: consent.given_by,
            withdrawn_at: consent.withdrawn_at,
            withdrawn_by: consent.withdrawn_by,
            holds: consent.withdrawn_at.is_none() && consent.text_version == CONSENT_TEXT_VERSION,
        }
    }
}
