//! The sandbox's payment provider keeps what every provider must.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{Ids as _, ManualClock, SeededIds, SiteId, Timestamp};
use posx_orders::gateway::Intent;
use posx_orders::testing::{Call, OtherSide, Stage, gateway_contract, refund_limit_contract};
use posx_sandbox::{Fault, PaymentCall, Payments, SandboxGateway, World, WorldConfig};

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
    refund_limit_contract(&stage).await;
}
