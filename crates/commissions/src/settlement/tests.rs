//! Previews, approvals and what they leave behind, on the in-memory store.

use posx_ledger::Account;
use proptest::prelude::*;

use super::*;
use crate::payout::tests::{ANN, BEN, CHECKER, MAKER, Shop, person};
use crate::testing::{at, party, usd};
use crate::{CommissionState, LeftBecause, NewWithdrawal, PayoutError, PayoutRules};

fn shop() -> Shop {
    let shop = Shop::new();
    shop.earns(ANN, 1, usd(5_000), CommissionState::Ready);
    shop.earns(ANN, 2, usd(700), CommissionState::Held);
    shop.earns(BEN, 3, usd(2_000), CommissionState::Ready);
    for agent in [ANN, BEN] {
        shop.connect(agent);
    }
    shop
}

async fn preview(shop: &Shop) -> (SettlementId, [u8; 32]) {
    let made = shop
        .service
        .preview(&shop.scope, PayoutMethod::Connect, MAKER, None)
        .await;
    let id = made.expect("a preview").id;
    (id, shop.world().payouts.settlements[&id].hash)
}

fn lines(shop: &Shop, id: SettlementId) -> Vec<(PartyId, i64, Option<LeftBecause>)> {
    let world = shop.world();
    let revision = world.payouts.settlements[&id].revision;
    let lines = world.payouts.lines[&(id, revision)].iter();
    lines
        .map(|line| (line.agent, line.amount.minor(), line.left))
        .collect()
}

#[test]
fn only_the_listed_moves_exist() {
    use SettlementState::{Approved, Discarded, Done, Draft, PartlyFailed, Paying};
    let listed = [
        (Draft, Approved),
        (Draft, Discarded),
        (Approved, Paying),
        (Paying, Done),
        (Paying, PartlyFailed),
        (PartlyFailed, Paying),
        (Done, PartlyFailed),
    ];
    for from in SettlementState::ALL {
        for to in SettlementState::ALL {
            let listed = listed.contains(&(*from, *to));
            assert_eq!(from.may_become(*to), listed, "{from:?} → {to:?}");
        }
        assert_eq!(SettlementState::from_name(from.as_str()), Some(*from));
    }
}

#[test]
fn a_settlement_stands_where_its_payouts_do() {
    use PayoutState::{Approved, Cancelled, Done, Failed, Returned, Sending};
    for (states, expected) in [
        (&[Approved][..], SettlementState::Approved),
        (&[Approved, Done], SettlementState::Paying),
        (&[Sending], SettlementState::Paying),
        (&[Sending, Failed], SettlementState::Paying),
        (&[Done], SettlementState::Done),
        (&[Done, Failed], SettlementState::PartlyFailed),
        (&[Returned], SettlementState::PartlyFailed),
        (&[Cancelled, Done], SettlementState::PartlyFailed),
    ] {
        let counted: Vec<_> = states.iter().map(|state| (*state, 1)).collect();
        assert_eq!(SettlementState::of(&counted), expected, "{states:?}");
    }
}

#[tokio::test]
async fn a_preview_shows_what_is_available_and_takes_nothing() {
    let shop = shop();
    let (id, _) = preview(&shop).await;
    assert_eq!(lines(&shop, id), [(ANN, 5_000, None), (BEN, 2_000, None)]);
    assert_eq!((shop.balance(ANN), shop.balance(BEN)), (5_700, 2_000));
    assert_eq!(
        (shop.commission(1), shop.commission(2)),
        (CommissionState::Batched, CommissionState::Held)
    );
    let second = shop
        .service
        .preview(&shop.scope, PayoutMethod::Bank, MAKER, None)
        .await;
    assert!(matches!(second, Err(PayoutError::DraftOpen)));
}

#[tokio::test]
async fn agents_who_are_not_paid_are_listed_with_the_reason_and_keep_their_commissions() {
    let shop = shop();
    let (poor, owing, unbanked) = (party(4), party(5), party(6));
    shop.earns(poor, 4, usd(999), CommissionState::Ready);
    shop.earns(owing, 5, usd(1_000), CommissionState::Paid);
    shop.reverse(5, usd(1_000));
    shop.earns(owing, 6, usd(500), CommissionState::Paid);
    shop.db.arrange(&shop.scope, |world| {
        let mut entry = world
            .entries
            .iter()
            .find(|one| one.kind().as_str() == "commission.reversed")
            .cloned();
        entry = entry.map(|one| one.with_part("again"));
        world.entries.extend(entry);
    });
    shop.earns(unbanked, 7, usd(4_000), CommissionState::Ready);
    let (id, _) = preview(&shop).await;
    assert_eq!(
        lines(&shop, id)[2..],
        [
            (poor, 999, Some(LeftBecause::BelowMinimum)),
            (owing, -500, Some(LeftBecause::Negative)),
            (unbanked, 4_000, Some(LeftBecause::NoAccount)),
        ]
    );
    assert_eq!(
        (shop.commission(4), shop.commission(7)),
        (CommissionState::Ready, CommissionState::Ready)
    );
}

