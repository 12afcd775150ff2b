//! How debts of tokens end.

use posx_kernel::{IdempotentCall, Review, TokenSettlementId};

use super::*;
use crate::{DebtError, SettleDebt, Settling};

fn call(key: &str) -> IdempotentCall {
    IdempotentCall {
        actor: "staff".to_owned(),
        operation: "settle",
        key: key.to_owned(),
        fingerprint: [1; 32],
        review: Review::NotNeeded,
        at: at(0),
    }
}

fn wish(allocation: AllocationId, how: Settling, amount: u128) -> SettleDebt {
    SettleDebt {
        allocation,
        how,
        amount: TokenAmount::from_base_units(amount),
        reason: " as agreed ".to_owned(),
        tx_hash: (how == Settling::Received).then(|| format!("0xBACK{amount}")),
        by: actor(),
    }
}

impl Shop {
    /// All 1000 of an order of 100.00 were delivered, and then so much of the money went back.
    async fn delivered(&self, returned: i64) -> (OrderId, AllocationId) {
        let order = self.sale(1);
        let id = self.make(order).await;
        self.send(id).await;
        self.ends(id, "COMPLETED").await;
        self.returned(order, returned).await;
        (order, id)
    }

    async fn settle(&self, wish: &SettleDebt, key: &str) -> Result<Made<TokenSettlementId>, DebtError> {
        self.service
            .settle_debt(&self.scope, wish, Some(&call(key)))
            .await
    }

    fn debt(&self, id: AllocationId) -> u128 {
        self.read(id).debt().base_units()
    }

    fn others(&self, id: AllocationId) -> Vec<Allocation> {
        let all = self.world().allocations;
        all.into_values().filter(|one| one.id != id).collect()
    }
}

#[tokio::test]
async fn a_debt_ends_in_parts_and_never_by_more_than_is_owed() {
    let shop = shop();
    let (_, id) = shop.delivered(60).await;
    assert_eq!(shop.debt(id), 600);
    for (how, amount, left) in [
        (Settling::Waived, 100, 500),
        (Settling::Received, 200, 300),
        (Settling::Waived, 299, 1),
    ] {
        shop.settle(&wish(id, how, amount), &format!("{amount}"))
            .await
            .expect("settled");
        assert_eq!(shop.debt(id), left);
        shop.check_books();
    }
    for how in Settling::ALL {
        let refused = shop
            .settle(&wish(id, *how, 2), "more")
            .await
            .expect_err("one is left");
        assert_eq!(refused.code(), "token_debt_smaller");
    }
    shop.settle(&wish(id, Settling::Received, 1), "last")
        .await
        .expect("settled");
    assert_eq!(shop.debt(id), 0);
    assert_eq!(shop.balance(&Account::TokensClaims), 0);
    assert_eq!(shop.world().settlements.len(), 4);
    assert_eq!(shop.world().settlements[0].reason, "as agreed");
    let again = shop
        .service
        .adjust(&shop.scope, order_id(1))
        .await
        .expect("adjusted");
    assert_eq!(again, crate::Adjusted::default(), "nothing is left to do");
    shop.check_books();
}

#[tokio::test]
async fn the_same_request_again_settles_once() {
    let shop = shop();
    let (_, id) = shop.delivered(50).await;
    let wish = wish(id, Settling::Waived, 100);
    let first = shop.settle(&wish, "k").await.expect("settled");
    let again = shop.settle(&wish, "k").await.expect("answered");
    assert_eq!(first.id, again.id);
    assert_eq!((shop.debt(id), shop.world().settlements.len()), (400, 1));
    let events = shop.events();
    assert_eq!(
        events
            .iter()
            .filter(|kind| **kind == "token_debt.settled")
            .count(),
        1
    );
}

#[tokio::test]
async fn p09_what_came_back_is_for_sale_again_by_whole_units() {
    let shop = shop();
    let (_, id) = shop.delivered(60).await;
    assert_eq!(shop.sold(), 10, "what is at the buyer's is not");
    shop.settle(&wish(id, Settling::Received, 250), "a")
        .await
        .expect("settled");
    assert_eq!(shop.sold(), 8);
    shop.settle(&wish(id, Settling::Waived, 350), "b")
        .await
        .expect("settled");
    assert_eq!(shop.sold(), 8, "what is given up stays sold");
    shop.check_books();
}

