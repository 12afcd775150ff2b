//! The caller's earnings: what they have, where it goes, and taking it out.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use posx_commissions::{
    AccountMethod, BankDetails, NewConnectAccount, NewWithdrawal, PayoutAccountView, PayoutError,
    PayoutFilter, PayoutMethod, WithdrawalView, payout_gateway::Readiness,
};
use posx_kernel::{Money, Page};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{
    AllowedMember, Guarded, Id, Idempotent, Json, PathId, Policy as _, Query, can, created,
};
use crate::problem::{ApiError, EdgeError};
use crate::routes::withdrawals::found;
use crate::routes::{PageQuery, page, whole};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(balances).service(list).service(request);
    config.service(accounts).service(set_bank).service(onboard);
    config.service(readiness).service(remove);
}

/// What the caller has earned in one currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct BalanceView {
    /// Below zero: it is owed.
    balance: Money,
    /// Not available yet: held, or disputed.
    held_back: Money,
    /// What a withdrawal may take.
    available: Money,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalBody {
    amount: Money,
    /// `connect` or `bank`.
    method: AccountMethod,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankAccountBody {
    bank: BankBody,
}

/// Goes in and never comes out again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankBody {
    #[schema(value_type = String, write_only)]
    holder: SecretString,
    #[schema(value_type = String, write_only)]
    iban: SecretString,
    #[schema(value_type = Option<String>, write_only)]
    bic: Option<SecretString>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectBody {
    /// ISO 3166, two capital letters.
    country: String,
    /// A page that asks for another link when this one has expired.
    refresh_url: String,
    return_url: String,
}

/// Where the caller fills in their account at the provider. Whoever has the address is let in, once.
#[derive(Serialize, utoipa::ToSchema)]
struct OnboardingView {
    url: String,
    expires_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ReadinessView {
    /// Money may be sent there.
    ready: bool,
    /// What the provider still asks for, in its words.
    missing: Vec<String>,
}

impl PathId for AccountMethod {
    fn read(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn not_found() -> ApiError {
        EdgeError::NotFound {
            code: "payout_account_method_not_found",
            what: "kind of account",
        }
        .into()
    }
}

/// What the caller has earned, in each currency.
#[utoipa::path(tag = "me", operation_id = "list_my_balances", extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = Page<BalanceView>)))]
#[get("/api/v1/me/balances")]
async fn balances(api: Api, me: AllowedMember<can::Buy>) -> Result<Answer<Page<BalanceView>>, ApiError> {
    let balances = api.payout_queries.agent_balances(me.scope(), me.party()).await?;
    let view = |one: &posx_commissions::AgentBalance| BalanceView {
        balance: one.balance,
        held_back: one.held_back,
        available: one.available(),
    };
    Ok(Answer(whole(balances.iter().map(view).collect())))
}

/// The caller's own, newest first.
#[utoipa::path(tag = "me", operation_id = "list_my_withdrawals", params(PageQuery),
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 200, body = Page<WithdrawalView>)))]
#[get("/api/v1/me/withdrawals")]
async fn list(
    api: Api,
    Guarded(me, Query(query)): Guarded<AllowedMember<can::Buy>, Query<PageQuery>>,
) -> Result<Answer<Page<WithdrawalView>>, ApiError> {
    let filter = PayoutFilter {
        agent: Some(me.party()),
        withdrawals_only: true,
        ..PayoutFilter::default()
    };
    let page = page(query.limit, query.after);
    let Page { items, next } = api.payout_queries.payouts(me.scope(), &filter, page).await?;
    let items = items.into_iter().map(Into::into).collect();
    Ok(Answer(Page { items, next }))
}

/// Takes the amount out of what is available; somebody else decides on it. One at a time in each currency.
#[utoipa::path(tag = "me", operation_id = "request_withdrawal", request_body = WithdrawalBody,
    params(("Idempotency-Key" = String, Header)), extensions(("x-capability" = json!(can::RequestWithdrawals::names()))),
    responses((status = 201, body = WithdrawalView),
        (status = 409, description = "Less is available, another one is open, or there is no account to pay to.")))]
#[post("/api/v1/me/withdrawals")]
async fn request(
    api: Api,
    Guarded(me, request): Guarded<AllowedMember<can::RequestWithdrawals>, Idempotent<WithdrawalBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(me.who(), "POST /api/v1/me/withdrawals", api.clock.now());
    let wish = NewWithdrawal {
        agent: me.party(),
        amount: request.body.amount,
        method: match request.body.method {
            AccountMethod::Connect => PayoutMethod::Connect,
            AccountMethod::Bank => PayoutMethod::Bank,
        },
    };
    let made = api
        .payouts
        .request_withdrawal(me.scope(), wish, Some(&call))
        .await?;
    let view = found(&api, me.scope(), made.id, Some(me.party())).await?;
    Ok(created(&made).json(view))
}

