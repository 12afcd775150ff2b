//! Sending, failing, coming back: on the in-memory store and provider, which die wherever one likes.

mod crash;
mod shop;

use chrono::TimeDelta;
use posx_kernel::{Money, PayoutId, SiteId, SiteScope};
use posx_ledger::Account;
use uuid::Uuid;

pub(crate) use self::shop::{ANN, BEN, CHECKER, MAKER, Shop, person};
use crate::testing::{BehindPayouts, FakePayoutGateway, SendFault, at, payout_contract, usd};
use crate::{AccountMethod, CommissionState, PayoutError, PayoutMethod, PayoutState, Sent, SettlementState};

/// Ann has earned 50.00 and is settled by the provider.
async fn approved() -> (Shop, PayoutId) {
    let shop = Shop::new();
    shop.earns(ANN, 1, usd(5_000), CommissionState::Ready);
    shop.connect(ANN);
    let payouts = shop.settled(PayoutMethod::Connect).await;
    let id = payouts[0].id;
    (shop, id)
}

#[tokio::test]
async fn a_payout_is_sent_booked_and_ends_its_settlement() {
    let (shop, id) = approved().await;
    assert_eq!(
        (shop.balance(ANN), shop.credit(&Account::PayoutsPending(ANN))),
        (0, 5_000)
    );
    assert_eq!(shop.service.send(&shop.scope, id).await.unwrap(), Sent::Done);
    assert_eq!(
        shop.service.send(&shop.scope, id).await.unwrap(),
        Sent::NothingToDo
    );
    assert_eq!(shop.payout(id).state, PayoutState::Done);
    assert_eq!(
        shop.payout(id).reference.as_ref(),
        Some(&shop.provider.transfers()[0].reference)
    );
    assert_eq!(
        (
            shop.credit(&Account::PayoutsPending(ANN)),
            shop.credit(&Account::ProviderClearing)
        ),
        (0, 5_000)
    );
    assert_eq!(shop.commission(1), CommissionState::Paid);
    assert_eq!(shop.settlement_state(), SettlementState::Done);
    assert!(shop.kinds().ends_with(&[
        "payout.sending",
        "settlement.paying",
        "payout_account.standing_changed",
        "payout.done",
        "settlement.done"
    ]));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_and_nothing_is_sent_again() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::LoseAnswer);
    assert!(matches!(
        shop.service.send(&shop.scope, id).await,
        Err(PayoutError::Unsettled)
    ));
    assert_eq!(shop.payout(id).state, PayoutState::Sending);
    assert_eq!(shop.service.send(&shop.scope, id).await.unwrap(), Sent::Done);
    assert_eq!((shop.provider.transfers().len(), shop.provider.sends()), (1, 1));
}

#[tokio::test]
async fn a_lost_request_is_sent_again_under_its_key() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::LoseRequest);
    assert!(shop.service.send(&shop.scope, id).await.is_err());
    assert_eq!(shop.service.send(&shop.scope, id).await.unwrap(), Sent::Done);
    assert_eq!((shop.payout(id).tries, shop.provider.transfers().len()), (1, 1));
}

#[tokio::test]
async fn s44_a_refused_one_waits_for_a_person_and_is_tried_again_under_another_key() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::Refuse("balance_insufficient"));
    let sent = shop.service.send(&shop.scope, id).await.unwrap();
    assert_eq!(sent, Sent::Failed("balance_insufficient".to_owned()));
    assert_eq!(shop.settlement_state(), SettlementState::PartlyFailed);
    assert_eq!(shop.balance(ANN), 0, "the money is neither paid nor given back");
    shop.service.retry(&shop.scope, id, None).await.unwrap();
    assert_eq!(shop.settlement_state(), SettlementState::Paying);
    assert_eq!(shop.service.send(&shop.scope, id).await.unwrap(), Sent::Done);
    assert_eq!(
        (shop.payout(id).tries, shop.settlement_state()),
        (2, SettlementState::Done)
    );
}

#[tokio::test]
async fn one_that_failed_for_good_gives_its_money_and_its_commissions_back() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::Refuse("account_closed"));
    shop.service.send(&shop.scope, id).await.unwrap();
    shop.service
        .give_back(&shop.scope, id, "the account is closed", MAKER, None)
        .await
        .unwrap();
    assert_eq!(shop.payout(id).state, PayoutState::Returned);
    assert_eq!(
        (shop.balance(ANN), shop.credit(&Account::PayoutsPending(ANN))),
        (5_000, 0)
    );
    assert_eq!(shop.commission(1), CommissionState::Ready);
    assert_eq!(shop.settlement_state(), SettlementState::PartlyFailed);
    assert!(matches!(
        shop.service
            .give_back(&shop.scope, id, "again", MAKER, None)
            .await,
        Err(PayoutError::State("returned"))
    ));
    assert_eq!(
        shop.settled(PayoutMethod::Connect).await.len(),
        1,
        "it is settled again"
    );
}

