//! Orders: preview, place, read, cancel, pay.

mod body;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_commissions::OrderExplanation;
use posx_kernel::{OrderId, Page, PartyId, StoredAnswer};
use posx_orders::{
    OrderError, OrderFilter, OrderSummary, OrderView, PlaceOrder, Placed, PromoView, Quote, QuoteView,
};
use posx_tenancy::Capability;
use utoipa_actix_web::service_config::ServiceConfig;

use self::body::{CheckoutView, Listing, OrderBody, PlacedOrderView, PreviewBody, check_currency};
pub use self::body::{LineBody, wished};
use super::{bytes, page};
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IdempotentPath, Json, Policy as _, Query, REPLAYED,
    SiteCaller, can,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(place)
        .service(list)
        .service(preview)
        .service(get_order)
        .service(cancel);
    config.service(checkout).service(explain_commissions);
}

/// What the lines cost now. Reserves nothing.
#[utoipa::path(tag = "orders", operation_id = "preview_order", request_body = PreviewBody,
    extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = QuoteView), (status = 409, description = "Not enough is left.")))]
#[post("/api/v1/orders/preview")]
async fn preview(
    api: Api,
    Guarded(buyer, Json(body)): Guarded<AllowedMember<can::Buy>, Json<PreviewBody>>,
) -> Result<Answer<QuoteView>, ApiError> {
    check_currency(body.currency, buyer.site())?;
    let lines = wished(body.lines);
    let quote = api
        .orders
        .preview(
            buyer.scope(),
            buyer.site(),
            buyer.party(),
            &lines,
            body.promo_code.as_deref(),
        )
        .await?;
    Ok(Answer(QuoteView::of(&quote)))
}

/// Reserves the stock and places the order, once per key. Repeated, it answers with the very bytes of the first answer and
/// `Idempotent-Replayed: true`. A referral code that is unknown does not block: `referral` says what became of it. So it is with a
/// promo code, and `promo`, unless it is required.
#[utoipa::path(tag = "orders", operation_id = "place_order", request_body = OrderBody,
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters.")),
    extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 201, body = PlacedOrderView), (status = 409, description = "Sold out, over the buyer's limit, or the first request still runs.")))]
#[post("/api/v1/orders")]
async fn place(
    api: Api,
    Guarded(buyer, request): Guarded<AllowedMember<can::Buy>, Idempotent<OrderBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(buyer.who(), "POST /api/v1/orders", api.clock.now());
    let body = request.body;
    check_currency(body.currency, buyer.site())?;
    let typed = body.referral_code.as_deref();
    let (referral, referrer) = api
        .tenancy
        .referrer(buyer.scope(), buyer.site(), buyer.party(), typed)
        .await?;
    let wish = PlaceOrder {
        site: buyer.site(),
        buyer: buyer.party(),
        promo: body.promo(),
        lines: wished(body.lines),
        wallet_address: body.wallet_address,
        referrer,
        call: Some(call),
    };
    let render = |order: &posx_orders::Order, quote: &Quote| StoredAnswer {
        status: 201,
        body: bytes(&PlacedOrderView {
            order: OrderView::of(order, Vec::new()),
            referral,
            promo: PromoView::of(quote),
        }),
    };
    let placed = api.orders.place(buyer.scope(), &wish, &render).await?;
    let mut response = HttpResponse::Created();
    let body = match placed {
        Placed::New { order, answer } => {
            response.insert_header(("location", format!("/api/v1/orders/{}", order.id)));
            answer.body
        }
        Placed::Replayed(answer) => {
            response.insert_header(REPLAYED);
            answer.body
        }
    };
    Ok(response.content_type("application/json").body(body))
}

/// The caller's own orders, newest first; with `all=true` the site's, which needs `orders:read`.
#[utoipa::path(tag = "orders", operation_id = "list_orders", params(Listing),
    extensions(("x-capability" = json!(can::SeeOrders::names()))), responses((status = 200, body = Page<OrderSummary>)))]
