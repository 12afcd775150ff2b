use axum::Router;
use serde_json::{Value, json};

use super::line;
use crate::models::LanguageModels;

pub(super) fn router(models: &LanguageModels) -> Router {
    line::router(models.line().clone())
}

pub(super) fn show(models: &LanguageModels) -> Value {
    json!({ "line": line::show(models.line()) })
}
