//! The port to the payment provider, over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use posx_kernel::{PaymentAttemptId, RefundId, SiteId};
use posx_orders::gateway::{
    CancelOutcome, CreateIntent, CreateRefund, GatewayError, Intent, IntentId, IntentState, PaymentGateway,
    ProviderDispute, ProviderRefund,
};
use serde::de::DeserializeOwned;

use super::wire::{List, WireDispute, WireIntent, WireRefund, WireRefusal};
use crate::transport::{ClientError, RawAnswer, Transport, TransportError};

/// Names in the metadata of what we make.
pub(super) const ATTEMPT: &str = "attempt_id";
pub(super) const REFUND: &str = "refund_id";
const ORDER: &str = "order_id";
pub(super) const SITE: &str = "site_id";

/// The code of a 404.
const MISSING: &str = "resource_missing";
const PAGE: &str = "100";
/// 1,000 refunds of one intent: more is no answer.
const PAGES_MAX: u32 = 10;

/// Talks to a sandbox payment provider on this machine as to Stripe: form bodies, Bearer key, idempotency keys.
#[derive(Debug, Clone)]
pub struct SandboxGateway {
    transport: Transport,
}

impl SandboxGateway {
    /// `base_url` is what `World::stripe_url` says; an address that is not of this machine is refused.
    pub fn new(base_url: &str, secret_key: &str) -> Result<Self, ClientError> {
        let transport = Transport::new(base_url, "authorization", &format!("Bearer {secret_key}"))?;
        Ok(Self { transport })
    }

    /// How long one call may take, its answer included; 10 seconds unless said.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            transport: self.transport.timeout(timeout),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<RawAnswer, GatewayError> {
        self.transport.send(request).await.map_err(unknown)
    }

    /// Oldest first.
    async fn refunds_of(&self, intent: &IntentId) -> Result<Vec<ProviderRefund>, GatewayError> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let mut query = vec![("payment_intent", intent.0.clone()), ("limit", PAGE.to_owned())];
            query.extend(after.map(|id| ("starting_after", id)));
            let get = self.transport.get("/v1/refunds").query(&query);
            let page: List<WireRefund> = accepted(&self.send(get).await?)?;
            after = page.data.last().map(|refund| refund.id.clone());
            for found in page.data {
                all.push(ProviderRefund::try_from(found).map_err(unknown)?);
            }
            if !page.has_more {
                all.reverse();
                return Ok(all);
            }
        }
        Err(unknown(TransportError::Field("has_more")))
    }
}

