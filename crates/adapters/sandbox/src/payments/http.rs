//! The provider's HTTP interface, paths as at Stripe. Server calls bear the secret key; a browser's calls bear the
//! intent's client secret.

use axum::Router;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::error::ApiError;
use super::idempotency::KEY_CHARACTERS_MAX;
use super::params::{self, Created, Pairs, Params, Slice};
use super::perform::Keyed;
use super::{PaymentCall, Payments};
use crate::env::lock;
use crate::line::Answer;

pub(super) type FormBody = Result<Form<Pairs>, FormRejection>;
pub(super) type QueryPairs = Result<Query<Pairs>, QueryRejection>;
pub(super) type IntentPath = Result<Path<String>, PathRejection>;
/// An `Err` is as much an answer as an `Ok`.
pub(super) type Answered = Result<Answer, ApiError>;

pub(crate) fn router(payments: Payments) -> Router {
    Router::new()
        .route("/v1/payment_intents", post(create_intent).get(list_intents))
        .route("/v1/payment_intents/search", get(search_intents))
        .route("/v1/payment_intents/{id}", get(retrieve_intent))
        .route("/v1/payment_intents/{id}/cancel", post(cancel_intent))
        .route("/v1/payment_intents/{id}/confirm", post(confirm))
        .route("/v1/payment_intents/{id}/complete_action", post(complete_action))
        .route("/v1/disputes/{id}", get(retrieve_dispute))
        .route("/v1/refunds", post(create_refund).get(list_refunds))
        .merge(super::connect::router())
        .merge(super::lines::router())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(payments)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.answer().into_response()
    }
}

async fn unknown(uri: Uri) -> Answer {
    let message = format!("Unrecognized request URL ({}).", uri.path());
    ApiError::invalid(message).status(404).answer()
}

async fn create_intent(State(payments): State<Payments>, headers: HeaderMap, body: FormBody) -> Answered {
    payments.arrive(PaymentCall::CreateIntent)?;
    payments.server_call(&headers)?;
    let pairs = form(body)?;
    let (amount, metadata) = params::intent(&pairs)?;
    let keyed = required_key(&headers, "/v1/payment_intents", &pairs)?;
    Ok(payments
        .perform(PaymentCall::CreateIntent, Some(keyed), move |book, env| {
            book.create(env, amount, metadata)
        })
        .await)
}

async fn retrieve_intent(
    State(payments): State<Payments>,
    headers: HeaderMap,
    id: IntentPath,
    query: QueryPairs,
) -> Answered {
    payments.arrive(PaymentCall::RetrieveIntent)?;
    let (id, pairs) = (path(id)?, query_pairs(query)?);
    let params = Params::read(&pairs, &["client_secret"])?;
    payments.browser_or_server_call(&headers, &id, params.text("client_secret"))?;
    Ok(payments
        .look_up(PaymentCall::RetrieveIntent, |book| Ok(book.intent(&id)?.json()))
        .await)
}

async fn list_intents(State(payments): State<Payments>, headers: HeaderMap, query: QueryPairs) -> Answered {
    payments.arrive(PaymentCall::ListIntents)?;
    payments.server_call(&headers)?;
    let pairs = query_pairs(query)?;
    let params = Params::read(&pairs, &[&Created::NAMES[..], &Slice::NAMES].concat())?;
    let (created, slice) = (Created::of(&params)?, Slice::of(&params)?);
    Ok(payments
        .look_up(PaymentCall::ListIntents, |book| {
            book.list_intents(&created, slice)
        })
        .await)
}

async fn search_intents(State(payments): State<Payments>, headers: HeaderMap, query: QueryPairs) -> Answered {
    payments.arrive(PaymentCall::SearchIntents)?;
    payments.server_call(&headers)?;
    let pairs = query_pairs(query)?;
    let params = Params::read(&pairs, &["query"])?;
    let (name, value) = params::metadata_query(params.required("query")?).ok_or_else(|| {
        ApiError::invalid("The sandbox answers only queries of the form metadata['name']:'value'.")
    })?;
    Ok(payments
        .look_up(PaymentCall::SearchIntents, |book| {
            Ok(book.with_metadata(name, value))
        })
        .await)
}

async fn cancel_intent(
    State(payments): State<Payments>,
    headers: HeaderMap,
    id: IntentPath,
    body: FormBody,
) -> Answered {
    payments.arrive(PaymentCall::CancelIntent)?;
    payments.server_call(&headers)?;
    let (id, pairs) = (path(id)?, form(body)?);
    Params::read(&pairs, &["cancellation_reason"])?;
    let keyed = key(&headers, &format!("/v1/payment_intents/{id}/cancel"), &pairs)?;
    Ok(payments
        .perform(PaymentCall::CancelIntent, keyed, move |book, env| {
            book.change(&id, |intent| intent.cancel(env))
        })
        .await)
}

