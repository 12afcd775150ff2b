//! Codes of API keys and devices.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "person_needed",
        &[403],
        "This is for people by their own token, and the caller is a key or a device.",
    ),
    ("device_needed", &[403], "This is for devices by their own token."),
    ("api_key_not_found", &[404], "There is no such API key."),
    (
        "api_key_name_invalid",
        &[422],
        "The key's name is not 1 to 100 characters.",
    ),
    ("api_key_scopes_missing", &[422], "A key has at least one scope."),
    (
        "api_key_scope_invalid",
        &[422],
        "The scope is unknown, no key may have it, or the caller may not do it.",
    ),
    ("api_key_lifetime_invalid", &[422], "A key lives 1 to 365 days."),
    (
        "api_key_overlap_invalid",
        &[422],
        "A key's secrets overlap 0 to 7 days.",
    ),
    ("api_keys_too_many", &[409], "The site has 100 live keys already."),
    (
        "api_key_secrets_too_many",
        &[409],
        "Five secrets of the key are good already.",
    ),
    ("api_key_not_live", &[409], "The key is revoked or expired."),
    (
        "api_key_beyond_maker",
        &[403],
        "The key may do more than the caller may.",
    ),
    ("device_not_found", &[404], "There is no such device."),
    (
        "device_name_invalid",
        &[422],
        "The device's name is not 1 to 100 characters.",
    ),
    (
        "device_place_unknown",
        &[422],
        "There is no such place, or it is closed.",
    ),
    (
        "device_version_invalid",
        &[422],
        "The version is not 1 to 50 visible ASCII characters.",
    ),
    ("devices_too_many", &[409], "The site has 1000 devices already."),
    (
        "device_pairings_too_many",
        &[409],
        "Twenty codes wait for their devices already.",
    ),
    (
        "device_code_unknown",
        &[422],
        "The code was not given out here, was used, or is too old.",
    ),
    ("device_not_active", &[409], "The device is not active."),
    ("device_suspended", &[409], "The device is suspended."),
    ("device_revoked", &[409], "The device is revoked for good."),
    (
        "device_cashier_not_here",
        &[403],
        "The caller's role does not let them stand at a device of this place.",
    ),
];
