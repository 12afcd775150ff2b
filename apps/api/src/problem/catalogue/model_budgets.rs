//! Codes of budgets and credits of language models.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "model_limit_purpose",
        &[422],
        "A limit of the scope purpose names one, and no other does.",
    ),
    ("model_limit_twice", &[422], "A limit is there twice."),
    (
        "model_limit_too_large",
        &[422],
        "A limit is larger than what can be counted.",
    ),
    (
        "model_budgets_changed_meanwhile",
        &[412],
        "Someone else changed the budgets.",
    ),
    (
        "model_credit_amount",
        &[422],
        "A credit is more than nothing, and no larger than what can be counted.",
    ),
    (
        "model_credit_expiry",
        &[422],
        "A credit that lapses does so later than now.",
    ),
    (
        "model_credit_note",
        &[422],
        "The note is not 1 to 200 characters.",
    ),
];
