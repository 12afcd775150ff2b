//! The staff's chat: one's own talks with the assistant.

use actix_web::web::Json as Answer;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use posx_assistant::{ChatError, ConversationView, MessageView, Reply, Retention, Rights, StaffQuestion};
use posx_kernel::{ConversationId, Page, SiteScope};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Form, on, streamed, whole};
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IfMatch, Json, Policy as _, Query, REPLAYED, can,
    created, etag,
};
use crate::limit::count_in_five_minutes;
use crate::problem::ApiError;
use crate::routes::{PageQuery, page};
use crate::state::Api;

/// Of one member, in five minutes.
const MESSAGES_MAX: u32 = 30;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(create)
        .service(list)
        .service(get_one)
        .service(delete_one);
    config.service(messages).service(ask);
    config.service(get_retention).service(set_retention);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConversation)]
struct NewConversationBody {
    /// 1 to 120 characters.
    title: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessage)]
struct MessageBody {
    /// 1 to 2000 characters.
    message: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AssistantRetention)]
struct RetentionBody {
    /// 1 to 1830.
    days: u16,
}

/// Begins a talk. Nobody but the caller sees it.
#[utoipa::path(tag = "assistant", operation_id = "create_conversation", request_body = NewConversationBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::UseAssistant::names()))),
    responses((status = 201, body = ConversationView, headers(("Location" = String))),
        (status = 409, description = "The first request with this key still runs.")))]
#[post("/api/v1/assistant/conversations")]
async fn create(
    api: Api,
    Guarded(member, request): Guarded<AllowedMember<can::UseAssistant>, Idempotent<NewConversationBody>>,
) -> Result<HttpResponse, ApiError> {
    on(member.site())?;
    let operation = "POST /api/v1/assistant/conversations";
    let call = request.call(member.who(), operation, api.clock.now());
    let title = request.body.title;
    let made = api
        .conversations
        .create(member.scope(), member.identity(), title, Some(&call))
        .await?;
    let view = view(&api, &member, made.id).await?;
    Ok(created(&made)
        .insert_header(("location", format!("/api/v1/assistant/conversations/{}", view.id)))
        .json(view))
}

/// The caller's own, newest first.
#[utoipa::path(tag = "assistant", operation_id = "list_conversations", params(PageQuery),
    extensions(("x-capability" = json!(can::UseAssistant::names()))),
    responses((status = 200, body = Page<ConversationView>)))]
#[get("/api/v1/assistant/conversations")]
async fn list(
    api: Api,
    Guarded(member, Query(query)): Guarded<AllowedMember<can::UseAssistant>, Query<PageQuery>>,
) -> Result<Answer<Page<ConversationView>>, ApiError> {
    on(member.site())?;
    let page = page(query.limit, query.after);
    let queries = &api.conversation_queries;
    let found = queries.conversations(member.scope(), member.identity(), page);
    Ok(Answer(found.await?))
}

#[utoipa::path(tag = "assistant", operation_id = "get_conversation", params(("id" = ConversationId, Path)),
    extensions(("x-capability" = json!(can::UseAssistant::names()))),
    responses((status = 200, body = ConversationView)))]
#[get("/api/v1/assistant/conversations/{id}")]
async fn get_one(
    api: Api,
    Guarded(member, Id(id)): Guarded<AllowedMember<can::UseAssistant>, Id<ConversationId>>,
) -> Result<Answer<ConversationView>, ApiError> {
    on(member.site())?;
    Ok(Answer(view(&api, &member, id).await?))
}

/// Deletes the talk and all that was said in it. What its calls cost stays in the usage.
#[utoipa::path(tag = "assistant", operation_id = "delete_conversation", params(("id" = ConversationId, Path)),
    extensions(("x-capability" = json!(can::UseAssistant::names()))), responses((status = 204)))]
#[delete("/api/v1/assistant/conversations/{id}")]
async fn delete_one(
    api: Api,
    Guarded(member, Id(id)): Guarded<AllowedMember<can::UseAssistant>, Id<ConversationId>>,
) -> Result<HttpResponse, ApiError> {
    on(member.site())?;
    let conversations = &api.conversations;
    conversations
        .delete(member.scope(), member.identity(), id)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What was asked and answered, newest first.
#[utoipa::path(tag = "assistant", operation_id = "list_messages", params(("id" = ConversationId, Path), PageQuery),
    extensions(("x-capability" = json!(can::UseAssistant::names()))),
    responses((status = 200, body = Page<MessageView>)))]
