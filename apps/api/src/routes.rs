//! Every route. The file of a route has the stem of its context.

mod agents;
mod allocation_batches;
mod allocations;
mod api_keys;
mod approvals;
mod assistant;
mod audit_trail;
mod commissions;
mod customers;
mod devices;
mod disputes;
pub mod docs;
mod documents;
mod health;
mod invitations;
mod jobs;
mod ledger;
mod me;
mod members;
mod orders;
mod payouts;
mod personal_data;
mod places;
mod plans;
mod platform;
mod platform_grants;
mod promo_codes;
mod provider_accounts;
mod reconciliations;
mod refunds;
mod reports;
mod second_factor;
mod sessions;
mod settlements;
mod sign_in;
mod sites;
mod storefront;
mod terms;
mod tiers;
mod token_debts;
mod vesting;
mod webhook_events;
mod webhooks;
mod withdrawals;

use posx_kernel::{Cursor, Page, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the routes, and with each its documentation.
pub fn all(config: &mut ServiceConfig<'_>) {
    orders::routes(config);
    refunds::routes(config);
    disputes::routes(config);
    tiers::routes(config);
    promo_codes::routes(config);
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
    agents::routes(config);
    customers::routes(config);
    documents::routes(config);
    commissions::routes(config);
    plans::routes(config);
    terms::routes(config);
    allocations::routes(config);
    allocation_batches::routes(config);
    token_debts::routes(config);
    vesting::routes(config);
    approvals::routes(config);
    ledger::routes(config);
    reconciliations::routes(config);
    reports::routes(config);
    settlements::routes(config);
    payouts::routes(config);
    withdrawals::routes(config);
    audit_trail::routes(config);
    platform_grants::routes(config);
    personal_data::routes(config);
    provider_accounts::routes(config);
    jobs::routes(config);
    webhook_events::routes(config);
    webhooks::routes(config);
    platform::routes(config);
    assistant::routes(config);
    storefront::routes(config);
    health::routes(config);
}

/// A list that is never long, in the shape of all lists.
fn whole<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: None }
}

/// What every list takes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// 1 to 100, else 25.
    limit: Option<u16>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

fn page(limit: Option<u16>, after: Option<Cursor>) -> PageRequest {
    PageRequest::new(limit, after)
}

/// The bytes of a view.
fn bytes(view: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(view).expect("a view has text for keys and no number that JSON lacks")
}
