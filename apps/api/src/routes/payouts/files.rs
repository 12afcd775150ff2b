//! Files of payments for the site's bank.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_commissions::PayoutFileView;
use posx_kernel::{Currency, Page, PayoutFileId, SettlementId};
use posx_tenancy::Capability;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, Query, can, created};
use crate::problem::ApiError;
use crate::routes::{PageQuery, page};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(create).service(document);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutFileBody {
    #[schema(value_type = String)]
    currency: Currency,
    /// Only its payouts; else everything that waits, withdrawals included.
    settlement: Option<SettlementId>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct MadeFileView {
    id: PayoutFileId,
}

/// Newest first.
#[utoipa::path(tag = "payouts", operation_id = "list_payout_files", params(PageQuery),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = Page<PayoutFileView>)))]
#[get("/api/v1/payout-files")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadPayouts>, Query<PageQuery>>,
) -> Result<Answer<Page<PayoutFileView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.payout_queries.payout_files(staff.scope(), page).await?,
    ))
}

/// Puts what is approved and goes by bank into a file; from then on it is under way, and in no other file.
#[utoipa::path(tag = "payouts", operation_id = "create_payout_file", request_body = PayoutFileBody,
    params(("Idempotency-Key" = String, Header)), extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 201, body = MadeFileView),
        (status = 409, description = "Nothing waits, or the site's own bank account is not set.")))]
#[post("/api/v1/payout-files")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ManagePayouts>, Idempotent<PayoutFileBody>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(staff.who(), "POST /api/v1/payout-files", api.clock.now());
    let (scope, by, wish) = (staff.scope(), staff.identity(), &request.body);
    let made = api
        .payouts
        .create_file(scope, wish.currency, wish.settlement, by, Some(&call))
        .await?;
    Ok(created(&made).json(MadeFileView { id: made.id }))
}

/// The file as the bank takes it: ISO 20022, pain.001.001.09. The same bytes each time.
#[utoipa::path(tag = "payouts", operation_id = "get_payout_file_document", params(("id" = PayoutFileId, Path)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = String, content_type = "application/xml")))]
#[get("/api/v1/payout-files/{id}/document")]
async fn document(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManagePayouts>, Id<PayoutFileId>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let (file, remittances) = api.payouts.file(staff.scope(), id).await?;
    let xml = posx_bankfile::pain001(&file, &remittances)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/xml"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.xml\"")))
        .body(xml))
}
