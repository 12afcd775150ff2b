//! The custodian's HTTP interface, paths as at Fireblocks.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::book::{Book, accepted};
use super::error::CustodianError;
use super::transfer::{End, Order};
use super::{Custodian, CustodyCall};
use crate::env::lock;
use crate::line::{Answer, Fault};

const IDEMPOTENCY_KEY_MAX: usize = 40;
const TEXT_MAX: usize = 255;

type IdPath = Result<Path<String>, PathRejection>;
/// An `Err` is as much an answer as an `Ok`.
pub(super) type Answered = Result<Answer, CustodianError>;

pub(crate) fn router(custodian: Custodian) -> Router {
    Router::new()
        .route("/v1/transactions", post(submit).get(super::lines::list))
        .route("/v1/transactions/{id}", get(find))
        .route("/v1/transactions/{id}/cancel", post(cancel))
        .route(
            "/v1/transactions/external_tx_id/{external_id}",
            get(find_by_external_id),
        )
        .route("/v1/vault/accounts/{vault}/{asset}", get(wallet))
        .route("/.well-known/jwks.json", get(jwks))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(custodian)
}

impl IntoResponse for CustodianError {
    fn into_response(self) -> Response {
        Answer::Json(self.status, self.body()).into_response()
    }
}

/// A transfer to one address; other sources and destinations are not for the sandbox.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionRequest {
    asset_id: String,
    source: Source,
    destination: Destination,
    amount: String,
    external_tx_id: String,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    #[serde(rename = "type")]
    kind: String,
    one_time_address: OneTimeAddress,
}

#[derive(Deserialize)]
struct OneTimeAddress {
    address: String,
}

async fn unknown(uri: Uri) -> CustodianError {
    CustodianError::new(404, 1404, format!("There is nothing at {}", uri.path()))
}

async fn jwks(State(custodian): State<Custodian>) -> Answered {
    custodian.inner.line.arrive(CustodyCall::KeySet);
    let fault = custodian.strike(CustodyCall::KeySet)?;
    Ok(Answer::Json(200, custodian.inner.keys.document()).through(fault.as_ref()))
}

async fn submit(
    State(custodian): State<Custodian>,
    headers: HeaderMap,
    body: Result<Json<TransactionRequest>, JsonRejection>,
) -> Answered {
    custodian.arrive(CustodyCall::Submit, &headers)?;
    let key = idempotency_key(&headers)?;
    let Json(request) = body.map_err(|rejection| CustodianError::invalid(rejection.body_text()))?;
    let order = request.checked()?;
    // To its end, also when the caller hangs up.
    let run = tokio::spawn(async move {
        custodian.inner.line.wait().await;
        custodian.submit_now(key.as_deref(), order)
    });
    run.await.map_err(|_| CustodianError::server(500))?
}

async fn find(State(custodian): State<Custodian>, headers: HeaderMap, id: IdPath) -> Answered {
    custodian.arrive(CustodyCall::Find, &headers)?;
    let id = path(id)?;
    custodian
        .look_up(CustodyCall::Find, |book| Ok(book.by_id(&id)?.json()))
        .await
}

async fn find_by_external_id(
    State(custodian): State<Custodian>,
    headers: HeaderMap,
    external_id: IdPath,
) -> Answered {
    custodian.arrive(CustodyCall::Find, &headers)?;
    let external_id = path(external_id)?;
    custodian
        .look_up(CustodyCall::Find, |book| {
            Ok(book.by_external_id(&external_id)?.json())
        })
        .await
}

async fn cancel(State(custodian): State<Custodian>, headers: HeaderMap, id: IdPath) -> Answered {
    custodian.arrive(CustodyCall::Cancel, &headers)?;
    let id = path(id)?;
    custodian.inner.line.wait().await;
    let fault = custodian.strike(CustodyCall::Cancel)?;
    let external_id = lock(&custodian.inner.book).by_id(&id)?.external_id.clone();
    let success = custodian.end(&external_id, End::Cancelled).is_some();
    Ok(Answer::Json(200, json!({ "success": success })).through(fault.as_ref()))
}

async fn wallet(
    State(custodian): State<Custodian>,
    headers: HeaderMap,
    wallet: Result<Path<(String, String)>, PathRejection>,
) -> Answered {
    custodian.arrive(CustodyCall::Balance, &headers)?;
    let (vault, asset) = path(wallet)?;
    custodian
        .look_up(CustodyCall::Balance, |book| book.wallet(vault, asset))
        .await
}

