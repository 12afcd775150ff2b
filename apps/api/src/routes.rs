//! Every route. The file of a route has the stem of its context.

mod allocations;
mod api_keys;
mod approvals;
mod audit_trail;
mod commissions;
mod devices;
pub mod docs;
mod health;
mod invitations;
mod jobs;
mod ledger;
mod me;
mod members;
mod orders;
mod personal_data;
mod places;
mod plans;
mod platform;
mod platform_grants;
mod provider_accounts;
mod second_factor;
mod sessions;
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
    second_factor::routes(config);
    sign_in::routes(config);
    sessions::routes(config);
    sites::routes(config);
    members::routes(config);
    invitations::routes(config);
    places::routes(config);
    api_keys::routes(config);
    devices::routes(config);
    commissions::routes(config);
    plans::routes(config);
    allocations::routes(config);
    approvals::routes(config);
    ledger::routes(config);
    audit_trail::routes(config);
    platform_grants::routes(config);
    personal_data::routes(config);
    provider_accounts::routes(config);
    jobs::routes(config);
    webhook_events::routes(config);
    webhooks::routes(config);
    platform::routes(config);
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
