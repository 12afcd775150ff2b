//! Why an agent got nothing of an order: asked by staff about anybody, by an agent about themselves.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_commissions::{AncestorAt, OrderShares, WhyNot, WhyNotEntry, why_not};
use posx_kernel::{OrderId, PageRequest, PartyId, SiteScope};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Allowed, Guarded, Id, PathId as _, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(ask);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Question {
    limit: Option<u16>,
    /// `next` of the page before: the level after which this one begins.
    after: Option<u16>,
    /// Only about this one. Who may not read commissions is answered about themselves.
    agent: Option<PartyId>,
}

/// What each one above the order's buyer got, up to the top, and why. Not who the buyer is.
#[utoipa::path(tag = "commissions", operation_id = "explain_why_not", params(("id" = OrderId, Path), Question),
    extensions(("x-capability" = json!(can::SeeCommissions::names()))), responses((status = 200, body = WhyNot)))]
#[get("/api/v1/orders/{id}/commissions/why-not")]
async fn ask(
    api: Api,
    Guarded(member, (Id(id), Query(query))): Guarded<
        Allowed<can::SeeCommissions>,
        (Id<OrderId>, Query<Question>),
    >,
) -> Result<Answer<WhyNot>, ApiError> {
    let own = member.only_own_without(Capability::CommissionsRead)?;
    if own.is_some() && query.agent.is_some() && query.agent != own {
        return Err(OrderId::not_found());
    }
    let shares = api.commission_queries.shares(member.scope(), id).await?;
    let shares = shares.ok_or_else(OrderId::not_found)?;
    let answer = match own.or(query.agent) {
        Some(agent) => {
            let above = above(&api, member.scope(), &shares, Some(agent), 0, 1).await?;
            if above.is_empty() && own.is_some() {
                // Whose order it is, is not theirs to know.
                return Err(OrderId::not_found());
            }
            about(&shares, agent, &above)
        }
        None => everybody(&api, member.scope(), &shares, &query).await?,
    };
    Ok(Answer(answer))
}

fn about(shares: &OrderShares, agent: PartyId, above: &[AncestorAt]) -> WhyNot {
    let mut items = why_not(shares, above);
    if items.is_empty() {
        items.push(WhyNotEntry::of_a_stranger(shares, agent));
    }
    answer(shares, items, None)
}

async fn everybody(
    api: &Api,
    scope: &SiteScope,
    shares: &OrderShares,
    query: &Question,
) -> Result<WhyNot, ApiError> {
    let limit = PageRequest::new(query.limit, None).limit();
    let after = u32::from(query.after.unwrap_or(0));
    let mut found = above(api, scope, shares, None, after, limit + 1).await?;
    let more = found.len() > usize::from(limit);
    found.truncate(usize::from(limit));
    let next = found.last().filter(|_| more).map(|last| last.level);
    Ok(answer(shares, why_not(shares, &found), next))
}

async fn above(
    api: &Api,
    scope: &SiteScope,
    shares: &OrderShares,
    only: Option<PartyId>,
    after: u32,
    limit: u16,
) -> Result<Vec<AncestorAt>, ApiError> {
    let asked = api
        .agent_queries
        .ancestors_of_order(scope, shares.order, shares.paid_at, only, after, limit);
    Ok(asked.await?)
}

fn answer(shares: &OrderShares, items: Vec<WhyNotEntry>, next: Option<u32>) -> WhyNot {
    WhyNot {
        order: shares.order,
        order_number: shares.number.clone(),
        total: shares.total,
        items,
        next,
    }
}