#[tokio::test]
async fn a_site_sets_its_own_minimum() {
    let shop = shop();
    let rules = PayoutRules {
        minimum: usd(2_001),
        ..PayoutRules::defaults(usd(1).currency())
    };
    shop.service.set_rules(&shop.scope, &rules).await.unwrap();
    let (id, _) = preview(&shop).await;
    assert_eq!(lines(&shop, id)[1], (BEN, 2_000, Some(LeftBecause::BelowMinimum)));
    let stale = shop.service.set_rules(&shop.scope, &rules).await;
    assert!(matches!(stale, Err(PayoutError::Stale)));
}

#[tokio::test]
async fn who_made_a_settlement_never_approves_it_however_small() {
    let shop = shop();
    let (id, hash) = preview(&shop).await;
    let own = shop
        .service
        .approve_settlement(&shop.scope, id, &hash, MAKER, None)
        .await;
    assert!(matches!(own, Err(PayoutError::OwnSettlement)));
    let other = [7; 32];
    let blind = shop
        .service
        .approve_settlement(&shop.scope, id, &other, CHECKER, None)
        .await;
    assert!(matches!(blind, Err(PayoutError::HashMismatch)));
    assert_eq!(shop.settlement_state(), SettlementState::Draft);
    // Who makes it anew is its maker.
    shop.service
        .preview_again(&shop.scope, id, CHECKER)
        .await
        .unwrap();
    let hash = shop.world().payouts.settlements[&id].hash;
    let own = shop
        .service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await;
    assert!(matches!(own, Err(PayoutError::OwnSettlement)));
    shop.service
        .approve_settlement(&shop.scope, id, &hash, MAKER, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_approval_takes_the_money_once() {
    let shop = shop();
    let (id, hash) = preview(&shop).await;
    shop.service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await
        .unwrap();
    assert_eq!((shop.balance(ANN), shop.balance(BEN)), (700, 0));
    assert_eq!(
        (
            shop.credit(&Account::PayoutsPending(ANN)),
            shop.credit(&Account::PayoutsPending(BEN))
        ),
        (5_000, 2_000)
    );
    let again = shop
        .service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await;
    assert!(matches!(again, Err(PayoutError::SettlementState("approved"))));
    assert!(shop.service.discard(&shop.scope, id).await.is_err());
    assert_eq!(
        shop.kinds()
            .iter()
            .filter(|kind| **kind == "payout.approved")
            .count(),
        2
    );
}

#[tokio::test]
async fn an_approval_of_what_changed_since_is_refused_and_the_preview_is_made_anew() {
    type Change = fn(&Shop);
    let changes: [(&str, Change); 3] = [
        ("a reversal", |shop| shop.reverse(1, usd(1))),
        ("a dispute", |shop| shop.dispute(1, true)),
        ("another account", |shop| {
            shop.db.arrange(&shop.scope, |world| {
                let mut other = world.payouts.accounts[0].clone();
                other.version = 2;
                world.payouts.accounts.push(other);
            });
        }),
    ];
    for (what, change) in changes {
        let shop = shop();
        let (id, hash) = preview(&shop).await;
        change(&shop);
        let stale = shop
            .service
            .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
            .await;
        assert!(
            matches!(stale, Err(PayoutError::PreviewStale)),
            "{what}: {stale:?}"
        );
        assert_eq!(shop.balance(BEN), 2_000, "{what}: nothing was taken");
        let anew = shop.world().payouts.settlements[&id].clone();
        assert_eq!(
            (anew.state, anew.revision, anew.made_by),
            (SettlementState::Draft, 2, MAKER)
        );
        assert_ne!(anew.hash, hash, "{what}");
        shop.service
            .approve_settlement(&shop.scope, id, &anew.hash, CHECKER, None)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_becomes_ready_or_is_earned_later_does_not_make_a_preview_stale() {
    let shop = shop();
    let (id, hash) = preview(&shop).await;
    shop.earns(ANN, 8, usd(9_000), CommissionState::Ready);
    shop.earns(BEN, 9, usd(9_000), CommissionState::Held);
    shop.reverse(9, usd(1_000));
    shop.service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await
        .unwrap();
    assert_eq!(
        (shop.balance(ANN), shop.commission(8)),
        (9_700, CommissionState::Ready)
    );
}

#[tokio::test]
async fn a_withdrawal_makes_a_preview_stale_so_the_same_money_goes_once() {
    let shop = shop();
    let (id, hash) = preview(&shop).await;
    let wish = NewWithdrawal {
        agent: ANN,
        amount: usd(1_000),
        method: PayoutMethod::Connect,
    };
    shop.service
        .request_withdrawal(&shop.scope, wish, None)
        .await
        .unwrap();
    let stale = shop
        .service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await;
    assert!(matches!(stale, Err(PayoutError::PreviewStale)));
    assert_eq!(lines(&shop, id)[0], (ANN, 4_000, None));
    let hash = shop.world().payouts.settlements[&id].hash;
    shop.service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await
        .unwrap();
    assert_eq!(shop.balance(ANN), 700);
}

#[tokio::test]
async fn whose_balance_is_withdrawn_already_keeps_their_commissions_ready() {
    let shop = Shop::new();
    shop.earns(ANN, 1, usd(5_000), CommissionState::Ready);
    shop.earns(BEN, 2, usd(5_000), CommissionState::Ready);
    shop.connect(ANN);
    shop.connect(BEN);
    let wish = NewWithdrawal {
        agent: ANN,
        amount: usd(5_000),
        method: PayoutMethod::Connect,
    };
    shop.service
        .request_withdrawal(&shop.scope, wish, None)
        .await
        .unwrap();
    let (id, hash) = preview(&shop).await;
    assert_eq!(lines(&shop, id), [(BEN, 5_000, None)]);
    assert_eq!(shop.commission(1), CommissionState::Ready, "no line pays it");
    shop.service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await
        .unwrap();
    assert_eq!(shop.commission(1), CommissionState::Ready);
    assert_eq!(shop.commission(2), CommissionState::Batched);
}

#[tokio::test]
async fn a_discarded_draft_gives_each_commission_back_to_where_it_would_be() {
    let shop = shop();
    shop.earns(ANN, 10, usd(300), CommissionState::Ready);
    let (id, hash) = preview(&shop).await;
    shop.dispute(1, true);
    shop.reverse(10, usd(300));
    shop.service.discard(&shop.scope, id).await.unwrap();
    shop.service.discard(&shop.scope, id).await.unwrap();
    assert_eq!(
        (shop.commission(1), shop.commission(3), shop.commission(10)),
        (
            CommissionState::Frozen,
            CommissionState::Ready,
            CommissionState::Void
        )
    );
    let late = shop
        .service
        .approve_settlement(&shop.scope, id, &hash, CHECKER, None)
        .await;
    assert!(matches!(late, Err(PayoutError::SettlementState("discarded"))));
    let by = person(1);
    let anew = shop
        .service
        .preview(&shop.scope, PayoutMethod::Connect, by, None)
        .await
        .unwrap();
    assert_eq!(
        lines(&shop, anew.id),
        [(BEN, 2_000, None)],
        "disputed money stays"
    );
}

#[tokio::test]
async fn where_nobody_has_anything_there_is_no_settlement() {
    let shop = Shop::new();
    let empty = shop
        .service
        .preview(&shop.scope, PayoutMethod::Manual, MAKER, None)
        .await;
    assert!(matches!(empty, Err(PayoutError::NothingToSettle)));
    assert!(shop.world().payouts.settlements.is_empty());
}

#[test]
fn what_a_provider_cannot_move_stays_with_the_balance() {
    let kwd = |minor| Money::from_minor(minor, posx_kernel::Currency::from_code("KWD").expect("KWD"));
    assert_eq!(transferable(PayoutMethod::Connect, kwd(12_345)), kwd(12_340));
    assert_eq!(transferable(PayoutMethod::Bank, kwd(12_345)), kwd(12_345));
    assert_eq!(transferable(PayoutMethod::Connect, usd(12_345)), usd(12_345));
}

proptest! {
    #[test]
    fn a_settlement_never_pays_more_than_is_available_and_says_the_same_in_any_order(
        facts in prop::collection::vec((1u128..20, -5_000i64..100_000, 0i64..50_000, 0i64..50_000), 0..40),
        turn in 0usize..40,
    ) {
        let balances: Vec<_> = facts.iter().enumerate().map(|(at, (_, balance, held, ready))| crate::AgentBalance {
            agent: party(at as u128),
            balance: usd(*balance),
            held_back: usd(*held),
            ready: usd(*ready),
        }).collect();
        let (accounts, rules) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
        let terms = super::preview::Terms { method: PayoutMethod::Manual, accounts: &accounts, rules: &rules, now: at(0) };
        let id = || PayoutId::from_uuid(uuid::Uuid::nil());
        let lines = super::preview::lines_of(&balances, &terms, id);
        for line in &lines {
            let one = balances.iter().find(|one| one.agent == line.agent).unwrap();
            prop_assert!(!line.is_paid() || line.amount.minor() <= one.available().minor());
            prop_assert!(!line.is_paid() || line.amount.minor() >= 1_000);
        }
        let mut turned = balances.clone();
        if !turned.is_empty() {
            let by = turn % turned.len();
            turned.rotate_left(by);
        }
        prop_assert_eq!(super::preview::lines_of(&turned, &terms, id), lines);
    }
}
