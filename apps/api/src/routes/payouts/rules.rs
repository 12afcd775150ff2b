//! What the site allows of money on its way out, in each currency.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, put};
use posx_commissions::{Debtor, PayoutError, PayoutRules, PayoutRulesView, WriteOffRule};
use posx_kernel::{Currency, Money, Page};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Allowed, Guarded, Id, IfMatch, Json, PathId, Policy as _, can, etag};
use crate::problem::{ApiError, EdgeError};
use crate::routes::whole;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(show).service(edit);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutRulesBody {
    /// Less than this stays with the agent's balance.
    minimum: Money,
    /// Of one withdrawal.
    maximum: Option<Money>,
    write_off: Option<WriteOffRuleBody>,
    debtor: Option<DebtorBody>,
}

/// A debt that is no more than `up_to`, and `after_days` old, is given up without a person.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteOffRuleBody {
    up_to: Money,
    after_days: u16,
}

/// The site's own bank account, from which files of payments pay.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DebtorBody {
    name: String,
    iban: String,
    bic: Option<String>,
}

impl PathId for Currency {
    fn read(text: &str) -> Option<Self> {
        Self::from_code(text)
    }

    fn not_found() -> ApiError {
        EdgeError::NotFound {
            code: "currency_not_found",
            what: "currency",
        }
        .into()
    }
}

/// Those that the site set. For other currencies the defaults hold.
#[utoipa::path(tag = "payouts", operation_id = "list_payout_rules",
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = Page<PayoutRulesView>)))]
#[get("/api/v1/payout-rules")]
async fn list(api: Api, staff: Allowed<can::ReadPayouts>) -> Result<Answer<Page<PayoutRulesView>>, ApiError> {
    let rules = api.payout_queries.payout_rules(staff.scope()).await?;
    Ok(Answer(whole(rules.iter().map(Into::into).collect())))
}

#[utoipa::path(tag = "payouts", operation_id = "get_payout_rules", params(("currency" = String, Path)),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = PayoutRulesView, headers(("ETag" = String, description = "The version, for If-Match.")))))]
#[get("/api/v1/payout-rules/{currency}")]
async fn show(
    api: Api,
    Guarded(staff, Id(currency)): Guarded<Allowed<can::ReadPayouts>, Id<Currency>>,
) -> Result<HttpResponse, ApiError> {
    let rules = api.payouts.rules(staff.scope(), currency).await?;
    Ok(HttpResponse::Ok()
        .insert_header(etag(rules.version))
        .json(PayoutRulesView::from(&rules)))
}

/// Replaces the rules of this currency.
#[utoipa::path(tag = "payouts", operation_id = "edit_payout_rules", request_body = PayoutRulesBody,
    params(("currency" = String, Path), ("If-Match" = String, Header, description = "The ETag that was read; \"0\" for the defaults.")),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = PayoutRulesView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed them."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/payout-rules/{currency}")]
async fn edit(
    api: Api,
    Guarded(staff, (Id(currency), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManagePayouts>,
        (Id<Currency>, IfMatch, Json<PayoutRulesBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    if body.minimum.currency() != currency {
        return Err(PayoutError::Minimum.into());
    }
    let debtor = body.debtor.as_ref();
    let debtor = debtor.map(|debtor| Debtor::new(&debtor.name, &debtor.iban, debtor.bic.as_deref()));
    let rules = PayoutRules {
        minimum: body.minimum,
        maximum: body.maximum,
        write_off: body.write_off.map(|rule| WriteOffRule {
            up_to: rule.up_to,
            after_days: rule.after_days,
        }),
        debtor: debtor.transpose()?,
        version: seen,
        updated_at: None,
    };
    api.payouts.set_rules(staff.scope(), &rules).await?;
    let rules = api.payouts.rules(staff.scope(), currency).await?;
    Ok(HttpResponse::Ok()
        .insert_header(etag(rules.version))
        .json(PayoutRulesView::from(&rules)))
}
