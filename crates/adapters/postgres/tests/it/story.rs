//! A site in which everything has happened once: every table of sites has a row of it.

use chrono::Duration;
use posx_commissions::Accrued;
use posx_kernel::{Begin, IdempotentCall, StoredAnswer};
use posx_orders::{OrdersTx, PaymentApplied, RefundReason};
use posx_tiers::ChainFamily;

use crate::world::{ADDRESS, World};

impl World {
    /// Alice refers Bob, Bob buys and is delivered to; another order is paid too late and goes back.
    pub async fn lived_in() -> Self {
        let world = Self::new().await;
        world.plan().await;
        let tier = world.tier_with(3, 10_000, Some(3)).await;
        let alice = world.member(None).await;
        let bob = world.member(Some(alice.referral_code.as_str())).await;
        world.orders.bind_wallet(&world.scope, bob.party, ChainFamily::Evm, ADDRESS).await.expect("bound");
        let order = world.place(&bob, tier, 2).await.expect("placed");
        assert_eq!(world.pay(&order).await, PaymentApplied::Paid);
        let accrued = world.commissions.accrue(&world.scope, order.id).await.expect("accrued");
        assert!(matches!(accrued, Accrued::Applied(made) if made.len() == 1));
        world.deliver(order.id).await;
        world.pay_too_late(tier).await;
        world.remember_an_answer().await;
        world
    }

    async fn deliver(&self, order: posx_kernel::OrderId) {
        let made = self.allocations.allocate(&self.scope, order).await.expect("allocated");
        let posx_allocations::Allocated::Applied(ids) = made else { panic!("{made:?}") };
        self.allocations.create_batch(&self.scope, self.actor, &ids).await.expect("a batch");
    }

    async fn pay_too_late(&self, tier: posx_kernel::TierId) {
        let (slow, quick) = (self.member(None).await, self.member(None).await);
        let late = self.place(&slow, tier, 1).await.expect("placed");
        let call = Self::call(&late.id.to_string(), 1);
        let checkout = self.orders.checkout(&self.scope, slow.party, late.id, &call).await.expect("a checkout");
        assert!(self.gateway.pays(&checkout.intent, late.total));
        // The success is known to the provider only, and the expiry finds it out.
        self.clock.advance(Duration::minutes(15));
        let closed = self.orders.expire(&self.scope, late.id).await.expect("closed");
        if closed != posx_orders::Closed::Paid {
            panic!("{closed:?}");
        }
        self.double_payment(&late, &quick).await;
    }

    /// A second attempt that succeeded for a paid order: what a provider should never do.
    async fn double_payment(&self, order: &posx_orders::Order, _quick: &posx_tenancy::Member) {
        let second = posx_orders::Attempt {
            id: posx_kernel::PaymentAttemptId::from_uuid(crate::world::new_id()),
            order: order.id,
            provider: "scripted".to_owned(),
            intent: None,
            amount: order.total,
            received: posx_kernel::Money::zero(order.total.currency()),
            state: posx_orders::AttemptState::Created,
            outcome_unknown: true,
            last_decline: None,
            created_at: crate::world::noon(),
            updated_at: crate::world::noon(),
        };
        let mut tx = self.begin().await;
        assert!(tx.attempts().insert(&second).await.expect("an attempt"));
        tx.commit().await.expect("committed");
        assert!(self.orders.resolve_attempt(&self.scope, second.id).await.is_ok());
        let intents = self.gateway.intents();
        if let Some(intent) = intents.iter().find(|intent| intent.attempt == Some(second.id)) {
            assert!(self.gateway.pays(&intent.id, order.total));
            let applied = self.orders.apply_intent(&self.scope, &intent.id).await.expect("applied");
            assert_eq!(applied, PaymentApplied::RefundOwed(RefundReason::PaidTwice));
        }
    }

    async fn remember_an_answer(&self) {
        let call: IdempotentCall = Self::call("remembered", 1);
        let mut tx = self.begin().await;
        tx.idempotency().claim(&call).await.expect("claimed");
        tx.idempotency().store(&call, &StoredAnswer { status: 200, body: b"{}".to_vec() }).await.expect("stored");
        tx.commit().await.expect("committed");
    }

    pub async fn begin(&self) -> Box<dyn OrdersTx> {
        self.database.begin(&self.scope).await.expect("a transaction")
    }
}