#[tokio::test]
async fn p24_what_came_back_is_sent_again_as_a_part_of_its_own_when_its_money_comes_back() {
    let shop = shop();
    let (order, id) = shop.delivered(100).await;
    shop.settle(&wish(id, Settling::Received, 700), "a")
        .await
        .expect("settled");
    let [other] = shop.others(id).try_into().expect("one part");
    assert_eq!((other.state.name(), other.part), (StateName::Cancelled, 1));
    shop.returned(order, 0).await;
    assert_eq!(shop.stand(other.id), (StateName::Pending, 0, 0));
    assert_eq!((shop.debt(id), shop.delivery(1)), (0, Delivery::Partial));
    shop.check_books();
    shop.send(other.id).await;
    shop.ends(other.id, "COMPLETED").await;
    let sent: Vec<_> = shop
        .custody
        .made()
        .iter()
        .map(|one| one.amount.base_units())
        .collect();
    assert_eq!((sent, shop.delivery(1)), (vec![1000, 700], Delivery::Done));
    assert_eq!(shop.balance(&Account::TokensDelivered), 1000);
    shop.returned(order, 80).await;
    let debts = shop.debt(id) + shop.debt(other.id);
    assert_eq!(debts, 800, "and is owed again when it goes back again");
    shop.check_books();
}

#[tokio::test]
async fn what_was_waived_stays_waived_when_the_debt_falls_and_grows_again() {
    let shop = shop();
    let (order, id) = shop.delivered(60).await;
    shop.settle(&wish(id, Settling::Waived, 400), "a")
        .await
        .expect("settled");
    for (returned, debt) in [(30, 0), (0, 0), (40, 0), (60, 200), (100, 600)] {
        shop.returned(order, returned).await;
        assert_eq!(shop.debt(id), debt, "{returned} of 100 went back");
        shop.check_books();
    }
}

#[tokio::test]
async fn a_wish_that_says_too_little_or_is_of_nothing_is_refused() {
    let shop = shop();
    let (_, id) = shop.delivered(60).await;
    let good = wish(id, Settling::Received, 1);
    let of = |change: &dyn Fn(&mut SettleDebt)| {
        let mut wish = good.clone();
        change(&mut wish);
        wish
    };
    let stranger = AllocationId::from_uuid(Uuid::from_u128(99));
    for (wish, code) in [
        (
            of(&|one| one.amount = TokenAmount::ZERO),
            "token_debt_amount_invalid",
        ),
        (
            of(&|one| one.reason = " ".to_owned()),
            "token_debt_reason_invalid",
        ),
        (
            of(&|one| one.reason = "r".repeat(501)),
            "token_debt_reason_invalid",
        ),
        (of(&|one| one.tx_hash = None), "token_debt_tx_hash_invalid"),
        (
            of(&|one| one.tx_hash = Some("0x a".to_owned())),
            "token_debt_tx_hash_invalid",
        ),
        (
            of(&|one| one.how = Settling::Waived),
            "token_debt_tx_hash_invalid",
        ),
        (of(&|one| one.allocation = stranger), "allocation_not_found"),
    ] {
        let refused = shop.settle(&wish, "k").await.expect_err(code);
        assert_eq!(refused.code(), code);
    }
    let elsewhere = shop.service.settle_debt(&site(2), &good, None).await;
    assert_eq!(
        elsewhere.expect_err("another site's").code(),
        "allocation_not_found"
    );
    assert!(shop.world().settlements.is_empty());
}

proptest! {
    /// Whatever goes back, comes back and is settled, in any order: books and parts agree, and nobody owes twice.
    #[test]
    fn p15_books_and_parts_agree_whatever_is_settled(
        steps in prop::collection::vec((0..3_u8, 0..=100_i64, 1..=1000_u128), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let shop = shop();
            let (order, id) = shop.delivered(50).await;
            for (number, (what, returned, amount)) in steps.into_iter().enumerate() {
                if what == 0 {
                    shop.returned(order, returned).await;
                } else {
                    let how = Settling::ALL[usize::from(what - 1)];
                    let owed = shop.debt(id);
                    let settled = shop.settle(&wish(id, how, amount), &number.to_string()).await;
                    assert_eq!(settled.is_ok(), amount <= owed, "{amount} of {owed}");
                }
                shop.check_books();
                let world = shop.world();
                let parts: u128 = world.allocations.values().map(|one| one.kept().base_units()).sum();
                assert_eq!(parts, 1000, "the line's tokens, whole");
            }
        });
    }
}

#[tokio::test]
async fn tokens_that_came_back_end_a_debt_once() {
    let shop = shop();
    let (_, id) = shop.delivered(60).await;
    let received = |amount, hash: &str| SettleDebt {
        tx_hash: Some(hash.to_owned()),
        ..wish(id, Settling::Received, amount)
    };
    shop.settle(&received(200, "0xAb12"), "first")
        .await
        .expect("settled");
    for (number, same) in ["0xAb12", "0xab12", "AB12", " 0XAB12 "].into_iter().enumerate() {
        let refused = shop
            .settle(&received(100, same), &format!("again {number}"))
            .await;
        let refused = refused.expect_err(same);
        assert_eq!(
            (refused.code(), refused.field().as_deref()),
            ("token_debt_transaction_used", Some("tx_hash"))
        );
    }
    assert_eq!((shop.debt(id), shop.world().settlements.len()), (400, 1));
    shop.settle(&received(100, "0xcd34"), "another")
        .await
        .expect("another transaction");
    shop.check_books();
}
