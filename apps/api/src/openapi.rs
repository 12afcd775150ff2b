//! The OpenAPI document: what the routes say, and what holds for all of them.

use actix_web::App;
use actix_web::dev::ResourceDef;
use posx_tenancy::Capability;
use serde_json::Value;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, Info, License, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Type,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_actix_web::AppExt as _;

use crate::problem::{CONTENT_TYPE, FieldError, ProblemBody};
use crate::routes;

/// Who may call an operation: `public`, `signed-in`, `device`, or the capabilities of which one is enough.
const ACCESS: &str = "x-capability";
const TOKEN: &str = "token";

pub type MethodsByPath = Vec<(ResourceDef, String)>;

/// The document as `docs/openapi.json` has it.
pub fn openapi() -> String {
    let (_, document) = App::new()
        .into_utoipa_app()
        .configure(routes::all)
        .split_for_parts();
    let mut text = complete(document).to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Adds to each operation what its access implies: the token, the site, and the refusals that come with them.
pub fn complete(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("POSX", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(DESCRIPTION.to_owned());
    let mut license = License::new(env!("CARGO_PKG_LICENSE"));
    license.identifier = Some(env!("CARGO_PKG_LICENSE").to_owned());
    document.info.license = Some(license);
    for (path, item) in &mut document.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            complete_operation(path, operation);
        }
    }
    let components = document.components.get_or_insert_default();
    components
        .schemas
        .insert("Problem".to_owned(), ProblemBody::schema());
    components
        .schemas
        .insert(FieldError::name().into_owned(), FieldError::schema());
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components
        .security_schemes
        .insert(TOKEN.to_owned(), bearer.into());
    document
}

/// The methods of each path, for the `Allow` header.
pub fn methods_by_path(document: &OpenApi) -> MethodsByPath {
    let allow = |item: &utoipa::openapi::PathItem| {
        let all = [
            ("GET", item.get.is_some()),
            ("POST", item.post.is_some()),
            ("PUT", item.put.is_some()),
            ("PATCH", item.patch.is_some()),
            ("DELETE", item.delete.is_some()),
        ];
        let known: Vec<_> = all
            .into_iter()
            .filter(|(_, there)| *there)
            .map(|(name, _)| name)
            .collect();
        known.join(", ")
    };
    let paths = document.paths.paths.iter();
    paths
        .map(|(path, item)| (ResourceDef::new(path.as_str()), allow(item)))
        .collect()
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let access = access_of(operation);
    let by_capability = Capability::ALL
        .iter()
        .any(|capability| access.contains(capability.as_str()));
    let signed_in = by_capability
        || access.starts_with("platform:")
        || ["signed-in", "device"].contains(&access.as_str());
    let takes_body = operation.request_body.is_some();
    let has_id = path.contains('{');
    let in_site = path.starts_with("/api/");
    let on_platform = path.starts_with("/platform/");
    if signed_in {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(TOKEN, [])]);
        refuse(operation, "401", "No token, or one that does not hold.");
    }
    if in_site {
        add_site_parameter(operation);
        refuse(
            operation,
            "400",
            "The site is not named, or something of the request is malformed.",
        );
        refuse(
            operation,
            "404",
            if has_id {
                "Not here, or another site's."
            } else {
                "There is no such site."
            },
        );
        refuse_as_any(operation);
        let forbidden = if signed_in {
            "Not a member, or not allowed."
        } else {
            "The site is suspended."
        };
        refuse(operation, "403", forbidden);
    }
    if on_platform {
        refuse(operation, "400", "Something of the request is malformed.");
        refuse(
            operation,
            "403",
            "Not on the staff, not allowed, or without a second factor of the last ten minutes.",
        );
        refuse(operation, "404", "Not here, or the platform plane is not served.");
        refuse_as_any(operation);
    }
    if takes_body && (in_site || on_platform) {
        refuse(operation, "408", "The body did not arrive in time.");
        refuse(operation, "413", "The body is too large.");
        refuse(operation, "415", "The body is not JSON.");
        refuse(operation, "422", "A field is wrong: `errors` says which.");
    }
    split_summary(operation);
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            complete_response(status, response);
        }
    }
}

/// What may befall every request.
fn refuse_as_any(operation: &mut Operation) {
    refuse(operation, "429", "Too many requests: wait as Retry-After says.");
    refuse(operation, "421", "The host is not served here.");
    refuse(operation, "431", "The headers are too large, or too many.");
    refuse(
        operation,
        "503",
        "Not possible now, nothing half done: try again.",
    );
}

/// The first sentence of a handler's comment is its summary.
fn split_summary(operation: &mut Operation) {
    let Some(text) = operation.summary.take() else {
        return;
    };
    let text = text.replace('\n', " ");
    match text.split_once(". ") {
        Some((summary, rest)) => {
            operation.description = Some(rest.to_owned());
            operation.summary = Some(format!("{summary}."));
        }
        None => operation.summary = Some(text),
    }
}

/// OpenAPI wants a description of every response; a refusal is a problem document.
fn complete_response(status: &str, response: &mut Response) {
    if response.description.is_empty() {
        let said = match status {
            "201" => "Created.",
            "204" => "Done.",
            "503" => "Not possible now.",
            _ => "The answer.",
        };
        said.clone_into(&mut response.description);
    }
    if status.starts_with('4') && response.content.is_empty() {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        response.content.insert(CONTENT_TYPE.to_owned(), problem.into());
    }
}

fn access_of(operation: &Operation) -> String {
    let extensions = operation.extensions.as_ref();
    let access = extensions
        .and_then(|extensions| extensions.get(ACCESS))
        .and_then(Value::as_str);
    access.unwrap_or("").to_owned()
}

fn refuse(operation: &mut Operation, status: &str, description: &str) {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new()
        .description(description)
        .content(CONTENT_TYPE, problem)
        .build();
    operation
        .responses
        .responses
        .entry(status.to_owned())
        .or_insert_with(|| response.into());
}

fn add_site_parameter(operation: &mut Operation) {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Z0-9_-]{2,20}$"))
        .build();
    let site = ParameterBuilder::new()
        .name("X-Site-Code")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The site's code, where the host name does not name the site.",
        ))
        .schema(Some(schema))
        .build();
    operation.parameters.get_or_insert_default().push(site.into());
}

const DESCRIPTION: &str = "Offer, order, money, share, delivery: one site's world per request.\n\n\
    The site comes from the host name or `X-Site-Code`. Money is `{\"amount\": \"12.500\", \"currency\": \"KWD\"}`, never a \
    number. Lists take `limit` (1 to 100) and `after`, and answer `items` and `next`. What creates or moves money takes an \
    `Idempotency-Key`; what edits takes `If-Match`. Every refusal is a problem document with a stable `code`. Each \
    operation's `x-capability` says who may call it: `public`, `signed-in`, `device`, or the capabilities of which one is \
    enough. What is under `/platform/` is for the platform's staff, with tokens of its own.";
