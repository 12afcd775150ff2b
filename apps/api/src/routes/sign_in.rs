//! Signing in with a wallet (EIP-4361), and the keys that check the tokens one gets.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Json as Answer;
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_issuer::TOKEN_MINUTES;
use posx_tenancy::{ChallengeWish, ProvenWallet, SignInMessage, WalletProofError};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::me::wallets::{ChallengeBody, ChallengeView};
use crate::extract::{Guarded, Json, SiteContext, WalletSignIn};
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(ask).service(sign_in).service(key_set);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInBody {
    /// The message of a challenge, as it was signed.
    message: String,
    /// What `personal_sign` gave: `0x` and hexadecimal digits.
    signature: String,
}

/// As RFC 6749 names it. No `Debug`: it carries a token.
#[derive(Serialize, utoipa::ToSchema)]
struct TokenView {
    access_token: String,
    #[schema(value_type = String)]
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    expires_at: DateTime<Utc>,
}

/// A message for the wallet of someone who signs in. It is good once, within ten minutes.
#[utoipa::path(tag = "sign-in", operation_id = "create_sign_in_challenge", request_body = ChallengeBody,
    extensions(("x-capability" = json!("public"))), responses((status = 201, body = ChallengeView)))]
#[post("/api/v1/sign-in/wallet-challenges")]
async fn ask(
    api: Api,
    Guarded(visit, Json(body)): Guarded<WalletSignIn, Json<ChallengeBody>>,
) -> Result<HttpResponse, ApiError> {
    let wish = ChallengeWish {
        holder: None,
        address: &body.address,
        chain_id: body.chain_id,
        domain: body.domain.as_deref(),
    };
    let context = &visit.context;
    let challenge = api
        .wallet_proofs
        .challenge(&context.scope, &context.site, wish)
        .await?;
    Ok(HttpResponse::Created().json(ChallengeView::of(challenge)))
}

/// An access token for who signed the message. It is a bearer token as any other, and gives no rights by itself.
#[utoipa::path(tag = "sign-in", operation_id = "sign_in_with_wallet", request_body = SignInBody,
    extensions(("x-capability" = json!("public"))), responses((status = 200, body = TokenView)))]
#[post("/api/v1/sign-in/wallet")]
async fn sign_in(
    api: Api,
    req: HttpRequest,
    Guarded(visit, Json(body)): Guarded<WalletSignIn, Json<SignInBody>>,
) -> Result<Answer<TokenView>, ApiError> {
    let proven = prove(&api, &req, &visit.context, &body).await?;
    let now = api.clock.now();
    let token = visit
        .issuer
        .token(&proven.account(), api.ids.uuid(now), now)
        .map_err(|error| EdgeError::Render(Box::new(error)))?;
    Ok(Answer(TokenView {
        access_token: token.token.expose_secret().to_owned(),
        token_type: "Bearer",
        expires_in: TOKEN_MINUTES * 60,
        expires_at: token.expires_at,
    }))
}

/// A signature that does not hold counts against the account that the message names, and against the address it came from.
pub(super) async fn prove(
    api: &Api,
    req: &HttpRequest,
    context: &SiteContext,
    body: &SignInBody,
) -> Result<ProvenWallet, ApiError> {
    let account = SignInMessage::parse(&body.message)
        .map_err(WalletProofError::from)?
        .address
        .to_string();
    let (guard, address) = (&api.sign_in_guard, limit::address_key(req, api));
    guard
        .check(&account, &address)
        .await
        .map_err(|retry_after_s| EdgeError::SignInDelayed { retry_after_s })?;
    let (scope, site) = (&context.scope, &context.site);
    let proven = api
        .wallet_proofs
        .prove(scope, site, None, &body.message, &body.signature)
        .await;
    match &proven {
        Ok(_) => guard.succeeded(&account).await,
        Err(WalletProofError::Signature) => guard.failed(&account, &address).await,
        // Says nothing of who asks.
        Err(_) => {}
    }
    Ok(proven?)
}

/// The public keys of tokens for wallets (RFC 7517).
#[utoipa::path(tag = "sign-in", operation_id = "key_set", extensions(("x-capability" = json!("public"))),
    responses((status = 200, description = "A JWK set.", content_type = "application/json"),
        (status = 404, description = "Signing in with a wallet is off.")))]
#[get("/.well-known/jwks.json")]
async fn key_set(api: Api) -> Result<HttpResponse, ApiError> {
    let issuer = api.wallet_issuer.as_ref().ok_or(EdgeError::WALLET_SIGN_IN_OFF)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(issuer.jwks().to_owned()))
}
