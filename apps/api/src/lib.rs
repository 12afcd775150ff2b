//! The HTTP API.
//!
//! Invariants:
//! * A handler's extractors are its policy: caller, then site, then membership, then capability, then input. One place makes
//!   a request's [`SiteScope`](posx_kernel::SiteScope).
//! * Another site's object is 404, never 403.
//! * Every refusal is one problem document, made in `problem` from a [`Refusal`](posx_kernel::Refusal); its causes are
//!   logged once, at the edge, and never sent.
//! * Registering a route documents it; the document says who may call it, and the tests ask it.
//! * A webhook is verified over its raw bytes, stored, committed, and only then answered; a job interprets it.

mod actor;
mod edge;
mod extract;
mod limit;
mod named_site;
mod openapi;
mod problem;
mod routes;
mod server;
mod state;

pub use openapi::openapi;
pub use problem::{ErrorRow, error_catalogue, errors_markdown};
pub use server::{ServeError, app, serve};
pub use state::{Api, ApiState};
