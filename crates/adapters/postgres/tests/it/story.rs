//! A site in which everything has happened once: every table of sites has a row of it.

use posx_commissions::{Accrued, AgentEdit, AgentState, Month};
use posx_kernel::{Begin as _, Money, PaymentAttemptId, StoredAnswer, TokenAmount};
use posx_orders::gateway::{CreateIntent, PaymentGateway as _};
use posx_orders::{
    Attempt, AttemptState, Order, OrdersTx, PaymentApplied, PlaceOrder, Placed, RefundReason, RequestRefund,
    Restock,
};
use posx_tenancy::{ReviewedOperation, Role};
use posx_tiers::{Bonus, ChainFamily, TierQueries as _};

use crate::world::{ADDRESS, World, new_id, noon, usd};

impl World {
    /// Alice refers Bob, Bob buys and is delivered to; and a second payment of his goes back.
    pub async fn lived_in() -> Self {
        let world = Self::new().await;
        world.plan().await;
        let tier = world.tier_with(3, 10_000, Some(3)).await;
        let alice = world.member(None).await;
        let bob = world.member(Some(alice.referral_code.as_str())).await;
        world
            .orders
            .bind_wallet(&world.scope, bob.party, ChainFamily::Evm, ADDRESS)
            .await
            .expect("bound");
        let wish = PlaceOrder {
            referrer: Some(alice.party),
            ..world.wish(&bob, tier, 2)
        };
        let Placed::New { order, .. } = world.place_wish(&wish).await.expect("placed") else {
            panic!("no key was given")
        };
        assert_eq!(world.pay(&order).await, PaymentApplied::Paid);
        let accrued = world
            .commissions
            .accrue(&world.scope, order.id)
            .await
            .expect("accrued");
        assert!(matches!(accrued, Accrued::Applied(made) if made.len() == 1));
        world.partly_goes_back(order.id).await;
        world.uses_a_code(&bob, tier).await;
        world.deliver(order.id).await;
        world.forgives(&bob).await;
        world.vests(&bob).await;
        world.pay_twice(&order).await;
        world.was_disputed(&order).await;
        world.remember_an_answer().await;
        world.keeps_an_account().await;
        world.staffed_branch().await;
        world.challenge(Some(bob.identity), ADDRESS).await;
        world.step_up().await;
        world.api_key(&alice).await.expect("a key");
        world.manned_till(&alice).await;
        world.visit().await;
        world.terms(&alice, posx_commissions::Terms::default()).await;
        world.compares_its_books().await;
        world.states_agents(alice.party).await;
        world.pays_agents().await;
        world.closes_its_books().await;
        world.chooses_models().await;
        world.asks_models(alice.identity).await;
        world.talks(alice.identity).await;
        world.reads_papers().await;
        let sealed = world.database.seal_events(&world.scope, noon(), false).await;
        assert!(sealed.expect("sealed") > 0);
        world
    }

    /// An order with a promo code that he cancels: the use comes back.
    pub async fn uses_a_code(&self, bob: &posx_tenancy::Member, tier: posx_kernel::TierId) {
        let view = self.database.tier(&self.scope, tier, true, noon()).await;
        let bonus = Bonus {
            asset: view.expect("a look").expect("the tier").asset_id,
            tokens: TokenAmount::from_base_units(7),
            tokens_max: None,
        };
        self.promo_code("LIVED-IN", |terms| terms.bonus = Some(bonus))
            .await;
        let order = self
            .place_promo(bob, tier, "lived-in", true)
            .await
            .expect("placed");
        let cancelled = self.orders.cancel(&self.scope, order.id, Some(bob.party)).await;
        cancelled.expect("cancelled");
    }

