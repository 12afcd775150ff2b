//! Codes of the books.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "ledger_account_not_found",
        &[404],
        "There is no such account in this unit.",
    ),
    (
        "ledger_period_not_found",
        &[404],
        "There is no such period of the books.",
    ),
    (
        "ledger_period_too_recent",
        &[422],
        "The books are closed up to an hour ago at the latest.",
    ),
    (
        "ledger_period_not_after_last",
        &[409],
        "The books are closed up to then already.",
    ),
    (
        "ledger_period_not_last",
        &[409],
        "Only the last closed period is opened again.",
    ),
    (
        "ledger_period_reason_invalid",
        &[422],
        "A reason is 1 to 500 characters.",
    ),
];
