//! Sessions of browsers: opened by a code or a wallet, refreshed by the cookie, ended by their holder.

mod code;
mod cookie;

use actix_web::http::header::{SET_COOKIE, USER_AGENT};
use actix_web::web::Json as Answer;
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use posx_issuer::SessionGrant;
use posx_kernel::{Page, SessionId};
use posx_runtime::SessionGate;
use posx_tenancy::{Renewed, SessionClient, SessionError, SignInFacts};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use self::code::CodeBody;
use super::sign_in::{self, SignInBody};
use super::whole;
use crate::actor::address_hash;
use crate::extract::{Guarded, Id, Json, SessionHolder, SessionPage, SessionSignIn, SiteContext};
use crate::problem::{ApiError, EdgeError};
use crate::state::{Api, ApiState};

/// The only route that the cookie goes to.
const REFRESH_PATH: &str = "/api/v1/sessions/refresh";
/// As RFC 8176 names a key in software: that of a wallet may be in better hands, and nobody can tell.
const WALLET_METHOD: &str = "swk";
/// Enough to tell two places apart, and no more.
const ADDRESS_DIGITS: usize = 8;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(create)
        .service(refresh)
        .service(end_current)
        .service(list)
        .service(end_all)
        .service(end);
}

/// Either of the two.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SessionBody {
    authorization_code: Option<CodeBody>,
    /// A message of `/api/v1/sign-in/wallet-challenges`, signed.
    wallet: Option<SignInBody>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshBody {}

/// As RFC 6749 names it. No `Debug`: it carries a token.
#[derive(Serialize, utoipa::ToSchema)]
struct SessionTokenView {
    access_token: String,
    #[schema(value_type = String)]
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    expires_at: DateTime<Utc>,
    session_id: SessionId,
    /// However often it is refreshed: then one signs in again.
    session_expires_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SessionItem {
    id: SessionId,
    created_at: DateTime<Utc>,
    /// When it was last refreshed.
    last_used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// Of a salted hash of the network that it was last used from: the same digits mean the same place, for some time.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

/// Opens a session for who signed in: an access token in the answer, and a refresh token in a cookie that goes to the
/// refresh route alone.
#[utoipa::path(tag = "sessions", operation_id = "create_session", request_body = SessionBody,
    params(("Origin" = String, Header, description = "Of the page, as browsers send it.")),
    extensions(("x-capability" = json!("public"))),
    responses((status = 201, body = SessionTokenView), (status = 403, description = "The page is of an origin that is not listed.")))]
#[post("/api/v1/sessions")]
async fn create(
    api: Api,
    req: HttpRequest,
    Guarded(visit, Json(body)): Guarded<SessionSignIn, Json<SessionBody>>,
) -> Result<HttpResponse, ApiError> {
    let SessionSignIn { gate, site } = visit;
    let facts = match (body.authorization_code, body.wallet) {
        (Some(code), None) => code::sign_in(&api, &gate, &code).await?,
        (None, Some(wallet)) => by_wallet(&api, &req, &gate, &site?, &wallet).await?,
        _ => {
            let message = "give either authorization_code or wallet".to_owned();
            let field = String::new();
            return Err(EdgeError::FieldInvalid { field, message }.into());
        }
    };
    let opened = api.sessions.open(facts, client(&req, &api)).await;
    let opened = opened.map_err(|error| refused(error, &gate))?;
    answer(&api, &gate, &opened, HttpResponse::Created())
}

/// Another access token and another refresh token. Origin and content type are checked, because a cookie comes by itself.
#[utoipa::path(tag = "sessions", operation_id = "refresh_session", request_body = RefreshBody,
    params(("Origin" = String, Header, description = "Of the page, as browsers send it.")),
    extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = SessionTokenView),
        (status = 401, description = "The session is over: sign in again. The cookie is cleared."),
        (status = 403, description = "The page is of an origin that is not listed."),
        (status = 409, description = "Another tab has a newer refresh token: ask again.")))]
#[post("/api/v1/sessions/refresh")]
async fn refresh(
    api: Api,
    req: HttpRequest,
    Guarded(page, Json(RefreshBody {})): Guarded<SessionPage, Json<RefreshBody>>,
) -> Result<HttpResponse, ApiError> {
    let gate = &page.gate;
    let renewed = match cookie::shown(&req, gate) {
        Some(token) => api.sessions.refresh(&token, client(&req, &api)).await,
        None => Err(SessionError::Over),
    };
    let renewed = renewed.map_err(|error| refused(error, gate))?;
    answer(&api, gate, &renewed, HttpResponse::Ok())
}

/// Signs out of the session that the token is of, and clears the cookie.
#[utoipa::path(tag = "sessions", operation_id = "end_current_session", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 204), (status = 404, description = "The token is of no session.")))]
#[post("/api/v1/sessions/end")]
async fn end_current(api: Api, SessionHolder(caller): SessionHolder) -> Result<HttpResponse, ApiError> {
    let current = caller.session.ok_or(EdgeError::SESSION_NOT_FOUND)?;
    api.sessions.end(current, caller.identity).await?;
    Ok(signed_out(&api))
}