impl Custodian {
    /// First thing of every call: is the custodian up, and who calls?
    pub(super) fn arrive(&self, call: CustodyCall, headers: &HeaderMap) -> Result<(), CustodianError> {
        if !self.inner.line.arrive(call) {
            return Err(CustodianError::server(503));
        }
        match headers.get("x-api-key").and_then(|value| value.to_str().ok()) {
            Some(key) if key == self.inner.api_key => Ok(()),
            _ => Err(CustodianError::unauthorized()),
        }
    }

    /// A fault that leaves no effect is the answer; any other strikes later.
    fn strike(&self, call: CustodyCall) -> Result<Option<Fault>, CustodianError> {
        match self.inner.line.next_fault(call) {
            Some(Fault::Refuse { code }) => Err(CustodianError::new(
                400,
                code.parse().unwrap_or(4000),
                format!("The sandbox was told to refuse this: {code}"),
            )),
            Some(Fault::ServerError) => Err(CustodianError::server(500)),
            Some(Fault::RateLimit) => Err(CustodianError::new(429, 429, "Too many requests.")),
            fault => Ok(fault),
        }
    }

    fn submit_now(&self, key: Option<&str>, order: Order) -> Answered {
        let now = self.inner.env.now();
        if let Some(stored) = key.and_then(|key| lock(&self.inner.book).known(key, now)) {
            return stored.map(|body| Answer::Json(200, body));
        }
        let fault = match self.strike(CustodyCall::Submit) {
            Ok(fault) => fault,
            Err(error) => {
                if let Some(key) = key.filter(|_| error.status == 500) {
                    lock(&self.inner.book).spend(key, now);
                }
                return Err(error);
            }
        };
        let submitted = lock(&self.inner.book).submit(&self.inner.env, order);
        if let Ok(transfer) = &submitted {
            self.begin(transfer);
        }
        let outcome = submitted.as_ref().map(accepted).map_err(Clone::clone);
        if let Some(key) = key {
            lock(&self.inner.book).store(key, now, outcome.clone());
        }
        Ok(answer(outcome).through(fault.as_ref()))
    }

    pub(super) async fn look_up(
        &self,
        call: CustodyCall,
        read: impl FnOnce(&Book) -> Result<Value, CustodianError>,
    ) -> Answered {
        self.inner.line.wait().await;
        let fault = self.strike(call)?;
        let found = read(&lock(&self.inner.book));
        Ok(answer(found).through(fault.as_ref()))
    }
}

/// Refusals too, so that they can be lost.
fn answer(outcome: Result<Value, CustodianError>) -> Answer {
    match outcome {
        Ok(body) => Answer::Json(200, body),
        Err(error) => Answer::Json(error.status, error.body()),
    }
}

impl TransactionRequest {
    fn checked(self) -> Result<Order, CustodianError> {
        let usable = |text: &str| (1..=TEXT_MAX).contains(&text.len()) && !text.contains(char::is_control);
        let problem = if self.source.kind != "VAULT_ACCOUNT" {
            "source.type"
        } else if self.destination.kind != "ONE_TIME_ADDRESS" {
            "destination.type"
        } else if !usable(&self.source.id) {
            "source.id"
        } else if !usable(&self.destination.one_time_address.address) {
            "destination.oneTimeAddress.address"
        } else if !usable(&self.asset_id) {
            "assetId"
        } else if !usable(&self.external_tx_id) {
            "externalTxId"
        } else if !is_positive_decimal(&self.amount) {
            "amount"
        } else {
            return Ok(Order {
                external_id: self.external_tx_id,
                asset: self.asset_id,
                vault: self.source.id,
                to: self.destination.one_time_address.address,
                amount: self.amount,
            });
        };
        Err(CustodianError::invalid(format!("{problem} cannot be used")))
    }
}

fn is_positive_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |part: &str| (1..=40).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction) && text.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, CustodianError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|key| (1..=IDEMPOTENCY_KEY_MAX).contains(&key.len()))
        .map(|key| Some(key.to_owned()))
        .ok_or_else(|| CustodianError::invalid("Idempotency-Key has 1 to 40 characters"))
}

fn path<T>(segments: Result<Path<T>, PathRejection>) -> Result<T, CustodianError> {
    segments
        .map(|Path(segments)| segments)
        .map_err(|rejection| CustodianError::invalid(rejection.body_text()))
}
