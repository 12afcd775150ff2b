//! What the books say of the providers' accounts, and the runs that are kept.

use std::sync::Arc;

use chrono::{Days, NaiveDate, TimeDelta};
use posx_allocations::Allocated;
use posx_kernel::{Begin as _, Clock as _, EntryId, PageRequest, ReconciliationId, SystemIds, Timestamp};
use posx_ledger::reconcile::testing::{FakeLines, NoLines};
use posx_ledger::reconcile::{
    Booked, BooksToReconcile as _, Line, Moved, Movement, Provider, Reason, Reconciled,
    ReconciliationQueries as _, Reconciliations, ReconciliationsTx,
};
use posx_ledger::{Account, Entry, EntryKind};
use tokio::task::JoinSet;

use crate::payouts::stage::Stage;
use crate::server::{by_hand, superuser};
use crate::world::{World, new_id, noon, unique, usd};

impl World {
    fn runs(&self, stripe: &FakeLines) -> Reconciliations {
        Reconciliations::new(
            &Arc::new(self.database.clone()),
            Arc::new(stripe.clone()),
            Arc::new(stripe.clone()),
            self.clock.clone(),
            Arc::new(SystemIds),
        )
    }

    fn today(&self) -> NaiveDate {
        self.clock.now().with_timezone(&self.site.time_zone).date_naive()
    }

    async fn reconciled(&self, lines: &FakeLines, provider: Provider, day: NaiveDate) -> Reconciled {
        let run = self.runs(lines);
        let run = run
            .reconcile(&self.scope, self.site.time_zone, provider, day)
            .await;
        run.expect("compared")
    }

    /// The day before: the provider kept a fee, and something that the books know nothing of.
    pub async fn compares_its_books(&self) {
        let (lines, at) = (FakeLines::default(), noon() - TimeDelta::days(1));
        lines.add(Line::of_balance(
            "txn_fee",
            Movement::Fee,
            "txn_fee",
            at,
            "USD",
            (-90, 0),
        ));
        lines.add(Line::of_balance(
            "txn_other",
            Movement::Other,
            "x",
            at,
            "USD",
            (-1, 0),
        ));
        let day = self.today() - Days::new(1);
        let run = self.reconciled(&lines, Provider::Stripe, day).await.run;
        assert_eq!((run.booked, run.matched, run.unexplained), (1, 1, 1));
        // And an entry that the provider knows nothing of.
        let done = sqlx::query(
            "insert into reconciliation_differences
               (site_id, id, reconciliation_id, reason, entry_id, entry_kind, entry_unit, entry_amount, entry_at)
             select r.site_id, gen_random_uuid(), r.id, 'missing_there', e.id, e.kind, 'USD', -90, e.posted_at
             from reconciliations r join entries e on e.site_id = r.site_id where r.id = $1 limit 1",
        )
        .bind(run.id.as_uuid())
        .execute(&mut crate::server::superuser().await)
        .await;
        assert_eq!(done.expect("written").rows_affected(), 1);
    }

    async fn booked(&self, provider: Provider) -> Vec<Booked> {
        let (from, until) = (noon() - TimeDelta::days(40), noon() + TimeDelta::days(40));
        let found = self
            .database
            .booked_between(&self.scope, provider, from, until)
            .await;
        found.expect("read")
    }

    async fn about(&self, provider: Provider, reference: &str) -> Vec<Booked> {
        let references = [reference.to_owned()];
        let found = self
            .database
            .booked_about(&self.scope, provider, &references)
            .await;
        found.expect("read")
    }

    /// On `provider:clearing`, of a cause that is not there.
    async fn posts_by_hand(&self, kind: EntryKind) {
        let id = EntryId::from_uuid(new_id());
        let (debit, credit) = (Account::ProviderClearing, Account::Sales);
        let entry = Entry::of_money(id, kind, new_id(), self.clock.now(), usd(7), debit, credit);
        let mut tx: Box<dyn ReconciliationsTx> =
            self.database.begin(&self.scope).await.expect("a transaction");
        tx.ledger().post(&entry).await.expect("posted");
        tx.commit().await.expect("committed");
    }
}

