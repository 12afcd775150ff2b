//! Agents: profiles, the tree, figures. What an agent sees of themselves is under `me`.

pub mod statement_csv;
pub mod statement_pdf;
pub mod statements;
mod why_not;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, put};
use chrono::NaiveDate;
use posx_commissions::{
    AgentEdit, AgentError, AgentFigures, AgentFilter, AgentState, AgentView, Board, CustomerView, Days,
    LeaderRow, Metric, TreeNode,
};
use posx_kernel::{Currency, Cursor, Page, PartyId, SiteScope};
use posx_tenancy::Site;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page, whole};
use crate::extract::{AgentParty, Allowed, Guarded, Id, IfMatch, Json, Policy as _, Query, can, etag};
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

/// A page of a tree reaches no deeper at once.
const DEPTH_MAX: u32 = 100;

pub fn routes(config: &mut ServiceConfig<'_>) {
    // Before the agents' ids, one of which it is not.
    config.service(leaderboard);
    config
        .service(list)
        .service(get_agent)
        .service(edit)
        .service(place)
        .service(tree)
        .service(customers)
        .service(figures);
    statements::routes(config);
    why_not::routes(config);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    state: Option<AgentState>,
    /// How the referral code begins, with the site's prefix or without.
    code: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TreeListing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// How many levels down, 1 to 100; 1 when absent.
    depth: Option<u16>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Boarding {
    /// `sales` when absent.
    #[param(inline)]
    metric: Option<Metric>,
    /// The first day, by the site's time zone; the first of this month when absent.
    from: Option<NaiveDate>,
    /// The last day, which is part of it; today when absent.
    to: Option<NaiveDate>,
    /// The site's when absent.
    currency: Option<String>,
    /// 10 to 100.
    limit: Option<u16>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentBody {
    /// What people call the agent; gone when the person is erased.
    display_name: Option<String>,
    /// A suspended agent earns nothing of what is paid meanwhile.
    state: AgentState,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParentBody {
    /// Who is to stand directly above; null: nobody.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    parent: Option<PartyId>,
}

/// Who brought somebody, or was written about, newest party first.
#[utoipa::path(tag = "agents", operation_id = "list_agents", params(Listing),
    extensions(("x-capability" = json!(can::SeeAgents::names()))), responses((status = 200, body = Page<AgentView>)))]
#[get("/api/v1/agents")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::SeeAgents>, Query<Listing>>,
) -> Result<Answer<Page<AgentView>>, ApiError> {
    let filter = AgentFilter {
        state: query.state,
        code: query.code,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.agent_queries
            .agents(staff.scope(), &filter, api.clock.now(), page)
            .await?,
    ))
}

/// Any party, seen as an agent: each has a referral code, and may bring others.
#[utoipa::path(tag = "agents", operation_id = "get_agent", params(("id" = PartyId, Path)),
    extensions(("x-capability" = json!(can::SeeAgents::names()))),
    responses((status = 200, body = AgentView, headers(("ETag" = String, description = "The version, for If-Match.")))))]
#[get("/api/v1/agents/{id}")]
async fn get_agent(
    api: Api,
    Guarded(staff, Id(AgentParty(id))): Guarded<Allowed<can::SeeAgents>, Id<AgentParty>>,
) -> Result<HttpResponse, ApiError> {
    show(&api, staff.scope(), id).await
}

