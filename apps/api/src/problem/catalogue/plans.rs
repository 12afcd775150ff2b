//! Codes of commission plans and of what holds for single agents.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "commission_plan_mode_ambiguous",
        &[422],
        "The plan has both levels and grades.",
    ),
    (
        "commission_plan_limits_invalid",
        &[422],
        "A cap is not above zero, or the least order is above the most.",
    ),
    (
        "commission_plan_tiers_invalid",
        &[422],
        "A level has more than 100 rates by tier, or one tier twice.",
    ),
    (
        "commission_plan_grades_invalid",
        &[422],
        "The grades are not 1 to 20 with names of their own, or the default is none of them.",
    ),
    (
        "commission_plan_depth_invalid",
        &[422],
        "The depth is not 1 to 64.",
    ),
    (
        "commission_plan_window_invalid",
        &[422],
        "The window begins in the past, or ends before it begins.",
    ),
    (
        "commission_plan_begun",
        &[409],
        "This version has been in force: make a new one.",
    ),
    (
        "commission_plan_not_in_force",
        &[409],
        "This version is not in force, and not to be.",
    ),
    (
        "commission_simulation_period_invalid",
        &[422],
        "The period does not end after it begins, or is longer than 366 days.",
    ),
    (
        "agent_terms_grade_invalid",
        &[422],
        "The grade's name is not 1 to 50 characters.",
    ),
    (
        "agent_terms_levels_invalid",
        &[422],
        "A level is not 1 to 10, or has two rates.",
    ),
    ("agent_terms_retroactive", &[422], "Terms begin now or later."),
    (
        "agent_terms_busy",
        &[409],
        "Someone else records terms of this agent; try again.",
    ),
];
