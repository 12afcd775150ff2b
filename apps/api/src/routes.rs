//! Every route. The file of a route has the stem of its context.

mod allocations;
mod commissions;
pub mod docs;
mod health;
mod jobs;
mod ledger;
mod me;
mod orders;
mod plans;
mod sign_in;
mod sites;
mod tiers;
mod webhook_events;
mod webhooks;

use posx_kernel::{Cursor, Page, PageRequest};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the routes, and with each its documentation.
pub fn all(config: &mut ServiceConfig<'_>) {
    orders::routes(config);
    tiers::routes(config);
    me::routes(config);
    sign_in::routes(config);
    sites::routes(config);
    commissions::routes(config);
    plans::routes(config);
    allocations::routes(config);
    ledger::routes(config);
    jobs::routes(config);
    webhook_events::routes(config);
    webhooks::routes(config);
    health::routes(config);
}

/// A list that is never long, in the shape of all lists.
fn whole<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: None }
}

fn page(limit: Option<u16>, after: Option<Cursor>) -> PageRequest {
    PageRequest::new(limit, after)
}

/// The bytes of a view.
fn bytes(view: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(view).expect("a view has text for keys and no number that JSON lacks")
}
