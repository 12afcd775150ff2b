//! Codes of the edge: hosts, origins, sizes and times.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "host_invalid",
        &[400],
        "The request names no host, or more than one.",
    ),
    (
        "host_unknown",
        &[421],
        "The host that the request names is not served here.",
    ),
    (
        "origin_not_allowed",
        &[403],
        "The site does not list the origin of the page that asks.",
    ),
    (
        "headers_too_large",
        &[431],
        "The headers are too large, or too many.",
    ),
    ("body_too_slow", &[408], "The body did not arrive in time."),
    (
        "server_busy",
        &[503],
        "Too many requests are being worked on; nothing was done.",
    ),
    (
        "sign_in_delayed",
        &[429],
        "Signing in failed too often; Retry-After says when to try again.",
    ),
];
