//! Where files arrive that no outside storage takes: one of the announced length.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, put};
use futures::StreamExt as _;
use posx_assistant::documents::{DocumentError, StorageError, Unusable};
use posx_kernel::DocumentId;
use posx_objects::Arrival;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedMember, Guarded, Id, Policy as _, can};
use crate::problem::{ApiError, EdgeError};
use crate::routes::assistant::on;
use crate::state::Api;

/// 20 MiB at 2 Mbit/s.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(90);

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(content);
}

/// Takes an announced document's file as it is, where the installation has no storage of its own that does: `upload.url` of the
/// announcement says so.
#[utoipa::path(tag = "documents", operation_id = "upload_document_content", params(("id" = DocumentId, Path)),
    extensions(("x-capability" = json!(can::ManageDocuments::names()))),
    responses((status = 204, description = "It is here: confirm it."),
        (status = 409, description = "No file is awaited, or not any more."),
        (status = 408, description = "It came too slowly."),
        (status = 413, description = "It has more bytes than were announced."),
        (status = 422, description = "It has fewer bytes, or another type, than were announced.")))]
#[put("/api/v1/documents/{id}/content")]
async fn content(
    api: Api,
    req: HttpRequest,
    Guarded(staff, (Id(id), payload)): Guarded<
        AllowedMember<can::ManageDocuments>,
        (Id<DocumentId>, Payload),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let (place, document) = api.documents.admit(staff.scope(), id).await?;
    let folder = api
        .document_folder
        .as_ref()
        .ok_or(DocumentError::Storage(StorageError::Off))?;
    let said = req
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if said != Some(document.media_type.as_str()) {
        return Err(DocumentError::Refused(Unusable::TypeDiffers).into());
    }
    let unique = api.ids.uuid(api.clock.now()).simple().to_string();
    let arrival = folder
        .receive(place, document.bytes, &unique)
        .await
        .map_err(DocumentError::from)?;
    let bytes_max = document.bytes as usize;
    tokio::time::timeout(UPLOAD_TIME_MAX, receive(payload, arrival, bytes_max))
        .await
        .map_err(|_| EdgeError::BodyTooSlow)??;
    Ok(HttpResponse::NoContent().finish())
}

async fn receive(mut payload: Payload, mut arrival: Arrival, bytes_max: usize) -> Result<(), ApiError> {
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| EdgeError::BodyIncomplete(error.to_string().into()))?;
        if !arrival.write(&chunk).await.map_err(DocumentError::from)? {
            return Err(EdgeError::TooLarge { bytes_max }.into());
        }
    }
    if arrival.finish().await.map_err(DocumentError::from)? {
        Ok(())
    } else {
        Err(DocumentError::Refused(Unusable::SizeDiffers).into())
    }
}
