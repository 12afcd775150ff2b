//! The protocols of language models' providers: OpenAI's chat completions, which Groq and local servers speak too, and Anthropic's
//! messages. One try each; who tries again, and what it may cost, is the gateway's. Why not a library: docs/adr/0017.
//!
//! Invariants:
//! * No error and no `Debug` shows a key, a prompt, an answer, or what a provider's message quotes of them.
//! * [`open`](posx_assistant::LanguageModel::open) returns once something of the answer is there: what fails before may be tried again.
//! * What a provider sends is bounded, in bytes and in time.
//! * Only the operator's addresses are called, redirects are not followed.

mod anthropic;
mod client;
mod openai;
mod refusal;
mod stream;
#[cfg(test)]
mod tests;

pub use client::{ClientError, HttpModels, Patience};