/// As the provider would have it.
fn line_of(entry: &Booked, id: &str, at: Timestamp) -> Line {
    Line {
        id: id.to_owned(),
        movement: entry.movement,
        reference: entry.reference.clone().expect("a reference"),
        moved: entry.moved.clone(),
        at,
    }
}

#[tokio::test]
async fn s48_transfers_to_agents_and_what_came_back_of_them_are_known_by_the_transfer() {
    let stage = Stage::new().await;
    let (world, scope) = (&stage.world, &stage.world.scope);
    let (agent, _) = stage.agent(1).await;
    let withdrawal = stage.withdraw(agent.party, 5_000).await.expect("asked");
    let approved = stage
        .payouts
        .approve_withdrawal(scope, withdrawal, stage.checker, None)
        .await;
    approved.expect("approved");
    let payout = posx_kernel::PayoutId::from_uuid(withdrawal.as_uuid());
    stage.payouts.send(scope, payout).await.expect("sent");
    let reference = stage.payout(payout).await.reference.expect("a transfer");
    stage.provider.reverse(&reference, usd(700));
    stage
        .payouts
        .transfer_changed(scope, &reference)
        .await
        .expect("applied");

    let mut found = world.about(Provider::Stripe, &reference).await;
    found.sort_by_key(|entry| entry.movement);
    let said: Vec<_> = found
        .iter()
        .map(|entry| (entry.movement, entry.moved.signed(), &entry.line))
        .collect();
    assert_eq!(
        said,
        [
            (Movement::Transfer, "-5000".to_owned(), &None),
            (Movement::TransferReversal, "700".to_owned(), &None),
        ]
    );
    let elsewhere = World::new().await;
    assert_eq!(elsewhere.about(Provider::Stripe, &reference).await, []);
    let all = world.booked(Provider::Stripe).await;
    let transfers = all
        .iter()
        .filter(|entry| entry.reference.as_ref() == Some(&reference));
    assert_eq!(transfers.count(), 2);
    // The sale itself, by its intent.
    let sale = all
        .iter()
        .find(|entry| entry.movement == Movement::Payment)
        .expect("a sale");
    assert_eq!(sale.moved, Moved::of_minor(50_000, "USD"));
}

#[tokio::test]
async fn s32_a_refund_that_is_in_no_books_is_on_its_way_or_came_to_nothing_if_its_money_came_back() {
    let world = World::new().await;
    let (order, _) = world.sold().await;
    world.asks_for_a_refund(order.id).await;
    let refund = format!("re_{}", unique(12));
    let write = async |sql: &'static str| {
        let query = sqlx::query(sql).bind(world.site.id.as_uuid()).bind(&refund);
        let written = query.execute(&mut by_hand().await).await.expect(sql);
        assert_eq!(written.rows_affected(), 1, "{sql}");
    };
    write("update refunds set provider_refund_id = $2 where site_id = $1").await;
    let (lines, today) = (FakeLines::default(), world.today());
    let adds = |id: &str, movement, minor| {
        lines.add(Line::of_balance(id, movement, &refund, noon(), "USD", (minor, 0)));
    };
    adds("txn_out", Movement::Refund, -100);
    world.clock.advance(TimeDelta::days(1));
    let explained_as = async || {
        let run = world.reconciled(&lines, Provider::Stripe, today).await;
        let about = run.differences.iter().filter(|one| one.line.is_some());
        about.map(|one| one.reason).collect::<Vec<_>>()
    };
    assert_eq!(explained_as().await, [Reason::OnItsWay]);
    write("update refunds set state = 'failed' where site_id = $1 and provider_refund_id = $2").await;
    assert_eq!(
        explained_as().await,
        [Reason::MissingHere],
        "its money is nowhere"
    );
    adds("txn_back", Movement::RefundFailure, 100);
    assert_eq!(explained_as().await, [Reason::CameToNothing; 2]);
}

