//! Codes of documents, their drafts, and customers.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "document_not_found",
        &[404],
        "There is no such document on this site.",
    ),
    (
        "document_name_invalid",
        &[422],
        "A document's name has not 1 to 200 characters.",
    ),
    ("document_empty", &[422], "The document has no byte."),
    ("document_too_large", &[413], "The document has more than 20 MiB."),
    (
        "document_not_uploaded",
        &[409],
        "Nothing has arrived for the document yet.",
    ),
    (
        "document_not_awaited",
        &[409],
        "No file is awaited for the document any more.",
    ),
    (
        "document_refused",
        &[422],
        "The file is not of the size or type that was announced.",
    ),
    (
        "document_storage_off",
        &[503],
        "No storage for documents is configured.",
    ),
    (
        "document_storage_unavailable",
        &[503],
        "The storage for documents cannot be reached now.",
    ),
    (
        "document_draft_not_found",
        &[404],
        "There is no draft of the document.",
    ),
    (
        "document_draft_not_open",
        &[409],
        "The draft is decided, or its time is over.",
    ),
    (
        "document_draft_kind",
        &[422],
        "The edit is of another kind than the draft.",
    ),
    (
        "document_draft_value_invalid",
        &[422],
        "A value has not 1 to 500 characters, or there are more than 200 lines, or not as many tiers as lines.",
    ),
    (
        "document_draft_has_errors",
        &[409],
        "The draft has an error that an edit must cure first.",
    ),
    (
        "document_draft_warnings_unseen",
        &[409],
        "The draft has a warning that was not acknowledged.",
    ),
    (
        "document_draft_total_differs",
        &[409],
        "The site's prices do not come to the draft's total.",
    ),
    (
        "document_draft_wallet_bound",
        &[409],
        "The customer has bound a wallet that receives on the order's chain: no other address is taken.",
    ),
    (
        "document_draft_accepted_before",
        &[409],
        "The same file, or the same customer, number and total, is accepted already.",
    ),
    (
        "document_draft_reason_invalid",
        &[422],
        "A reason has not 1 to 500 characters.",
    ),
    (
        "pdf_reader_failed",
        &[500],
        "The reader of PDFs did not run. Only jobs meet it.",
    ),
    (
        "customer_not_found",
        &[404],
        "There is no such customer on this site.",
    ),
    (
        "customer_taken",
        &[409],
        "A customer has this tax number already.",
    ),
    (
        "customer_name_invalid",
        &[422],
        "A customer's name has not 1 to 200 characters.",
    ),
    (
        "customer_tax_number_invalid",
        &[422],
        "A tax number is not two letters of a country and 4 to 18 letters and digits.",
    ),
    (
        "customer_email_invalid",
        &[422],
        "The customer's e-mail address is none.",
    ),
    (
        "customer_phone_invalid",
        &[422],
        "A phone number has not 1 to 40 characters.",
    ),
    (
        "customer_country_invalid",
        &[422],
        "A country is not two letters (ISO 3166).",
    ),
    (
        "customer_address_invalid",
        &[422],
        "An address has not 1 to 500 characters.",
    ),
];
