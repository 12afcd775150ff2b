//! What machines ask about this process. Names and ok or failed, nothing else.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(health).service(ready).service(version);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    Failed,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Alive {
    status: Outcome,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Check {
    name: String,
    status: Outcome,
    /// Of a key set: how long ago it was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<i64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Readiness {
    status: Outcome,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Version {
    name: &'static str,
    version: &'static str,
}

impl Check {
    fn new(name: impl Into<String>, passed: bool) -> Self {
        let status = if passed { Outcome::Ok } else { Outcome::Failed };
        Self {
            name: name.into(),
            status,
            age_s: None,
        }
    }

    const fn passed(&self) -> bool {
        matches!(self.status, Outcome::Ok)
    }
}

/// Alive: the process answers. Asks nothing else.
#[utoipa::path(tag = "operations", operation_id = "health", extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = Alive)))]
#[get("/health")]
async fn health() -> Answer<Alive> {
    Answer(Alive { status: Outcome::Ok })
}

/// Ready for requests: the database and its migrations, the role's posture, Redis if it is configured, the key sets.
#[utoipa::path(tag = "operations", operation_id = "ready", extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
#[get("/ready")]
async fn ready(api: Api) -> HttpResponse {
    let mut checks = Vec::from(database(&api).await);
    if let Some(redis) = &api.redis {
        checks.push(Check::new("redis", redis.ping().await));
    }
    let mut key_sets = api.verifier.health().await;
    key_sets.push(api.fireblocks_webhooks.health().await);
    checks.extend(key_sets.into_iter().map(|keys| Check {
        age_s: keys.age.map(|age| age.num_seconds()),
        ..Check::new(format!("keys {}", keys.name), keys.usable)
    }));
    if checks.iter().all(Check::passed) {
        HttpResponse::Ok().json(Readiness {
            status: Outcome::Ok,
            checks,
        })
    } else {
        HttpResponse::ServiceUnavailable().json(Readiness {
            status: Outcome::Failed,
            checks,
        })
    }
}

async fn database(api: &Api) -> [Check; 3] {
    let reached = api.database.ping().await;
    if reached.is_err() {
        // The others would only wait for the same connection.
        return ["database", "migrations", "role"].map(|name| Check::new(name, false));
    }
    let pending = api.database.pending_migrations().await;
    let posture = api.database.posture().await;
    if let Ok(posture) = &posture
        && !posture.is_sound()
    {
        tracing::error!(
            problems = posture.problems.join("; "),
            "row-level security would not hold"
        );
    }
    [
        Check::new("database", true),
        Check::new("migrations", matches!(pending, Ok(0))),
        Check::new("role", posture.is_ok_and(|posture| posture.is_sound())),
    ]
}

#[utoipa::path(tag = "operations", operation_id = "version", extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = Version)))]
#[get("/version")]
async fn version() -> Answer<Version> {
    Answer(Version {
        name: "posx",
        version: env!("CARGO_PKG_VERSION"),
    })
}