#[tokio::test]
async fn what_no_provider_can_know_of_is_found_missing_there() {
    let world = World::new().await;
    // By a kind that has no business there, and by one that has.
    world.posts_by_hand(EntryKind::CommissionWrittenOff).await;
    world.posts_by_hand(EntryKind::PaymentCaptured).await;
    let today = world.today();
    world.clock.advance(TimeDelta::days(1));
    let found = world
        .reconciled(&FakeLines::default(), Provider::Stripe, today)
        .await;
    let said: Vec<_> = found
        .differences
        .iter()
        .map(|one| (one.reason, one.line.is_some()))
        .collect();
    assert_eq!(said, [(Reason::MissingThere, false); 2]);
    let entries = found.differences.iter().filter_map(|one| one.entry.as_ref());
    let mut movements: Vec<_> = entries
        .inspect(|entry| assert_eq!((&entry.reference, entry.moved.signed()), (&None, "7".to_owned())))
        .map(|entry| entry.movement)
        .collect();
    movements.sort_unstable();
    assert_eq!(movements, [Movement::Payment, Movement::Other]);
    let page = PageRequest::new(None, None);
    let kept = world.database.differences(&world.scope, found.run.id, page).await;
    let mut kept = kept.expect("read").expect("the run").items;
    // Newest first, of two ids of one moment.
    kept.sort_by_key(|one| found.differences.iter().position(|other| *one == other.into()));
    assert_eq!(kept, found.differences.iter().map(Into::into).collect::<Vec<_>>());
}

