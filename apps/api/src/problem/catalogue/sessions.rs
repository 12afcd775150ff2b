//! Codes of sessions.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "sessions_off",
        &[404],
        "Sessions of browsers are not switched on.",
    ),
    (
        "session_not_found",
        &[404],
        "There is no such session of the caller's.",
    ),
    (
        "session_over",
        &[401],
        "There is no session, or it is over: sign in again.",
    ),
    (
        "session_superseded",
        &[409],
        "Another tab has a newer refresh token: ask again, the browser has it by then.",
    ),
    (
        "session_issuer_unknown",
        &[422],
        "Codes of this issuer are not exchanged here.",
    ),
    (
        "session_redirect_uri_refused",
        &[422],
        "The redirect URI is not one of the listed ones.",
    ),
    (
        "session_code_verifier_invalid",
        &[422],
        "The code verifier is not 43 to 128 unreserved characters.",
    ),
    (
        "session_code_refused",
        &[422],
        "The identity provider does not take the code: it is spent, too old, or another's.",
    ),
    (
        "session_access_token_refused",
        &[422],
        "What the identity provider granted is no person's access token for this API.",
    ),
    (
        "session_id_token_refused",
        &[422],
        "There is no ID token with the nonce, or it does not hold.",
    ),
    (
        "identity_provider_unavailable",
        &[503],
        "The identity provider cannot be asked now.",
    ),
];
