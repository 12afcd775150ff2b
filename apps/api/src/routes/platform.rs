//! The platform plane: sites, its own staff, their visits, figures across sites, and its audit. Its tokens are its own.

mod audit;
mod grants;
mod sites;
mod staff;
mod vaults;

use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig<'_>) {
    sites::routes(config);
    vaults::routes(config);
    staff::routes(config);
    grants::routes(config);
    audit::routes(config);
}
