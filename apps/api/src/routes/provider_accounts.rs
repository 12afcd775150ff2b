//! The site's own accounts at providers. A secret goes in and never comes out again.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use posx_kernel::{IdentityId, Page};
use posx_postgres::ProviderAccountRow;
use posx_tenancy::Capability;
use secrecy::SecretString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::whole;
use crate::extract::{Allowed, Guarded, Json, Policy as _, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(give_stripe).service(remove_stripe);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StripeAccountBody {
    /// A secret or a restricted key: `sk_…` or `rk_…`, live in production and of test mode elsewhere.
    #[schema(value_type = String, format = Password, write_only)]
    secret_key: SecretString,
    /// Of the account's endpoint at `/webhooks/stripe/{site}`: one, or two while it is being replaced. Without any, its events
    /// come to the endpoint that sites share.
    #[serde(default, deserialize_with = "secrets")]
    #[schema(value_type = Vec<String>, write_only, max_items = 2)]
    webhook_secrets: Vec<SecretString>,
}

/// The parser's own words would quote a secret that stands there without its list.
fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretString>, D::Error> {
    Vec::deserialize(deserializer).map_err(|_| D::Error::custom("expected a list of texts"))
}

/// What may be known of an account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ProviderAccountView {
    provider: String,
    /// `test` or `live`.
    mode: String,
    secret_key_last4: String,
    /// How many there are.
    webhook_secrets: u8,
    updated_at: DateTime<Utc>,
    /// Absent: it was done from the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<IdentityId>,
}

impl From<ProviderAccountRow> for ProviderAccountView {
    fn from(row: ProviderAccountRow) -> Self {
        Self {
            provider: row.provider,
            mode: row.mode,
            secret_key_last4: row.secret_key_last4,
            webhook_secrets: row.webhook_secrets,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
        }
    }
}

/// The accounts that the site gave. One that only the settings name is not among them.
#[utoipa::path(tag = "sites", operation_id = "list_provider_accounts",
    extensions(("x-capability" = json!(can::ManageProviderAccounts::names()))),
    responses((status = 200, body = Page<ProviderAccountView>)))]
#[get("/api/v1/provider-accounts")]
async fn list(
    api: Api,
    staff: Allowed<can::ManageProviderAccounts>,
) -> Result<Answer<Page<ProviderAccountView>>, ApiError> {
    staff.require_everywhere(Capability::ProviderAccountsManage)?;
    let rows = api.provider_accounts.list(staff.scope()).await?;
    Ok(Answer(whole(rows.into_iter().map(Into::into).collect())))
}

/// From now on, payments go through this account, in every process within a minute. It takes the place of what was given before,
/// webhook secrets included, and wins over what the settings name. Payments that are under way stay with the account that
/// they were begun with: let them end before another account is given.
#[utoipa::path(tag = "sites", operation_id = "give_stripe_account", request_body = StripeAccountBody,
    extensions(("x-capability" = json!(can::ManageProviderAccounts::names()))),
    responses((status = 200, body = ProviderAccountView), (status = 422, description = "The key or a secret cannot be one, or is of the wrong mode.")))]
#[put("/api/v1/provider-accounts/stripe")]
async fn give_stripe(
    api: Api,
    Guarded(staff, Json(body)): Guarded<Allowed<can::ManageProviderAccounts>, Json<StripeAccountBody>>,
) -> Result<Answer<ProviderAccountView>, ApiError> {
    staff.require_everywhere(Capability::ProviderAccountsManage)?;
    let accounts = &api.provider_accounts;
    let kept = accounts.give_stripe(staff.scope(), &body.secret_key, &body.webhook_secrets);
    Ok(Answer(kept.await?.into()))
}

/// Forgets the secrets. Then the account counts that the settings name for the site, if they name one.
#[utoipa::path(tag = "sites", operation_id = "remove_stripe_account",
    extensions(("x-capability" = json!(can::ManageProviderAccounts::names()))),
    responses((status = 204, description = "The site has no account of its own any more."), (status = 404, description = "It had none.")))]
#[delete("/api/v1/provider-accounts/stripe")]
async fn remove_stripe(
    api: Api,
    staff: Allowed<can::ManageProviderAccounts>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::ProviderAccountsManage)?;
    api.provider_accounts.remove_stripe(staff.scope()).await?;
    Ok(HttpResponse::NoContent().finish())
}
