//! Codes of refunds and disputes.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    ("refund_not_found", &[404], "The site has no such refund."),
    ("dispute_not_found", &[404], "The site has no such dispute."),
    (
        "nothing_to_refund",
        &[409],
        "Nothing of the order is left that could be refunded.",
    ),
    (
        "refund_exceeds_captured",
        &[409],
        "Less is left of the order than was asked for: refunds and disputes never exceed what was paid.",
    ),
    (
        "refund_amount_invalid",
        &[422],
        "A refund is positive and a multiple of the currency's charge step.",
    ),
    (
        "refund_reason_invalid",
        &[422],
        "This reason is given by the system alone.",
    ),
    (
        "refund_note_invalid",
        &[422],
        "A note has 1 to 500 characters, and the reason `other` needs one.",
    ),
    (
        "order_disputed",
        &[409],
        "The payment is disputed, and the provider takes no refund for it.",
    ),
    (
        "payment_not_captured",
        &[503],
        "A refund or dispute is of a payment that is not booked yet.",
    ),
    (
        "provider_refund_unknown",
        &[503],
        "The payment provider and the site do not both know the refund.",
    ),
    (
        "provider_dispute_unknown",
        &[503],
        "The payment provider does not know the dispute.",
    ),
    (
        "dispute_state_unknown",
        &[503],
        "The payment provider reports a dispute's state that this version does not know.",
    ),
];