    /// For a dollar of it.
    pub async fn asks_for_a_refund(&self, order: posx_kernel::OrderId) {
        let wish = RequestRefund {
            order,
            amount: Some(usd(100)),
            at_most: usd(100),
            reason: RefundReason::RequestedByCustomer,
            note: None,
            restock: Restock::None,
        };
        let asked = self.orders.request_refund(&self.scope, &wish, None).await;
        asked.expect("asked");
    }

    /// And the referrer's share follows.
    pub async fn partly_goes_back(&self, order: posx_kernel::OrderId) {
        self.asks_for_a_refund(order).await;
        let adjusted = self.commissions.adjust(&self.scope, order).await;
        assert_eq!(adjusted.expect("adjusted").len(), 1);
    }

    /// The referrer was suspended for a moment, and has statements of this month and the next, the second of which follows
    /// the first: what is posted to that account afterwards is dated later. So it comes last.
    async fn states_agents(&self, agent: posx_kernel::PartyId) {
        let (agents, zone) = (self.agents(), self.site.time_zone);
        let edit = |state| AgentEdit {
            display_name: Some("Alice".to_owned()),
            state,
        };
        for (seen, state) in [(1, AgentState::Suspended), (2, AgentState::Active)] {
            let edited = agents.edit(&self.scope, agent, seen, &edit(state)).await;
            edited.expect("edited");
        }
        let month = Month::of(noon(), zone).and_then(Month::next).expect("a month");
        let stated = agents.make_statements(&self.scope, zone, month, None).await;
        assert_eq!(stated.expect("stated").statements, 2);
    }

    pub async fn deliver(&self, order: posx_kernel::OrderId) {
        let made = self
            .allocations
            .allocate(&self.scope, order)
            .await
            .expect("allocated");
        let posx_allocations::Allocated::Applied(ids) = made else {
            panic!("{made:?}")
        };
        self.approved(&ids).await;
    }

    /// A second intent of a paid order that succeeds as well: what a provider should never do. The money is owed back.
    pub async fn pay_twice(&self, order: &Order) {
        let second = Attempt {
            id: PaymentAttemptId::from_uuid(new_id()),
            order: order.id,
            provider: "scripted".to_owned(),
            intent: None,
            amount: order.total,
            received: Money::zero(order.total.currency()),
            state: AttemptState::Created,
            outcome_unknown: true,
            last_decline: None,
            created_at: noon(),
            updated_at: noon(),
        };
        let mut tx = self.begin().await;
        assert!(tx.attempts().insert(&second).await.expect("an attempt"));
        tx.commit().await.expect("committed");
        let request = CreateIntent {
            site: self.site.id,
            attempt: second.id,
            order: order.id,
            amount: order.total,
        };
        let intent = self.gateway.create_intent(&request).await.expect("an intent");
        assert!(self.gateway.pays(&intent.id, order.total));
        assert!(
            self.orders
                .resolve_attempt(&self.scope, second.id)
                .await
                .expect("resolved")
        );
    }

    /// Someone with a second factor, who asks a second person and sets a limit.
    async fn step_up(&self) {
        let owner = self.enrolled().await.identity;
        let (id, checker) = (
            self.asked(owner, [1; 32]).await.id,
            self.colleague(Role::Admin).await,
        );
        let approvals = self.approvals();
        let agreed = approvals.approve(&self.scope, id, checker, &[1; 32]).await;
        agreed.expect("approved");
        self.limited(ReviewedOperation::SupplyCorrection, Some(100), owner, "limit")
            .await;
    }

    async fn remember_an_answer(&self) {
        let call = Self::call("remembered", 1);
        let mut tx = self.begin().await;
        tx.idempotency().claim(&call).await.expect("claimed");
        tx.idempotency()
            .store(
                &call,
                &StoredAnswer {
                    status: 200,
                    body: b"{}".to_vec(),
                },
            )
            .await
            .expect("stored");
        tx.commit().await.expect("committed");
    }

    pub async fn begin(&self) -> Box<dyn OrdersTx> {
        self.database.begin(&self.scope).await.expect("a transaction")
    }
}
