//! Codes of sites' own accounts at providers.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "provider_account_not_found",
        &[404],
        "The site gave no such account.",
    ),
    (
        "provider_key_invalid",
        &[422],
        "The key cannot be one of the provider's secret keys.",
    ),
    (
        "provider_key_mode",
        &[422],
        "The key is of test mode in production, or of live mode elsewhere.",
    ),
    (
        "provider_webhook_secret_invalid",
        &[422],
        "The webhook secret cannot be one.",
    ),
    (
        "provider_webhook_secrets_too_many",
        &[422],
        "An endpoint has one webhook secret, or two while it is being replaced.",
    ),
    (
        "provider_webhook_secrets_missing",
        &[422],
        "There is no shared endpoint, so the account needs a webhook secret of its own.",
    ),
];
