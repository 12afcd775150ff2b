//! Money to agents through the queue: sent by a job, looked up by the clock, taken back by an event.

use chrono::TimeDelta;
use posx_commissions::testing::SendFault;
use posx_commissions::{NewConnectAccount, NewWithdrawal, PayoutMethod, PayoutState, PayoutsTx};
use posx_kernel::{Begin, EntryId, Ids as _, Money, PartyId, PayoutId, SystemIds};
use posx_ledger::{Account, Entry, EntryKind};
use posx_worker::{Tick, drain_site, tick_site};

use crate::webhooks::stripe;
use crate::world::World;

impl World {
    fn money(&self, minor: i64) -> Money {
        Money::from_minor(minor, self.site.currency)
    }

    /// Someone who has earned so much, asked for all of it, and got leave.
    async fn withdraws(&self, minor: i64) -> (PartyId, PayoutId) {
        let agent = self.joins("agent", None).await.party;
        let now = self.services.clock.now();
        let mut tx = Begin::<dyn PayoutsTx>::begin(&self.services.database, &self.scope)
            .await
            .unwrap();
        let (debit, credit) = (Account::CommissionExpense, Account::CommissionPayable(agent));
        let (id, cause) = (EntryId::from_uuid(SystemIds.uuid(now)), SystemIds.uuid(now));
        let kind = EntryKind::CommissionAccrued;
        let entry = Entry::of_money(id, kind, cause, now, self.money(minor), debit, credit);
        tx.ledger().post(&entry).await.unwrap();
        tx.commit().await.unwrap();
        let payouts = &self.services.payouts;
        let new = NewConnectAccount {
            country: "DE",
            refresh_url: "https://shop.test/again",
            return_url: "https://shop.test/done",
        };
        payouts.onboard(&self.scope, agent, new).await.unwrap();
        let wish = NewWithdrawal {
            agent,
            amount: self.money(minor),
            method: PayoutMethod::Connect,
        };
        let asked = payouts.request_withdrawal(&self.scope, wish, None).await.unwrap();
        let by = self.admin().await;
        payouts
            .approve_withdrawal(&self.scope, asked.id, by, None)
            .await
            .unwrap();
        (agent, PayoutId::from_uuid(asked.id.as_uuid()))
    }

    async fn payout_state(&self, id: PayoutId) -> PayoutState {
        let found = self.services.payout_queries.payout(&self.scope, id, None).await;
        found.unwrap().unwrap().state
    }
}

#[tokio::test]
async fn an_approved_withdrawal_is_sent_by_its_job_and_comes_back_by_an_event() {
    let world = World::shared().await;
    let (agent, id) = world.withdraws(50_000).await;
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert!(drained.failures.is_empty(), "{drained:?}");
    assert_eq!(world.payout_state(id).await, PayoutState::Done);
    let transfer = world.payouts.transfers()[0].reference.clone();
    world.payouts.reverse(&transfer, world.money(50_000));
    let event = world
        .delivered(
            "stripe",
            &transfer,
            &stripe("transfer.reversed", &transfer, false),
        )
        .await;
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert!(drained.failures.is_empty(), "{drained:?}");
    assert_eq!(world.webhook_state(event).await, ("done".into(), None));
    assert_eq!(world.payout_state(id).await, PayoutState::Returned);
    let balances = world
        .services
        .payout_queries
        .agent_balances(&world.scope, agent)
        .await;
    assert_eq!(balances.unwrap()[0].available(), world.money(50_000));
}

#[tokio::test]
async fn a_payout_whose_job_got_no_answer_is_looked_up_by_the_clock() {
    let world = World::shared().await;
    let (_, id) = world.withdraws(50_000).await;
    world.payouts.fail_next(SendFault::LoseAnswer);
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert!(
        drained.failures[0].error.starts_with("payout_unsettled"),
        "{drained:?}"
    );
    assert_eq!(world.payout_state(id).await, PayoutState::Sending);
    world.clock.advance(TimeDelta::minutes(11));
    tick_site(&world.services, world.site.id, Tick::Reconcile)
        .await
        .unwrap();
    drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!(world.payout_state(id).await, PayoutState::Done);
    assert_eq!(world.payouts.transfers().len(), 1);
}
