//! The sandbox's payment provider keeps what every provider must, and shows Stripe's own gateway what it relies on.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::{Ids as _, ManualClock, SeededIds, SiteId, SystemRandomness, Timestamp};
use posx_orders::gateway::{GatewayError, Intent, PaymentGateway as _, ProviderDisputeState, RefundState};
use posx_orders::testing::{Bank, Call, OtherSide, Stage, gateway_contract, return_contract};
use posx_sandbox::{
    DisputeStatus, Fault, PaymentCall, Payments, RefundStatus, SandboxGateway, World, WorldConfig,
};
use posx_stripe::{ClientConfig, Connection, Mode, StripeAccounts, StripeGateway, StripeKey};

struct Buyers(Payments);

impl Buyers {
    /// A decline is an answer too.
    fn tries(&self, intent: &Intent, method: &str) {
        let _ = self.0.confirm(&intent.id.0, method);
    }
}

#[async_trait]
impl OtherSide for Buyers {
    async fn pays(&self, intent: &Intent) {
        self.tries(intent, "pm_card_visa");
    }

    async fn is_declined(&self, intent: &Intent) {
        self.tries(intent, "pm_card_chargeDeclined");
    }

    async fn is_challenged(&self, intent: &Intent) {
        self.tries(intent, "pm_card_threeDSecure2Required");
    }

    async fn debits(&self, intent: &Intent) {
        self.tries(intent, "pm_bank_debit");
    }

    async fn debit_arrives(&self, intent: &Intent) {
        self.0.settle(&intent.id.0, true).unwrap();
    }

    async fn lose_answer(&self, of: Call) {
        let call = match of {
            Call::CreateIntent => PaymentCall::CreateIntent,
            Call::CancelIntent => PaymentCall::CancelIntent,
            Call::CreateRefund => PaymentCall::CreateRefund,
        };
        self.0.line().inject(call, Fault::LoseAnswer, 1);
    }
}

/// By its name, as a body of the panel has it.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(name.into()).unwrap()
}

#[async_trait]
impl Bank for Buyers {
    async fn refunds_by_hand(&self, intent: &Intent, minor: i64) -> String {
        self.0.refund_by_hand(&intent.id.0, Some(minor)).unwrap()
    }

    async fn refund_becomes(&self, refund: &str, state: RefundState) {
        let status: RefundStatus = match state {
            RefundState::Cancelled => RefundStatus::Canceled,
            other => named(other.as_str()),
        };
        self.0.settle_refund(refund, status).unwrap();
    }

    async fn disputes(&self, intent: &Intent, minor: i64, state: ProviderDisputeState) -> String {
        let status: DisputeStatus = named(state.as_str());
        self.0.open_dispute(&intent.id.0, Some(minor), status).unwrap()
    }

    async fn withdraws(&self, dispute: &str, fee_minor: i64) {
        self.0.withdraw_funds(dispute, fee_minor).unwrap();
    }

    async fn reinstates(&self, dispute: &str) {
        self.0.reinstate_funds(dispute, 0).unwrap();
    }

    async fn decides(&self, dispute: &str, state: ProviderDisputeState) {
        self.0.decide_dispute(dispute, named(state.as_str())).unwrap();
    }
}

#[tokio::test]
async fn the_sandbox_keeps_the_contract_of_a_payment_provider() {
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::stopped_at(now));
    let world = World::start(WorldConfig::new(clock)).await.unwrap();
    let gateway = SandboxGateway::new(&world.stripe_url(), &world.secrets().stripe_secret_key).unwrap();
    let buyers = Buyers(world.payments().clone());
    let site = SiteId::from_uuid(SeededIds::new(1).uuid(now));
    let stage = Stage::new(&gateway, &buyers, site, now, 2);
    gateway_contract(&stage).await;
    return_contract(&stage, &buyers).await;
}

/// Stripe's own gateway at the sandbox.
struct Scene {
    world: World,
    clock: Arc<ManualClock>,
    gateway: StripeGateway,
    buyers: Buyers,
    site: SiteId,
    now: Timestamp,
}

impl Scene {
    async fn set() -> Self {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::stopped_at(now));
        let world = World::start(WorldConfig::new(clock.clone())).await.unwrap();
        let config = ClientConfig {
            base_url: world.stripe_host_url(),
            ..ClientConfig::default()
        };
        let connection = Connection::new(&config, Arc::new(SystemRandomness)).unwrap();
        let key = StripeKey::new(&world.secrets().stripe_secret_key.clone().into()).unwrap();
        let site = SiteId::from_uuid(SeededIds::new(1).uuid(now));
        let accounts = StripeAccounts::new(&connection, Mode::Test, [(site, key)]).unwrap();
        Self {
            gateway: StripeGateway::new(accounts, clock.clone()),
            buyers: Buyers(world.payments().clone()),
            world,
            clock,
            site,
            now,
        }
    }

    fn stage(&self) -> Stage<'_> {
        Stage::new(&self.gateway, &self.buyers, self.site, self.now, 3)
    }
}

#[tokio::test]
async fn stripes_own_gateway_keeps_the_contract_at_the_sandbox() {
    let scene = Scene::set().await;
    let stage = scene.stage();
    gateway_contract(&stage).await;
    return_contract(&stage, &scene.buyers).await;
}

/// The gateway tells a stored failure from a new one by `Idempotent-Replayed` alone.
#[tokio::test]
async fn s02_a_stored_500_is_marked_as_replayed_and_ends_the_attempt() {
    let scene = Scene::set().await;
    let wish = scene.stage().wish(2_500, "USD");
    let line = scene.world.payments().line();
    line.inject(PaymentCall::CreateIntent, Fault::ServerError, 1);
    let first = scene.gateway.create_intent(&wish).await;
    assert!(matches!(first, Err(GatewayError::Unknown(_))), "{first:?}");
    assert_eq!(line.calls(PaymentCall::ListIntents), 0);
    match scene.gateway.create_intent(&wish).await {
        Err(GatewayError::Refused { code }) => assert_eq!(code, "stored_server_error"),
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(
        line.calls(PaymentCall::ListIntents),
        2,
        "it looked before it said so"
    );
    assert!(scene.world.payments().intents().is_empty());
}

#[tokio::test]
async fn s05_an_attempt_older_than_its_key_is_found_on_the_list_among_hundreds() {
    let scene = Scene::set().await;
    let stage = scene.stage();
    let wish = stage.wish(2_500, "USD");
    let made = scene.gateway.create_intent(&wish).await.unwrap();
    for _ in 0..150 {
        stage.made(2_500, "USD").await;
    }
    scene.clock.advance(TimeDelta::hours(25));
    stage.made(2_500, "USD").await;
    let line = scene.world.payments().line();
    let (creates, lists) = (
        line.calls(PaymentCall::CreateIntent),
        line.calls(PaymentCall::ListIntents),
    );
    assert_eq!(scene.gateway.create_intent(&wish).await.unwrap().id, made.id);
    assert_eq!(
        line.calls(PaymentCall::CreateIntent),
        creates,
        "looked up, not sent"
    );
    assert_eq!(
        line.calls(PaymentCall::ListIntents),
        lists + 2,
        "on the second page"
    );
}
