//! Anthropic's messages.

mod events;
mod request;

pub(crate) use events::Events;
pub(crate) use request::body;

/// The tool that an answer by schema is asked for with. Every model takes one; a format of the output only the newer ones.
const ANSWER: &str = "answer";
