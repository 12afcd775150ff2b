//! Chat completions, as OpenAI, Groq, vLLM, Ollama and others take them.

mod chunks;
mod request;

pub(crate) use chunks::Chunks;
pub(crate) use request::body;