/// Where the caller's money goes; at most one account of each kind.
#[utoipa::path(tag = "me", operation_id = "list_payout_accounts", extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = Page<PayoutAccountView>)))]
#[get("/api/v1/me/payout-accounts")]
async fn accounts(
    api: Api,
    me: AllowedMember<can::Buy>,
) -> Result<Answer<Page<PayoutAccountView>>, ApiError> {
    let accounts = api.payout_queries.payout_accounts(me.scope(), me.party()).await?;
    Ok(Answer(whole(accounts)))
}

/// Takes the place of the caller's bank account. When there was one, no money goes to the new one for 72 hours.
#[utoipa::path(tag = "me", operation_id = "set_bank_account", request_body = BankAccountBody,
    extensions(("x-capability" = json!(can::RequestWithdrawals::names()))),
    responses((status = 204, description = "Kept.")))]
#[put("/api/v1/me/payout-accounts/bank")]
async fn set_bank(
    api: Api,
    Guarded(me, Json(body)): Guarded<AllowedMember<can::RequestWithdrawals>, Json<BankAccountBody>>,
) -> Result<HttpResponse, ApiError> {
    let bank = &body.bank;
    let bic = bank.bic.as_ref().map(SecretString::expose_secret);
    let details = BankDetails::new(bank.holder.expose_secret(), bank.iban.expose_secret(), bic);
    let details = details.map_err(PayoutError::from)?;
    api.payouts
        .set_bank_account(me.scope(), me.party(), &details)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A link to where the caller fills in their account at the payment provider. A new one each time.
#[utoipa::path(tag = "me", operation_id = "onboard_connect_account", request_body = ConnectBody,
    extensions(("x-capability" = json!(can::RequestWithdrawals::names()))),
    responses((status = 201, body = OnboardingView), (status = 422, description = "The provider refused.")))]
#[post("/api/v1/me/payout-accounts/connect")]
async fn onboard(
    api: Api,
    Guarded(me, Json(body)): Guarded<AllowedMember<can::RequestWithdrawals>, Json<ConnectBody>>,
) -> Result<HttpResponse, ApiError> {
    let new = NewConnectAccount {
        country: &body.country,
        refresh_url: &body.refresh_url,
        return_url: &body.return_url,
    };
    let link = api.payouts.onboard(me.scope(), me.party(), new).await?;
    Ok(HttpResponse::Created()
        .insert_header(("cache-control", "no-store"))
        .json(OnboardingView {
            url: link.url,
            expires_at: link.expires_at,
        }))
}

/// Whether the caller's account may be sent to; of one at the payment provider, as the provider says it now.
#[utoipa::path(tag = "me", operation_id = "get_payout_account_readiness", params(("method" = AccountMethod, Path)),
    extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = ReadinessView), (status = 409, description = "There is no such account.")))]
#[get("/api/v1/me/payout-accounts/{method}/readiness")]
async fn readiness(
    api: Api,
    Guarded(me, Id(method)): Guarded<AllowedMember<can::Buy>, Id<AccountMethod>>,
) -> Result<Answer<ReadinessView>, ApiError> {
    let readiness = api.payouts.readiness(me.scope(), me.party(), method).await?;
    let view = match readiness.ok_or(PayoutError::NoAccount)? {
        Readiness::Ready => ReadinessView {
            ready: true,
            missing: Vec::new(),
        },
        Readiness::NotReady { missing } => ReadinessView {
            ready: false,
            missing,
        },
        Readiness::Gone => ReadinessView {
            ready: false,
            missing: vec!["account".to_owned()],
        },
    };
    Ok(Answer(view))
}

/// Nothing is paid there any more; what is under way stays under way.
#[utoipa::path(tag = "me", operation_id = "remove_payout_account", params(("method" = AccountMethod, Path)),
    extensions(("x-capability" = json!(can::RequestWithdrawals::names()))),
    responses((status = 204, description = "It is gone."), (status = 409, description = "There is none.")))]
#[delete("/api/v1/me/payout-accounts/{method}")]
async fn remove(
    api: Api,
    Guarded(me, Id(method)): Guarded<AllowedMember<can::RequestWithdrawals>, Id<AccountMethod>>,
) -> Result<HttpResponse, ApiError> {
    api.payouts.remove_account(me.scope(), me.party(), method).await?;
    Ok(HttpResponse::NoContent().finish())
}
