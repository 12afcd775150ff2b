//! Money on its way to agents, on the real store: settled, taken out and taken back, also at once.

mod racing;
pub mod stage;

use chrono::Duration;
use posx_commissions::testing::SendFault;
use posx_commissions::{
    AccountMethod, BankDetails, Debtor, LeftBecause, PayoutError, PayoutMethod, PayoutQueries as _,
    PayoutRules, PayoutState, Sent, SettlementState, WriteOffRule,
};
use posx_kernel::{Clock as _, PageRequest, PartyId};
use posx_tenancy::{PersonalDataStore as _, ReferralCode};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use self::stage::{SALE, SHARE, Stage, payout_of};
use crate::server::superuser;
use crate::world::{World, new_id, usd};

#[tokio::test]
async fn a_settlement_goes_from_its_preview_to_the_agents_and_the_books_balance() {
    let stage = Stage::new().await;
    let (ann, _) = stage.agent(2).await;
    let (ben, _) = stage.agent(1).await;
    stage.sale(&ann).await;
    let (id, hash) = stage.preview(PayoutMethod::Connect).await.expect("a preview");
    let second = stage.preview(PayoutMethod::Manual).await;
    assert!(matches!(second, Err(PayoutError::DraftOpen)), "{second:?}");
    let view = stage.world.database.settlement(&stage.world.scope, id).await;
    let view = view.expect("a look").expect("the settlement");
    assert_eq!((view.lines, view.totals), (2, vec![usd(3 * SHARE)]));
    assert_eq!(
        stage.states_of_commissions(ann.party).await,
        ["batched", "batched", "held"]
    );
    let own = stage
        .payouts
        .approve_settlement(&stage.world.scope, id, &hash, stage.maker, None)
        .await;
    assert!(matches!(own, Err(PayoutError::OwnSettlement)));
    stage.approve(id, &hash).await.expect("approved");
    assert_eq!(stage.balance(ann.party).await, SHARE);
    assert_eq!(stage.credit("payouts:pending:").await, 3 * SHARE);
    assert_eq!(stage.jobs("send_payout").await, 2);
    for payout in stage.payouts_of(Some(id)).await {
        let sent = stage.payouts.send(&stage.world.scope, payout.id).await;
        assert_eq!(sent.expect("sent"), Sent::Done);
    }
    assert_eq!(stage.state(id).await, SettlementState::Done);
    assert_eq!(
        stage.states_of_commissions(ann.party).await,
        ["held", "paid", "paid"]
    );
    assert_eq!(stage.states_of_commissions(ben.party).await, ["paid"]);
    assert_eq!(
        (stage.credit("payouts:pending:").await, stage.credit("").await),
        (0, 0)
    );
}

#[tokio::test]
async fn what_changed_since_a_preview_makes_it_stale_and_it_is_made_anew() {
    let stage = Stage::new().await;
    let (ann, orders) = stage.agent(2).await;
    let (id, hash) = stage.preview(PayoutMethod::Connect).await.expect("a preview");
    stage.goes_back(orders[0], SALE / 2).await;
    let refused = stage.approve(id, &hash).await;
    assert!(matches!(refused, Err(PayoutError::PreviewStale)), "{refused:?}");
    let anew = stage.hash(id).await;
    assert_ne!(anew, hash);
    let lines = stage
        .world
        .database
        .settlement_lines(&stage.world.scope, id, None, PageRequest::new(None, None))
        .await
        .expect("lines");
    assert_eq!(
        (lines.items.len(), lines.items[0].amount),
        (1, usd(2 * SHARE - SHARE / 2))
    );
    // A dispute: the order's share is not paid, the other one is.
    sqlx::query("update orders set disputed = true where id = $1")
        .bind(orders[1].as_uuid())
        .execute(&mut superuser().await)
        .await
        .expect("written");
    let refused = stage.approve(id, &anew).await;
    assert!(matches!(refused, Err(PayoutError::PreviewStale)), "{refused:?}");
    assert_eq!(
        stage.states_of_commissions(ann.party).await,
        ["batched", "frozen"]
    );
    stage.approve(id, &stage.hash(id).await).await.expect("approved");
    assert_eq!(stage.balance(ann.party).await, SHARE);
}

