//! Withdrawals and write-offs, on the in-memory store.

use posx_kernel::WithdrawalId;
use posx_ledger::Account;

use super::*;
use crate::payout::tests::{ANN, BEN, CHECKER, MAKER, Shop, person};
use crate::testing::usd;
use crate::{
    AccountMethod, BankDetails, CommissionState, Debtor, PayoutRules, PayoutState, Sent, WriteOffRule,
};

const ANNS: IdentityId = person(1);

fn shop() -> Shop {
    let shop = Shop::new();
    shop.earns(ANN, 1, usd(5_000), CommissionState::Ready);
    shop.earns(ANN, 2, usd(700), CommissionState::Held);
    shop.connect(ANN);
    shop.db.arrange(&shop.scope, |world| {
        world.payouts.identities.insert(ANN, ANNS);
    });
    shop
}

const fn of(minor: Money) -> NewWithdrawal {
    NewWithdrawal {
        agent: ANN,
        amount: minor,
        method: PayoutMethod::Connect,
    }
}

async fn requested(shop: &Shop, minor: i64) -> Result<WithdrawalId, PayoutError> {
    let made = shop
        .service
        .request_withdrawal(&shop.scope, of(usd(minor)), None)
        .await;
    made.map(|made| made.id)
}

#[tokio::test]
async fn an_agent_takes_out_what_is_available_and_no_more() {
    let shop = shop();
    assert!(matches!(
        requested(&shop, 5_001).await,
        Err(PayoutError::NotAvailable)
    ));
    assert!(matches!(
        requested(&shop, 999).await,
        Err(PayoutError::BelowMinimum)
    ));
    for bad in [0, -1_000] {
        assert!(
            matches!(requested(&shop, bad).await, Err(PayoutError::Amount)),
            "{bad}"
        );
    }
    requested(&shop, 3_000).await.unwrap();
    assert_eq!(
        (shop.balance(ANN), shop.credit(&Account::PayoutsPending(ANN))),
        (2_700, 3_000)
    );
    assert!(matches!(
        requested(&shop, 1_000).await,
        Err(PayoutError::WithdrawalOpen)
    ));
}

#[tokio::test]
async fn disputed_money_cannot_be_taken_out_before_its_commission_is_frozen_either() {
    let shop = shop();
    shop.dispute(1, true);
    assert!(matches!(
        requested(&shop, 1_000).await,
        Err(PayoutError::NotAvailable)
    ));
    shop.dispute(1, false);
    requested(&shop, 1_000).await.unwrap();
}

#[tokio::test]
async fn a_site_limits_one_withdrawal() {
    let shop = shop();
    let rules = PayoutRules {
        maximum: Some(usd(2_000)),
        ..PayoutRules::defaults(usd(1).currency())
    };
    shop.service.set_rules(&shop.scope, &rules).await.unwrap();
    assert!(matches!(
        requested(&shop, 2_001).await,
        Err(PayoutError::AboveMaximum)
    ));
    requested(&shop, 2_000).await.unwrap();
}

#[tokio::test]
async fn a_withdrawal_is_approved_by_somebody_else_and_sent() {
    let shop = shop();
    let id = requested(&shop, 5_000).await.unwrap();
    let own = shop.service.approve_withdrawal(&shop.scope, id, ANNS, None).await;
    assert!(matches!(own, Err(PayoutError::OwnWithdrawal)));
    let payout = payout_of(id);
    assert_eq!(
        shop.service.send(&shop.scope, payout).await.unwrap(),
        Sent::NothingToDo
    );
    shop.service
        .approve_withdrawal(&shop.scope, id, CHECKER, None)
        .await
        .unwrap();
    assert_eq!(shop.service.send(&shop.scope, payout).await.unwrap(), Sent::Done);
    assert_eq!(shop.credit(&Account::ProviderClearing), 5_000);
    assert_eq!(shop.payout(payout).state, PayoutState::Done);
    let again = shop
        .service
        .approve_withdrawal(&shop.scope, id, CHECKER, None)
        .await;
    assert!(matches!(again, Err(PayoutError::State("done"))));
}

