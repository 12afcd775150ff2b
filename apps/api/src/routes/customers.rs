//! Customers: parties with a record, with or without a login.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::{Page, PartyId, SiteScope};
use posx_tenancy::{CustomerError, CustomerView, NewCustomer};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page};
use crate::extract::{Allowed, Guarded, Id, Idempotent, Policy as _, Query, can, created};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(register).service(get_customer);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCustomer)]
struct NewCustomerBody {
    /// 1 to 200 characters.
    name: String,
    /// With its country's letters in front. One customer has it.
    tax_number: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// Two letters (ISO 3166).
    country: Option<String>,
    address: Option<String>,
}

/// Newest first.
#[utoipa::path(tag = "customers", operation_id = "list_customers", params(PageQuery),
    extensions(("x-capability" = json!(can::ReadOrders::names()))),
    responses((status = 200, body = Page<CustomerView>)))]
#[get("/api/v1/customers")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadOrders>, Query<PageQuery>>,
) -> Result<Answer<Page<CustomerView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.customer_queries.list(staff.scope(), page).await?))
}

#[utoipa::path(tag = "customers", operation_id = "get_customer", params(("id" = PartyId, Path)),
    extensions(("x-capability" = json!(can::ReadOrders::names()))),
    responses((status = 200, body = CustomerView)))]
#[get("/api/v1/customers/{id}")]
async fn get_customer(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadOrders>, Id<PartyId>>,
) -> Result<Answer<CustomerView>, ApiError> {
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Makes a party without a login, with this record.
#[utoipa::path(tag = "customers", operation_id = "register_customer", request_body = NewCustomerBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageOrders::names()))),
    responses((status = 201, body = CustomerView, headers(("Location" = String))),
        (status = 409, description = "A customer has this tax number, or the first request with this key still runs.")))]
#[post("/api/v1/customers")]
async fn register(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManageOrders>, Idempotent<NewCustomerBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/customers", api.clock.now());
    let body = request.body;
    let wish = NewCustomer {
        name: body.name,
        tax_number: body.tax_number,
        email: body.email,
        phone: body.phone,
        country: body.country,
        address: body.address,
    };
    let made = api
        .customers
        .register(staff.scope(), staff.site(), wish, Some(&call))
        .await?;
    Ok(created(&made)
        .insert_header(("location", format!("/api/v1/customers/{}", made.id)))
        .json(view(&api, staff.scope(), made.id).await?))
}

async fn view(api: &Api, scope: &SiteScope, id: PartyId) -> Result<CustomerView, ApiError> {
    let customer = api.customer_queries.get(scope, id).await?;
    Ok(customer.ok_or(CustomerError::NotFound)?)
}