#[tokio::test]
async fn a_discarded_draft_gives_back_and_a_failed_payout_is_settled_again() {
    let stage = Stage::new().await;
    let (ann, _) = stage.agent(1).await;
    let (id, _) = stage.preview(PayoutMethod::Connect).await.expect("a preview");
    stage
        .payouts
        .discard(&stage.world.scope, id)
        .await
        .expect("discarded");
    assert_eq!(stage.states_of_commissions(ann.party).await, ["ready"]);

    let payouts = stage.settled(PayoutMethod::Connect).await;
    stage.provider.fail_next(SendFault::Refuse("account_closed"));
    let (scope, payout) = (&stage.world.scope, payouts[0].id);
    let sent = stage.payouts.send(scope, payout).await.expect("an answer");
    assert_eq!(sent, Sent::Failed("account_closed".to_owned()));
    let settlement = payouts[0].settlement.expect("a settlement");
    assert_eq!(stage.state(settlement).await, SettlementState::PartlyFailed);
    stage
        .payouts
        .give_back(scope, payout, "the account is closed", stage.maker, None)
        .await
        .expect("given back");
    assert_eq!(stage.states_of_commissions(ann.party).await, ["ready"]);
    assert_eq!(stage.balance(ann.party).await, SHARE);
    assert_eq!(stage.settled(PayoutMethod::Manual).await.len(), 1);
    assert_eq!(stage.credit("").await, 0);
}

#[tokio::test]
async fn a_transfer_that_comes_back_is_the_agents_again() {
    let stage = Stage::new().await;
    let (ann, _) = stage.agent(1).await;
    let payout = stage.settled(PayoutMethod::Connect).await[0].id;
    stage
        .payouts
        .send(&stage.world.scope, payout)
        .await
        .expect("sent");
    let reference = stage.payout(payout).await.reference.expect("a reference");
    for (reversed, balance) in [(1_000, 1_000), (1_000, 1_000), (SHARE, SHARE)] {
        stage.provider.reverse(&reference, usd(reversed));
        let ours = stage
            .payouts
            .transfer_changed(&stage.world.scope, &reference)
            .await;
        assert!(ours.expect("applied"));
        assert_eq!(stage.balance(ann.party).await, balance);
    }
    assert_eq!(stage.payout(payout).await.state, PayoutState::Returned);
    assert_eq!(stage.credit("").await, 0);
    let elsewhere = World::new().await;
    let theirs = stage.payouts.transfer_changed(&elsewhere.scope, &reference).await;
    assert!(!theirs.expect("a look"), "another site's transfer is not found");
}

#[tokio::test]
async fn a_bank_account_is_sealed_goes_into_a_file_and_is_forgotten_with_its_person() {
    let stage = Stage::new().await;
    let (ann, _) = stage.agent(1).await;
    let (scope, service) = (&stage.world.scope, &stage.payouts);
    let details = BankDetails::new("Ann Agent", "DE89370400440532013000", Some("COBADEFF")).expect("details");
    service
        .set_bank_account(scope, ann.party, &details)
        .await
        .expect("kept");
    let debtor = Debtor::new("The site", "GB82WEST12345698765432", None).expect("a debtor");
    let rules = PayoutRules {
        debtor: Some(debtor.clone()),
        ..PayoutRules::defaults(usd(1).currency())
    };
    service.set_rules(scope, &rules).await.expect("set");
    let refused = service.set_rules(scope, &rules).await;
    assert!(matches!(refused, Err(PayoutError::Stale)));

    let payouts = stage.settled(PayoutMethod::Bank).await;
    let made = service
        .create_file(scope, usd(1).currency(), payouts[0].settlement, stage.maker, None)
        .await
        .expect("a file");
    let (file, remittances) = service.file(scope, made.id).await.expect("the file");
    assert_eq!((file.debtor, file.total), (debtor, usd(SHARE)));
    assert_eq!(remittances[0].to, details);
    let twice = service
        .create_file(scope, usd(1).currency(), None, stage.maker, None)
        .await;
    assert!(matches!(twice, Err(PayoutError::NothingWaits)));
    service
        .mark_paid(scope, payouts[0].id, "statement 7", None)
        .await
        .expect("paid");
    assert_eq!(stage.credit("bank").await, SHARE);

    let shown = stage
        .world
        .database
        .export(scope, ann.party)
        .await
        .expect("a read")
        .expect("Ann");
    assert!(
        shown.contains("DE…3000") && !shown.contains("370400440532"),
        "{shown}"
    );
    let code = ReferralCode::random(&stage.world.site.code, &posx_kernel::SystemRandomness);
    let erased = stage
        .world
        .database
        .erase(
            scope,
            ann.party,
            (PartyId::from_uuid(new_id()), &code),
            "asked for it",
            stage.world.clock.now(),
        )
        .await;
    let erased = erased.expect("an answer");
    assert!(matches!(erased, posx_tenancy::Erasure::Done { .. }), "{erased:?}");
    let forgotten = service.file(scope, made.id).await;
    assert!(
        matches!(forgotten, Err(PayoutError::DetailsForgotten)),
        "{forgotten:?}"
    );
    let latest = stage.world.database.payout_accounts(scope, ann.party).await;
    assert_eq!(latest.expect("a look"), []);
}