#[tokio::test]
async fn one_that_the_provider_has_after_all_is_not_given_back_and_a_retry_finds_it() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::LoseAnswer);
    shop.service.send(&shop.scope, id).await.unwrap_err();
    // The run that waited for the answer died, and a person saw only that it had failed.
    shop.db.arrange(&shop.scope, |world| {
        world.payouts.payouts.get_mut(&id).unwrap().state = PayoutState::Failed;
    });
    let refused = shop.service.give_back(&shop.scope, id, "gone", MAKER, None).await;
    assert!(matches!(refused, Err(PayoutError::WasSent)));
    // Even with the account gone meanwhile.
    shop.service
        .remove_account(&shop.scope, ANN, AccountMethod::Connect)
        .await
        .unwrap();
    shop.service.retry(&shop.scope, id, None).await.unwrap();
    assert_eq!(shop.service.send(&shop.scope, id).await.unwrap(), Sent::Done);
    assert_eq!((shop.provider.transfers().len(), shop.provider.sends()), (1, 1));
}

#[tokio::test]
async fn s47_nothing_is_sent_to_an_account_that_is_not_ready_or_was_changed() {
    let (shop, id) = approved().await;
    shop.provider.set_ready(&Shop::account_of(ANN), false);
    let sent = shop.service.send(&shop.scope, id).await.unwrap();
    assert_eq!(sent, Sent::Failed("account_not_ready".to_owned()));
    shop.provider.set_ready(&Shop::account_of(ANN), true);
    shop.service.retry(&shop.scope, id, None).await.unwrap();
    shop.db.arrange(&shop.scope, |world| {
        let mut other = world.payouts.accounts[0].clone();
        other.version = 2;
        other.connect_account = Some("acct_of_a_thief".to_owned());
        other.usable_from = at(33);
        world.payouts.accounts.push(other);
    });
    let sent = shop.service.send(&shop.scope, id).await.unwrap();
    assert_eq!(sent, Sent::Failed("account_changed".to_owned()));
    let payout = shop.payout(id);
    assert_eq!(
        (payout.state, payout.reason.as_deref()),
        (PayoutState::Failed, Some("account_changed"))
    );
    let refused = shop.service.retry(&shop.scope, id, None).await;
    assert!(matches!(refused, Err(PayoutError::CoolingOff)), "{refused:?}");
    assert_eq!(shop.provider.sends(), 0);
}

#[tokio::test]
async fn s47_a_disabled_account_is_told_apart_kept_and_left_by_the_next_settlement() {
    let (shop, id) = approved().await;
    let account = Shop::account_of(ANN);
    shop.provider.disable(&account, "rejected.fraud");
    let sent = shop.service.send(&shop.scope, id).await.unwrap();
    assert_eq!(sent, Sent::Failed("account_disabled".to_owned()));
    let kept = shop.world().payouts.accounts[0].standing.clone().unwrap();
    assert_eq!(
        (kept.payouts_enabled, kept.disabled_reason.as_deref()),
        (false, Some("rejected.fraud"))
    );
    assert!(shop.world().payouts.accounts[0].payable(at(40)).is_err());
    shop.provider.enable(&account);
    shop.service.retry(&shop.scope, id, None).await.unwrap();
    assert_eq!(
        shop.service.send(&shop.scope, id).await.unwrap(),
        Sent::Done,
        "it is asked again each time"
    );
    assert!(shop.world().payouts.accounts[0].payable(at(40)).is_ok());
    let elsewhere = SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(2)));
    assert!(
        !shop.service.account_changed(&elsewhere, &account).await.unwrap(),
        "another site's"
    );
}

#[tokio::test]
async fn s47_what_was_asked_for_earlier_does_not_take_the_place_of_what_was_asked_for_later() {
    let (shop, _) = approved().await;
    let account = Shop::account_of(ANN);
    shop.provider.disable(&account, "under_review");
    shop.clock.advance(TimeDelta::hours(2));
    shop.service.account_changed(&shop.scope, &account).await.unwrap();
    shop.provider.enable(&account);
    shop.clock.advance(TimeDelta::hours(-1));
    shop.service.account_changed(&shop.scope, &account).await.unwrap();
    let kept = shop.world().payouts.accounts[0].standing.clone().unwrap();
    assert!(!kept.payouts_enabled);
}

#[tokio::test]
async fn a_try_that_may_still_be_under_way_is_not_called_failed_for_an_account_that_is_not_ready_now() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::LoseRequest);
    shop.service.send(&shop.scope, id).await.unwrap_err();
    shop.provider.set_ready(&Shop::account_of(ANN), false);
    assert!(matches!(
        shop.service.send(&shop.scope, id).await,
        Err(PayoutError::Unsettled)
    ));
    shop.clock.advance(TimeDelta::hours(2));
    let sent = shop.service.send(&shop.scope, id).await.unwrap();
    assert_eq!(sent, Sent::Failed("account_not_ready".to_owned()));
}

