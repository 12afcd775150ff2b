//! The assistant: talks with it.

mod answer;
mod budgets;
mod consents;
mod conversations;
mod credits;
mod models;
mod usage;

use posx_assistant::AssistantError;
use posx_tenancy::{Module, Site};
use utoipa_actix_web::service_config::ServiceConfig;

pub use self::answer::{Form, StorefrontAnswer, streamed, whole};

pub fn routes(config: &mut ServiceConfig<'_>) {
    conversations::routes(config);
    budgets::routes(config);
    credits::routes(config);
    usage::routes(config);
    models::routes(config);
    consents::routes(config);
}

/// Nothing of the assistant is there for a site without the module.
pub fn on(site: &Site) -> Result<(), AssistantError> {
    if site.modules.contains(&Module::Assistant) {
        Ok(())
    } else {
        Err(AssistantError::ModuleOff)
    }
}