#[tokio::test]
async fn debts_are_listed_by_their_age_and_written_off_by_rule() {
    let stage = Stage::new().await;
    let (ann, orders) = stage.agent(2).await;
    let payout = stage.settled(PayoutMethod::Connect).await[0].id;
    stage
        .payouts
        .send(&stage.world.scope, payout)
        .await
        .expect("sent");
    stage.goes_back(orders[0], SALE / 4).await;
    let since = stage.world.clock.now();
    stage.world.clock.advance(Duration::days(40));
    stage.goes_back(orders[1], SALE / 4).await;
    let negative = async || {
        let listed = stage
            .world
            .database
            .negative_balances(&stage.world.scope, stage.world.clock.now())
            .await;
        listed.expect("a list")
    };
    let listed = negative().await;
    assert_eq!(listed.len(), 1);
    let one = &listed[0];
    assert_eq!(
        (one.agent, one.owes, one.age),
        (ann.party, usd(SHARE / 2), "31-60")
    );
    assert_eq!(
        one.since.timestamp(),
        since.timestamp(),
        "since it fell below zero, not since it fell further"
    );
    written_off_by_rule(&stage).await;
    assert_eq!(negative().await, []);
}

/// Half a share is given up once the rule reaches it, once.
async fn written_off_by_rule(stage: &Stage) {
    let rule = |up_to| PayoutRules {
        write_off: Some(WriteOffRule {
            up_to: usd(up_to),
            after_days: 30,
        }),
        ..PayoutRules::defaults(usd(1).currency())
    };
    let service = &stage.payouts;
    service
        .set_rules(&stage.world.scope, &rule(SHARE / 2 - 1))
        .await
        .expect("set");
    assert_eq!(
        service
            .write_off_by_rule(&stage.world.scope)
            .await
            .expect("a run"),
        0
    );
    let wider = PayoutRules {
        version: 1,
        ..rule(SHARE / 2)
    };
    service.set_rules(&stage.world.scope, &wider).await.expect("set");
    assert_eq!(
        service
            .write_off_by_rule(&stage.world.scope)
            .await
            .expect("a run"),
        1
    );
    assert_eq!(
        service
            .write_off_by_rule(&stage.world.scope)
            .await
            .expect("a run"),
        0
    );
    let page = PageRequest::new(None, None);
    let write_offs = stage
        .world
        .database
        .write_offs(&stage.world.scope, page)
        .await
        .expect("a list");
    assert_eq!(
        (write_offs.items[0].amount, write_offs.items[0].made_by),
        (usd(SHARE / 2), None)
    );
    assert_eq!(stage.credit("").await, 0);
}

#[tokio::test]
async fn a_settlement_names_those_whom_it_leaves() {
    let stage = Stage::new().await;
    let (ann, _) = stage.agent(1).await;
    let (ben, _) = stage.agent(1).await;
    stage
        .payouts
        .remove_account(&stage.world.scope, ben.party, AccountMethod::Connect)
        .await
        .expect("removed");
    let (id, _) = stage.preview(PayoutMethod::Connect).await.expect("a preview");
    let page = PageRequest::new(None, None);
    let left = stage
        .world
        .database
        .settlement_lines(&stage.world.scope, id, Some(true), page)
        .await
        .expect("lines");
    assert_eq!(left.items.len(), 1);
    assert_eq!(
        (left.items[0].agent, left.items[0].left_because),
        (ben.party, Some(LeftBecause::NoAccount))
    );
    assert_eq!(stage.states_of_commissions(ben.party).await, ["ready"]);
    assert_eq!(stage.states_of_commissions(ann.party).await, ["batched"]);
}

#[tokio::test]
async fn the_database_itself_refuses_moves_that_the_machine_does_not_have() {
    let stage = Stage::new().await;
    stage.agent(1).await;
    let payout = stage.settled(PayoutMethod::Connect).await[0].id;
    let mut connection = superuser().await;
    for change in [
        "state = 'done', reference = 'x', tries = 1, begun_at = now()",
        "state = 'requested'",
        "amount = amount - 1",
        "tries = tries + 2, begun_at = now()",
        "agent_id = settlement_id",
    ] {
        let mut tx = connection.begin().await.expect("a transaction");
        let sql = format!("update payouts set {change} where id = '{}'", payout.as_uuid());
        let refused = tx.execute(AssertSqlSafe(sql)).await;
        let error = refused
            .expect_err(change)
            .into_database_error()
            .expect("by the database");
        assert_eq!(error.constraint(), Some("payouts_move"), "{change}");
    }
    let own = "update settlements set approved_by = made_by where site_id = $1";
    let refused = sqlx::query(own)
        .bind(stage.world.site.id.as_uuid())
        .execute(&mut connection)
        .await;
    let error = refused
        .expect_err("one person")
        .into_database_error()
        .expect("by the database");
    assert_eq!(error.constraint(), Some("settlements_two_people"));
}
