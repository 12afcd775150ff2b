//! The fault panel: what the handles of this crate do in one process, over HTTP for who has the panel's key.
//!
//! A body is a JSON object. What is left out is as usual; what is not known, or beyond its limits, is refused with the
//! name of its field, and changes nothing.

mod body;
mod custodian;
mod error;
mod issuer;
mod line;
mod models;
mod notices;
mod payments;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use posx_kernel::Randomness;
use serde_json::{Value, json};

use crate::custodian::Custodian;
use crate::env::base62;
use crate::issuer::Issuer;
use crate::models::LanguageModels;
use crate::payments::Payments;
use body::{Body, Nothing};
use error::PanelError;

const KEY_CHARACTERS: usize = 32;

/// Where a world is told what goes wrong in it. A clone is a handle on the same.
#[derive(Clone)]
pub struct Panel {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    key: String,
    randomness: Arc<dyn Randomness>,
    payments: Payments,
    custodian: Custodian,
    issuer: Issuer,
    models: LanguageModels,
}

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panel")
            .field("url", &self.inner.url)
            .finish_non_exhaustive()
    }
}

impl Panel {
    pub(crate) fn new(
        url: String,
        randomness: Arc<dyn Randomness>,
        payments: Payments,
        custodian: Custodian,
        issuer: Issuer,
        models: LanguageModels,
    ) -> Self {
        let inner = Inner {
            url,
            key: base62(randomness.as_ref(), KEY_CHARACTERS),
            randomness,
            payments,
            custodian,
            issuer,
            models,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// What every request must bear. A new one for each world.
    pub fn key(&self) -> &str {
        &self.inner.key
    }

    fn show(&self) -> Value {
        json!({
            "payments": payments::show(&self.inner.payments),
            "custodian": custodian::show(&self.inner.custodian),
            "issuer": issuer::show(&self.inner.issuer),
            "models": models::show(&self.inner.models),
        })
    }

    fn opens_to(&self, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        sent.is_some_and(|sent| verify_slices_are_equal(sent.as_bytes(), self.inner.key.as_bytes()).is_ok())
    }
}

pub(crate) fn router(panel: &Panel) -> Router {
    let Inner {
        randomness,
        payments,
        custodian,
        issuer,
        models,
        ..
    } = panel.inner.as_ref();
    Router::new()
        .route("/", get(state))
        .route("/repair", post(repair))
        .with_state(panel.clone())
        .nest("/payments", payments::router(payments, randomness))
        .nest("/custodian", custodian::router(custodian, randomness))
        .nest("/issuer", issuer::router(issuer))
        .nest("/models", models::router(models))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        // Last, so that it stands before all of the above.
        .layer(from_fn_with_state(panel.clone(), authorized))
}

async fn authorized(State(panel): State<Panel>, request: Request, next: Next) -> Response {
    if panel.opens_to(request.headers()) {
        next.run(request).await
    } else {
        PanelError::Unauthorized.into_response()
    }
}

async fn unknown() -> PanelError {
    PanelError::NotFound { what: "call" }
}

async fn state(State(panel): State<Panel>) -> Json<Value> {
    Json(panel.show())
}

async fn repair(State(panel): State<Panel>, Body(Nothing {}): Body<Nothing>) -> Json<Value> {
    panel.inner.payments.repair();
    panel.inner.custodian.repair();
    panel.inner.issuer.line().repair();
    panel.inner.models.line().repair();
    Json(panel.show())
}
