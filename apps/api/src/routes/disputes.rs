//! Disputes, as the provider says they stand. Evidence is given at the provider.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_kernel::{Cursor, DisputeId, OrderId, Page};
use posx_orders::{DisputeFilter, DisputeState, DisputeView, OrderError};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::page;
use crate::extract::{Allowed, Guarded, Id, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_dispute);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// 1 to 100, else 25.
    limit: Option<u16>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    state: Option<DisputeState>,
    #[param(value_type = Option<String>)]
    order_id: Option<OrderId>,
}

/// The site's disputes, newest first, inquiries among them.
#[utoipa::path(tag = "disputes", operation_id = "list_disputes", params(Listing),
    extensions(("x-capability" = json!(can::ReadOrders::names()))), responses((status = 200, body = Page<DisputeView>)))]
#[get("/api/v1/disputes")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadOrders>, Query<Listing>>,
) -> Result<Answer<Page<DisputeView>>, ApiError> {
    let filter = DisputeFilter {
        order: query.order_id,
        state: query.state,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.order_queries.disputes(staff.scope(), filter, page).await?,
    ))
}

#[utoipa::path(tag = "disputes", operation_id = "get_dispute", params(("id" = DisputeId, Path)),
    extensions(("x-capability" = json!(can::ReadOrders::names()))), responses((status = 200, body = DisputeView)))]
#[get("/api/v1/disputes/{id}")]
async fn get_dispute(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadOrders>, Id<DisputeId>>,
) -> Result<Answer<DisputeView>, ApiError> {
    let found = api.order_queries.dispute(staff.scope(), id).await?;
    Ok(Answer(found.ok_or(OrderError::DisputeNotFound)?))
}
