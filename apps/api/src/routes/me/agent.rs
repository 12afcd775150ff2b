//! What the caller sees of themselves as an agent.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_commissions::{AgentFigures, AgentView, CustomerView, StatementView, TreeNode};
use posx_kernel::Page;
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedMember, Guarded, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::routes::PageQuery;
use crate::routes::agents::statements::{Listing, statements_of};
use crate::routes::agents::{TreeListing, customers_of, figures_of, known, tree_of};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(dashboard)
        .service(tree)
        .service(customers)
        .service(statements);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Dashboard {
    pub agent: AgentView,
    pub figures: AgentFigures,
}

/// The caller's profile as an agent, customers, sales, commissions, balances.
#[utoipa::path(tag = "me", operation_id = "get_my_agent", extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = Dashboard)))]
#[get("/api/v1/me/agent")]
async fn dashboard(api: Api, me: AllowedMember<can::Buy>) -> Result<Answer<Dashboard>, ApiError> {
    Ok(Answer(Dashboard {
        agent: known(&api, me.scope(), me.party()).await?,
        figures: figures_of(&api, me.site(), me.scope(), me.party()).await?,
    }))
}

/// Who stands below the caller, level by level.
#[utoipa::path(tag = "me", operation_id = "list_my_tree", params(TreeListing),
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 200, body = Page<TreeNode>)))]
#[get("/api/v1/me/agent/tree")]
async fn tree(
    api: Api,
    Guarded(me, Query(query)): Guarded<AllowedMember<can::Buy>, Query<TreeListing>>,
) -> Result<Answer<Page<TreeNode>>, ApiError> {
    tree_of(&api, me.scope(), me.party(), &query).await
}

/// Who stands directly below the caller, newest party first, and what they bought since.
#[utoipa::path(tag = "me", operation_id = "list_my_customers", params(PageQuery),
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 200, body = Page<CustomerView>)))]
#[get("/api/v1/me/agent/customers")]
async fn customers(
    api: Api,
    Guarded(me, Query(query)): Guarded<AllowedMember<can::Buy>, Query<PageQuery>>,
) -> Result<Answer<Page<CustomerView>>, ApiError> {
    customers_of(&api, me.scope(), me.party(), &query).await
}

/// The caller's statements, newest first.
#[utoipa::path(tag = "me", operation_id = "list_my_statements", params(Listing),
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 200, body = Page<StatementView>)))]
#[get("/api/v1/me/agent/statements")]
async fn statements(
    api: Api,
    Guarded(me, Query(query)): Guarded<AllowedMember<can::Buy>, Query<Listing>>,
) -> Result<Answer<Page<StatementView>>, ApiError> {
    statements_of(&api, me.scope(), me.party(), &query).await
}
