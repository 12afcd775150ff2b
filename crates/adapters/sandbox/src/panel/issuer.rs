use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::body::{Body, Rotation};
use super::error::PanelError;
use super::line;
use crate::issuer::Issuer;

pub(super) fn router(issuer: &Issuer) -> Router {
    Router::new()
        .route("/keys/rotate", post(rotate))
        .with_state(issuer.clone())
        .merge(line::router(issuer.line().clone()))
}

pub(super) fn show(issuer: &Issuer) -> Value {
    json!({ "line": line::show(issuer.line()), "keys": issuer.key_ids() })
}

async fn rotate(
    State(issuer): State<Issuer>,
    Body(rotation): Body<Rotation>,
) -> Result<Json<Value>, PanelError> {
    let old = rotation.checked(issuer.key_ids().len())?;
    issuer.rotate(old).await?;
    Ok(Json(json!({ "keys": issuer.key_ids() })))
}
