//! The interactive page, from the binary itself: it works offline.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

const DOCUMENT: &str = "/openapi.json";

/// `/docs/` and the document that it shows.
pub fn page(config: &mut web::ServiceConfig, document: OpenApi) {
    // No validator badge: the page talks to nobody but this server.
    let page = Config::default().validator_url("none").persist_authorization(false);
    config.service(web::redirect("/docs", "/docs/"));
    config.service(SwaggerUi::new("/docs/{_:.*}").url(DOCUMENT, document).config(page));
    config.service(web::redirect("/", "/docs/").using_status_code(actix_web::http::StatusCode::FOUND));
    let _ = (header::LOCATION, HttpResponse::Found);
}