#[get("/api/v1/orders")]
async fn list(
    api: Api,
    Guarded(member, Query(query)): Guarded<Allowed<can::SeeOrders>, Query<Listing>>,
) -> Result<Answer<Page<OrderSummary>>, ApiError> {
    let filter = OrderFilter {
        buyer: member.own_or_all(query.all, Capability::OrdersRead)?,
        lifecycle: query.lifecycle,
        payment: query.payment,
        attention: query.attention,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.order_queries.list(member.scope(), filter, page).await?,
    ))
}

/// An order with its lines and history: one's own, or any with `orders:read`.
#[utoipa::path(tag = "orders", operation_id = "get_order", params(("id" = OrderId, Path)),
    extensions(("x-capability" = json!(can::SeeOrders::names()))), responses((status = 200, body = OrderView)))]
#[get("/api/v1/orders/{id}")]
async fn get_order(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeOrders>, Id<OrderId>>,
) -> Result<Answer<OrderView>, ApiError> {
    show(
        &api,
        &member,
        id,
        member.only_own_without(Capability::OrdersRead)?,
    )
    .await
}

/// Cancels a placed order: one's own, or any with `orders:manage`. Cancelling again changes nothing.
#[utoipa::path(tag = "orders", operation_id = "cancel_order", params(("id" = OrderId, Path)),
    extensions(("x-capability" = json!(can::CancelOrders::names()))),
    responses((status = 200, body = OrderView), (status = 409, description = "It is not placed any more, or money is on its way.")))]
#[post("/api/v1/orders/{id}/cancel")]
async fn cancel(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::CancelOrders>, Id<OrderId>>,
) -> Result<Answer<OrderView>, ApiError> {
    let buyer = member.only_own_without(Capability::OrdersManage)?;
    api.orders.cancel(member.scope(), id, buyer).await?;
    show(&api, &member, id, buyer).await
}

/// Opens the payment of one's own placed order, or returns the one that is open.
#[utoipa::path(tag = "orders", operation_id = "checkout_order",
    params(("id" = OrderId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = CheckoutView), (status = 409, description = "The order is not placed any more."),
        (status = 422, description = "The key was used for another request, or the provider refused.")))]
#[post("/api/v1/orders/{id}/checkout")]
async fn checkout(
    api: Api,
    Guarded(buyer, (Id(id), request)): Guarded<AllowedMember<can::Buy>, (Id<OrderId>, IdempotentPath)>,
) -> Result<Answer<CheckoutView>, ApiError> {
    let call = request.call(buyer.who(), "POST /api/v1/orders/{id}/checkout", api.clock.now());
    let checkout = api
        .orders
        .checkout(buyer.scope(), buyer.party(), id, &call)
        .await?;
    Ok(Answer(CheckoutView::of(checkout)))
}

/// Each ancestor of the buyer, with what they got of this order and why, or why nothing.
#[utoipa::path(tag = "commissions", operation_id = "explain_order_commissions", params(("id" = OrderId, Path)),
    extensions(("x-capability" = json!(can::ReadCommissions::names()))),
    responses((status = 200, body = OrderExplanation)))]
#[get("/api/v1/orders/{id}/commissions/explain")]
async fn explain_commissions(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadCommissions>, Id<OrderId>>,
) -> Result<Answer<OrderExplanation>, ApiError> {
    let explained = api.commission_queries.explain_order(staff.scope(), id).await?;
    Ok(Answer(explained.ok_or(OrderError::NotFound)?))
}

async fn show(
    api: &Api,
    member: &SiteCaller,
    id: OrderId,
    buyer: Option<PartyId>,
) -> Result<Answer<OrderView>, ApiError> {
    let order = api.order_queries.get(member.scope(), id, buyer).await?;
    Ok(Answer(order.ok_or(OrderError::NotFound)?))
}
