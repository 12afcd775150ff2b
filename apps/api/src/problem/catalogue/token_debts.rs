//! Codes of debts of tokens.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "token_debt_amount_invalid",
        &[422],
        "A debt is ended by more than nothing.",
    ),
    (
        "token_debt_smaller",
        &[409],
        "The buyer does not owe so much of the allocation.",
    ),
    (
        "token_debt_reason_invalid",
        &[422],
        "A reason has 1 to 500 characters.",
    ),
    (
        "token_debt_transaction_used",
        &[409],
        "The transaction has ended this debt already, or is of another buyer or token.",
    ),
    (
        "token_debt_tx_hash_invalid",
        &[422],
        "What came back names its transaction in 1 to 200 visible characters, and nothing else does.",
    ),
];
