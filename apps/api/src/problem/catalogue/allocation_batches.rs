//! Codes of batches of allocations.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "allocation_batch_not_found",
        &[404],
        "There is no such allocation batch.",
    ),
    (
        "allocation_order_returned",
        &[409],
        "Money of the allocation's order went back: it is cut first.",
    ),
    (
        "allocation_vault_not_assigned",
        &[409],
        "The platform has not given the vault of the allocation's asset to the site.",
    ),
    (
        "batch_state",
        &[409],
        "The batch is in a state that does not allow this.",
    ),
    ("batch_own", &[403], "Whoever made a batch does not approve it."),
    (
        "batch_approved_before",
        &[409],
        "This person approved the batch before: another one is needed.",
    ),
    (
        "batch_hash_mismatch",
        &[409],
        "The hash is not that of what would be sent now: look at the batch again.",
    ),
    (
        "batch_not_approved",
        &[409],
        "What is left of the batch is not approved by two people.",
    ),
    (
        "custodian_unavailable",
        &[503],
        "The custodian cannot be asked now.",
    ),
];
