//! What every payment provider must do, checked through the port: on the scripted one, the sandbox's and the real one.

use async_trait::async_trait;
use posx_kernel::{
    Currency, Ids as _, Money, OrderId, PaymentAttemptId, RefundId, SeededIds, SiteId, Timestamp,
};

use crate::gateway::{
    CancelOutcome, CreateIntent, CreateRefund, GatewayError, Intent, IntentId, IntentState, PaymentGateway,
    RefundState,
};

/// The calls whose answer can get lost on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    CreateIntent,
    CancelIntent,
    CreateRefund,
}

/// What happens at the provider's other side.
#[async_trait]
pub trait OtherSide: Send + Sync {
    /// A card pays all of it.
    async fn pays(&self, intent: &Intent);
    /// A card is declined.
    async fn is_declined(&self, intent: &Intent);
    /// The bank wants to see the buyer.
    async fn is_challenged(&self, intent: &Intent);
    /// A bank debit is under way.
    async fn debits(&self, intent: &Intent);
    /// …and arrives.
    async fn debit_arrives(&self, intent: &Intent);
    /// The next call of this kind takes effect, and nobody hears its answer.
    async fn lose_answer(&self, of: Call);
}

/// A gateway of one site, and what is needed to ask it for things.
#[expect(
    missing_debug_implementations,
    reason = "a gateway prints, what drives its provider need not"
)]
pub struct Stage<'a> {
    pub gateway: &'a dyn PaymentGateway,
    pub other_side: &'a dyn OtherSide,
    pub site: SiteId,
    ids: SeededIds,
    now: Timestamp,
}

impl<'a> Stage<'a> {
    /// `now` is the provider's clock; `seed` keeps the ids of two runs at one provider apart.
    pub fn new(
        gateway: &'a dyn PaymentGateway,
        other_side: &'a dyn OtherSide,
        site: SiteId,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        let ids = SeededIds::new(seed);
        Self {
            gateway,
            other_side,
            site,
            ids,
            now,
        }
    }

    /// With ids of its own.
    pub fn wish(&self, minor: i64, currency: &str) -> CreateIntent {
        CreateIntent {
            site: self.site,
            order: OrderId::from_uuid(self.ids.uuid(self.now)),
            attempt: PaymentAttemptId::from_uuid(self.ids.uuid(self.now)),
            amount: money(minor, currency),
        }
    }

    pub fn refund_of(&self, intent: &Intent, minor: i64) -> CreateRefund {
        CreateRefund {
            site: self.site,
            intent: intent.id.clone(),
            refund: RefundId::from_uuid(self.ids.uuid(self.now)),
            amount: Money::from_minor(minor, intent.amount.currency()),
        }
    }

    pub async fn made(&self, minor: i64, currency: &str) -> Intent {
        let wish = self.wish(minor, currency);
        self.gateway.create_intent(&wish).await.expect("an intent")
    }

    pub async fn paid(&self, minor: i64) -> Intent {
        let intent = self.made(minor, "USD").await;
        self.other_side.pays(&intent).await;
        self.now_of(&intent).await
    }

    pub async fn now_of(&self, intent: &Intent) -> Intent {
        let found = self
            .gateway
            .intent(self.site, &intent.id)
            .await
            .expect("an answer");
        found.expect("the intent")
    }

    async fn of_attempt(&self, attempt: PaymentAttemptId) -> Option<Intent> {
        self.gateway
            .intent_of_attempt(self.site, attempt)
            .await
            .expect("an answer")
    }

    async fn cancel(&self, intent: &Intent) -> Result<CancelOutcome, GatewayError> {
        self.gateway.cancel_intent(self.site, &intent.id).await
    }
}

