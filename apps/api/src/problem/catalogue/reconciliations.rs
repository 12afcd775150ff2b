//! Codes of comparing the books with the providers.

use super::Row;

pub(super) const TABLE: &[Row] = &[(
    "reconciliation_not_found",
    &[404],
    "There is no such reconciliation in this site.",
)];