#[tokio::test]
async fn what_sales_took_back_meanwhile_is_not_approved() {
    let shop = shop();
    let id = requested(&shop, 5_000).await.unwrap();
    shop.reverse(1, usd(1));
    let refused = shop
        .service
        .approve_withdrawal(&shop.scope, id, CHECKER, None)
        .await;
    assert!(matches!(refused, Err(PayoutError::NotCovered)));
    shop.service
        .reject_withdrawal(&shop.scope, id, "a refund", CHECKER, None)
        .await
        .unwrap();
    assert_eq!(shop.balance(ANN), 5_699);
}

#[tokio::test]
async fn rejected_or_cancelled_the_money_is_the_agents_again() {
    let shop = shop();
    let id = requested(&shop, 1_000).await.unwrap();
    let blank = shop
        .service
        .reject_withdrawal(&shop.scope, id, " ", CHECKER, None)
        .await;
    assert!(matches!(blank, Err(PayoutError::Reason)));
    let own = shop
        .service
        .reject_withdrawal(&shop.scope, id, "mine", ANNS, None)
        .await;
    assert!(matches!(own, Err(PayoutError::OwnWithdrawal)));
    shop.service
        .reject_withdrawal(&shop.scope, id, "no", CHECKER, None)
        .await
        .unwrap();
    assert_eq!(shop.balance(ANN), 5_700);
    let id = requested(&shop, 2_000).await.unwrap();
    let others = shop.service.cancel_withdrawal(&shop.scope, id, BEN, None).await;
    assert!(matches!(others, Err(PayoutError::WithdrawalNotFound)));
    shop.service
        .cancel_withdrawal(&shop.scope, id, ANN, None)
        .await
        .unwrap();
    assert_eq!(
        (shop.balance(ANN), shop.credit(&Account::PayoutsPending(ANN))),
        (5_700, 0)
    );
    let twice = shop.service.cancel_withdrawal(&shop.scope, id, ANN, None).await;
    assert!(matches!(twice, Err(PayoutError::State("cancelled"))));
}

#[tokio::test]
async fn an_approved_withdrawal_is_not_the_agents_to_cancel() {
    let shop = shop();
    let id = requested(&shop, 1_000).await.unwrap();
    shop.service
        .approve_withdrawal(&shop.scope, id, CHECKER, None)
        .await
        .unwrap();
    let late = shop.service.cancel_withdrawal(&shop.scope, id, ANN, None).await;
    assert!(matches!(late, Err(PayoutError::State("approved"))));
    shop.service
        .give_back(&shop.scope, payout_of(id), "asked for it", MAKER, None)
        .await
        .unwrap();
    assert_eq!(
        (shop.payout(payout_of(id)).state, shop.balance(ANN)),
        (PayoutState::Cancelled, 5_700)
    );
}

fn details(iban: &str) -> BankDetails {
    BankDetails::new("Ann Agent", iban, None).expect("details")
}

#[tokio::test]
async fn bank_details_are_sealed_and_a_changed_account_is_not_paid_to_for_a_while() {
    let shop = shop();
    let by_bank = |minor| NewWithdrawal {
        method: PayoutMethod::Bank,
        ..of(usd(minor))
    };
    let none = shop
        .service
        .request_withdrawal(&shop.scope, by_bank(1_000), None)
        .await;
    assert!(matches!(none, Err(PayoutError::NoAccount)));
    let service = &shop.service;
    service
        .set_bank_account(&shop.scope, ANN, &details("DE89370400440532013000"))
        .await
        .unwrap();
    let first = service
        .request_withdrawal(&shop.scope, by_bank(1_000), None)
        .await
        .unwrap()
        .id;
    service
        .approve_withdrawal(&shop.scope, first, CHECKER, None)
        .await
        .unwrap();
    let debtor = Debtor::new("The site", "GB82WEST12345698765432", None).unwrap();
    let rules = PayoutRules {
        debtor: Some(debtor),
        ..PayoutRules::defaults(usd(1).currency())
    };
    service.set_rules(&shop.scope, &rules).await.unwrap();

    // Somebody puts another account in its place before the file is written.
    service
        .set_bank_account(&shop.scope, ANN, &details("NO9386011117947"))
        .await
        .unwrap();
    let file = service
        .create_file(&shop.scope, usd(1).currency(), None, MAKER, None)
        .await;
    assert!(matches!(file, Err(PayoutError::NothingWaits)));
    let payout = shop.payout(payout_of(first));
    assert_eq!(
        (payout.state, payout.reason.as_deref()),
        (PayoutState::Failed, Some("account_changed"))
    );
    let retry = service.retry(&shop.scope, payout.id, None).await;
    assert!(matches!(retry, Err(PayoutError::CoolingOff)));
    is_in_one_file(&shop, payout.id).await;
}

