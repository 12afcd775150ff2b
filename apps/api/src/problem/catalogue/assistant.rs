//! Codes of the gateway to language models, and of what a site chooses there.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    ("module_off", &[403], "The site does not have this module."),
    (
        "model_consent_missing",
        &[409],
        "The site has not consented to what would be sent to a provider.",
    ),
    (
        "model_not_chosen",
        &[409],
        "The site has not chosen a model for this purpose.",
    ),
    (
        "model_without_price",
        &[409],
        "The model that was chosen has no price any more, or its provider is gone.",
    ),
    (
        "model_key_missing",
        &[409],
        "The provider wants a key, and neither the site nor the operator has given one.",
    ),
    (
        "model_budget_used_up",
        &[429],
        "A budget cannot hold the call; Retry-After says when it begins anew.",
    ),
    (
        "prompt_too_long",
        &[413],
        "The prompt is longer than may be sent, or than the model takes.",
    ),
    (
        "model_unavailable",
        &[503],
        "No provider of the model gives an answer now.",
    ),
    ("model_busy", &[503], "Too many calls of models are under way."),
    (
        "model_account_refused",
        &[409],
        "The provider does not accept the key, the account has no credit, or it does not know the model.",
    ),
    ("model_refused", &[422], "The model's provider refused the call."),
    ("model_answer_broke_off", &[503], "The model's answer broke off."),
    (
        "model_provider_unknown",
        &[422],
        "The operator has no such provider of models.",
    ),
    (
        "model_unknown",
        &[422],
        "The provider has no such model with a price.",
    ),
    (
        "model_fallback_same",
        &[422],
        "The fallback is the main model itself.",
    ),
    (
        "model_fallback_without_key",
        &[422],
        "The operator has no key for the fallback's provider.",
    ),
    (
        "model_key_invalid",
        &[422],
        "The key is not 8 to 500 visible ASCII characters.",
    ),
    (
        "model_account_not_found",
        &[404],
        "The site has chosen no model for this purpose.",
    ),
    (
        "model_key_not_found",
        &[404],
        "The site gave no key of its own for this purpose.",
    ),
    (
        "model_consent_text_outdated",
        &[422],
        "The text that is consented to has changed: read it again.",
    ),
    (
        "model_consent_not_found",
        &[404],
        "The site has not consented to this purpose.",
    ),
    ("purpose_not_found", &[404], "There is no such purpose."),
];
