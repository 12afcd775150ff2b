//! A plan tried out on the past.

use actix_web::web::Bytes;
use actix_web::{HttpResponse, post};
use chrono::{DateTime, Utc};
use futures::stream;
use posx_commissions::{Period, Simulated, SimulatedAgent};
use posx_kernel::{PlanId, StoreError, StoreFault};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Allowed, Guarded, Id, Json, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

/// Agents of one piece of the answer.
const PIECE: usize = 500;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(simulate);
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum SimulationFormat {
    #[default]
    Json,
    /// One line for each agent and currency.
    Csv,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asking {
    #[serde(default)]
    #[param(inline)]
    format: SimulationFormat,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulationBody {
    /// Orders paid from then on.
    from: DateTime<Utc>,
    /// Not at that moment any more; at most 366 days later.
    until: DateTime<Utc>,
}

type Input = (Id<PlanId>, Query<Asking>, Json<SimulationBody>);

/// What each agent would have earned by this version, in force or not, for the orders that were paid in a time, beside what
/// they were given. Writes nothing.
#[utoipa::path(tag = "commission-plans", operation_id = "simulate_commission_plan", request_body = SimulationBody,
    params(("id" = PlanId, Path), Asking), extensions(("x-capability" = json!(can::SeePlans::names()))),
    responses((status = 200, content((Simulated = "application/json"), (String = "text/csv")))))]
#[post("/api/v1/commission-plans/{id}/simulate")]
async fn simulate(
    api: Api,
    Guarded(staff, (Id(id), Query(asking), Json(body))): Guarded<Allowed<can::SeePlans>, Input>,
) -> Result<HttpResponse, ApiError> {
    let period = Period::new(body.from, body.until)?;
    let simulated = api.commission_queries.simulate(staff.scope(), id, period).await?;
    Ok(match asking.format {
        SimulationFormat::Json => HttpResponse::Ok()
            .content_type("application/json")
            .streaming(pieces(json_parts(simulated)?)),
        SimulationFormat::Csv => HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .insert_header((
                "content-disposition",
                "attachment; filename=\"commission-simulation.csv\"",
            ))
            .streaming(pieces(csv_parts(simulated))),
    })
}

/// An answer whose long part is written while it is sent.
struct Parts {
    head: String,
    agents: Vec<SimulatedAgent>,
    line: fn(&SimulatedAgent) -> String,
    between: &'static str,
    tail: &'static str,
}

fn json_parts(mut simulated: Simulated) -> Result<Parts, StoreError> {
    let agents = std::mem::take(&mut simulated.agents);
    let empty =
        serde_json::to_string(&simulated).map_err(|error| StoreError::new(StoreFault::Broken, error))?;
    let head = empty.strip_suffix("]}");
    Ok(Parts {
        head: head
            .ok_or_else(|| StoreError::broken("agents do not come last"))?
            .to_owned(),
        agents,
        line: |agent| serde_json::to_string(agent).unwrap_or_default(),
        between: ",",
        tail: "]}",
    })
}

/// Ids, numbers and codes of currencies: nothing that needs quotes.
fn csv_parts(simulated: Simulated) -> Parts {
    let columns = "agent,currency,simulated,simulated_shares,stored,stored_shares,difference\r\n";
    Parts {
        head: columns.to_owned(),
        agents: simulated.agents,
        line: |agent| {
            format!(
                "{},{},{},{},{},{},{}\r\n",
                agent.agent,
                agent.simulated.currency(),
                agent.simulated.amount(),
                agent.simulated_shares,
                agent.stored.amount(),
                agent.stored_shares,
                agent.difference.amount()
            )
        },
        between: "",
        tail: "",
    }
}

fn pieces(parts: Parts) -> impl stream::Stream<Item = Result<Bytes, StoreError>> {
    let Parts {
        head,
        agents,
        line,
        between,
        tail,
    } = parts;
    let mut written = 0;
    let body = std::iter::from_fn(move || {
        let some = agents.get(written..agents.len().min(written + PIECE))?;
        if some.is_empty() {
            return None;
        }
        let lines: Vec<_> = some.iter().map(line).collect();
        let before = if written == 0 { "" } else { between };
        written += some.len();
        Some(Ok(Bytes::from(format!("{before}{}", lines.join(between)))))
    });
    let ends = [Ok(Bytes::from(head))].into_iter().chain(body);
    stream::iter(ends.chain([Ok(Bytes::from_static(tail.as_bytes()))]))
}
