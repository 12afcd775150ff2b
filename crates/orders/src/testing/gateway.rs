//! A payment provider in memory that keeps the semantics which matter here: keys, terminal states, lost answers.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;

use async_trait::async_trait;
use posx_kernel::{Money, PaymentAttemptId, RefundId, SiteId, Timestamp};

use crate::gateway::{
    CancelOutcome, CreateIntent, CreateRefund, DisputeMovement, GatewayError, Intent, IntentId, IntentState,
    PaymentGateway, ProviderDispute, ProviderDisputeState, ProviderRefund, RefundState,
};

#[derive(Debug, Default)]
struct Books {
    intents: BTreeMap<String, Intent>,
    /// By the provider's id.
    refunds: BTreeMap<String, (IntentId, ProviderRefund)>,
    disputes: BTreeMap<String, ProviderDispute>,
    answers_to_lose: u32,
    /// What becomes of the refunds that are asked for from now on; else they succeed at once.
    refunds_become: Option<RefundState>,
    refuse_refunds: bool,
}

impl Books {
    /// What was received and not refunded, in minor units.
    fn left_of(&self, intent: &IntentId) -> i64 {
        let received = match self.intents.get(&intent.0).map(|found| &found.state) {
            Some(IntentState::Succeeded { received }) => received.minor(),
            _ => 0,
        };
        let refunds = self.refunds.values();
        let counted = refunds.filter(|(of, refund)| of == intent && refund.state.counts());
        received - counted.map(|(_, refund)| refund.amount.minor()).sum::<i64>()
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
pub struct ScriptedGateway {
    books: Mutex<Books>,
    meanwhile: Mutex<Option<Work>>,
}

impl std::fmt::Debug for ScriptedGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedGateway")
            .field("books", &self.books)
            .finish_non_exhaustive()
    }
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

    /// What happens while the next answer about a dispute is on its way.
    pub fn meanwhile(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut meanwhile = self
            .meanwhile
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *meanwhile = Some(Box::pin(work));
    }

    fn take_meanwhile(&self) -> Option<Work> {
        let mut meanwhile = self
            .meanwhile
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        meanwhile.take()
    }

    pub fn refunds_become(&self, state: Option<RefundState>) {
        self.books().refunds_become = state;
    }

    pub fn refuse_refunds(&self, refuse: bool) {
        self.books().refuse_refunds = refuse;
    }

    /// What the bank says of a refund later.
    pub fn refund_becomes(&self, id: &str, state: RefundState) {
        if let Some((_, refund)) = self.books().refunds.get_mut(id) {
            refund.state = state;
        }
    }

    /// Somebody refunds at the provider's dashboard.
    pub fn refunds_by_hand(&self, intent: &IntentId, amount: Money, reason: Option<&str>) -> String {
        let mut books = self.books();
        let id = format!("re_by_hand_{}_{intent}", books.refunds.len());
        let refund = ProviderRefund {
            id: id.clone(),
            refund: None,
            amount,
            state: books.refunds_become.unwrap_or(RefundState::Succeeded),
            reason: reason.map(str::to_owned),
        };
        books.refunds.insert(id.clone(), (intent.clone(), refund));
        id
    }

    /// The buyer's bank disputes the payment; in the given state, so an inquiry too. No money has moved yet.
    pub fn disputes(&self, intent: &IntentId, amount: Money, state: ProviderDisputeState) -> String {
        let mut books = self.books();
        let id = format!("dp_{}_{intent}", books.disputes.len());
        let dispute = ProviderDispute {
            id: id.clone(),
            intent: Some(intent.clone()),
            amount,
            state,
            reason: "fraudulent".to_owned(),
            refundable: state.is_inquiry(),
            evidence_due_by: None,
            movements: Vec::new(),
            opened_at: Timestamp::UNIX_EPOCH,
        };
        books.disputes.insert(id.clone(), dispute);
        id
    }

    /// Changes a dispute as only the provider can.
    pub fn changes_dispute(&self, id: &str, change: impl FnOnce(&mut ProviderDispute)) {
        if let Some(dispute) = self.books().disputes.get_mut(id) {
            change(dispute);
        }
    }

    /// A line of its balance: negative takes money away, positive gives it back.
    pub fn moves_disputed_money(&self, id: &str, amount: Money, fee: Money) {
        self.changes_dispute(id, |dispute| {
            let line = format!("txn_{id}_{}", dispute.movements.len());
            dispute.movements.push(DisputeMovement {
                id: line,
                amount,
                fee,
            });
        });
    }

    pub fn disputed_amount(&self, id: &str) -> Option<Money> {
        self.books().disputes.get(id).map(|dispute| dispute.amount)
    }

    pub fn decides(&self, id: &str, state: ProviderDisputeState) {
        self.changes_dispute(id, |dispute| dispute.state = state);
    }

    /// What the provider holds, in minor units: what was paid, less refunds that went, and what disputes moved.
    pub fn balance(&self) -> i64 {
        let books = self.books();
        let paid = books.intents.values().map(|intent| match intent.state {
            IntentState::Succeeded { received } => received.minor(),
            _ => 0,
        });
        let refunded = books.refunds.values().map(|(_, refund)| match refund.state {
            RefundState::Succeeded => refund.amount.minor(),
            _ => 0,
        });
        let lines = books.disputes.values().flat_map(|dispute| &dispute.movements);
        let disputed = lines.map(|line| line.amount.minor() - line.fee.minor());
        paid.sum::<i64>() - refunded.sum::<i64>() + disputed.sum::<i64>()
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
        if books.refuse_refunds {
            let code = "charge_already_refunded".to_owned();
            return Err(GatewayError::Refused { code });
        }
        let id = format!("re_{}", request.refund.as_uuid().simple());
        if !books.refunds.contains_key(&id) && request.amount.minor() > books.left_of(&request.intent) {
            let code = "amount_too_large".to_owned();
            return Err(GatewayError::Refused { code });
        }
        let made = ProviderRefund {
            id: id.clone(),
            refund: Some(request.refund),
            amount: request.amount,
            state: books.refunds_become.unwrap_or(RefundState::Succeeded),
            reason: None,
        };
        let entry = books
            .refunds
            .entry(id)
            .or_insert_with(|| (request.intent.clone(), made));
        let made = entry.1.clone();
        Self::answer(&mut books, made)
    }

    async fn refund(
        &self,
        _: SiteId,
        intent: &IntentId,
        refund: RefundId,
    ) -> Result<Option<ProviderRefund>, GatewayError> {
        let mut books = self.books();
        let mut all = books.refunds.values();
        let found = all.find(|(of, found)| of == intent && found.refund == Some(refund));
        let found = found.map(|(_, found)| found.clone());
        Self::answer(&mut books, found)
    }

    async fn refunds(&self, _: SiteId, intent: &IntentId) -> Result<Vec<ProviderRefund>, GatewayError> {
        let mut books = self.books();
        let own = books.refunds.values().filter(|(of, _)| of == intent);
        let own = own.map(|(_, refund)| refund.clone()).collect();
        Self::answer(&mut books, own)
    }

    async fn dispute(&self, _: SiteId, id: &str) -> Result<Option<ProviderDispute>, GatewayError> {
        let answer = {
            let mut books = self.books();
            let found = books.disputes.get(id).cloned();
            Self::answer(&mut books, found)
        };
        if let Some(work) = self.take_meanwhile() {
            work.await;
        }
        answer
    }
}
