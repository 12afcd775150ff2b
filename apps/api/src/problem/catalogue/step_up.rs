//! Codes of the second factor and of the second person.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "second_factor_needed",
        &[403],
        "This needs a second factor that was proven in the last 10 minutes; `second_factor` says how.",
    ),
    (
        "second_factor_not_enrolled",
        &[409],
        "There is no second factor to use: enrol one.",
    ),
    (
        "second_factor_not_pending",
        &[409],
        "No enrolment of a second factor is under way: begin one.",
    ),
    (
        "second_factor_code_wrong",
        &[422],
        "The code is wrong, or was used before.",
    ),
    (
        "approval_needed",
        &[409],
        "A second person must approve this; `approval` says what. Then send it again with the header Approval.",
    ),
    (
        "approval_not_found",
        &[404],
        "There is no such approval on this site.",
    ),
    (
        "approval_mismatch",
        &[409],
        "The approval is for another request, or of another person.",
    ),
    (
        "approval_not_approved",
        &[409],
        "The approval is not given, or given no more: it waits, was refused, has expired or was used.",
    ),
    (
        "approval_not_open",
        &[409],
        "The approval is decided, withdrawn or expired already.",
    ),
    (
        "approval_own_request",
        &[403],
        "Nobody decides on their own request.",
    ),
    (
        "approval_of_another",
        &[403],
        "Only who asked takes a request back.",
    ),
    (
        "approval_reason_invalid",
        &[422],
        "The reason is not 1 to 500 characters.",
    ),
    (
        "approvals_too_many",
        &[409],
        "Too many of your requests wait for a second person: withdraw some.",
    ),
    (
        "approval_limit_not_found",
        &[404],
        "There is no such operation with a limit.",
    ),
    (
        "approval_limit_invalid",
        &[422],
        "A limit is a whole number from 0, or null.",
    ),
];
