//! Commissions: an agent's own, or all of the site's for staff.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_commissions::{
    AdjustmentView, CommissionExplanation, CommissionFilter, CommissionState, CommissionView,
};
use posx_kernel::{CommissionId, Cursor, OrderId, Page};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page};
use crate::extract::{Allowed, Guarded, Id, PathId as _, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list)
        .service(get_commission)
        .service(explain)
        .service(adjustments);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// Everybody's; needs `commissions:read`.
    #[serde(default)]
    all: bool,
    state: Option<CommissionState>,
    order: Option<OrderId>,
}

/// What the caller earns as an agent, newest first; with `all=true` everybody's.
#[utoipa::path(tag = "commissions", operation_id = "list_commissions", params(Listing),
    extensions(("x-capability" = json!(can::SeeCommissions::names()))),
    responses((status = 200, body = Page<CommissionView>)))]
#[get("/api/v1/commissions")]
async fn list(
    api: Api,
    Guarded(member, Query(query)): Guarded<Allowed<can::SeeCommissions>, Query<Listing>>,
) -> Result<Answer<Page<CommissionView>>, ApiError> {
    let filter = CommissionFilter {
        state: query.state,
        agent: member.own_or_all(query.all, Capability::CommissionsRead)?,
        order: query.order,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.commission_queries
            .commissions(member.scope(), &filter, page)
            .await?,
    ))
}

#[utoipa::path(tag = "commissions", operation_id = "get_commission", params(("id" = CommissionId, Path)),
    extensions(("x-capability" = json!(can::SeeCommissions::names()))),
    responses((status = 200, body = CommissionView)))]
#[get("/api/v1/commissions/{id}")]
async fn get_commission(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeCommissions>, Id<CommissionId>>,
) -> Result<Answer<CommissionView>, ApiError> {
    let only = member.only_own_without(Capability::CommissionsRead)?;
    let found = api
        .commission_queries
        .commission(member.scope(), id, only)
        .await?;
    Ok(Answer(found.ok_or_else(CommissionId::not_found)?))
}

/// How the commission came to its amount, step by step.
#[utoipa::path(tag = "commissions", operation_id = "explain_commission", params(("id" = CommissionId, Path)),
    extensions(("x-capability" = json!(can::SeeCommissions::names()))),
    responses((status = 200, body = CommissionExplanation)))]
#[get("/api/v1/commissions/{id}/explain")]
async fn explain(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeCommissions>, Id<CommissionId>>,
) -> Result<Answer<CommissionExplanation>, ApiError> {
    let only = member.only_own_without(Capability::CommissionsRead)?;
    let found = api.commission_queries.explain(member.scope(), id, only).await?;
    Ok(Answer(found.ok_or_else(CommissionId::not_found)?))
}

/// What refunds and disputes took back of the commission and gave back, newest first.
#[utoipa::path(tag = "commissions", operation_id = "list_commission_adjustments",
    params(("id" = CommissionId, Path), PageQuery),
    extensions(("x-capability" = json!(can::SeeCommissions::names()))),
    responses((status = 200, body = Page<AdjustmentView>)))]
#[get("/api/v1/commissions/{id}/adjustments")]
async fn adjustments(
    api: Api,
    Guarded(member, (Id(id), Query(query))): Guarded<
        Allowed<can::SeeCommissions>,
        (Id<CommissionId>, Query<PageQuery>),
    >,
) -> Result<Answer<Page<AdjustmentView>>, ApiError> {
    let only = member.only_own_without(Capability::CommissionsRead)?;
    let page = page(query.limit, query.after);
    let found = api
        .commission_queries
        .adjustments(member.scope(), id, only, page)
        .await?;
    Ok(Answer(found.ok_or_else(CommissionId::not_found)?))
}
