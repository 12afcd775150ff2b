//! Which model the site uses for what, and with whose key. A key goes in and never comes out again.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, delete, get, put};
use posx_assistant::{
    ModelAccount, ModelAccountView, ModelChoiceBody, ModelProviderView, Purpose, SetupError,
};
use posx_kernel::Page;
use posx_tenancy::Capability;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::on;
use crate::extract::{Allowed, Guarded, Id, IfMatch, Json, PathId, Policy as _, can, etag};
use crate::problem::{ApiError, EdgeError};
use crate::routes::whole;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_providers)
        .service(list)
        .service(show)
        .service(choose)
        .service(give_key)
        .service(remove_key);
}

impl PathId for Purpose {
    fn read(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn not_found() -> ApiError {
        EdgeError::NotFound {
            code: "purpose_not_found",
            what: "purpose",
        }
        .into()
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChooseModel)]
struct ChooseBody {
    main: ModelChoiceBody,
    /// Where a call goes that the main model cannot take now.
    fallback: Option<ModelChoiceBody>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelKey)]
struct KeyBody {
    /// Of the provider that is chosen: 8 to 500 visible ASCII characters.
    #[schema(value_type = String, format = Password, write_only, min_length = 8, max_length = 500)]
    key: SecretString,
}

/// The operator's providers, and their models with a price. Addresses are the operator's alone.
#[utoipa::path(tag = "assistant", operation_id = "list_model_providers",
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = Page<ModelProviderView>)))]
#[get("/api/v1/assistant/providers")]
async fn list_providers(
    api: Api,
    staff: Allowed<can::ManageAssistant>,
) -> Result<Answer<Page<ModelProviderView>>, ApiError> {
    on(staff.site())?;
    Ok(Answer(whole(api.models.providers())))
}

/// What the site has chosen, for each purpose at most one.
#[utoipa::path(tag = "assistant", operation_id = "list_models",
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = Page<ModelAccountView>)))]
#[get("/api/v1/assistant/models")]
async fn list(
    api: Api,
    staff: Allowed<can::ManageAssistant>,
) -> Result<Answer<Page<ModelAccountView>>, ApiError> {
    on(staff.site())?;
    let accounts = api.model_setups.accounts(staff.scope()).await?;
    Ok(Answer(whole(accounts.iter().map(Into::into).collect())))
}

#[utoipa::path(tag = "assistant", operation_id = "get_model", params(("purpose" = Purpose, Path)),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = ModelAccountView, headers(("ETag" = String, description = "The version, for If-Match."))),
        (status = 404, description = "Nothing is chosen for it.")))]
#[get("/api/v1/assistant/models/{purpose}")]
async fn show(
    api: Api,
    Guarded(staff, Id(purpose)): Guarded<Allowed<can::ManageAssistant>, Id<Purpose>>,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let setup = api.model_setups.setup(staff.scope(), purpose).await?;
    Ok(shown(&setup.account.ok_or(SetupError::NoAccount)?))
}

/// From the next call on. Another provider than before is called with the operator's key until the site gives one for it.
#[utoipa::path(tag = "assistant", operation_id = "choose_model", request_body = ChooseBody,
    params(("purpose" = Purpose, Path), ("If-Match" = String, Header, description = "The ETag that was read; \"0\" if nothing is chosen.")),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = ModelAccountView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 422, description = "There is no such provider or model."),
        (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/assistant/models/{purpose}")]
async fn choose(
    api: Api,
    Guarded(staff, (Id(purpose), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageAssistant>,
        (Id<Purpose>, IfMatch, Json<ChooseBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::AssistantManage)?;
    let (main, fallback) = (body.main.into(), body.fallback.map(Into::into));
    let chosen = api.models.choose(staff.scope(), purpose, main, fallback, seen);
    Ok(shown(&chosen.await?))
}

/// The site's own key for the provider that is chosen, from the next call on. It is kept sealed, and only its last four characters
/// are shown.
#[utoipa::path(tag = "assistant", operation_id = "give_model_key", request_body = KeyBody,
    params(("purpose" = Purpose, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageProviderAccounts::names()))),
    responses((status = 200, body = ModelAccountView, headers(("ETag" = String))),
        (status = 404, description = "Nothing is chosen for it."), (status = 412, description = "Someone else changed it."),
        (status = 422, description = "The key cannot be one."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/assistant/models/{purpose}/key")]
async fn give_key(
    api: Api,
    Guarded(staff, (Id(purpose), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageProviderAccounts>,
        (Id<Purpose>, IfMatch, Json<KeyBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::ProviderAccountsManage)?;
    let given = api.models.give_key(staff.scope(), purpose, &body.key, seen);
    Ok(shown(&given.await?))
}

/// Forgets the site's own key. From then on the operator's is used, if there is one.
#[utoipa::path(tag = "assistant", operation_id = "remove_model_key",
    params(("purpose" = Purpose, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageProviderAccounts::names()))),
    responses((status = 200, body = ModelAccountView, headers(("ETag" = String))),
        (status = 404, description = "There is none."), (status = 412, description = "Someone else changed it."),
        (status = 428, description = "If-Match is missing.")))]
#[delete("/api/v1/assistant/models/{purpose}/key")]
async fn remove_key(
    api: Api,
    Guarded(staff, (Id(purpose), IfMatch(seen))): Guarded<
        Allowed<can::ManageProviderAccounts>,
        (Id<Purpose>, IfMatch),
    >,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::ProviderAccountsManage)?;
    Ok(shown(&api.models.remove_key(staff.scope(), purpose, seen).await?))
}

fn shown(account: &ModelAccount) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(etag(account.version))
        .json(ModelAccountView::from(account))
}
