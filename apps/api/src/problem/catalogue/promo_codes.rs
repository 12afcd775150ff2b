//! Codes of promo codes.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "promo_code_not_found",
        &[404, 422],
        "There is no such promo code on this site.",
    ),
    ("promo_code_inactive", &[422], "The promo code is not active."),
    (
        "promo_code_not_yet_valid",
        &[422],
        "The promo code's time has not come.",
    ),
    ("promo_code_expired", &[422], "The promo code's time is over."),
    ("promo_code_exhausted", &[409], "The promo code is used up."),
    (
        "promo_code_buyer_limit",
        &[409],
        "The buyer has used the promo code as often as one buyer may.",
    ),
    (
        "promo_code_minimum_not_met",
        &[422],
        "The order is for less than the promo code asks.",
    ),
    (
        "promo_code_tier_not_applicable",
        &[422],
        "The promo code is for none of the order's tiers.",
    ),
    (
        "promo_code_currency",
        &[422],
        "The promo code is in another currency than the order.",
    ),
    (
        "promo_code_taken",
        &[409],
        "The site has this promo code already.",
    ),
    (
        "promo_code_invalid",
        &[422],
        "The promo code is not 3 to 40 of A-Z, 0-9, - and _.",
    ),
    (
        "promo_code_gives_nothing",
        &[422],
        "The promo code gives neither a discount nor a bonus.",
    ),
    (
        "promo_code_rate_invalid",
        &[422],
        "The discount's rate is not above zero.",
    ),
    (
        "promo_code_amount_invalid",
        &[422],
        "The discount is not above zero.",
    ),
    (
        "promo_code_bonus_invalid",
        &[422],
        "The bonus is zero, or more than all bonuses together may be.",
    ),
    (
        "promo_code_window_invalid",
        &[422],
        "The promo code's time does not end after it begins.",
    ),
    (
        "promo_code_uses_invalid",
        &[422],
        "A promo code's limit is zero, or too large to count.",
    ),
    (
        "promo_code_minimum_invalid",
        &[422],
        "The least amount of an order is negative.",
    ),
    (
        "promo_code_tiers_too_many",
        &[422],
        "The promo code names more than 100 tiers.",
    ),
];
