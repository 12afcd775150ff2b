//! The wallets that the caller's orders deliver to.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post, put};
use chrono::{DateTime, Utc};
use posx_kernel::Page;
use posx_orders::{OrderError, Wallet, WalletError};
use posx_tenancy::{Challenge, ChallengeWish};
use posx_tiers::ChainFamily;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedMember, Guarded, Id, Json, Policy as _, can};
use crate::problem::{ApiError, EdgeError};
use crate::routes::whole;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(wallets)
        .service(bind_wallet)
        .service(ask_for_proof);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WalletView {
    pub family: ChainFamily,
    /// In canonical form.
    pub address: String,
    pub bound_at: DateTime<Utc>,
    /// When the caller last signed with it; absent while it was only typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<DateTime<Utc>>,
    /// A contract wallet is proven on one chain (EIP-155 id) and receives orders of that chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract_chain_id: Option<u64>,
    /// It took another address' place: nothing is sent to it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usable_from: Option<DateTime<Utc>>,
}

impl WalletView {
    fn of(wallet: &Wallet) -> Self {
        Self {
            family: wallet.address.family(),
            address: wallet.address.to_string(),
            bound_at: wallet.bound_at,
            proven_at: wallet.proven_at,
            contract_chain_id: wallet.contract_chain,
            usable_from: wallet.usable_from,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeBody {
    /// `0x` and 40 digits.
    pub address: String,
    /// EIP-155 id of the chain that the wallet is on.
    #[serde(default = "mainnet")]
    pub chain_id: u64,
    /// Host and port of the page that asks; the site's first host name when absent.
    pub domain: Option<String>,
}

const fn mainnet() -> u64 {
    1
}

/// What a wallet is to sign (EIP-4361).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChallengeView {
    pub message: String,
    /// For a page that writes the message itself.
    pub nonce: String,
    pub expires_at: DateTime<Utc>,
}

impl ChallengeView {
    pub fn of(challenge: Challenge) -> Self {
        Self {
            message: challenge.message,
            nonce: challenge.nonce,
            expires_at: challenge.expires_at,
        }
    }
}

/// Either `address`, or `message` and `signature`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WalletBody {
    /// As typed. It does not take the place of a wallet that is proven.
    address: Option<String>,
    /// The message of a wallet challenge, as it was signed. EVM only.
    message: Option<String>,
    /// What `personal_sign` gave: `0x` and hexadecimal digits.
    signature: Option<String>,
}

/// The caller's wallets, at most one for each family of chains.
#[utoipa::path(tag = "me", operation_id = "list_wallets", extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = Page<WalletView>)))]
#[get("/api/v1/me/wallets")]
async fn wallets(api: Api, me: AllowedMember<can::Buy>) -> Result<Answer<Page<WalletView>>, ApiError> {
    let wallets = api.order_queries.wallets(me.scope(), me.party()).await?;
    Ok(Answer(whole(wallets.iter().map(WalletView::of).collect())))
}

/// A message for the caller's wallet to sign. It proves the wallet once, within ten minutes, and for this caller only.
#[utoipa::path(tag = "me", operation_id = "create_wallet_challenge", request_body = ChallengeBody,
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 201, body = ChallengeView)))]
#[post("/api/v1/me/wallet-challenges")]
async fn ask_for_proof(
    api: Api,
    Guarded(me, Json(body)): Guarded<AllowedMember<can::Buy>, Json<ChallengeBody>>,
) -> Result<HttpResponse, ApiError> {
    let wish = ChallengeWish {
        holder: Some(me.identity()),
        address: &body.address,
        chain_id: body.chain_id,
        domain: body.domain.as_deref(),
    };
    let challenge = api.wallet_proofs.challenge(me.scope(), me.site(), wish).await?;
    Ok(HttpResponse::Created().json(ChallengeView::of(challenge)))
}

/// Binds a wallet, in the place of an earlier one of this family. What takes another's place waits for the cooling-off
/// time before anything is sent to it. Placed orders keep the address they have.
#[utoipa::path(tag = "me", operation_id = "bind_wallet", request_body = WalletBody,
    params(("family" = ChainFamily, Path)), extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = WalletView), (status = 409, description = "Another buyer has bound it, or the bound one is proven.")))]
#[put("/api/v1/me/wallets/{family}")]
async fn bind_wallet(
    api: Api,
    Guarded(me, (Id(family), Json(body))): Guarded<
        AllowedMember<can::Buy>,
        (Id<ChainFamily>, Json<WalletBody>),
    >,
) -> Result<Answer<WalletView>, ApiError> {
    let (bound, field) = match (body.address, body.message, body.signature) {
        (Some(address), None, None) => {
            let typed = api.orders.bind_wallet(me.scope(), me.party(), family, &address);
            (typed.await, "address")
        }
        (None, Some(_), Some(_)) if family != ChainFamily::Evm => {
            (Err(OrderError::Wallet(WalletError::WrongChain)), "message")
        }
        (None, Some(message), Some(signature)) => {
            let (site, holder) = (me.site(), Some(me.identity()));
            let proven = api
                .wallet_proofs
                .prove(me.scope(), site, holder, &message, &signature)
                .await?;
            let proven = api.orders.bind_proven_wallet(me.scope(), me.party(), &proven);
            (proven.await, "message")
        }
        _ => {
            let message = "give either address, or message and signature".to_owned();
            let field = String::new();
            return Err(EdgeError::FieldInvalid { field, message }.into());
        }
    };
    let wallet = bound.map_err(|error| ApiError::from(error).on_field("wallet_address", field))?;
    Ok(Answer(WalletView::of(&wallet)))
}