async fn confirm(
    State(payments): State<Payments>,
    headers: HeaderMap,
    id: IntentPath,
    body: FormBody,
) -> Answered {
    payments.arrive(PaymentCall::Confirm)?;
    let (id, pairs) = (path(id)?, form(body)?);
    let params = Params::read(&pairs, &["client_secret", "payment_method", "key", "return_url"])?;
    payments.browser_or_server_call(&headers, &id, params.text("client_secret"))?;
    let method = params.required("payment_method")?.to_owned();
    let keyed = key(&headers, &format!("/v1/payment_intents/{id}/confirm"), &pairs)?;
    Ok(payments
        .perform(PaymentCall::Confirm, keyed, move |book, env| {
            book.confirm(env, &id, &method)
        })
        .await)
}

/// The sandbox's own: what the bank's page would do.
async fn complete_action(
    State(payments): State<Payments>,
    headers: HeaderMap,
    id: IntentPath,
    body: FormBody,
) -> Answered {
    payments.arrive(PaymentCall::Confirm)?;
    let (id, pairs) = (path(id)?, form(body)?);
    let params = Params::read(&pairs, &["client_secret", "succeeded"])?;
    payments.browser_or_server_call(&headers, &id, params.text("client_secret"))?;
    let succeeded = params.required("succeeded")?.parse::<bool>().map_err(|_| {
        ApiError::parameter(
            "succeeded",
            "parameter_invalid_string",
            "It is \"true\" or \"false\".",
        )
    })?;
    Ok(payments
        .perform(PaymentCall::Confirm, None, move |book, env| {
            book.authenticate(env, &id, succeeded)
        })
        .await)
}

async fn create_refund(State(payments): State<Payments>, headers: HeaderMap, body: FormBody) -> Answered {
    payments.arrive(PaymentCall::CreateRefund)?;
    payments.server_call(&headers)?;
    let pairs = form(body)?;
    let request = params::refund(&pairs)?;
    let keyed = required_key(&headers, "/v1/refunds", &pairs)?;
    Ok(payments
        .perform(PaymentCall::CreateRefund, Some(keyed), move |book, env| {
            book.refund(env, request)
        })
        .await)
}

async fn list_refunds(State(payments): State<Payments>, headers: HeaderMap, query: QueryPairs) -> Answered {
    payments.arrive(PaymentCall::ListRefunds)?;
    payments.server_call(&headers)?;
    let pairs = query_pairs(query)?;
    let params = Params::read(&pairs, &[&["payment_intent"], &Slice::NAMES[..]].concat())?;
    let (intent, slice) = (params.text("payment_intent"), Slice::of(&params)?);
    Ok(payments
        .look_up(PaymentCall::ListRefunds, |book| book.list_refunds(intent, slice))
        .await)
}

async fn retrieve_dispute(State(payments): State<Payments>, headers: HeaderMap, id: IntentPath) -> Answered {
    payments.arrive(PaymentCall::RetrieveDispute)?;
    payments.server_call(&headers)?;
    let id = path(id)?;
    Ok(payments
        .look_up(PaymentCall::RetrieveDispute, |book| Ok(book.dispute(&id)?.json()))
        .await)
}

impl Payments {
    pub(super) fn server_call(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        match bearer {
            Some(key) if key == self.inner.secret_key => Ok(()),
            _ => Err(ApiError::unauthorized()),
        }
    }

    /// The secret key opens every intent, a client secret its own.
    fn browser_or_server_call(
        &self,
        headers: &HeaderMap,
        id: &str,
        client_secret: Option<&str>,
    ) -> Result<(), ApiError> {
        let Some(client_secret) = client_secret else {
            return self.server_call(headers);
        };
        let book = lock(&self.inner.book);
        if book.intent(id)?.client_secret == client_secret {
            Ok(())
        } else {
            Err(ApiError::parameter(
                "client_secret",
                "payment_intent_invalid_parameter",
                "The client_secret provided does not match the client_secret associated with the PaymentIntent.",
            ))
        }
    }
}

pub(super) fn form(body: FormBody) -> Result<Pairs, ApiError> {
    match body {
        Ok(Form(pairs)) => Ok(pairs),
        Err(rejection) => Err(ApiError::invalid(rejection.body_text()).status(rejection.status().as_u16())),
    }
}

pub(super) fn query_pairs(query: QueryPairs) -> Result<Pairs, ApiError> {
    query
        .map(|Query(pairs)| pairs)
        .map_err(|rejection| ApiError::invalid(rejection.body_text()))
}

pub(super) fn path(id: IntentPath) -> Result<String, ApiError> {
    id.map(|Path(id)| id)
        .map_err(|rejection| ApiError::invalid(rejection.body_text()))
}

pub(super) fn required_key(headers: &HeaderMap, endpoint: &str, pairs: &Pairs) -> Result<Keyed, ApiError> {
    key(headers, endpoint, pairs)?
        .ok_or_else(|| ApiError::idempotency("The sandbox requires an Idempotency-Key for this request."))
}

pub(super) fn key(headers: &HeaderMap, endpoint: &str, pairs: &Pairs) -> Result<Option<Keyed>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=KEY_CHARACTERS_MAX).contains(&key.len()))
        .ok_or_else(|| ApiError::idempotency("An idempotency key has 1 to 255 characters."))?;
    let mut parameters = pairs.clone();
    parameters.sort();
    Ok(Some(Keyed {
        key: key.to_owned(),
        request: format!("{endpoint} {parameters:?}"),
    }))
}
