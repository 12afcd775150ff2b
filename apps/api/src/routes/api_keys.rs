//! Keys with which programs of a site call the API.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_kernel::{ApiKeyId, IdentityId, Page, SiteScope, Timestamp};
use posx_tenancy::{ApiKey, ApiKeyError, NewApiKey, RotateApiKey};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page};
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, Json, Policy as _, Query, can, created,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list)
        .service(create)
        .service(get_key)
        .service(rotate)
        .service(revoke);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKeyBody {
    name: String,
    /// Capabilities, as `x-capability` names them: none that asks for a second factor, not `orders:buy`, not
    /// `devices:operate`, and none that the caller lacks.
    scopes: Vec<String>,
    /// 1 to 365; 90 when absent.
    lifetime_days: Option<u16>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RotationBody {
    /// For how long the secrets so far stay good: 0 to 7.
    overlap_days: u16,
    /// Of the new secret: 1 to 365; 90 when absent.
    lifetime_days: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyState {
    Live,
    Expired,
    Revoked,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ApiKeyView {
    id: ApiKeyId,
    name: String,
    #[schema(value_type = Vec<String>)]
    scopes: Vec<&'static str>,
    state: KeyState,
    made_by: IdentityId,
    created_at: DateTime<Utc>,
    /// Of the newest secret.
    expires_at: DateTime<Utc>,
    /// To the minute.
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

/// No `Debug`: it carries a secret.
#[derive(Serialize, utoipa::ToSchema)]
struct ShownKeyView {
    #[serde(flatten)]
    key: ApiKeyView,
    /// The key's text, `psk_…`: shown this once. Absent when the request is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl ApiKeyView {
    fn of(key: ApiKey, now: Timestamp) -> Self {
        let state = match key.revoked_at {
            Some(_) => KeyState::Revoked,
            None if key.is_live(now) => KeyState::Live,
            None => KeyState::Expired,
        };
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            state,
            made_by: key.made_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// The site's keys, newest first. No secret is among it.
#[utoipa::path(tag = "api-keys", operation_id = "list_api_keys", params(PageQuery),
    extensions(("x-capability" = json!(can::ManageKeys::names()))), responses((status = 200, body = Page<ApiKeyView>)))]
#[get("/api/v1/api-keys")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ManageKeys>, Query<PageQuery>>,
) -> Result<Answer<Page<ApiKeyView>>, ApiError> {
    let page = page(query.limit, query.after);
    let Page { items, next } = api.api_key_queries.api_keys(staff.scope(), page).await?;
    let now = api.clock.now();
    let items = items.into_iter().map(|key| ApiKeyView::of(key, now)).collect();
    Ok(Answer(Page { items, next }))
}

/// Makes a key and shows its secret, once. Whoever repeats the request gets the key without it: rotate a key whose secret was
/// lost on the way.
#[utoipa::path(tag = "api-keys", operation_id = "create_api_key", request_body = NewKeyBody,
    params(("Idempotency-Key" = String, Header)), extensions(("x-capability" = json!(can::ManageKeys::names()))),
    responses((status = 201, body = ShownKeyView), (status = 409, description = "The site has as many keys as it may have.")))]
#[post("/api/v1/api-keys")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ManageKeys>, Idempotent<NewKeyBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/api-keys", api.clock.now());
    let body = request.body;
    let wish = NewApiKey {
        name: body.name,
        scopes: body.scopes,
        lifetime_days: body.lifetime_days,
    };
    let (made, secret) = api
        .api_keys
        .create(staff.scope(), staff.member(), &wish, Some(&call))
        .await?;
    Ok(created(&made).json(shown(&api, staff.scope(), made.id, secret).await?))
}

#[utoipa::path(tag = "api-keys", operation_id = "get_api_key", params(("id" = ApiKeyId, Path)),
    extensions(("x-capability" = json!(can::ManageKeys::names()))), responses((status = 200, body = ApiKeyView)))]
#[get("/api/v1/api-keys/{id}")]
async fn get_key(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ManageKeys>, Id<ApiKeyId>>,
) -> Result<Answer<ApiKeyView>, ApiError> {
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Gives the key another secret and shows it, once. Those so far stay good for the overlap, and none longer than it was.
#[utoipa::path(tag = "api-keys", operation_id = "rotate_api_key", request_body = RotationBody,
    params(("id" = ApiKeyId, Path)), extensions(("x-capability" = json!(can::ManageKeys::names()))),
    responses((status = 200, body = ShownKeyView), (status = 409, description = "It is not live, or was rotated too often.")))]
#[post("/api/v1/api-keys/{id}/rotate")]
async fn rotate(
    api: Api,
    Guarded(staff, (Id(id), Json(body))): Guarded<
        AllowedMember<can::ManageKeys>,
        (Id<ApiKeyId>, Json<RotationBody>),
    >,
) -> Result<Answer<ShownKeyView>, ApiError> {
    let wish = RotateApiKey {
        overlap_days: body.overlap_days,
        lifetime_days: body.lifetime_days,
    };
    let secret = api
        .api_keys
        .rotate(staff.scope(), staff.member(), id, wish)
        .await?;
    Ok(Answer(shown(&api, staff.scope(), id, Some(secret)).await?))
}

/// From now on the key opens nothing. Revoking again changes nothing.
#[utoipa::path(tag = "api-keys", operation_id = "revoke_api_key", params(("id" = ApiKeyId, Path)),
    extensions(("x-capability" = json!(can::ManageKeys::names()))), responses((status = 200, body = ApiKeyView)))]
#[post("/api/v1/api-keys/{id}/revoke")]
async fn revoke(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManageKeys>, Id<ApiKeyId>>,
) -> Result<Answer<ApiKeyView>, ApiError> {
    api.api_keys.revoke(staff.scope(), id).await?;
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

async fn view(api: &Api, scope: &SiteScope, id: ApiKeyId) -> Result<ApiKeyView, ApiError> {
    let found = api.api_key_queries.api_key(scope, id).await?;
    Ok(ApiKeyView::of(
        found.ok_or(ApiKeyError::NotFound)?,
        api.clock.now(),
    ))
}

async fn shown(
    api: &Api,
    scope: &SiteScope,
    id: ApiKeyId,
    secret: Option<SecretString>,
) -> Result<ShownKeyView, ApiError> {
    Ok(ShownKeyView {
        key: view(api, scope, id).await?,
        secret: secret.map(|secret| secret.expose_secret().to_owned()),
    })
}
