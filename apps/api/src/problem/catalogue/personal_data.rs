//! Codes of showing and erasing what is held of a person.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "party_not_found",
        &[404],
        "The site holds nothing of such a person.",
    ),
    (
        "party_has_open_business",
        &[409],
        "Something is still owed to the person, or under way: it comes to its end first.",
    ),
    ("erasure_reason_invalid", &[422], "An erasure needs a reason."),
];
