//! What a shop's public page talks to.

mod chat;

pub use chat::routes;
