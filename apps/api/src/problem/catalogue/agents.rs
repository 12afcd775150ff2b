//! Agents.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    ("agent_not_found", &[404], "There is no such agent."),
    (
        "agent_display_name_invalid",
        &[422],
        "A display name has 1 to 200 characters.",
    ),
    (
        "agent_parent_not_found",
        &[422],
        "There is no such party to place the agent under.",
    ),
    ("agent_tree_cycle", &[409], "The agent would stand above itself."),
    (
        "agent_subtree_too_large",
        &[409],
        "Too many stand below the agent to move them at once.",
    ),
    ("statement_not_found", &[404], "There is no such statement."),
    ("statement_month_not_over", &[422], "The month is not over."),
];