/// Once the new account may be used, it is sent round again, and stands in one file.
async fn is_in_one_file(shop: &Shop, id: PayoutId) {
    let service = &shop.service;
    shop.clock.advance(chrono::TimeDelta::hours(72));
    service.retry(&shop.scope, id, None).await.unwrap();
    let file = service
        .create_file(&shop.scope, usd(1).currency(), None, MAKER, None)
        .await
        .unwrap();
    let (file, remittances) = service.file(&shop.scope, file.id).await.unwrap();
    assert_eq!((file.total, remittances.len()), (usd(1_000), 1));
    assert_eq!(remittances[0].to, details("NO9386011117947"));
    assert_eq!((remittances[0].line.payout, remittances[0].line.attempt), (id, 2));
    let twice = service
        .create_file(&shop.scope, usd(1).currency(), None, MAKER, None)
        .await;
    assert!(
        matches!(twice, Err(PayoutError::NothingWaits)),
        "it is in one file"
    );
    service
        .mark_paid(&shop.scope, id, "statement 12", None)
        .await
        .unwrap();
    assert_eq!(shop.credit(&Account::Bank), 1_000);
    service
        .remove_account(&shop.scope, ANN, AccountMethod::Bank)
        .await
        .unwrap();
    assert!(
        service
            .remove_account(&shop.scope, ANN, AccountMethod::Bank)
            .await
            .is_err()
    );
    assert!(!format!("{:?}", shop.world().events).contains("9386011117947"));
}

#[tokio::test]
async fn a_debt_is_written_off_by_a_person_up_to_what_is_owed() {
    let shop = shop();
    shop.earns(BEN, 3, usd(800), CommissionState::Paid);
    let write_off = async |minor| {
        shop.service
            .write_off(&shop.scope, BEN, usd(minor), "moved away", MAKER, None)
            .await
    };
    assert!(matches!(write_off(1).await, Err(PayoutError::OwesLess)));
    shop.reverse(3, usd(800));
    shop.reverse(3, usd(300));
    assert_eq!(shop.balance(BEN), -300);
    assert!(matches!(write_off(301).await, Err(PayoutError::OwesLess)));
    write_off(100).await.unwrap();
    write_off(200).await.unwrap();
    assert_eq!(
        (shop.balance(BEN), shop.credit(&Account::CommissionWrittenOff)),
        (0, -300)
    );
    assert!(matches!(write_off(1).await, Err(PayoutError::OwesLess)));
}

#[tokio::test]
async fn small_old_debts_are_written_off_by_rule_and_others_stay() {
    let shop = shop();
    shop.earns(BEN, 3, usd(100), CommissionState::Paid);
    shop.reverse(3, usd(100));
    shop.reverse(3, usd(400));
    assert_eq!(
        shop.service.write_off_by_rule(&shop.scope).await.unwrap(),
        0,
        "no rule"
    );
    let rule = WriteOffRule {
        up_to: usd(400),
        after_days: 60,
    };
    let rules = PayoutRules {
        write_off: Some(rule),
        ..PayoutRules::defaults(usd(1).currency())
    };
    shop.service.set_rules(&shop.scope, &rules).await.unwrap();
    shop.clock.advance(chrono::TimeDelta::days(60));
    assert_eq!(
        shop.service.write_off_by_rule(&shop.scope).await.unwrap(),
        0,
        "not old enough"
    );
    shop.clock.advance(chrono::TimeDelta::days(1));
    assert_eq!(shop.service.write_off_by_rule(&shop.scope).await.unwrap(), 1);
    assert_eq!(shop.service.write_off_by_rule(&shop.scope).await.unwrap(), 0);
    assert_eq!(shop.balance(BEN), 0);
    assert_eq!(shop.world().payouts.write_offs[0].made_by, None);
}
