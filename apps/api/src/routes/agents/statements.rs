//! Monthly statements of agents' accounts.

use actix_web::http::header;
use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_commissions::{Month, StatementLine, StatementView};
use posx_kernel::{Cursor, EntryId, Page, PageRequest, PartyId, SiteScope, StatementId};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{known, statement_csv, statement_pdf};
use crate::extract::{
    AgentParty, Allowed, Guarded, Id, Idempotent, PathId as _, Policy as _, Query, SiteCaller, can,
};
use crate::problem::ApiError;
use crate::routes::{PageQuery, page};
use crate::state::Api;

/// Lines of one read of the database.
const LINES_STEP: u32 = 1000;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(make);
    config
        .service(get_statement)
        .service(lines)
        .service(as_csv)
        .service(as_pdf);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// Only of this one.
    #[param(value_type = Option<String>, example = "2026-10")]
    month: Option<Month>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MonthBody {
    /// One that is over, by the site's time zone.
    month: Month,
}

/// The agent's statements, newest first.
#[utoipa::path(tag = "agents", operation_id = "list_agent_statements", params(("id" = PartyId, Path), Listing),
    extensions(("x-capability" = json!(can::SeeAgents::names()))), responses((status = 200, body = Page<StatementView>)))]
#[get("/api/v1/agents/{id}/statements")]
async fn list(
    api: Api,
    Guarded(staff, (Id(AgentParty(id)), Query(query))): Guarded<
        Allowed<can::SeeAgents>,
        (Id<AgentParty>, Query<Listing>),
    >,
) -> Result<Answer<Page<StatementView>>, ApiError> {
    known(&api, staff.scope(), id).await?;
    statements_of(&api, staff.scope(), id, &query).await
}

pub async fn statements_of(
    api: &Api,
    scope: &SiteScope,
    agent: PartyId,
    query: &Listing,
) -> Result<Answer<Page<StatementView>>, ApiError> {
    let page = page(query.limit, query.after);
    let found = api.agent_queries.statements(scope, agent, query.month, page);
    Ok(Answer(found.await?))
}

/// Makes the agent's statements up to a month that is over, without waiting for the night in which they are made for all.
/// Shows those of the month: one for each currency that the agent has an account in.
#[utoipa::path(tag = "agents", operation_id = "make_agent_statements", request_body = MonthBody,
    params(("id" = PartyId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageAgents::names()))),
    responses((status = 200, body = Page<StatementView>), (status = 422, description = "The month is not over.")))]
#[post("/api/v1/agents/{id}/statements")]
async fn make(
    api: Api,
    Guarded(staff, (Id(AgentParty(id)), request)): Guarded<
        Allowed<can::ManageAgents>,
        (Id<AgentParty>, Idempotent<MonthBody>),
    >,
) -> Result<Answer<Page<StatementView>>, ApiError> {
    let operation = "POST /api/v1/agents/{id}/statements";
    let call = request.call(staff.who(), operation, api.clock.now());
    let (scope, zone, month) = (staff.scope(), staff.site().time_zone, request.body.month);
    api.agents
        .make_statements_of(scope, zone, month, id, Some(&call))
        .await?;
    let page = PageRequest::new(Some(PageRequest::LIMIT_MAX), None);
    Ok(Answer(
        api.agent_queries.statements(scope, id, Some(month), page).await?,
    ))
}

/// An agent sees their own.
#[utoipa::path(tag = "agents", operation_id = "get_agent_statement", params(("id" = StatementId, Path)),
    extensions(("x-capability" = json!(can::SeeStatements::names()))), responses((status = 200, body = StatementView)))]
#[get("/api/v1/agent-statements/{id}")]
async fn get_statement(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeStatements>, Id<StatementId>>,
) -> Result<Answer<StatementView>, ApiError> {
    Ok(Answer(find(&api, &member, id).await?))
}