#[get("/api/v1/assistant/conversations/{id}/messages")]
async fn messages(
    api: Api,
    Guarded(member, (Id(id), Query(query))): Guarded<
        AllowedMember<can::UseAssistant>,
        (Id<ConversationId>, Query<PageQuery>),
    >,
) -> Result<Answer<Page<MessageView>>, ApiError> {
    on(member.site())?;
    let (page, now) = (page(query.limit, query.after), api.clock.now());
    let queries = &api.conversation_queries;
    let found = queries.messages(member.scope(), member.identity(), id, page, now);
    Ok(Answer(found.await?.ok_or(ChatError::NotFound)?))
}

/// Asks, and answers once the model has. With `Accept: text/event-stream` the answer comes while it is made, as events `delta`,
/// `citation`, `done` and `error`; a comment every 15 seconds says that it goes on. The model looks things up with what the
/// caller may read, and changes nothing. Sent again under the same key, it answers what came of it; 409 while it is being made.
#[utoipa::path(tag = "assistant", operation_id = "ask_assistant", request_body = MessageBody,
    params(("id" = ConversationId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::UseAssistant::names()))),
    responses((status = 200, content((MessageView = "application/json"), (String = "text/event-stream"))),
        (status = 409, description = "No consent, no model chosen, or the answer is being made."),
        (status = 413, description = "The message is too long."),
        (status = 429, description = "Too many messages, or the budget is used up: wait as Retry-After says.")))]
#[post("/api/v1/assistant/conversations/{id}/messages")]
async fn ask(
    api: Api,
    Guarded(member, (http, Id(id), request)): Guarded<
        AllowedMember<can::UseAssistant>,
        (HttpRequest, Id<ConversationId>, Idempotent<MessageBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(member.site())?;
    let key = format!("{}:{}", member.site().id, member.identity());
    count_in_five_minutes(&http, &api, "assistant_messages", key, MESSAGES_MAX).await?;
    let operation = "POST /api/v1/assistant/conversations/{id}/messages";
    let call = request.call(member.who(), operation, api.clock.now());
    let may = Capability::ALL.iter().copied().filter(|one| member.may(*one));
    let question = StaffQuestion {
        conversation: id,
        of: member.identity(),
        rights: Rights::of(may),
        text: request.body.message,
    };
    let chats = &api.chats;
    let asked = chats.ask(member.scope(), member.site(), question, Some(&call));
    match (asked.await?, Form::of(&http)) {
        (Reply::Before(view), _) => Ok(HttpResponse::Ok().insert_header(REPLAYED).json(view)),
        (Reply::Now(events), Form::Events) => streamed(events, None).await,
        (Reply::Now(events), Form::Json) => Ok(HttpResponse::Ok().json(whole(events).await?)),
    }
}

/// How long prompts and answers are kept.
#[utoipa::path(tag = "assistant", operation_id = "get_assistant_retention",
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = Retention, headers(("ETag" = String)))))]
#[get("/api/v1/assistant/retention")]
async fn get_retention(api: Api, staff: Allowed<can::ManageAssistant>) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    show_retention(&api, staff.scope()).await
}

/// Changes how long prompts and answers are kept: what is older is deleted within a day.
#[utoipa::path(tag = "assistant", operation_id = "set_assistant_retention", request_body = RetentionBody,
    params(("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, body = Retention, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/assistant/retention")]
async fn set_retention(
    api: Api,
    Guarded(staff, (IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageAssistant>,
        (IfMatch, Json<RetentionBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let conversations = &api.conversations;
    conversations
        .set_retention(staff.scope(), body.days, seen)
        .await?;
    show_retention(&api, staff.scope()).await
}

async fn show_retention(api: &Api, scope: &SiteScope) -> Result<HttpResponse, ApiError> {
    let retention = api.conversation_queries.retention(scope).await?;
    Ok(HttpResponse::Ok()
        .insert_header(etag(retention.version))
        .json(retention))
}

async fn view(
    api: &Api,
    member: &AllowedMember<can::UseAssistant>,
    id: ConversationId,
) -> Result<ConversationView, ApiError> {
    let queries = &api.conversation_queries;
    let found = queries.conversation(member.scope(), member.identity(), id);
    Ok(found.await?.ok_or(ChatError::NotFound)?)
}
