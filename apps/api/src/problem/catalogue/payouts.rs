//! Codes of settlements, payouts and withdrawals.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    ("settlement_not_found", &[404], "There is no such settlement."),
    (
        "settlement_draft_open",
        &[409],
        "The site has a draft already: approve or discard it first.",
    ),
    ("settlement_empty", &[409], "Nobody has anything to be settled."),
    (
        "settlement_state",
        &[409],
        "The settlement's state does not allow it.",
    ),
    (
        "settlement_own",
        &[403],
        "Whoever made a settlement does not approve it.",
    ),
    (
        "settlement_hash_mismatch",
        &[409],
        "The hash is not the present preview's.",
    ),
    (
        "preview_stale",
        &[409],
        "Balances or accounts changed since the preview, which was made anew: look at it again.",
    ),
    ("payout_not_found", &[404], "There is no such payout."),
    ("payout_state", &[409], "The payout's state does not allow it."),
    (
        "payout_not_by_hand",
        &[409],
        "The payout goes by the provider: nobody marks it by hand.",
    ),
    (
        "payout_was_sent",
        &[409],
        "The provider has a transfer for the payout: try it again, and it is found.",
    ),
    (
        "payout_reference_invalid",
        &[422],
        "The reference is not 1 to 140 characters.",
    ),
    (
        "payout_reason_invalid",
        &[422],
        "The reason is not 1 to 500 characters.",
    ),
    (
        "payout_below_minimum",
        &[422],
        "The amount is less than is paid out in this currency.",
    ),
    (
        "payout_above_maximum",
        &[422],
        "The amount is more than one withdrawal may take.",
    ),
    (
        "payout_amount_invalid",
        &[422],
        "The amount is not above zero, or cannot be transferred.",
    ),
    ("balance_not_available", &[409], "Less is available."),
    (
        "withdrawal_not_found",
        &[404],
        "There is no such withdrawal, or it is another's.",
    ),
    (
        "withdrawal_open",
        &[409],
        "There is an open withdrawal in this currency.",
    ),
    (
        "withdrawal_own",
        &[403],
        "Nobody decides on their own withdrawal.",
    ),
    (
        "withdrawal_not_covered",
        &[409],
        "What the withdrawal took is not covered any more: sales went back.",
    ),
    (
        "payout_account_missing",
        &[409],
        "There is no account of this kind to pay to.",
    ),
    (
        "payout_account_cooling_off",
        &[409],
        "The account is new: no money goes there before its cooling-off time is over.",
    ),
    (
        "payout_account_disabled",
        &[409],
        "The provider has disabled the account: its owner must complete it there.",
    ),
    (
        "payout_account_busy",
        &[409],
        "Someone else is changing the account; try again.",
    ),
    (
        "payout_account_invalid",
        &[422],
        "The holder, the IBAN or the BIC cannot be one.",
    ),
    (
        "payout_account_country_invalid",
        &[422],
        "The country is not two capital letters.",
    ),
    (
        "payout_return_url_invalid",
        &[422],
        "An address to come back to is not one of https.",
    ),
    ("payout_provider_refused", &[422], "The provider refused."),
    (
        "payout_provider_unavailable",
        &[503],
        "The provider cannot be asked now.",
    ),
    (
        "payout_unsettled",
        &[503],
        "What the provider did with the payout is not known yet.",
    ),
    (
        "payout_transfer_mismatch",
        &[500],
        "A fault of ours: the provider's transfer is of another amount.",
    ),
    (
        "payout_file_not_found",
        &[404],
        "There is no such file of payments.",
    ),
    (
        "payout_file_empty",
        &[409],
        "Nothing waits for the bank in this currency.",
    ),
    (
        "payout_debtor_missing",
        &[409],
        "The site's own bank account is not set for this currency.",
    ),
    (
        "payout_debtor_invalid",
        &[422],
        "The name, the IBAN or the BIC of the site's own account cannot be one.",
    ),
    (
        "payout_details_forgotten",
        &[409],
        "The details of an account that was paid to are forgotten.",
    ),
    (
        "payout_minimum_invalid",
        &[422],
        "The minimum is not above zero, or of another currency.",
    ),
    (
        "payout_maximum_invalid",
        &[422],
        "The maximum is below the minimum, or of another currency.",
    ),
    (
        "write_off_rule_invalid",
        &[422],
        "A rule for writing off has an amount above zero, and 1 to 3650 days.",
    ),
    (
        "write_off_above_debt",
        &[409],
        "The agent does not owe that much.",
    ),
    (
        "payout_file_unwritable",
        &[500],
        "A fault of ours: the file cannot be written.",
    ),
    ("currency_not_found", &[404], "There is no such currency."),
    (
        "payout_account_method_not_found",
        &[404],
        "There is no such kind of account.",
    ),
];
