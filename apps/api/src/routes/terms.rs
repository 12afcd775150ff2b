//! What holds for one agent in place of what a plan says.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_commissions::{NewTerms, Terms, TermsError, TermsView};
use posx_kernel::{Page, PartyId, StoreError};
use posx_tenancy::ReviewedOperation;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::approvals::{Asked, Maker};
use super::whole;
use crate::extract::{
    AgentParty, Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, can, created,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(record);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TermsBody {
    /// In place of all that held before.
    terms: Terms,
    /// Now or later; absent: from now on.
    effective_from: Option<DateTime<Utc>>,
}

/// What held and what is to hold for the agent, the latest recorded first. In force is what began last.
#[utoipa::path(tag = "agents", operation_id = "list_agent_terms", params(("id" = PartyId, Path)),
    extensions(("x-capability" = json!(can::SeeAgents::names()))), responses((status = 200, body = Page<TermsView>)))]
#[get("/api/v1/agents/{id}/terms")]
async fn list(
    api: Api,
    Guarded(staff, Id(AgentParty(id))): Guarded<Allowed<can::SeeAgents>, Id<AgentParty>>,
) -> Result<Answer<Page<TermsView>>, ApiError> {
    let terms = api.commission_queries.terms(staff.scope(), id).await?;
    Ok(Answer(whole(terms.ok_or(TermsError::NoSuchAgent)?)))
}

/// Orders that are paid from then on are counted with these terms; none before are.
#[utoipa::path(tag = "agents", operation_id = "record_agent_terms", request_body = TermsBody,
    params(("id" = PartyId, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::ManageAgents::names()))),
    responses((status = 201, body = TermsView),
        (status = 409, description = "Someone else records terms of this agent, or a second person must agree.")))]
#[post("/api/v1/agents/{id}/terms")]
async fn record(
    api: Api,
    Guarded(staff, (Id(AgentParty(id)), request)): Guarded<
        AllowedMember<can::ManageAgents>,
        (Id<AgentParty>, Idempotent<TermsBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/agents/{id}/terms", api.clock.now());
    let wish = NewTerms {
        terms: request.body.terms.clone(),
        effective_from: request.body.effective_from,
    };
    let asked = Asked {
        operation: ReviewedOperation::TermsRecording,
        quantity: 1,
    };
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            api.commissions
                .record_terms(staff.scope(), id, wish, Some(call))
                .await
        })
        .await?;
    let terms = api.commission_queries.terms(staff.scope(), id).await?;
    let view = terms
        .unwrap_or_default()
        .into_iter()
        .find(|terms| terms.number == made.id);
    let view = view.ok_or_else(|| StoreError::broken("terms that were recorded are gone"))?;
    Ok(created(&made).json(view))
}
