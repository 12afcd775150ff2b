//! The storefront's chat: without an account, over what everyone may see.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, post};
use posx_assistant::{NewVisit, Reply};
use posx_kernel::VisitorId;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Guarded, Json, SiteContext, Storefront};
use crate::limit::{address_key, count_in_five_minutes};
use crate::problem::{ApiError, ChatSession, EdgeError};
use crate::routes::assistant::{Form, StorefrontAnswer, on, streamed, whole};
use crate::state::Api;

/// Of one visitor, in five minutes.
const MESSAGES_MAX: u32 = 10;
/// Of all visitors of one address, in five minutes.
const MESSAGES_OF_ADDRESS_MAX: u32 = 30;
/// So long before a request's time is over its answer is given up: the server would end it without the session.
const BEFORE_THE_END: Duration = Duration::from_secs(2);
/// Sessions that one address begins in five minutes.
const VISITS_MAX: u32 = 10;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(ask);
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StorefrontQuestion)]
struct QuestionBody {
    /// 1 to 2000 characters.
    message: String,
    /// The token of the session; without one a new session begins.
    session: Option<String>,
}

/// Asks the shop's assistant, which knows what the shop shows to everyone. Without `session` a new one begins, and the answer
/// carries its token: it lasts an hour. A refusal after it has begun carries it as well. With `Accept: text/event-stream` the
/// answer comes while it is made, as events `session`, `delta`, `citation`, `done` and `error`.
#[utoipa::path(tag = "storefront", operation_id = "ask_storefront", request_body = QuestionBody,
    params(("site" = String, Path, description = "The site's code.")),
    extensions(("x-capability" = json!("public"))),
    responses((status = 200, content((StorefrontAnswer = "application/json"), (String = "text/event-stream"))),
        (status = 409, description = "The shop has no assistant now."),
        (status = 413, description = "The message is too long."),
        (status = 429, description = "Too many messages, or the budget is used up: wait as Retry-After says.")))]
#[post("/api/v1/storefront/{site}/chat")]
async fn ask(
    api: Api,
    Guarded(Storefront(context), (http, Json(body))): Guarded<Storefront, (HttpRequest, Json<QuestionBody>)>,
) -> Result<HttpResponse, ApiError> {
    on(&context.site)?;
    api.chats.check_question(&body.message)?;
    let address = format!("{}:{}", context.site.id, address_key(&http, &api));
    count_in_five_minutes(&http, &api, "chat_address", address, MESSAGES_OF_ADDRESS_MAX).await?;
    let (visitor, session) = visit(&api, &context, &http, body.session.as_deref()).await?;
    let answered = answer(&api, &context, &http, visitor, &body.message, session.clone()).await;
    answered.map_err(|refused| match session {
        Some(session) => refused.with_session(session),
        None => refused,
    })
}

async fn answer(
    api: &Api,
    context: &SiteContext,
    http: &HttpRequest,
    visitor: VisitorId,
    message: &str,
    session: Option<ChatSession>,
) -> Result<HttpResponse, ApiError> {
    let key = format!("{}:{visitor}", context.site.id);
    count_in_five_minutes(http, api, "chat_messages", key, MESSAGES_MAX).await?;
    let asked = api
        .chats
        .ask_on_storefront(&context.scope, &context.site, visitor, message);
    match (asked.await?, Form::of(http)) {
        (Reply::Now(events), Form::Events) => streamed(events, session).await,
        (Reply::Now(events), Form::Json) => {
            let all = Duration::from_secs(api.settings.request_timeout_s.into());
            let within = all.saturating_sub(BEFORE_THE_END).max(all / 2);
            let message = tokio::time::timeout(within, whole(events)).await;
            let message = message.map_err(|_| EdgeError::TimedOut)??;
            Ok(HttpResponse::Ok().json(StorefrontAnswer { session, message }))
        }
        (Reply::Before(message), _) => Ok(HttpResponse::Ok().json(StorefrontAnswer { session, message })),
    }
}

/// Who asks; with a session that begins now, if they showed none.
async fn visit(
    api: &Api,
    context: &SiteContext,
    http: &HttpRequest,
    shown: Option<&str>,
) -> Result<(VisitorId, Option<ChatSession>), ApiError> {
    if let Some(token) = shown {
        return Ok((api.chats.visitor(&context.scope, token).await?, None));
    }
    let key = format!("{}:{}", context.site.id, address_key(http, api));
    count_in_five_minutes(http, api, "chat_visits", key, VISITS_MAX).await?;
    let NewVisit {
        visitor,
        token,
        expires_at,
    } = api.chats.begin_visit(&context.scope).await?;
    let session = ChatSession {
        token: token.expose_secret().to_owned(),
        expires_at,
    };
    Ok((visitor, Some(session)))
}