#[tokio::test]
async fn s45_a_transfer_that_is_taken_back_is_the_agents_again_each_cent_once() {
    let (shop, id) = approved().await;
    shop.service.send(&shop.scope, id).await.unwrap();
    let transfer = shop.provider.transfers()[0].reference.clone();
    for (reversed, balance) in [(2_000, 2_000), (2_000, 2_000), (5_000, 5_000), (5_000, 5_000)] {
        shop.provider.reverse(&transfer, usd(reversed));
        assert!(
            shop.service
                .transfer_changed(&shop.scope, &transfer)
                .await
                .unwrap()
        );
        assert_eq!(shop.balance(ANN), balance);
    }
    assert_eq!(shop.payout(id).state, PayoutState::Returned);
    assert_eq!(shop.credit(&Account::ProviderClearing), 0);
    assert_eq!(shop.settlement_state(), SettlementState::PartlyFailed);
    assert!(
        !shop
            .service
            .transfer_changed(&shop.scope, "tr_of_others")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn the_clock_brings_those_without_an_answer_to_their_end() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::LoseAnswer);
    shop.service.send(&shop.scope, id).await.unwrap_err();
    let asked = shop.service.reconcile(&shop.scope, at(30), 10).await.unwrap();
    assert_eq!(asked, 0, "it has only just begun");
    assert_eq!(shop.service.reconcile(&shop.scope, at(31), 10).await.unwrap(), 1);
    assert_eq!(shop.payout(id).state, PayoutState::Done);
}

#[tokio::test]
async fn a_transfer_of_another_amount_ends_nothing() {
    let (shop, id) = approved().await;
    shop.provider.fail_next(SendFault::LoseAnswer);
    shop.service.send(&shop.scope, id).await.unwrap_err();
    shop.db.arrange(&shop.scope, |world| {
        world.payouts.payouts.get_mut(&id).unwrap().amount = usd(4_999);
    });
    assert!(matches!(
        shop.service.send(&shop.scope, id).await,
        Err(PayoutError::TransferMismatch)
    ));
    assert_eq!(shop.payout(id).state, PayoutState::Sending);
}

#[tokio::test]
async fn a_person_marks_by_hand_what_a_person_paid_and_nothing_else() {
    let (shop, id) = approved().await;
    let refused = shop.service.mark_paid(&shop.scope, id, "tr_9", None).await;
    assert!(matches!(refused, Err(PayoutError::NotByHand)));
    shop.earns(BEN, 2, usd(3_000), CommissionState::Ready);
    let by_hand = shop.settled(PayoutMethod::Manual).await[0].id;
    for bad in ["", " ", "a\nb", &"x".repeat(141)] {
        let refused = shop.service.mark_paid(&shop.scope, by_hand, bad, None).await;
        assert!(matches!(refused, Err(PayoutError::Reference)), "{bad:?}");
    }
    shop.service
        .mark_paid(&shop.scope, by_hand, "cash, receipt 7", None)
        .await
        .unwrap();
    assert_eq!(shop.payout(by_hand).state, PayoutState::Done);
    assert_eq!(shop.settlement_state(), SettlementState::Done);
    assert_eq!(
        (
            shop.credit(&Account::Bank),
            shop.credit(&Account::PayoutsPending(BEN))
        ),
        (3_000, 0)
    );
    assert!(
        shop.service
            .mark_paid(&shop.scope, by_hand, "again", None)
            .await
            .is_err()
    );
    assert!(
        shop.service
            .mark_failed(&shop.scope, by_hand, "late", None)
            .await
            .is_err()
    );
}

#[async_trait::async_trait]
impl BehindPayouts for FakePayoutGateway {
    async fn set_ready(&self, account: &str, ready: bool) {
        Self::set_ready(self, account, ready);
    }

    async fn lose_answer(&self) {
        self.fail_next(SendFault::LoseAnswer);
    }

    async fn run_short(&self) {
        self.fail_next(SendFault::Refuse("balance_insufficient"));
    }

    async fn take_back(&self, reference: &str, amount: Money) {
        let transfer = self
            .transfers()
            .into_iter()
            .find(|one| one.reference == reference);
        let before = transfer.expect("a transfer").reversed;
        self.reverse(reference, before.checked_add(amount).expect("a sum"));
    }
}

#[tokio::test]
async fn the_fake_keeps_the_contract_of_a_provider_of_payouts() {
    let provider = FakePayoutGateway::default();
    payout_contract(&provider, &provider, SiteId::from_uuid(Uuid::from_u128(1))).await;
}
