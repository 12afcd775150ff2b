//! Codes of vesting, and of what a return does to deliveries.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "allocation_order_disputed",
        &[409],
        "The allocation's order is disputed: nothing of it is sent.",
    ),
    (
        "restored_tokens_sold",
        &[409],
        "What is to be restored was for sale again, and is sold.",
    ),
    ("vesting_name_invalid", &[422], "A name has 1 to 200 characters."),
    ("vesting_cliff_invalid", &[422], "A cliff has at most 120 months."),
    (
        "vesting_periods_invalid",
        &[422],
        "There are 1 to 366 periods, and none only if everything unlocks at the start.",
    ),
    (
        "vesting_start_invalid",
        &[422],
        "A start lies between the years 2000 and 2199.",
    ),
    (
        "vesting_reason_invalid",
        &[422],
        "A reason has 1 to 500 characters.",
    ),
    (
        "vesting_policy_not_found",
        &[404, 422],
        "There is no such vesting policy here.",
    ),
    (
        "vesting_schedule_not_found",
        &[404],
        "There is no such vesting schedule here.",
    ),
    (
        "vesting_not_revocable",
        &[409],
        "The policy says that what is locked is not taken back.",
    ),
];