/// Runs at a provider that may have seen other things before.
pub async fn gateway_contract(stage: &Stage<'_>) {
    s01_an_attempt_makes_one_intent_that_is_found_by_its_id_and_by_the_attempt(stage).await;
    s03_another_amount_never_passes_for_the_same_attempt(stage).await;
    s07_an_intent_whose_answer_was_lost_is_found(stage).await;
    s09_an_amount_keeps_its_currencys_minor_units(stage).await;
    s11_only_succeeded_and_cancelled_are_ends(stage).await;
    s12_a_declined_card_leaves_the_intent_open(stage).await;
    s13_money_on_its_way_is_neither_there_nor_stopped(stage).await;
    s15_a_cancelled_intent_stays_so_and_a_paid_one_is_not_cancelled(stage).await;
    s15_a_cancellation_whose_answer_was_lost_is_asked_for_again(stage).await;
    s32_a_refund_is_made_once_and_found_by_our_id(stage).await;
    s07_a_refund_whose_answer_was_lost_is_found(stage).await;
    s33_refunds_never_exceed_what_was_received(stage).await;
    what_was_not_paid_is_not_refunded(stage).await;
    a_refund_is_of_its_intent(stage).await;
}

async fn s01_an_attempt_makes_one_intent_that_is_found_by_its_id_and_by_the_attempt(stage: &Stage<'_>) {
    let wish = stage.wish(2_500, "USD");
    assert_eq!(stage.of_attempt(wish.attempt).await, None);
    let made = stage.gateway.create_intent(&wish).await.expect("an intent");
    assert_eq!((made.attempt, made.amount), (Some(wish.attempt), wish.amount));
    assert_eq!(
        made.state,
        IntentState::RequiresPaymentMethod { last_decline: None }
    );
    assert!(!made.id.0.is_empty() && !made.client_secret.is_empty());
    assert!(
        !format!("{made:?}").contains(&made.client_secret),
        "a client secret does not print"
    );

    assert_eq!(
        stage.gateway.create_intent(&wish).await.expect("again").id,
        made.id
    );
    assert_eq!(stage.now_of(&made).await, made);
    assert_eq!(stage.of_attempt(wish.attempt).await, Some(made.clone()));

    let other = stage.made(2_500, "USD").await;
    assert_ne!(other.id, made.id);
    for nothing in ["pi_nobody", "../refunds", ""] {
        let found = stage
            .gateway
            .intent(stage.site, &IntentId(nothing.to_owned()))
            .await;
        assert_eq!(found.expect("an answer"), None, "{nothing:?}");
    }
}

async fn s03_another_amount_never_passes_for_the_same_attempt(stage: &Stage<'_>) {
    let mut wish = stage.wish(2_500, "USD");
    let made = stage.gateway.create_intent(&wish).await.expect("an intent");
    wish.amount = money(2_600, "USD");
    if let Ok(answered) = stage.gateway.create_intent(&wish).await {
        assert_eq!((answered.id, answered.amount), (made.id.clone(), made.amount));
    }
    let found = stage.of_attempt(wish.attempt).await.expect("the first one");
    assert_eq!((found.id, found.amount), (made.id, made.amount));
}

async fn s07_an_intent_whose_answer_was_lost_is_found(stage: &Stage<'_>) {
    let wish = stage.wish(2_500, "USD");
    stage.other_side.lose_answer(Call::CreateIntent).await;
    assert_unknown(&stage.gateway.create_intent(&wish).await);
    let found = stage.of_attempt(wish.attempt).await.expect("it was made");
    assert_eq!(
        stage.gateway.create_intent(&wish).await.expect("again").id,
        found.id
    );
}

async fn s09_an_amount_keeps_its_currencys_minor_units(stage: &Stage<'_>) {
    for (minor, currency) in [(12_500, "KWD"), (500, "JPY"), (2_501, "EUR")] {
        let made = stage.made(minor, currency).await;
        assert_eq!(made.amount, money(minor, currency));
        stage.other_side.pays(&made).await;
        let received = money(minor, currency);
        assert_eq!(
            stage.now_of(&made).await.state,
            IntentState::Succeeded { received }
        );
    }
}

async fn s11_only_succeeded_and_cancelled_are_ends(stage: &Stage<'_>) {
    let intent = stage.made(2_500, "USD").await;
    stage.other_side.is_challenged(&intent).await;
    assert_eq!(stage.now_of(&intent).await.state, IntentState::RequiresAction);
    assert_eq!(
        stage.cancel(&intent).await.expect("an answer"),
        CancelOutcome::Cancelled
    );
    assert_eq!(stage.now_of(&intent).await.state, IntentState::Cancelled);
}

