//! Money to agents through the queue: sent by a job, looked up by the clock, taken back by an event.

use chrono::TimeDelta;
use posx_commissions::testing::SendFault;
use posx_commissions::{
    NewConnectAccount, NewWithdrawal, PayoutAccountView, PayoutMethod, PayoutState, PayoutsTx,
};
use posx_kernel::{Begin, EntryId, Ids as _, Money, PartyId, PayoutId, Refusal as _, SystemIds};
use posx_ledger::{Account, Entry, EntryKind};
use posx_worker::{Tick, drain_site, tick_site};
use serde_json::{Value, json};

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

/// As Stripe tells it of an account that is connected to ours.
fn of_account(kind: &str, account: &str, object: &Value) -> Value {
    json!({
        "id": "evt_1", "object": "event", "type": kind, "created": 1_767_225_600, "livemode": false,
        "account": account, "data": { "object": object },
    })
}

impl World {
    /// Applied; its state, and the agent's account as it is then.
    async fn told(
        &self,
        endpoint: &str,
        agent: PartyId,
        (account, event): (&str, &Value),
    ) -> (String, PayoutAccountView) {
        let stored = self.delivered_at(endpoint, "stripe", account, event).await;
        let drained = drain_site(&self.services, self.site.id).await.unwrap();
        assert!(drained.failures.is_empty(), "{drained:?}");
        let queries = &self.services.payout_queries;
        let mut accounts = queries.payout_accounts(&self.scope, agent).await.unwrap();
        (self.webhook_state(stored).await.0, accounts.remove(0))
    }
}

#[tokio::test]
async fn s47_what_the_provider_tells_of_an_account_is_kept_and_a_disabled_one_is_asked_for_nothing() {
    let world = World::shared().await;
    let (agent, id) = world.withdraws(50_000).await;
    drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!(world.payout_state(id).await, PayoutState::Done);
    let account = format!("acct_{}_1", agent.as_uuid().simple());
    let updated = of_account(
        "account.updated",
        &account,
        &json!({ "id": account, "object": "account" }),
    );
    world.payouts.disable(&account, "requirements.past_due");
    let (state, seen) = world.told("shared", agent, (&account, &updated)).await;
    assert_eq!(
        (state.as_str(), seen.payouts_enabled),
        ("parked", Some(true)),
        "not by our own endpoint"
    );
    let (state, seen) = world.told("connect", agent, (&account, &updated)).await;
    assert_eq!((state.as_str(), seen.payouts_enabled), ("done", Some(false)));
    assert_eq!(seen.disabled_reason.as_deref(), Some("requirements.past_due"));

    let wish = NewWithdrawal {
        agent,
        amount: world.money(1_000),
        method: PayoutMethod::Connect,
    };
    let refused = world
        .services
        .payouts
        .request_withdrawal(&world.scope, wish, None)
        .await;
    assert_eq!(refused.unwrap_err().code(), "payout_account_disabled");

    world.payouts.enable(&account);
    let (_, seen) = world.told("connect", agent, (&account, &updated)).await;
    assert_eq!((seen.payouts_enabled, seen.disabled_reason), (Some(true), None));
    world.payouts.disconnect(&account);
    let application = json!({ "id": "ca_1", "object": "application" });
    let cut = of_account("account.application.deauthorized", &account, &application);
    let (_, seen) = world.told("connect", agent, (&account, &cut)).await;
    assert_eq!(seen.disabled_reason.as_deref(), Some("disconnected"));
}

#[tokio::test]
async fn s47_a_payout_to_the_agents_bank_that_fails_is_flagged_and_moves_no_money_of_ours() {
    let world = World::shared().await;
    let (agent, id) = world.withdraws(50_000).await;
    drain_site(&world.services, world.site.id).await.unwrap();
    let account = format!("acct_{}_1", agent.as_uuid().simple());
    let entries = async || -> i64 {
        let count = sqlx::query_scalar("select count(*) from entries where site_id = $1");
        count
            .bind(world.site.id.as_uuid())
            .fetch_one(&world.superuser)
            .await
            .unwrap()
    };
    let before = entries().await;
    let bank =
        |kind: &str, payout: &str| of_account(kind, &account, &json!({ "id": payout, "object": "payout" }));
    for (kind, payout, failed) in [
        ("payout.paid", "po_0", false),
        ("payout.failed", "po_1", true),
        ("payout.failed", "po_1", true),
        // It had been called paid before it failed, and that word came late.
        ("payout.paid", "po_1", true),
        ("payout.paid", "po_2", false),
    ] {
        let (state, seen) = world
            .told("connect", agent, (&account, &bank(kind, payout)))
            .await;
        assert_eq!(
            (state.as_str(), seen.bank_failed),
            ("done", failed),
            "{kind} {payout}"
        );
    }
    assert_eq!(entries().await, before, "our transfer arrived: nothing is booked");
    assert_eq!(world.payout_state(id).await, PayoutState::Done);
    let events: i64 = sqlx::query_scalar(
        "select count(*) from events where site_id = $1 and kind in ('payout_account.bank_failed', 'payout_account.bank_works')",
    )
    .bind(world.site.id.as_uuid())
    .fetch_one(&world.superuser)
    .await
    .unwrap();
    assert_eq!(events, 2, "each change once");
}