/// What came and went, oldest first, each with its cause.
#[utoipa::path(tag = "agents", operation_id = "list_agent_statement_lines", params(("id" = StatementId, Path), PageQuery),
    extensions(("x-capability" = json!(can::SeeStatements::names()))),
    responses((status = 200, body = Page<StatementLine>)))]
#[get("/api/v1/agent-statements/{id}/lines")]
async fn lines(
    api: Api,
    Guarded(member, (Id(id), Query(query))): Guarded<
        Allowed<can::SeeStatements>,
        (Id<StatementId>, Query<PageQuery>),
    >,
) -> Result<Answer<Page<StatementLine>>, ApiError> {
    let statement = find(&api, &member, id).await?;
    let page = page(query.limit, query.after);
    let after = page.after_id().map(EntryId::from_uuid);
    let found = api
        .agent_queries
        .statement_lines(member.scope(), &statement, after, u32::from(page.limit()) + 1)
        .await?;
    Ok(Answer(Page::from_rows(found, page, |line| line.entry.as_uuid())))
}

/// For a spreadsheet: opening, lines with the balance after each, closing.
#[utoipa::path(tag = "agents", operation_id = "export_agent_statement_csv", params(("id" = StatementId, Path)),
    extensions(("x-capability" = json!(can::SeeStatements::names()))),
    responses((status = 200, body = String, content_type = "text/csv")))]
#[get("/api/v1/agent-statements/{id}/csv")]
async fn as_csv(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeStatements>, Id<StatementId>>,
) -> Result<HttpResponse, ApiError> {
    let statement = find(&api, &member, id).await?;
    let posted = all_lines(&api, member.scope(), &statement).await?;
    let written = statement_csv::write(&statement, &posted)?;
    Ok(file("text/csv; charset=utf-8", &statement, "csv", written))
}

/// To print. It names nobody: the referral code says whose it is.
#[utoipa::path(tag = "agents", operation_id = "export_agent_statement_pdf", params(("id" = StatementId, Path)),
    extensions(("x-capability" = json!(can::SeeStatements::names()))),
    responses((status = 200, body = String, content_type = "application/pdf")))]
#[get("/api/v1/agent-statements/{id}/pdf")]
async fn as_pdf(
    api: Api,
    Guarded(member, Id(id)): Guarded<Allowed<can::SeeStatements>, Id<StatementId>>,
) -> Result<HttpResponse, ApiError> {
    let statement = find(&api, &member, id).await?;
    let posted = all_lines(&api, member.scope(), &statement).await?;
    let written = statement_pdf::write(member.site().code.as_str(), &statement, &posted)?;
    Ok(file("application/pdf", &statement, "pdf", written))
}

/// Somebody else's is not found.
async fn find(api: &Api, member: &SiteCaller, id: StatementId) -> Result<StatementView, ApiError> {
    let only = member.only_own_without(Capability::AgentsRead)?;
    let found = api.agent_queries.statement(member.scope(), id, only).await?;
    found.ok_or_else(StatementId::not_found)
}

async fn all_lines(
    api: &Api,
    scope: &SiteScope,
    statement: &StatementView,
) -> Result<Vec<StatementLine>, ApiError> {
    let mut all: Vec<StatementLine> = Vec::new();
    loop {
        let after = all.last().map(|line| line.entry);
        let more = api
            .agent_queries
            .statement_lines(scope, statement, after, LINES_STEP)
            .await?;
        let step = more.len();
        all.extend(more);
        if step < LINES_STEP as usize {
            return Ok(all);
        }
    }
}

fn file(content_type: &str, statement: &StatementView, suffix: &str, bytes: Vec<u8>) -> HttpResponse {
    let (code, month, currency) = (
        &statement.referral_code,
        statement.month,
        statement.closing.currency(),
    );
    let name = format!("attachment; filename=\"statement-{code}-{month}-{currency}.{suffix}\"");
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(bytes)
}