async fn s12_a_declined_card_leaves_the_intent_open(stage: &Stage<'_>) {
    let intent = stage.made(2_500, "USD").await;
    stage.other_side.is_declined(&intent).await;
    match stage.now_of(&intent).await.state {
        IntentState::RequiresPaymentMethod {
            last_decline: Some(why),
        } => assert!(!why.is_empty()),
        other => panic!("a declined card: {other:?}"),
    }
    stage.other_side.pays(&intent).await;
    let received = intent.amount;
    assert_eq!(
        stage.now_of(&intent).await.state,
        IntentState::Succeeded { received }
    );
}

async fn s13_money_on_its_way_is_neither_there_nor_stopped(stage: &Stage<'_>) {
    let intent = stage.made(2_500, "USD").await;
    stage.other_side.debits(&intent).await;
    let processing = stage.now_of(&intent).await;
    assert_eq!(processing.state, IntentState::Processing);
    let outcome = stage.cancel(&intent).await.expect("an answer");
    assert_eq!(outcome, CancelOutcome::NotCancellable(processing));
    stage.other_side.debit_arrives(&intent).await;
    let received = intent.amount;
    assert_eq!(
        stage.now_of(&intent).await.state,
        IntentState::Succeeded { received }
    );
}

async fn s15_a_cancelled_intent_stays_so_and_a_paid_one_is_not_cancelled(stage: &Stage<'_>) {
    let intent = stage.made(2_500, "USD").await;
    for _ in 0..2 {
        assert_eq!(
            stage.cancel(&intent).await.expect("an answer"),
            CancelOutcome::Cancelled
        );
    }
    assert_eq!(stage.now_of(&intent).await.state, IntentState::Cancelled);

    let paid = stage.paid(2_500).await;
    let outcome = stage.cancel(&paid).await.expect("an answer");
    assert_eq!(outcome, CancelOutcome::NotCancellable(paid.clone()));
    assert_eq!(stage.now_of(&paid).await, paid);

    let nobody = IntentId("pi_nobody".to_owned());
    let outcome = stage.gateway.cancel_intent(stage.site, &nobody).await;
    assert_eq!(outcome.expect("an answer"), CancelOutcome::NoSuchIntent);
}

async fn s15_a_cancellation_whose_answer_was_lost_is_asked_for_again(stage: &Stage<'_>) {
    let intent = stage.made(2_500, "USD").await;
    stage.other_side.lose_answer(Call::CancelIntent).await;
    assert_unknown(&stage.cancel(&intent).await);
    assert_eq!(
        stage.cancel(&intent).await.expect("an answer"),
        CancelOutcome::Cancelled
    );
}

async fn s32_a_refund_is_made_once_and_found_by_our_id(stage: &Stage<'_>) {
    let paid = stage.paid(2_500).await;
    let wish = stage.refund_of(&paid, 1_000);
    let ask = async || stage.gateway.refund(stage.site, &paid.id, wish.refund).await;
    assert_eq!(ask().await.expect("an answer"), None);
    let made = stage.gateway.create_refund(&wish).await.expect("a refund");
    assert_eq!((made.refund, made.amount), (Some(wish.refund), wish.amount));
    assert!(matches!(
        made.state,
        RefundState::Pending | RefundState::Succeeded
    ));
    assert_eq!(
        stage.gateway.create_refund(&wish).await.expect("again").id,
        made.id
    );
    assert_eq!(ask().await.expect("an answer").expect("the refund").id, made.id);
    let rest = stage.refund_of(&paid, 1_500);
    let rest = stage.gateway.create_refund(&rest).await.expect("the rest");
    assert_ne!(rest.id, made.id);
    let all = stage
        .gateway
        .refunds(stage.site, &paid.id)
        .await
        .expect("an answer");
    let ids: Vec<_> = all.iter().map(|refund| refund.refund).collect();
    assert_eq!(ids.len(), 2);
    assert!(
        ids.contains(&Some(wish.refund)) && ids.contains(&rest.refund),
        "{all:?}"
    );
}

