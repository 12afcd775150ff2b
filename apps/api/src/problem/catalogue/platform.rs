//! Codes of the platform plane.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "not_platform_staff",
        &[403],
        "The caller is not on the platform's staff, or no longer.",
    ),
    (
        "site_code_invalid",
        &[422],
        "A site's code is 2 to 20 of A-Z, 0-9, _ and -.",
    ),
    (
        "site_code_taken",
        &[409],
        "There is a site with this code already.",
    ),
    (
        "site_name_invalid",
        &[422],
        "The site's name is not 1 to 200 characters.",
    ),
    (
        "site_host_invalid",
        &[422],
        "The text is no host name, or the site would have more than 50.",
    ),
    ("site_host_taken", &[409], "Another site has this host name."),
    (
        "site_vault_invalid",
        &[422],
        "A vault's id is not 1 to 100 visible characters, or the site would have more than 50.",
    ),
    ("site_vault_taken", &[409], "Another site has this vault."),
    (
        "staff_name_invalid",
        &[422],
        "The staff member's name is not 1 to 200 characters.",
    ),
    ("staff_not_found", &[404], "There is no such staff member."),
    (
        "staff_own_place",
        &[403],
        "Nobody changes their own place on the staff.",
    ),
    ("staff_last_admin", &[409], "The platform keeps an active admin."),
    (
        "grant_reason_invalid",
        &[422],
        "The grant's reason is not 10 to 500 characters.",
    ),
    (
        "grant_length_invalid",
        &[422],
        "The grant does not last 15 to 480 minutes.",
    ),
    (
        "grant_site_suspended",
        &[409],
        "The site is suspended: nobody enters it.",
    ),
    (
        "grant_open",
        &[409],
        "Another grant of the caller's is open; they have one at a time.",
    ),
    ("grant_not_found", &[404], "There is no such open grant."),
    (
        "figures_span_invalid",
        &[400],
        "Figures are of 366 days at most, from a time before their end.",
    ),
];
