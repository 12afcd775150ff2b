//! The payment provider through the port.

use std::time::Duration;

use posx_orders::gateway::{
    CancelOutcome, GatewayError, Intent, IntentId, IntentState, PaymentGateway as _, RefundState,
};
use posx_sandbox::{Fault, PaymentCall, RefundStatus, SandboxGateway};

use crate::support::{Stage, money};

fn is_unknown<T>(outcome: &Result<T, GatewayError>) -> bool {
    matches!(outcome, Err(GatewayError::Unknown(_)))
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, GatewayError>) -> String {
    match outcome {
        Err(GatewayError::Refused { code }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

async fn state(stage: &Stage, intent: &Intent) -> IntentState {
    let found = stage.gateway.intent(stage.site(), &intent.id).await.unwrap();
    found.unwrap().state
}

#[tokio::test]
async fn an_intent_is_found_again_by_its_id_and_by_our_attempt() {
    let stage = Stage::set().await;
    let wish = stage.wish(2_500, "USD");
    let made = stage.gateway.create_intent(&wish).await.unwrap();
    assert_eq!(made.attempt, Some(wish.attempt));
    assert_eq!(made.amount, wish.amount);
    assert_eq!(
        made.state,
        IntentState::RequiresPaymentMethod { last_decline: None }
    );
    assert!(!made.livemode);
    let by_id = stage.gateway.intent(wish.site, &made.id).await.unwrap();
    let by_attempt = stage
        .gateway
        .intent_of_attempt(wish.site, wish.attempt)
        .await
        .unwrap();
    assert_eq!((by_id, by_attempt), (Some(made.clone()), Some(made)));

    let metadata = stage.world.payments().intents().remove(0).metadata;
    assert_eq!(metadata["order_id"], wish.order.to_string());
    assert_eq!(metadata["site_id"], wish.site.to_string());
    for unknown in ["pi_nobody", "../refunds", ""] {
        let found = stage.gateway.intent(wish.site, &IntentId(unknown.into())).await;
        assert_eq!(found.unwrap(), None, "{unknown:?}");
    }
    let other = stage.wish(2_500, "USD").attempt;
    assert_eq!(
        stage.gateway.intent_of_attempt(wish.site, other).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn s02_the_same_key_gives_the_stored_answer_also_a_stored_500() {
    let stage = Stage::set().await;
    let line = stage.world.payments().line();
    let wish = stage.wish(2_500, "USD");
    let first = stage.gateway.create_intent(&wish).await.unwrap();
    let again = stage.gateway.create_intent(&wish).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(stage.world.payments().intents().len(), 1);

    let unlucky = stage.wish(2_500, "USD");
    line.inject(PaymentCall::CreateIntent, Fault::ServerError, 1);
    for _ in 0..3 {
        assert!(is_unknown(&stage.gateway.create_intent(&unlucky).await));
    }
    let found = stage
        .gateway
        .intent_of_attempt(unlucky.site, unlucky.attempt)
        .await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(stage.world.payments().intents().len(), 1);
    assert_eq!(line.calls(PaymentCall::CreateIntent), 5);
}

#[tokio::test]
async fn s02_the_stored_answer_is_the_first_one_whatever_happened_since() {
    let stage = Stage::set().await;
    let wish = stage.wish(2_500, "USD");
    let first = stage.gateway.create_intent(&wish).await.unwrap();
    stage
        .world
        .payments()
        .confirm(&first.id.0, "pm_card_visa")
        .unwrap();
    let again = stage.gateway.create_intent(&wish).await.unwrap();
    assert_eq!(again, first);
    assert!(matches!(
        state(&stage, &first).await,
        IntentState::Succeeded { .. }
    ));
}

#[tokio::test]
async fn s03_the_same_key_with_other_parameters_is_an_error() {
    let stage = Stage::set().await;
    let mut wish = stage.wish(2_500, "USD");
    stage.gateway.create_intent(&wish).await.unwrap();
    wish.amount = money(2_501, "USD");
    let mismatch = stage.gateway.create_intent(&wish).await;
    assert!(
        matches!(mismatch, Err(GatewayError::Unknown(_))),
        "no other key is tried: {mismatch:?}"
    );
    assert_eq!(stage.world.payments().intents().len(), 1);
}

#[tokio::test]
async fn s04_nothing_is_stored_when_the_request_was_refused_for_its_shape() {
    let stage = Stage::set().await;
    let mut wish = stage.wish(49, "USD");
    assert_eq!(
        refusal(stage.gateway.create_intent(&wish).await),
        "amount_too_small"
    );
    wish.amount = money(2_500, "USD");
    stage.gateway.create_intent(&wish).await.unwrap();
}

#[tokio::test]
async fn s04_a_key_whose_first_request_still_runs_is_in_use_and_the_outcome_unknown() {
    let stage = Stage::set().await;
    let line = stage.world.payments().line();
    line.set_latency(Duration::from_secs(1));
    let wish = stage.wish(2_500, "USD");
    let (gateway, same) = (stage.gateway.clone(), wish.clone());
    let first = tokio::spawn(async move { gateway.create_intent(&same).await });
    while line.calls(PaymentCall::CreateIntent) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = stage.gateway.create_intent(&wish).await;
    assert!(is_unknown(&second), "{second:?}");
    first.await.unwrap().unwrap();
    assert_eq!(stage.world.payments().intents().len(), 1);
}

#[tokio::test]
async fn s05_after_a_day_a_key_is_forgotten_and_executes_anew() {
    let stage = Stage::set().await;
    let wish = stage.wish(2_500, "USD");
    let first = stage.gateway.create_intent(&wish).await.unwrap();
    stage.days_pass(1);
    let second = stage.gateway.create_intent(&wish).await.unwrap();
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn s07_a_call_whose_caller_gave_up_takes_effect_and_is_found_by_the_attempt() {
    let stage = Stage::set().await;
    let line = stage.world.payments().line();
    let secret_key = &stage.world.secrets().stripe_secret_key;
    let hasty = SandboxGateway::new(&stage.world.stripe_url(), secret_key)
        .unwrap()
        .timeout(Duration::from_millis(300));
    line.set_latency(Duration::from_millis(900));
    let wish = stage.wish(2_500, "USD");
    assert!(is_unknown(&hasty.create_intent(&wish).await));
    line.repair();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let found = stage.gateway.intent_of_attempt(wish.site, wish.attempt).await;
    assert!(found.unwrap().is_some());
}

#[tokio::test]
async fn s07_lost_answers_of_every_call_are_unknown_and_their_effects_are_found_by_looking() {
    let stage = Stage::set().await;
    let (payments, gateway) = (stage.world.payments(), &stage.gateway);
    for fault in [Fault::LoseAnswer, Fault::GatewayTimeout] {
        payments
            .line()
            .inject(PaymentCall::CreateIntent, fault.clone(), 1);
        payments
            .line()
            .inject(PaymentCall::CreateRefund, fault.clone(), 1);
        payments.line().inject(PaymentCall::CancelIntent, fault, 1);
        let wish = stage.wish(2_500, "USD");
        assert!(is_unknown(&gateway.create_intent(&wish).await));
        let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
        let intent = found.unwrap();
        // The stored answer is not lost: asking again under the same key gets it.
        assert_eq!(gateway.create_intent(&wish).await.unwrap(), intent);

        payments.confirm(&intent.id.0, "pm_card_visa").unwrap();
        let back = stage.refund_of(&intent.id, 1_000);
        assert!(is_unknown(&gateway.create_refund(&back).await));
        let refund = gateway.refund(back.site, &intent.id, back.refund).await.unwrap();
        assert_eq!(refund.unwrap().amount, back.amount);

        let unpaid = gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
        assert!(is_unknown(&gateway.cancel_intent(wish.site, &unpaid.id).await));
        assert_eq!(state(&stage, &unpaid).await, IntentState::Cancelled);
        let again = gateway.cancel_intent(wish.site, &unpaid.id).await.unwrap();
        assert_eq!(again, CancelOutcome::Cancelled);
    }
    assert_eq!(payments.refunds().len(), 2);
}

#[tokio::test]
async fn s07_a_provider_that_is_down_or_away_is_unknown_and_a_refusal_is_not() {
    let stage = Stage::set().await;
    let line = stage.world.payments().line();
    let wish = stage.wish(2_500, "USD");
    line.set_down(true);
    assert!(is_unknown(&stage.gateway.create_intent(&wish).await));
    assert!(is_unknown(
        &stage.gateway.intent_of_attempt(wish.site, wish.attempt).await
    ));
    line.repair();
    let code = "card_velocity_exceeded".to_owned();
    line.inject(PaymentCall::CreateIntent, Fault::Refuse { code: code.clone() }, 1);
    assert_eq!(refusal(stage.gateway.create_intent(&wish).await), code);
    stage.gateway.create_intent(&wish).await.unwrap();

    let (url, gateway) = (stage.world.stripe_url(), stage.gateway.clone());
    stage.world.stop().await;
    assert!(is_unknown(
        &gateway.intent(wish.site, &IntentId("pi_1".into())).await
    ));
    assert!(SandboxGateway::new("http://api.stripe.com", "sk").is_err());
    assert!(SandboxGateway::new(&url.replace("http", "https"), "sk").is_err());
}

#[tokio::test]
async fn s09_amounts_are_charged_in_steps_above_the_minimum_of_their_currency() {
    let stage = Stage::set().await;
    for (minor, currency, code) in [
        (12_505, "KWD", "invalid_charge_amount"),
        (190, "KWD", "amount_too_small"),
        (49, "JPY", "amount_too_small"),
        (0, "USD", "parameter_invalid_integer"),
        (-5, "USD", "parameter_invalid_integer"),
        (100_000_000, "USD", "amount_too_large"),
    ] {
        let outcome = stage.gateway.create_intent(&stage.wish(minor, currency)).await;
        assert_eq!(refusal(outcome), code, "{minor} {currency}");
    }
    for (minor, currency) in [(12_500, "KWD"), (50, "USD"), (50, "JPY"), (99_999_999, "USD")] {
        let wish = stage.wish(minor, currency);
        let made = stage.gateway.create_intent(&wish).await.unwrap();
        assert_eq!(made.amount, wish.amount);
    }
}

#[tokio::test]
async fn s12_a_declined_card_leaves_the_intent_waiting_for_another() {
    let stage = Stage::set().await;
    let payments = stage.world.payments();
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    let declined = payments
        .confirm(&intent.id.0, "pm_card_chargeDeclined")
        .unwrap_err();
    assert_eq!(declined.code.as_deref(), Some("card_declined"));
    let last_decline = Some("generic_decline".to_owned());
    assert_eq!(
        state(&stage, &intent).await,
        IntentState::RequiresPaymentMethod { last_decline }
    );
    payments.decline_next(1);
    payments.confirm(&intent.id.0, "pm_card_visa").unwrap_err();
    payments.confirm(&intent.id.0, "pm_card_visa").unwrap();
    let received = money(2_500, "USD");
    assert_eq!(state(&stage, &intent).await, IntentState::Succeeded { received });
}

#[tokio::test]
async fn s13_a_bank_debit_is_processing_until_it_settles_or_returns() {
    let stage = Stage::set().await;
    let payments = stage.world.payments();
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    payments.confirm(&intent.id.0, "pm_bank_debit").unwrap();
    stage.days_pass(3);
    assert_eq!(state(&stage, &intent).await, IntentState::Processing);
    let cancelled = stage
        .gateway
        .cancel_intent(stage.site(), &intent.id)
        .await
        .unwrap();
    assert!(
        matches!(cancelled, CancelOutcome::NotCancellable(held) if held.state == IntentState::Processing)
    );

    payments.settle(&intent.id.0, false).unwrap();
    assert!(matches!(
        state(&stage, &intent).await,
        IntentState::RequiresPaymentMethod {
            last_decline: Some(_)
        }
    ));
    payments.confirm(&intent.id.0, "pm_bank_debit").unwrap();
    payments.settle(&intent.id.0, true).unwrap();
    assert!(matches!(
        state(&stage, &intent).await,
        IntentState::Succeeded { .. }
    ));
    payments.settle(&intent.id.0, true).unwrap_err();
}

#[tokio::test]
async fn s14_money_of_another_amount_than_asked_is_told_as_received() {
    let stage = Stage::set().await;
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.world.payments().receive(&intent.id.0, 2_400).unwrap();
    let found = stage
        .gateway
        .intent(stage.site(), &intent.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.amount, money(2_500, "USD"));
    let received = money(2_400, "USD");
    assert_eq!(found.state, IntentState::Succeeded { received });
}

#[tokio::test]
async fn s15_a_succeeded_intent_cannot_be_cancelled_and_a_cancelled_one_cannot_be_paid() {
    let stage = Stage::set().await;
    let payments = stage.world.payments();
    let paid = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    payments.confirm(&paid.id.0, "pm_card_visa").unwrap();
    let outcome = stage.gateway.cancel_intent(stage.site(), &paid.id).await.unwrap();
    let CancelOutcome::NotCancellable(held) = outcome else {
        panic!("cancelled what was paid");
    };
    assert_eq!(held.attempt, paid.attempt);
    assert!(matches!(held.state, IntentState::Succeeded { .. }));

    let unpaid = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    for _ in 0..2 {
        let outcome = stage.gateway.cancel_intent(stage.site(), &unpaid.id).await;
        assert_eq!(outcome.unwrap(), CancelOutcome::Cancelled);
    }
    let refused = payments.confirm(&unpaid.id.0, "pm_card_visa").unwrap_err();
    assert_eq!(refused.code.as_deref(), Some("payment_intent_unexpected_state"));
    let nobody = stage
        .gateway
        .cancel_intent(stage.site(), &IntentId("pi_nobody".into()))
        .await;
    assert_eq!(nobody.unwrap(), CancelOutcome::NoSuchIntent);
}

#[tokio::test]
async fn a_card_that_wants_authentication_waits_for_the_buyer() {
    let stage = Stage::set().await;
    let payments = stage.world.payments();
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    let method = "pm_card_threeDSecure2Required";
    payments.confirm(&intent.id.0, method).unwrap();
    assert_eq!(state(&stage, &intent).await, IntentState::RequiresAction);
    payments.complete_action(&intent.id.0, false).unwrap();
    let last_decline = Some("payment_intent_authentication_failure".to_owned());
    assert_eq!(
        state(&stage, &intent).await,
        IntentState::RequiresPaymentMethod { last_decline }
    );
    payments.confirm(&intent.id.0, method).unwrap();
    payments.complete_action(&intent.id.0, true).unwrap();
    assert!(matches!(
        state(&stage, &intent).await,
        IntentState::Succeeded { .. }
    ));
}

#[tokio::test]
async fn s32_a_refund_may_be_pending_and_a_failed_one_gives_its_money_back_to_what_is_left() {
    let stage = Stage::set().await;
    let (payments, gateway) = (stage.world.payments(), &stage.gateway);
    let intent = gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    payments.confirm(&intent.id.0, "pm_card_visa").unwrap();
    payments.keep_refunds_pending(true);
    let wish = stage.refund_of(&intent.id, 2_500);
    let pending = gateway.create_refund(&wish).await.unwrap();
    assert_eq!(pending.state, RefundState::Pending);
    assert_eq!(pending.refund, Some(wish.refund));
    let too_much = gateway.create_refund(&stage.refund_of(&intent.id, 1)).await;
    assert_eq!(refusal(too_much), "charge_already_refunded");

    payments.settle_refund(&pending.id, RefundStatus::Failed).unwrap();
    let known = gateway.refund(wish.site, &intent.id, wish.refund).await.unwrap();
    assert_eq!(known.unwrap().state, RefundState::Failed);
    payments.keep_refunds_pending(false);
    let made = gateway
        .create_refund(&stage.refund_of(&intent.id, 2_500))
        .await
        .unwrap();
    assert_eq!(made.state, RefundState::Succeeded);
}

#[tokio::test]
async fn s33_refunds_never_exceed_what_was_received_however_many_are_asked_at_once() {
    let stage = Stage::set().await;
    let intent = stage
        .gateway
        .create_intent(&stage.wish(1_000, "USD"))
        .await
        .unwrap();
    let early = stage
        .gateway
        .create_refund(&stage.refund_of(&intent.id, 100))
        .await;
    assert_eq!(refusal(early), "payment_intent_unexpected_state");
    stage
        .world
        .payments()
        .confirm(&intent.id.0, "pm_card_visa")
        .unwrap();
    let wishes: Vec<_> = (0..12).map(|_| stage.refund_of(&intent.id, 300)).collect();
    let outcomes =
        futures::future::join_all(wishes.iter().map(|wish| stage.gateway.create_refund(wish))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    let sum: i64 = stage
        .world
        .payments()
        .refunds()
        .iter()
        .map(|refund| refund.amount.minor())
        .sum();
    assert_eq!(sum, 900);
    // The same key again is the same refund, not another.
    for (wish, first) in wishes.iter().zip(outcomes).filter(|(_, first)| first.is_ok()) {
        assert_eq!(stage.gateway.create_refund(wish).await.unwrap(), first.unwrap());
    }
    let unasked = stage.refund_of(&intent.id, 1).refund;
    let found = stage.gateway.refund(stage.site(), &intent.id, unasked).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn a_refund_is_found_behind_the_first_page_of_the_list() {
    let stage = Stage::set().await;
    let intent = stage
        .gateway
        .create_intent(&stage.wish(1_000, "USD"))
        .await
        .unwrap();
    stage
        .world
        .payments()
        .confirm(&intent.id.0, "pm_card_visa")
        .unwrap();
    let wishes: Vec<_> = (0..130).map(|_| stage.refund_of(&intent.id, 1)).collect();
    for wish in &wishes {
        stage.gateway.create_refund(wish).await.unwrap();
    }
    let oldest = wishes[0].refund;
    let found = stage.gateway.refund(stage.site(), &intent.id, oldest).await;
    assert_eq!(found.unwrap().unwrap().refund, Some(oldest));
}
