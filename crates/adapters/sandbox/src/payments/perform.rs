//! The way of a call: is the provider up, who calls, was this key used before, does a fault strike, what happens.

use super::book::{Book, Effect};
use super::error::ApiError;
use super::idempotency::Claim;
use super::{PaymentCall, Payments};
use crate::env::{Env, lock};
use crate::line::{Answer, Fault};

/// An idempotency key, and the request that it stands for.
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    pub(super) key: String,
    pub(super) request: String,
}

impl ApiError {
    pub(super) fn answer(&self) -> Answer {
        Answer::Json(self.status, self.body())
    }
}

impl Payments {
    /// First thing of every call.
    pub(super) fn arrive(&self, call: PaymentCall) -> Result<(), ApiError> {
        if self.inner.line.arrive(call) {
            Ok(())
        } else {
            Err(ApiError::server(503))
        }
    }

    /// Runs an effect once for its key, to its end even when the caller hangs up.
    pub(super) async fn perform(
        &self,
        call: PaymentCall,
        keyed: Option<Keyed>,
        effect: impl FnOnce(&mut Book, &Env) -> Effect + Send + 'static,
    ) -> Answer {
        if let Some(Keyed { key, request }) = &keyed {
            let now = self.inner.env.now();
            let claim = lock(&self.inner.book).keys.claim(key, request, now);
            match claim {
                Ok(Claim::Fresh) => {}
                Ok(Claim::Replay(status, body)) => return Answer::Replayed(status, body),
                Err(error) => return error.answer(),
            }
        }
        let this = self.clone();
        let run = tokio::spawn(async move {
            this.inner.line.wait().await;
            this.run(call, keyed.as_ref(), effect)
        });
        run.await.unwrap_or_else(|_| ApiError::server(500).answer())
    }

    fn run(
        &self,
        call: PaymentCall,
        keyed: Option<&Keyed>,
        effect: impl FnOnce(&mut Book, &Env) -> Effect,
    ) -> Answer {
        let fault = self.inner.line.next_fault(call);
        match &fault {
            Some(Fault::Refuse { code }) => {
                if let Some(Keyed { key, .. }) = keyed {
                    lock(&self.inner.book).keys.forget(key);
                }
                return refusal(code).answer();
            }
            Some(Fault::RateLimit) => {
                if let Some(Keyed { key, .. }) = keyed {
                    lock(&self.inner.book).keys.forget(key);
                }
                return ApiError::rate_limited().answer();
            }
            Some(Fault::ServerError) => return self.store(keyed, &Err(ApiError::server(500))),
            _ => {}
        }
        let (outcome, happened) = self.take_effect(effect);
        let answer = self.store(keyed, &outcome);
        self.emit(happened, keyed.map(|keyed| keyed.key.as_str()));
        answer.through(fault.as_ref())
    }

    fn store(&self, keyed: Option<&Keyed>, outcome: &Result<serde_json::Value, ApiError>) -> Answer {
        let (status, body) = match outcome {
            Ok(body) => (200, body.clone()),
            Err(error) => (error.status, error.body()),
        };
        if let Some(Keyed { key, .. }) = keyed {
            lock(&self.inner.book).keys.store(key, status, &body);
        }
        Answer::Json(status, body)
    }

    /// A call that changes nothing.
    pub(super) async fn look_up(
        &self,
        call: PaymentCall,
        read: impl FnOnce(&Book) -> Result<serde_json::Value, ApiError>,
    ) -> Answer {
        self.inner.line.wait().await;
        let fault = self.inner.line.next_fault(call);
        let outcome = match &fault {
            Some(Fault::Refuse { code }) => Err(refusal(code)),
            Some(Fault::ServerError) => Err(ApiError::server(500)),
            Some(Fault::RateLimit) => Err(ApiError::rate_limited()),
            _ => read(&lock(&self.inner.book)),
        };
        match outcome {
            Ok(body) => Answer::Json(200, body),
            Err(error) => error.answer(),
        }
        .through(fault.as_ref())
    }
}

fn refusal(code: &str) -> ApiError {
    ApiError::invalid("The sandbox was told to refuse this.").code(code)
}
