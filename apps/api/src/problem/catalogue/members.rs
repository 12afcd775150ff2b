//! Members, places, invitations.

use super::Row;

pub const TABLE: &[Row] = &[
    (
        "member_not_found",
        &[404],
        "There is no such member on this site.",
    ),
    ("member_is_self", &[403], "Nobody changes their own membership."),
    (
        "member_outranks_you",
        &[403],
        "The member's rank is not below the caller's.",
    ),
    (
        "role_above_yours",
        &[403],
        "The role is above the caller's own rank.",
    ),
    (
        "places_beyond_yours",
        &[403],
        "The caller's own membership is narrowed to places, and this reaches further.",
    ),
    (
        "place_not_yours",
        &[403],
        "The caller's membership is narrowed to other places.",
    ),
    (
        "owner_places_invalid",
        &[422],
        "An owner has the whole site and is not narrowed to places.",
    ),
    (
        "places_too_many",
        &[422],
        "A membership is narrowed to at most 100 places.",
    ),
    ("last_owner", &[409], "A site keeps an active owner."),
    (
        "member_removed",
        &[409],
        "The membership is over; an invitation brings the person back.",
    ),
    ("member_disabled", &[403], "The membership is disabled."),
    (
        "place_not_found",
        &[404, 422],
        "There is no such place on this site.",
    ),
    (
        "place_code_invalid",
        &[422],
        "A place's code is not 1 to 20 of A-Z 0-9 _ -.",
    ),
    (
        "place_code_taken",
        &[409],
        "The site has a place with this code already.",
    ),
    (
        "place_name_invalid",
        &[422],
        "The place's name is not 1 to 200 characters.",
    ),
    (
        "place_time_zone_invalid",
        &[422],
        "The time zone is no IANA name.",
    ),
    (
        "invitation_not_found",
        &[404],
        "There is no such invitation on this site, or its token is an older one.",
    ),
    ("email_invalid", &[422], "The e-mail address is none."),
    (
        "invitation_pending",
        &[409],
        "An invitation to this address is pending: revoke it or send it again.",
    ),
    ("invitations_too_many", &[409], "200 invitations are pending."),
    (
        "invitation_sent_too_often",
        &[409],
        "The invitation was sent ten times: revoke it and invite anew.",
    ),
    ("mail_off", &[409], "This installation sends no e-mail."),
    (
        "mail_unavailable",
        &[503],
        "The mail server cannot be reached now; the message is sent later.",
    ),
    ("invitation_used", &[409], "The invitation was accepted before."),
    ("invitation_expired", &[409], "The invitation's time is up."),
    ("invitation_revoked", &[409], "The invitation was revoked."),
    (
        "invitation_inviter_lost_right",
        &[409],
        "Whoever invited may not grant this any more.",
    ),
];
