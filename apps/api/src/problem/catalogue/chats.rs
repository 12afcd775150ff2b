//! Codes of talks with the assistant.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "conversation_not_found",
        &[404],
        "There is no such conversation of yours.",
    ),
    (
        "conversation_title_invalid",
        &[422],
        "A conversation's title is not 1 to 120 characters.",
    ),
    ("message_empty", &[422], "The message is empty."),
    (
        "message_too_long",
        &[413],
        "The message has more than 2000 characters.",
    ),
    (
        "answer_being_made",
        &[409],
        "The message was sent before, and its answer is still being made.",
    ),
    (
        "answers_open_limit",
        &[429],
        "As many answers as one may wait for are being made; Retry-After says when to try again.",
    ),
    (
        "chat_session_over",
        &[422],
        "The session of the chat is over, or never was: begin a new one.",
    ),
    ("model_gave_no_answer", &[503], "The model gave no answer."),
    ("answer_too_slow", &[503], "The answer took too long."),
    ("retention_invalid", &[422], "Texts are kept for 1 to 1830 days."),
];