#[tokio::test]
async fn f05_deliveries_are_known_by_the_external_id_of_the_try_that_delivered() {
    let world = World::new().await;
    let buyer = world.member(None).await;
    let tier = world.tier_with(50, 1_000, None).await;
    let order = world.place(&buyer, tier, 3).await.expect("placed");
    world.pay(&order).await;
    let made = world
        .allocations
        .allocate(&world.scope, order.id)
        .await
        .expect("allocated");
    let Allocated::Applied(ids) = made else {
        panic!("{made:?}")
    };
    let batch = world.approved(&ids).await;
    world.send_all(batch).await;

    let found = world.booked(Provider::Fireblocks).await;
    let [entry] = found.as_slice() else {
        panic!("{found:?}")
    };
    let reference = entry.reference.clone().expect("an external id");
    assert_eq!(reference, format!("{}-1", ids[0]));
    assert_eq!(
        (entry.movement, entry.moved.amount),
        (Movement::Delivery, 3 * 1_050)
    );
    assert_eq!(world.about(Provider::Fireblocks, &reference).await, found);
    let wallets = world.database.wallets(&world.scope).await.expect("read");
    assert_eq!(
        wallets.len(),
        1,
        "the batch was sent from where the asset still is"
    );
    assert_eq!(
        (wallets[0].vault.as_str(), wallets[0].asset.to_string()),
        (world.site.id.to_string().as_str(), entry.moved.unit.clone())
    );

    let elsewhere = World::new().await;
    assert_eq!(elsewhere.about(Provider::Fireblocks, &reference).await, []);
    // Whose vault it is not any more, is told nothing of it.
    let (code, vault) = (world.site.code.as_str(), [wallets[0].vault.clone()]);
    let taken = world.platform.change_vaults(code, &[], &vault).await;
    taken.expect("taken away");
    let none = world.database.wallets(&world.scope).await.expect("read");
    assert_eq!(none, []);
    let given = world.platform.change_vaults(code, &vault, &[]).await;
    given.expect("given back");

    let (today, lines) = (world.today(), FakeLines::default());
    world.clock.advance(TimeDelta::days(1));
    let missing = world.reconciled(&lines, Provider::Fireblocks, today).await;
    assert_eq!(missing.differences[0].reason, Reason::MissingThere);
    lines.add([line_of(entry, "tx-1", entry.at)]);
    let agreed = world.reconciled(&lines, Provider::Fireblocks, today).await;
    assert_eq!((agreed.run.matched, agreed.differences.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_runs_at_once_book_each_fee_and_payout_once() {
    let world = Arc::new(World::with_pool(12).await);
    let lines = FakeLines::default();
    for number in 0..450 {
        let (id, at) = (format!("txn_{number}"), noon() + TimeDelta::seconds(number));
        lines.add(Line::of_balance(
            &id,
            Movement::PaidOut,
            "po",
            at,
            "USD",
            (-1_000, 25),
        ));
    }
    let today = world.today();
    world.clock.advance(TimeDelta::days(1));
    let mut runs = JoinSet::new();
    for _ in 0..8 {
        let (world, lines) = (Arc::clone(&world), lines.clone());
        runs.spawn(async move { world.reconciled(&lines, Provider::Stripe, today).await.run });
    }
    let runs = runs.join_all().await;
    assert_eq!(runs.iter().map(|run| run.booked).sum::<u32>(), 900);
    for run in &runs {
        assert_eq!((run.lines, run.matched, run.unexplained), (900, 900, 0));
    }
    let kept =
        world
            .database
            .reconciliations(&world.scope, Some(Provider::Stripe), PageRequest::new(None, None));
    assert_eq!(kept.await.expect("read").items.len(), 8);
    let days = world
        .database
        .reconciled_days(&world.scope, Provider::Stripe)
        .await;
    assert_eq!(days.expect("read"), [today].into());
    assert_eq!(
        world
            .sum("select sum(amount)::text from postings where site_id = $1 and account = 'bank'")
            .await,
        "450000"
    );
}

#[tokio::test]
async fn a_run_and_what_it_found_are_never_changed() {
    let world = World::new().await;
    world.compares_its_books().await;
    for table in ["reconciliations", "reconciliation_differences"] {
        for statement in [
            format!("update {table} set id = id"),
            format!("delete from {table}"),
        ] {
            let site = world.site.id.as_uuid();
            let sql = format!("{statement} where site_id = '{site}'");
            let refused = sqlx::query(sqlx::AssertSqlSafe(sql))
                .execute(&mut superuser().await)
                .await;
            assert!(refused.is_err(), "{statement}");
        }
    }
    let none = ReconciliationId::from_uuid(new_id());
    let page = PageRequest::new(None, None);
    let missing = world
        .database
        .differences(&world.scope, none, page)
        .await
        .expect("read");
    assert_eq!(missing, None);
    assert_eq!(
        world
            .database
            .reconciliation(&world.scope, none)
            .await
            .expect("read"),
        None
    );
    // One without a difference is there, and has none.
    let quiet = world
        .reconciled(
            &FakeLines::default(),
            Provider::Stripe,
            world.today() - Days::new(9),
        )
        .await;
    let none = world
        .database
        .differences(&world.scope, quiet.run.id, page)
        .await
        .expect("read");
    assert_eq!(none.expect("the run").items, []);
}

#[tokio::test]
async fn a_site_without_an_account_leaves_no_run() {
    let world = World::new().await;
    let nobody = Arc::new(NoLines);
    let runs = Reconciliations::new(
        &Arc::new(world.database.clone()),
        nobody.clone(),
        nobody,
        world.clock.clone(),
        Arc::new(SystemIds),
    );
    let day = world.today() - Days::new(1);
    for provider in Provider::ALL {
        let refused = runs
            .reconcile(&world.scope, world.site.time_zone, provider, day)
            .await;
        assert!(refused.is_err());
        let days = world.database.reconciled_days(&world.scope, provider).await;
        assert_eq!(days.expect("read"), [].into());
    }
}
