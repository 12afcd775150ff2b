//! The interactive page, from the binary itself: it works offline.

use actix_web::web;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

const DOCUMENT: &str = "/openapi.json";

/// `/docs/` and the document that it shows.
pub fn page(config: &mut web::ServiceConfig, document: OpenApi) {
    // No validator badge: the page talks to nobody but this server.
    let page = Config::default().validator_url("none");
    config.service(web::redirect("/docs", "/docs/"));
    config.service(
        SwaggerUi::new("/docs/{_:.*}")
            .url(DOCUMENT, document)
            .config(page),
    );
}
