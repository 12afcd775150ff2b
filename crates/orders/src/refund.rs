//! Refunds that POSX owes by itself: money that came too late or twice.

use posx_kernel::{EntryId, Money, OrderId, PaymentAttemptId, RefundId, SiteScope, Timestamp, retry_busy};
use posx_ledger::{Account, Entry, EntryKind};
use serde_json::json;

use crate::checkout::unavailable;
use crate::gateway::{CreateRefund, GatewayError, IntentId, ProviderRefund, RefundState};
use crate::service::happened;
use crate::{OrderError, Orders, RefundReason};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub order: OrderId,
    pub attempt: PaymentAttemptId,
    pub amount: Money,
    pub reason: RefundReason,
    pub state: RefundState,
    pub provider_refund: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Orders {
    /// Sends a pending refund, or asks what became of it. [`OrderError::RefundPending`] until the provider is through: the
    /// job that called is tried again.
    pub async fn send_refund(&self, scope: &SiteScope, id: RefundId) -> Result<(), OrderError> {
        let mut tx = self.begin(scope).await?;
        let refund = tx.refunds().find(id).await?.ok_or(OrderError::NotFound)?;
        let attempt = tx
            .attempts()
            .find(refund.attempt)
            .await?
            .ok_or(OrderError::NotFound)?;
        drop(tx);
        if refund.state != RefundState::Pending {
            return Ok(());
        }
        let site = scope.site();
        let intent = attempt.intent.ok_or(OrderError::UnattachedIntent)?;
        let known = self
            .gateway
            .refund(site, &intent, id)
            .await
            .map_err(unavailable)?;
        let answer = if let Some(known) = known {
            known
        } else {
            self.request_refund(scope, intent, &refund).await?
        };
        retry_busy(|| self.settle_refund(scope, id, &answer)).await
    }

    async fn request_refund(
        &self,
        scope: &SiteScope,
        intent: IntentId,
        refund: &Refund,
    ) -> Result<ProviderRefund, OrderError> {
        let id = refund.id;
        let request = CreateRefund {
            site: scope.site(),
            intent,
            refund: id,
            amount: refund.amount,
        };
        match self.gateway.create_refund(&request).await {
            Ok(made) => Ok(made),
            Err(GatewayError::Refused { code }) => {
                tracing::error!(refund = %id, code, "the provider refused a refund that is owed");
                let state = RefundState::Failed;
                Ok(ProviderRefund {
                    id: String::new(),
                    refund: Some(id),
                    amount: refund.amount,
                    state,
                })
            }
            Err(unknown) => Err(unavailable(unknown)),
        }
    }

    async fn settle_refund(
        &self,
        scope: &SiteScope,
        id: RefundId,
        answer: &ProviderRefund,
    ) -> Result<(), OrderError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let order = tx.refunds().find(id).await?.ok_or(OrderError::NotFound)?.order;
        let mut order = tx.orders().for_update(order).await?.ok_or(OrderError::NotFound)?;
        let mut refund = tx.refunds().find(id).await?.ok_or(OrderError::NotFound)?;
        if refund.state != RefundState::Pending {
            return Ok(());
        }
        if !answer.id.is_empty() {
            refund.provider_refund = Some(answer.id.clone());
        }
        refund.state = answer.state;
        refund.updated_at = now;
        tx.refunds().save(&refund).await?;
        let payload = json!({ "refund": id.as_uuid(), "amount": refund.amount });
        match answer.state {
            RefundState::Pending => {
                tx.commit().await?;
                return Err(OrderError::RefundPending);
            }
            RefundState::Succeeded => {
                order.refund(refund.amount)?;
                let entry = EntryId::from_uuid(self.id(now));
                let (debit, credit) = (Account::RefundsPayable, Account::ProviderClearing);
                let paid = Entry::of_money(
                    entry,
                    EntryKind::RefundPaid,
                    id.as_uuid(),
                    now,
                    refund.amount,
                    debit,
                    credit,
                );
                tx.ledger().post(&paid).await?;
                tx.outbox()
                    .append(happened("refund.succeeded", &order, payload, now))
                    .await?;
            }
            // The money is still owed: a person decides how the buyer gets it.
            RefundState::Failed | RefundState::Cancelled => {
                order.attention = Some("refund_failed".to_owned());
                tx.outbox()
                    .append(happened("refund.failed", &order, payload, now))
                    .await?;
            }
        }
        tx.orders().save(&order).await?;
        tx.commit().await?;
        Ok(())
    }
}