/// The caller's sessions, the last used first.
#[utoipa::path(tag = "sessions", operation_id = "list_sessions", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 200, body = Page<SessionItem>)))]
#[get("/api/v1/sessions")]
async fn list(api: Api, SessionHolder(caller): SessionHolder) -> Result<Answer<Page<SessionItem>>, ApiError> {
    let sessions = api.sessions.of_identity(caller.identity).await?;
    let items = sessions.into_iter().map(|session| SessionItem {
        id: session.id,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
        user_agent: session.client.user_agent().map(ToOwned::to_owned),
        address: session.client.address.map(|hash| {
            let mut digits = hex::encode(hash);
            digits.truncate(ADDRESS_DIGITS);
            digits
        }),
        current: caller.session == Some(session.id),
    });
    Ok(Answer(whole(items.collect())))
}

/// Signs the caller out everywhere. Tokens of the identity provider itself are not ended by it.
#[utoipa::path(tag = "sessions", operation_id = "end_sessions", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 204)))]
#[delete("/api/v1/sessions")]
async fn end_all(api: Api, SessionHolder(caller): SessionHolder) -> Result<HttpResponse, ApiError> {
    api.sessions.end_all(caller.identity).await?;
    Ok(signed_out(&api))
}

/// Ends one of the caller's sessions: its access token holds for a minute at most.
#[utoipa::path(tag = "sessions", operation_id = "end_session", params(("id" = SessionId, Path)),
    extensions(("x-capability" = json!("signed-in"))), responses((status = 204)))]
#[delete("/api/v1/sessions/{id}")]
async fn end(
    api: Api,
    Guarded(SessionHolder(caller), Id(id)): Guarded<SessionHolder, Id<SessionId>>,
) -> Result<HttpResponse, ApiError> {
    if !api.sessions.end(id, caller.identity).await? {
        return Err(EdgeError::SESSION_NOT_FOUND.into());
    }
    Ok(if caller.session == Some(id) {
        signed_out(&api)
    } else {
        HttpResponse::NoContent().finish()
    })
}

/// The same identity as with a token for wallets.
async fn by_wallet(
    api: &Api,
    req: &HttpRequest,
    gate: &SessionGate,
    site: &SiteContext,
    body: &SignInBody,
) -> Result<SignInFacts, ApiError> {
    let proven = sign_in::prove(api, req, site, body).await?;
    let issuer = gate.issuer.issuer();
    Ok(SignInFacts {
        identity: api.directory.identity(issuer, &proven.account()).await?,
        issuer: issuer.to_owned(),
        authenticated_at: Some(api.clock.now()),
        methods: vec![WALLET_METHOD.to_owned()],
        context: None,
        second_factor: false,
    })
}

fn client(req: &HttpRequest, api: &ApiState) -> SessionClient {
    let user_agent = req
        .headers()
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    SessionClient::new(user_agent, address_hash(req, api))
}

fn answer(
    api: &Api,
    gate: &SessionGate,
    renewed: &Renewed,
    mut response: actix_web::HttpResponseBuilder,
) -> Result<HttpResponse, ApiError> {
    let (session, now) = (&renewed.session, api.clock.now());
    let facts = &session.facts;
    let grant = SessionGrant {
        subject: &facts.identity.to_string(),
        session: &session.id.to_string(),
        authenticated_at: facts.authenticated_at,
        methods: &facts.methods,
        context: facts.context.as_deref(),
        session_until: session.expires_at,
    };
    let token = gate
        .issuer
        .session_token(grant, api.ids.uuid(now), now)
        .map_err(|error| EdgeError::Render(Box::new(error)))?;
    response.insert_header((SET_COOKIE, cookie::keep(gate, renewed, now)));
    Ok(response.json(SessionTokenView {
        access_token: token.token.expose_secret().to_owned(),
        token_type: "Bearer",
        expires_in: (token.expires_at - now).num_seconds(),
        expires_at: token.expires_at,
        session_id: session.id,
        session_expires_at: session.expires_at,
    }))
}

fn signed_out(api: &ApiState) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    if let Some(gate) = &api.session_gate {
        response.insert_header((SET_COOKIE, cookie::clear(gate)));
    }
    response.finish()
}

/// The cookie goes only with its session: while nobody can tell, and while a newer one is on its way, it stays.
fn refused(error: SessionError, gate: &SessionGate) -> ApiError {
    let over = || ApiError::from(EdgeError::SessionOver).with_header(SET_COOKIE, cookie::clear(gate));
    match error {
        SessionError::Over => over(),
        SessionError::Reused(session) => {
            metrics::counter!("posx_session_reuse_total").increment(1);
            tracing::warn!(%session, "a refresh token was used again: its session is over");
            over()
        }
        SessionError::Superseded => EdgeError::SessionSuperseded.into(),
        SessionError::Store(error) => error.into(),
    }
}
