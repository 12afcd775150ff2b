//! Sending refunds, and asking about those of which nothing was heard for long.

use posx_kernel::{RefundId, SiteScope, Timestamp, retry_busy};

use super::{Refund, RefundState};
use crate::checkout::unavailable;
use crate::gateway::{CreateRefund, GatewayError, IntentId, ProviderRefund};
use crate::{OrderError, Orders};

impl Orders {
    /// Sends an open refund, or asks what became of it. Where it goes from there the provider's events say, and
    /// [`reconcile_refunds`](Self::reconcile_refunds) if they do not come.
    pub async fn send_refund(&self, scope: &SiteScope, id: RefundId) -> Result<(), OrderError> {
        let mut tx = self.begin(scope).await?;
        let refund = tx.refunds().find(id).await?.ok_or(OrderError::RefundNotFound)?;
        let attempt = tx
            .attempts()
            .find(refund.attempt)
            .await?
            .ok_or(OrderError::NotFound)?;
        drop(tx);
        if !refund.state.is_open() {
            return Ok(());
        }
        let intent = attempt.intent.ok_or(OrderError::UnattachedIntent)?;
        let seen = if refund.provider_refund.is_some() {
            let all = self.gateway.refunds(scope.site(), &intent).await;
            let mut all = all.map_err(unavailable)?.into_iter();
            all.find(|seen| Some(&seen.id) == refund.provider_refund.as_ref())
                .ok_or(OrderError::UnknownRefund)?
        } else {
            self.made_or_make(scope, intent, &refund).await?
        };
        retry_busy(|| self.settle_refund(scope, id, &seen)).await
    }

    async fn made_or_make(
        &self,
        scope: &SiteScope,
        intent: IntentId,
        refund: &Refund,
    ) -> Result<ProviderRefund, OrderError> {
        let (site, id) = (scope.site(), refund.id);
        let known = self.gateway.refund(site, &intent, id).await;
        if let Some(known) = known.map_err(unavailable)? {
            return Ok(known);
        }
        let request = CreateRefund {
            site,
            intent,
            refund: id,
            amount: refund.amount,
        };
        match self.gateway.create_refund(&request).await {
            Ok(made) => Ok(made),
            Err(GatewayError::Refused { code }) => {
                tracing::error!(refund = %id, code, "the provider refused a refund");
                Ok(ProviderRefund {
                    id: String::new(),
                    refund: Some(id),
                    amount: refund.amount,
                    state: RefundState::Failed,
                    reason: None,
                })
            }
            Err(unknown) => Err(unavailable(unknown)),
        }
    }

    /// Asks about open refunds that were last heard of before `older_than`, and sends those that were not sent. Returns how many;
    /// one that fails does not stop the others.
    pub async fn reconcile_refunds(
        &self,
        scope: &SiteScope,
        older_than: Timestamp,
    ) -> Result<usize, OrderError> {
        let mut tx = self.begin(scope).await?;
        let open = tx.refunds().unsettled(older_than, 100).await?;
        drop(tx);
        for refund in &open {
            if let Err(error) = self.send_refund(scope, refund.id).await {
                tracing::warn!(refund = %refund.id, %error, "an open refund could not be settled");
            }
        }
        Ok(open.len())
    }
}
