//! Chain assets: the tokens that a site sells.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::{Page, StoreError};
use posx_tiers::{AssetView, Chain, CreateAsset};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Allowed, Guarded, Idempotent, Policy as _, can, created};
use crate::problem::ApiError;
use crate::routes::whole;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(create);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetBody {
    chain: Chain,
    /// 1 to 16 of A-Z and 0-9.
    symbol: String,
    /// 0 to 18.
    decimals: u8,
    /// The custodian's name for it.
    provider_asset: String,
    /// The custodian's vault account that pays.
    vault: String,
}

#[utoipa::path(tag = "chain-assets", operation_id = "list_chain_assets",
    extensions(("x-capability" = json!(can::SeeAssets::names()))), responses((status = 200, body = Page<AssetView>)))]
#[get("/api/v1/chain-assets")]
async fn list(api: Api, staff: Allowed<can::SeeAssets>) -> Result<Answer<Page<AssetView>>, ApiError> {
    Ok(Answer(whole(api.tier_queries.assets(staff.scope()).await?)))
}

#[utoipa::path(tag = "chain-assets", operation_id = "create_chain_asset", request_body = AssetBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageAssets::names()))),
    responses((status = 201, body = AssetView), (status = 409, description = "The site has it already.")))]
#[post("/api/v1/chain-assets")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManageAssets>, Idempotent<AssetBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/chain-assets", api.clock.now());
    let body = request.body;
    let wish = CreateAsset {
        chain: body.chain,
        symbol: body.symbol,
        decimals: body.decimals,
        provider_asset: body.provider_asset,
        vault: body.vault,
    };
    let made = api.tiers.create_asset(staff.scope(), wish, Some(&call)).await?;
    let view = api.tier_queries.asset(staff.scope(), made.id).await?;
    let view = view.ok_or_else(|| StoreError::broken("an asset that was made is gone"))?;
    Ok(created(&made).json(view))
}
