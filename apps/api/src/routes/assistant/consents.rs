//! That what a purpose handles may be sent to a provider.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, delete, get, put};
use posx_assistant::{ModelConsentView, Purpose};
use posx_kernel::Page;
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::on;
use crate::extract::{Allowed, Guarded, Id, Json, Policy as _, can};
use crate::problem::ApiError;
use crate::routes::whole;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(give).service(withdraw);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GiveModelConsent)]
struct ConsentBody {
    /// Of the text that was read; only the one that holds now is taken.
    text_version: u16,
}

/// Withdrawn ones too, the newest first.
#[utoipa::path(tag = "assistant", operation_id = "list_model_consents",
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = Page<ModelConsentView>)))]
#[get("/api/v1/assistant/consents")]
async fn list(
    api: Api,
    staff: Allowed<can::ManageAssistant>,
) -> Result<Answer<Page<ModelConsentView>>, ApiError> {
    on(staff.site())?;
    let consents = api.model_setups.consents(staff.scope()).await?;
    Ok(Answer(whole(consents.iter().map(Into::into).collect())))
}

/// For the site, in the name of who sends it. Again changes nothing.
#[utoipa::path(tag = "assistant", operation_id = "give_model_consent", request_body = ConsentBody, params(("purpose" = Purpose, Path)),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = ModelConsentView), (status = 422, description = "The text is not the one that holds now.")))]
#[put("/api/v1/assistant/consents/{purpose}")]
async fn give(
    api: Api,
    Guarded(staff, (Id(purpose), Json(body))): Guarded<
        Allowed<can::ManageAssistant>,
        (Id<Purpose>, Json<ConsentBody>),
    >,
) -> Result<Answer<ModelConsentView>, ApiError> {
    staff.require_everywhere(Capability::AssistantManage)?;
    let given = api.models.consent(staff.scope(), purpose, body.text_version);
    Ok(Answer((&given.await?).into()))
}

/// The next call is refused.
#[utoipa::path(tag = "assistant", operation_id = "withdraw_model_consent", params(("purpose" = Purpose, Path)),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 204, description = "It is withdrawn."), (status = 404, description = "There was none.")))]
#[delete("/api/v1/assistant/consents/{purpose}")]
async fn withdraw(
    api: Api,
    Guarded(staff, Id(purpose)): Guarded<Allowed<can::ManageAssistant>, Id<Purpose>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::AssistantManage)?;
    api.models.withdraw_consent(staff.scope(), purpose).await?;
    Ok(HttpResponse::NoContent().finish())
}
