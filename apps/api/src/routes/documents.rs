//! Documents: announced, uploaded, read, and decided by a person.

mod body;
mod content;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, patch, post};
use posx_assistant::documents::{AcceptDraft, DocumentError, DocumentFilter, DocumentView, DraftEdit};
use posx_kernel::{DocumentId, Page, SiteScope};
use posx_tenancy::Capability;
use utoipa_actix_web::service_config::ServiceConfig;

use self::body::{AcceptBody, AnnouncedView, Listing, NewDocumentBody, RejectBody};
use super::assistant::on;
use super::page;
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IfMatch, Json, Policy as _, Query, REPLAYED, can,
    created, etag,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(announce).service(list).service(get_document);
    config.service(uploaded).service(edit);
    config.service(accept).service(reject);
    content::routes(config);
}

/// Announces a document. Its file is then sent with `upload`: `PUT` to the address, with exactly these headers, within 15 minutes.
/// A repeated call gets a new address for the same document.
#[utoipa::path(tag = "documents", operation_id = "announce_document", request_body = NewDocumentBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageDocuments::names()))),
    responses((status = 201, body = AnnouncedView, headers(("Location" = String))),
        (status = 409, description = "The first request with this key still runs, or its document was sent already.")))]
#[post("/api/v1/documents")]
async fn announce(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ManageDocuments>, Idempotent<NewDocumentBody>>,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let call = request.call(staff.who(), "POST /api/v1/documents", api.clock.now());
    let wish = request.body.into_wish();
    let announced = api
        .documents
        .announce(staff.scope(), staff.identity(), &wish, Some(&call))
        .await?;
    Ok(created(&announced.made)
        .insert_header(("location", format!("/api/v1/documents/{}", announced.made.id)))
        .json(AnnouncedView::of(announced)))
}

/// Newest first, without what was read out of them.
#[utoipa::path(tag = "documents", operation_id = "list_documents", params(Listing),
    extensions(("x-capability" = json!(can::ReadDocuments::names()))),
    responses((status = 200, body = Page<DocumentView>)))]
#[get("/api/v1/documents")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadDocuments>, Query<Listing>>,
) -> Result<Answer<Page<DocumentView>>, ApiError> {
    on(staff.site())?;
    let filter = DocumentFilter {
        state: query.state,
        draft: query.draft,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.document_queries.list(staff.scope(), filter, page).await?,
    ))
}

/// With its draft, whose version is the ETag.
#[utoipa::path(tag = "documents", operation_id = "get_document", params(("id" = DocumentId, Path)),
    extensions(("x-capability" = json!(can::ReadDocuments::names()))),
    responses((status = 200, body = DocumentView, headers(("ETag" = String, description = "The draft's version, for If-Match.")))))]
#[get("/api/v1/documents/{id}")]
async fn get_document(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadDocuments>, Id<DocumentId>>,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    show(&api, staff.scope(), id).await
}

/// Says that the file was sent. It is looked at: of the size and type that were announced, it is read by a job; else it is deleted
/// and the document is refused.
#[utoipa::path(tag = "documents", operation_id = "confirm_document_upload", params(("id" = DocumentId, Path)),
    extensions(("x-capability" = json!(can::ManageDocuments::names()))),
    responses((status = 200, body = DocumentView),
        (status = 409, description = "Nothing has arrived yet, or the time is over."),
        (status = 422, description = "What arrived is not what was announced.")))]
#[post("/api/v1/documents/{id}/uploaded")]
async fn uploaded(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManageDocuments>, Id<DocumentId>>,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    api.documents.uploaded(staff.scope(), id).await?;
    show(&api, staff.scope(), id).await
}

/// Changes what it names of the draft: what a person writes needs no quote. Everything is checked anew. Lines are sent whole;
/// `tiers` and `buyer` choose without touching what was read.
#[utoipa::path(tag = "documents", operation_id = "edit_document_draft", request_body = DraftEdit,
    params(("id" = DocumentId, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageDocuments::names()))),
    responses((status = 200, body = DocumentView, headers(("ETag" = String))),
        (status = 409, description = "The draft is decided, or its time is over."),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[patch("/api/v1/documents/{id}/draft")]
async fn edit(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), Json(body))): Guarded<
        AllowedMember<can::ManageDocuments>,
        (Id<DocumentId>, IfMatch, Json<DraftEdit>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let (scope, site) = (staff.scope(), staff.site());
    api.documents.edit(scope, site, id, seen, body).await?;
    show(&api, scope, id).await
}

/// Makes the order or the customer, by the rules that hold for any: with the decision, or not at all. Needs `orders:manage` as well. An
/// error has to be cured by an edit first; each warning is acknowledged by its code.
#[utoipa::path(tag = "documents", operation_id = "accept_document_draft", request_body = AcceptBody,
    params(("id" = DocumentId, Path), ("Idempotency-Key" = String, Header),
        ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageDocuments::names()))),
    responses((status = 200, body = DocumentView, headers(("ETag" = String))),
        (status = 409, description = "There are errors or unseen warnings, the total is not the site's, the same is accepted already, the customer has bound a wallet and another is given, or not enough is left."),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/documents/{id}/draft/accept")]
async fn accept(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), request)): Guarded<
        AllowedMember<can::ManageDocuments>,
        (Id<DocumentId>, IfMatch, Idempotent<AcceptBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    staff.require(Capability::OrdersManage)?;
    let operation = "POST /api/v1/documents/{id}/draft/accept";
    let call = request.call(staff.who(), operation, api.clock.now());
    let wish = AcceptDraft {
        seen,
        acknowledged: request.body.acknowledged,
        wallet_address: request.body.wallet_address,
    };
    let made = api
        .documents
        .accept(staff.scope(), staff.site(), staff.identity(), id, &wish, &call)
        .await?;
    let mut response = show(&api, staff.scope(), id).await?;
    if made.replayed {
        let (name, value) = REPLAYED;
        let value = actix_web::http::header::HeaderValue::from_static(value);
        let name = actix_web::http::header::HeaderName::from_static(name);
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Nothing comes of the draft.
#[utoipa::path(tag = "documents", operation_id = "reject_document_draft", request_body = RejectBody,
    params(("id" = DocumentId, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageDocuments::names()))),
    responses((status = 200, body = DocumentView, headers(("ETag" = String))),
        (status = 409, description = "The draft is decided, or its time is over."),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/documents/{id}/draft/reject")]
async fn reject(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), Json(body))): Guarded<
        AllowedMember<can::ManageDocuments>,
        (Id<DocumentId>, IfMatch, Json<RejectBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    api.documents
        .reject(staff.scope(), staff.identity(), id, seen, &body.reason)
        .await?;
    show(&api, staff.scope(), id).await
}

async fn show(api: &Api, scope: &SiteScope, id: DocumentId) -> Result<HttpResponse, ApiError> {
    let view = api
        .document_queries
        .get(scope, id)
        .await?
        .ok_or(DocumentError::NotFound)?;
    let mut response = HttpResponse::Ok();
    if let Some(draft) = &view.draft {
        response.insert_header(etag(draft.version));
    }
    Ok(response.json(view))
}