async fn s07_a_refund_whose_answer_was_lost_is_found(stage: &Stage<'_>) {
    let paid = stage.paid(2_500).await;
    let wish = stage.refund_of(&paid, 2_500);
    stage.other_side.lose_answer(Call::CreateRefund).await;
    assert_unknown(&stage.gateway.create_refund(&wish).await);
    let found = stage.gateway.refund(stage.site, &paid.id, wish.refund).await;
    let found = found.expect("an answer").expect("it was made");
    let again = stage.gateway.create_refund(&wish).await.expect("again");
    assert_eq!(again.id, found.id);
}

async fn s33_refunds_never_exceed_what_was_received(stage: &Stage<'_>) {
    let paid = stage.paid(2_500).await;
    let too_much = stage.refund_of(&paid, 2_501);
    assert_refused(&stage.gateway.create_refund(&too_much).await);
    let part = stage.refund_of(&paid, 2_000);
    stage.gateway.create_refund(&part).await.expect("a refund");
    let beyond = stage.refund_of(&paid, 501);
    assert_refused(&stage.gateway.create_refund(&beyond).await);
    let rest = stage.refund_of(&paid, 500);
    stage.gateway.create_refund(&rest).await.expect("the rest");
}

async fn what_was_not_paid_is_not_refunded(stage: &Stage<'_>) {
    let open = stage.made(2_500, "USD").await;
    let wish = stage.refund_of(&open, 100);
    assert_refused(&stage.gateway.create_refund(&wish).await);
    let found = stage.gateway.refund(stage.site, &open.id, wish.refund).await;
    assert_eq!(found.expect("an answer"), None);
}

async fn a_refund_is_of_its_intent(stage: &Stage<'_>) {
    let (one, other) = (stage.paid(2_500).await, stage.paid(2_500).await);
    let wish = stage.refund_of(&one, 100);
    stage.gateway.create_refund(&wish).await.expect("a refund");
    let found = stage.gateway.refund(stage.site, &other.id, wish.refund).await;
    assert_eq!(found.expect("an answer"), None);
}

fn money(minor: i64, currency: &str) -> Money {
    Money::from_minor(minor, Currency::from_code(currency).expect("a currency"))
}

#[track_caller]
fn assert_unknown<T: std::fmt::Debug>(outcome: &Result<T, GatewayError>) {
    assert!(matches!(outcome, Err(GatewayError::Unknown(_))), "{outcome:?}");
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: &Result<T, GatewayError>) {
    assert!(
        matches!(outcome, Err(GatewayError::Refused { .. })),
        "{outcome:?}"
    );
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::ScriptedGateway;
    use super::*;

    pub struct Script<'a>(pub &'a ScriptedGateway);

    #[async_trait]
    impl OtherSide for Script<'_> {
        async fn pays(&self, intent: &Intent) {
            assert!(self.0.pays(&intent.id, intent.amount));
        }

        async fn is_declined(&self, intent: &Intent) {
            let last_decline = Some("generic_decline".to_owned());
            assert!(
                self.0
                    .happens(&intent.id, IntentState::RequiresPaymentMethod { last_decline })
            );
        }

        async fn is_challenged(&self, intent: &Intent) {
            assert!(self.0.happens(&intent.id, IntentState::RequiresAction));
        }

        async fn debits(&self, intent: &Intent) {
            assert!(self.0.happens(&intent.id, IntentState::Processing));
        }

        async fn debit_arrives(&self, intent: &Intent) {
            self.pays(intent).await;
        }

        async fn lose_answer(&self, _of: Call) {
            self.0.lose_answers(1);
        }
    }

    #[tokio::test]
    async fn the_scripted_provider_keeps_the_contract() {
        let gateway = ScriptedGateway::default();
        let now = "2026-06-01T12:00:00Z".parse().expect("an instant");
        let site = SiteId::from_uuid(SeededIds::new(1).uuid(now));
        gateway_contract(&Stage::new(&gateway, &Script(&gateway), site, now, 2)).await;
    }
}