#[async_trait]
impl PaymentGateway for SandboxGateway {
    fn provider(&self) -> &'static str {
        "stripe"
    }

    async fn create_intent(&self, request: &CreateIntent) -> Result<Intent, GatewayError> {
        let form = [
            ("amount", request.amount.minor().to_string()),
            ("currency", request.amount.currency().code().to_ascii_lowercase()),
            ("automatic_payment_methods[enabled]", "true".to_owned()),
            (&format!("metadata[{ATTEMPT}]"), request.attempt.to_string()),
            (&format!("metadata[{ORDER}]"), request.order.to_string()),
            (&format!("metadata[{SITE}]"), request.site.to_string()),
        ];
        let post = self
            .transport
            .post("/v1/payment_intents")
            .header("idempotency-key", request.attempt.to_string())
            .form(&form);
        let intent: WireIntent = accepted(&self.send(post).await?)?;
        intent.try_into().map_err(unknown)
    }

    async fn intent(&self, _site: SiteId, id: &IntentId) -> Result<Option<Intent>, GatewayError> {
        let Ok(id) = path_segment(&id.0) else {
            return Ok(None);
        };
        let path = format!("/v1/payment_intents/{id}");
        match accepted::<WireIntent>(&self.send(self.transport.get(&path)).await?) {
            Ok(intent) => Ok(Some(intent.try_into().map_err(unknown)?)),
            Err(GatewayError::Refused { code }) if code == MISSING => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn intent_of_attempt(
        &self,
        _site: SiteId,
        attempt: PaymentAttemptId,
    ) -> Result<Option<Intent>, GatewayError> {
        let query = format!("metadata['{ATTEMPT}']:'{attempt}'");
        let get = self
            .transport
            .get("/v1/payment_intents/search")
            .query(&[("query", query)]);
        let found: List<WireIntent> = accepted(&self.send(get).await?)?;
        let first = found.data.into_iter().next();
        first.map(Intent::try_from).transpose().map_err(unknown)
    }

    async fn cancel_intent(&self, _site: SiteId, id: &IntentId) -> Result<CancelOutcome, GatewayError> {
        let Ok(id) = path_segment(&id.0) else {
            return Ok(CancelOutcome::NoSuchIntent);
        };
        let path = format!("/v1/payment_intents/{id}/cancel");
        // No idempotency key: a stored "not now, it is processing" would be the answer for a day, and cancelling twice
        // does no harm.
        let answer = self
            .send(
                self.transport
                    .post(&path)
                    .form(&[("cancellation_reason", "abandoned")]),
            )
            .await?;
        if answer.status.is_success() {
            return Ok(CancelOutcome::Cancelled);
        }
        if answer.is_unsettled() {
            return Err(unknown(answer.unsettled()));
        }
        let WireRefusal { error } = answer.json().map_err(unknown)?;
        let code = error.code();
        match error.payment_intent {
            Some(intent) if code == "payment_intent_unexpected_state" => {
                let intent = Intent::try_from(intent).map_err(unknown)?;
                Ok(match intent.state {
                    IntentState::Cancelled => CancelOutcome::Cancelled,
                    _ => CancelOutcome::NotCancellable(intent),
                })
            }
            _ if code == MISSING => Ok(CancelOutcome::NoSuchIntent),
            _ => Err(GatewayError::Refused { code }),
        }
    }

    async fn create_refund(&self, request: &CreateRefund) -> Result<ProviderRefund, GatewayError> {
        let form = [
            ("payment_intent", request.intent.to_string()),
            ("amount", request.amount.minor().to_string()),
            (&format!("metadata[{REFUND}]"), request.refund.to_string()),
            (&format!("metadata[{SITE}]"), request.site.to_string()),
        ];
        let post = self
            .transport
            .post("/v1/refunds")
            .header("idempotency-key", request.refund.to_string())
            .form(&form);
        let refund: WireRefund = accepted(&self.send(post).await?)?;
        refund.try_into().map_err(unknown)
    }

    async fn refund(
        &self,
        _site: SiteId,
        intent: &IntentId,
        refund: RefundId,
    ) -> Result<Option<ProviderRefund>, GatewayError> {
        let found = self.refunds_of(intent).await?;
        Ok(found.into_iter().find(|found| found.refund == Some(refund)))
    }

    async fn refunds(&self, _site: SiteId, intent: &IntentId) -> Result<Vec<ProviderRefund>, GatewayError> {
        self.refunds_of(intent).await
    }

    async fn dispute(&self, _site: SiteId, id: &str) -> Result<Option<ProviderDispute>, GatewayError> {
        let Ok(id) = path_segment(id) else {
            return Ok(None);
        };
        let path = format!("/v1/disputes/{id}");
        match accepted::<WireDispute>(&self.send(self.transport.get(&path)).await?) {
            Ok(dispute) => Ok(Some(dispute.try_into().map_err(unknown)?)),
            Err(GatewayError::Refused { code }) if code == MISSING => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn accepted<T: DeserializeOwned>(answer: &RawAnswer) -> Result<T, GatewayError> {
    if answer.status.is_success() {
        return answer.json().map_err(unknown);
    }
    if answer.is_unsettled() {
        return Err(unknown(answer.unsettled()));
    }
    // A refusal that is not worded as the provider's came from something between us.
    let WireRefusal { error } = answer.json().map_err(unknown)?;
    // Our own fault, as with a wrong key: another try under another key is not the answer to either (S03).
    if error.kind == "idempotency_error" || answer.status.as_u16() == 401 {
        return Err(unknown(answer.unsettled()));
    }
    Err(GatewayError::Refused { code: error.code() })
}

fn unknown(error: TransportError) -> GatewayError {
    GatewayError::Unknown(Box::new(error))
}

/// An id that would change the path was not made by this provider.
pub(super) fn path_segment(id: &str) -> Result<&str, GatewayError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(plain) {
        Ok(id)
    } else {
        Err(GatewayError::Refused {
            code: MISSING.to_owned(),
        })
    }
}