/// Names the agent, suspends them or lets them earn again.
#[utoipa::path(tag = "agents", operation_id = "edit_agent", request_body = AgentBody,
    params(("id" = PartyId, Path), ("If-Match" = String, Header, description = "The version that was edited.")),
    extensions(("x-capability" = json!(can::ManageAgents::names()))),
    responses((status = 200, body = AgentView), (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/agents/{id}")]
async fn edit(
    api: Api,
    Guarded(staff, (Id(AgentParty(id)), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageAgents>,
        (Id<AgentParty>, IfMatch, Json<AgentBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let terms = AgentEdit {
        display_name: body.display_name,
        state: body.state,
    };
    api.agents.edit(staff.scope(), id, seen, &terms).await?;
    show(&api, staff.scope(), id).await
}

/// Places the agent elsewhere in the tree, with all that is below. It holds for what is paid from now on.
#[utoipa::path(tag = "agents", operation_id = "place_agent", request_body = ParentBody,
    params(("id" = PartyId, Path), ("If-Match" = String, Header, description = "The version that was seen.")),
    extensions(("x-capability" = json!(can::ManageAgents::names()))),
    responses((status = 200, body = AgentView), (status = 409, description = "It would stand above itself."),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/agents/{id}/parent")]
async fn place(
    api: Api,
    Guarded(staff, (Id(AgentParty(id)), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageAgents>,
        (Id<AgentParty>, IfMatch, Json<ParentBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    api.agents.place(staff.scope(), id, seen, body.parent).await?;
    show(&api, staff.scope(), id).await
}

/// Who stands below the agent, level by level.
#[utoipa::path(tag = "agents", operation_id = "list_agent_tree", params(("id" = PartyId, Path), TreeListing),
    extensions(("x-capability" = json!(can::SeeAgents::names()))), responses((status = 200, body = Page<TreeNode>)))]
#[get("/api/v1/agents/{id}/tree")]
async fn tree(
    api: Api,
    Guarded(staff, (Id(AgentParty(id)), Query(query))): Guarded<
        Allowed<can::SeeAgents>,
        (Id<AgentParty>, Query<TreeListing>),
    >,
) -> Result<Answer<Page<TreeNode>>, ApiError> {
    known(&api, staff.scope(), id).await?;
    tree_of(&api, staff.scope(), id, &query).await
}

/// Who stands directly below the agent, newest party first, and what they bought since.
#[utoipa::path(tag = "agents", operation_id = "list_agent_customers", params(("id" = PartyId, Path), PageQuery),
    extensions(("x-capability" = json!(can::SeeAgents::names()))), responses((status = 200, body = Page<CustomerView>)))]
#[get("/api/v1/agents/{id}/customers")]
async fn customers(
    api: Api,
    Guarded(staff, (Id(AgentParty(id)), Query(query))): Guarded<
        Allowed<can::SeeAgents>,
        (Id<AgentParty>, Query<PageQuery>),
    >,
) -> Result<Answer<Page<CustomerView>>, ApiError> {
    known(&api, staff.scope(), id).await?;
    customers_of(&api, staff.scope(), id, &query).await
}

/// Customers, sales, commissions by state, balances; and this month, by the site's time zone.
#[utoipa::path(tag = "agents", operation_id = "get_agent_figures", params(("id" = PartyId, Path)),
    extensions(("x-capability" = json!(can::SeeAgents::names()))), responses((status = 200, body = AgentFigures)))]
#[get("/api/v1/agents/{id}/figures")]
async fn figures(
    api: Api,
    Guarded(staff, Id(AgentParty(id))): Guarded<Allowed<can::SeeAgents>, Id<AgentParty>>,
) -> Result<Answer<AgentFigures>, ApiError> {
    known(&api, staff.scope(), id).await?;
    Ok(Answer(figures_of(&api, staff.site(), staff.scope(), id).await?))
}

/// The agents that did best in some days of the site's time zone.
#[utoipa::path(tag = "agents", operation_id = "list_agent_leaders", params(Boarding),
    extensions(("x-capability" = json!(can::SeeAgents::names()))), responses((status = 200, body = Page<LeaderRow>)))]
#[get("/api/v1/agent-leaderboard")]
async fn leaderboard(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::SeeAgents>, Query<Boarding>>,
) -> Result<Answer<Page<LeaderRow>>, ApiError> {
    let invalid = |message: &str| EdgeError::QueryInvalid {
        message: message.to_owned(),
    };
    let site = staff.site();
    let this_month = Days::this_month(api.clock.now(), site.time_zone);
    let days = Days {
        first: query.from.unwrap_or(this_month.first),
        last: query.to.unwrap_or(this_month.last),
    };
    let currency = match query.currency.as_deref() {
        None => site.currency,
        Some(code) => Currency::from_code(code).ok_or_else(|| invalid("currency: unknown"))?,
    };
    let board = Board {
        metric: query.metric.unwrap_or(Metric::Sales),
        span: days
            .span(site.time_zone)
            .ok_or_else(|| invalid("from is a day that is not after to"))?,
        currency,
        limit: query.limit.unwrap_or(10).clamp(10, 100),
    };
    Ok(Answer(whole(
        api.agent_queries.leaderboard(staff.scope(), board).await?,
    )))
}

pub async fn tree_of(
    api: &Api,
    scope: &SiteScope,
    id: PartyId,
    query: &TreeListing,
) -> Result<Answer<Page<TreeNode>>, ApiError> {
    let depth = u32::from(query.depth.unwrap_or(1)).clamp(1, DEPTH_MAX);
    let page = page(query.limit, query.after);
    Ok(Answer(api.agent_queries.tree(scope, id, depth, page).await?))
}

pub async fn customers_of(
    api: &Api,
    scope: &SiteScope,
    id: PartyId,
    query: &PageQuery,
) -> Result<Answer<Page<CustomerView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.agent_queries.customers(scope, id, page).await?))
}

pub async fn figures_of(
    api: &Api,
    site: &Site,
    scope: &SiteScope,
    id: PartyId,
) -> Result<AgentFigures, ApiError> {
    let days = Days::this_month(api.clock.now(), site.time_zone);
    let month = days
        .span(site.time_zone)
        .ok_or_else(|| posx_kernel::StoreError::broken("a clock beyond the calendar"))?;
    Ok(api.agent_queries.figures(scope, id, month, days.first).await?)
}

pub async fn known(api: &Api, scope: &SiteScope, id: PartyId) -> Result<AgentView, ApiError> {
    Ok(api
        .agent_queries
        .agent(scope, id, api.clock.now())
        .await?
        .ok_or(AgentError::NotFound)?)
}

async fn show(api: &Api, scope: &SiteScope, id: PartyId) -> Result<HttpResponse, ApiError> {
    let view = known(api, scope, id).await?;
    Ok(HttpResponse::Ok().insert_header(etag(view.version)).json(view))
}
