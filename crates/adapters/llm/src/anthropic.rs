//! Anthropic's messages.

mod events;
mod request;

pub(crate) use events::Events;
pub(crate) use request::body;
