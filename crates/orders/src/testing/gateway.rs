//! A payment provider in memory that keeps the semantics which matter here: keys, terminal states, lost answers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use posx_kernel::{Money, PaymentAttemptId, RefundId, SiteId};

use crate::gateway::{
    CancelOutcome, CreateIntent, CreateRefund, GatewayError, Intent, IntentId, IntentState, PaymentGateway,
    ProviderRefund, RefundState,
};

#[derive(Debug, Default)]
struct Books {
    intents: BTreeMap<String, Intent>,
    refunds: BTreeMap<RefundId, (IntentId, ProviderRefund)>,
    answers_to_lose: u32,
}

#[derive(Debug, Default)]
pub struct ScriptedGateway {
    books: Mutex<Books>,
}

impl ScriptedGateway {
    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next calls take effect and their answers are lost.
    pub fn lose_answers(&self, count: u32) {
        self.books().answers_to_lose = count;
    }

    /// What the buyer's browser or bank does. A cancelled intent takes no money; false says so.
    pub fn happens(&self, intent: &IntentId, state: IntentState) -> bool {
        let mut books = self.books();
        let Some(found) = books.intents.get_mut(&intent.0) else {
            return false;
        };
        if matches!(
            found.state,
            IntentState::Cancelled | IntentState::Succeeded { .. }
        ) {
            return false;
        }
        found.state = state;
        true
    }

    pub fn pays(&self, intent: &IntentId, received: Money) -> bool {
        self.happens(intent, IntentState::Succeeded { received })
    }

    /// As when it is asked under other keys.
    pub fn forgets(&self, intent: &IntentId) {
        self.books().intents.remove(&intent.0);
    }

    /// Every intent that was ever made.
    pub fn intents(&self) -> Vec<Intent> {
        self.books().intents.values().cloned().collect()
    }

    pub fn refunded(&self) -> Vec<ProviderRefund> {
        self.books()
            .refunds
            .values()
            .map(|(_, refund)| refund.clone())
            .collect()
    }

    fn answer<T>(books: &mut Books, answer: T) -> Result<T, GatewayError> {
        if books.answers_to_lose > 0 {
            books.answers_to_lose -= 1;
            return Err(GatewayError::Unknown("the connection was lost".into()));
        }
        Ok(answer)
    }
}

#[async_trait]
impl PaymentGateway for ScriptedGateway {
    fn provider(&self) -> &'static str {
        "scripted"
    }

    async fn create_intent(&self, request: &CreateIntent) -> Result<Intent, GatewayError> {
        let mut books = self.books();
        let key = format!("pi_{}", request.attempt.as_uuid().simple());
        let made = books.intents.entry(key.clone()).or_insert_with(|| Intent {
            id: IntentId(key.clone()),
            attempt: Some(request.attempt),
            amount: request.amount,
            state: IntentState::RequiresPaymentMethod { last_decline: None },
            client_secret: format!("{key}_secret"),
            livemode: false,
        });
        let made = made.clone();
        Self::answer(&mut books, made)
    }

    async fn intent(&self, _: SiteId, id: &IntentId) -> Result<Option<Intent>, GatewayError> {
        let mut books = self.books();
        let found = books.intents.get(&id.0).cloned();
        Self::answer(&mut books, found)
    }

    async fn intent_of_attempt(
        &self,
        _: SiteId,
        attempt: PaymentAttemptId,
    ) -> Result<Option<Intent>, GatewayError> {
        let mut books = self.books();
        let found = books
            .intents
            .values()
            .find(|intent| intent.attempt == Some(attempt))
            .cloned();
        Self::answer(&mut books, found)
    }

    async fn cancel_intent(&self, _: SiteId, id: &IntentId) -> Result<CancelOutcome, GatewayError> {
        let mut books = self.books();
        let Some(found) = books.intents.get_mut(&id.0) else {
            return Ok(CancelOutcome::NoSuchIntent);
        };
        let outcome = match found.state {
            IntentState::Succeeded { .. } | IntentState::Processing => {
                CancelOutcome::NotCancellable(found.clone())
            }
            _ => {
                found.state = IntentState::Cancelled;
                CancelOutcome::Cancelled
            }
        };
        Self::answer(&mut books, outcome)
    }

    async fn create_refund(&self, request: &CreateRefund) -> Result<ProviderRefund, GatewayError> {
        let mut books = self.books();
        let made = ProviderRefund {
            id: format!("re_{}", request.refund.as_uuid().simple()),
            refund: Some(request.refund),
            amount: request.amount,
            state: RefundState::Succeeded,
        };
        let entry = books
            .refunds
            .entry(request.refund)
            .or_insert_with(|| (request.intent.clone(), made));
        let made = entry.1.clone();
        Self::answer(&mut books, made)
    }

    async fn refund(
        &self,
        _: SiteId,
        _: &IntentId,
        refund: RefundId,
    ) -> Result<Option<ProviderRefund>, GatewayError> {
        let mut books = self.books();
        let found = books.refunds.get(&refund).map(|(_, refund)| refund.clone());
        Self::answer(&mut books, found)
    }
}
