//! Refunds: staff give money of a sale back, and see what goes back.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::{Cursor, Money, OrderId, Page, RefundId, SiteScope};
use posx_orders::{OrderError, RefundFilter, RefundReason, RefundState, RefundView, RequestRefund, Restock};
use posx_tenancy::{Capability, ReviewedOperation};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::approvals::{Asked, Maker};
use super::{page, whole};
use crate::extract::{Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, Query, can, created};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(refund).service(of_order).service(list);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundBody {
    /// Everything that is left when absent; a multiple of the currency's charge step.
    amount: Option<Money>,
    /// `requested_by_customer`, `duplicate`, `fraudulent` or `other`.
    reason: RefundReason,
    /// Staff's own words, 1 to 500 characters; `other` needs them. Nobody's personal data.
    note: Option<String>,
    /// What becomes of tokens that are not delivered; `undelivered` unless said.
    #[serde(default = "undelivered")]
    #[schema(default = "undelivered")]
    restock: Restock,
}

const fn undelivered() -> Restock {
    Restock::Undelivered
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
    state: Option<RefundState>,
}

/// Gives money of the sale back, before or after shares and delivery. It is sent to the provider a moment later; `state` says
/// how it fares. Repeated under its key, it answers with the refund as it stands then.
#[utoipa::path(tag = "refunds", operation_id = "refund_order", request_body = RefundBody,
    params(("id" = OrderId, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::RefundOrders::names()))),
    responses((status = 201, body = RefundView),
        (status = 409, description = "Less is left than was asked for, the payment is disputed, or a second person must agree.")))]
#[post("/api/v1/orders/{id}/refunds")]
async fn refund(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::RefundOrders>,
        (Id<OrderId>, Idempotent<RefundBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let operation = "POST /api/v1/orders/{id}/refunds";
    let call = request.call(staff.who(), operation, api.clock.now());
    let body = &request.body;
    let left = api.orders.refundable(staff.scope(), id).await?;
    let wish = RequestRefund {
        order: id,
        amount: body.amount,
        at_most: body.amount.unwrap_or(left),
        reason: body.reason,
        note: body.note.clone(),
        restock: body.restock,
    };
    let asked = Asked {
        operation: ReviewedOperation::Refund,
        quantity: wish.at_most.minor(),
    };
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            api.orders.request_refund(staff.scope(), &wish, Some(call)).await
        })
        .await?;
    Ok(created(&made).json(view(&api, staff.scope(), made.id).await?))
}

/// What of an order went back or is on its way back, oldest first: of one's own order, or of any with `orders:read`.
#[utoipa::path(tag = "refunds", operation_id = "list_order_refunds", params(("id" = OrderId, Path)),
    extensions(("x-capability" = json!(can::SeeOrders::names()))), responses((status = 200, body = Page<RefundView>)))]
#[get("/api/v1/orders/{id}/refunds")]
async fn of_order(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeOrders>, Id<OrderId>>,
) -> Result<Answer<Page<RefundView>>, ApiError> {
    let buyer = member.only_own_without(Capability::OrdersRead)?;
    let order = api.order_queries.get(member.scope(), id, buyer).await?;
    Ok(Answer(whole(order.ok_or(OrderError::NotFound)?.refunds)))
}

/// The site's refunds, newest first: those of staff, those that POSX owes by itself, those made at the provider.
#[utoipa::path(tag = "refunds", operation_id = "list_refunds", params(Listing),
    extensions(("x-capability" = json!(can::ReadOrders::names()))), responses((status = 200, body = Page<RefundView>)))]
#[get("/api/v1/refunds")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadOrders>, Query<Listing>>,
) -> Result<Answer<Page<RefundView>>, ApiError> {
    let filter = RefundFilter {
        state: query.state,
        ..RefundFilter::default()
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.order_queries.refunds(staff.scope(), filter, page).await?,
    ))
}

async fn view(api: &Api, scope: &SiteScope, id: RefundId) -> Result<RefundView, ApiError> {
    let filter = RefundFilter {
        id: Some(id),
        ..RefundFilter::default()
    };
    let found = api
        .order_queries
        .refunds(scope, filter, page(Some(1), None))
        .await?;
    let mut found = found.items.into_iter();
    Ok(found.next().ok_or(OrderError::RefundNotFound)?)
}
