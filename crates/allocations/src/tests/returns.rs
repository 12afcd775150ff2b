//! What a refund or a dispute does to what is to be delivered.

use posx_kernel::TierId;
use posx_tiers::Stock;

use super::*;
use crate::{Place, ReleaseState};

pub(super) fn tier() -> TierId {
    TierId::from_uuid(Uuid::from_u128(1))
}

fn buyer() -> PartyId {
    PartyId::from_uuid(Uuid::from_u128(3))
}

impl Shop {
    /// A paid order of 100.00, of one line of 10 units of 100 tokens.
    pub(super) fn sale(&self, name: u128) -> OrderId {
        self.db.arrange(&self.scope, |world| {
            let stock = Stock {
                supply: 1000,
                reserved: 0,
                sold: 0,
            };
            world.stock.entry(tier()).or_insert(stock).sold += 10;
            *world.buyers.entry((tier(), buyer())).or_default() += 10;
        });
        self.order(name, 1, |facts| {
            let line = &mut facts.lines[0];
            line.tokens = TokenAmount::from_base_units(1000);
            line.unit_tokens = TokenAmount::from_base_units(100);
            line.quantity = 10;
            line.counted_per_buyer = true;
        })
    }

    pub(super) fn change(&self, order: OrderId, change: impl FnOnce(&mut OrderToDeliver)) {
        self.db.arrange(&self.scope, |world| {
            change(&mut world.orders.get_mut(&order).expect("the order").facts);
        });
    }

    /// So much of the 100.00 went back in all, and the job ran.
    pub(super) async fn returned(&self, order: OrderId, minor: i64) -> crate::Adjusted {
        self.change(order, |facts| facts.returned = money(minor));
        self.service.adjust(&self.scope, order).await.expect("adjusted")
    }

    pub(super) async fn make(&self, order: OrderId) -> AllocationId {
        match self
            .service
            .allocate(&self.scope, order)
            .await
            .expect("allocated")
        {
            Allocated::Applied(made) => made[0],
            Allocated::AlreadyApplied => panic!("the order is new"),
        }
    }

    /// Of a transfer that was sent.
    pub(super) async fn ends(&self, id: AllocationId, status: &str) {
        let external_id = self.read(id).external_id.expect("sent").0;
        let hash = (status == "COMPLETED").then(|| format!("0x{external_id}"));
        self.custody
            .change(&external_id, |transfer| status.clone_into(&mut transfer.status));
        self.report(&external_id, status, hash.as_deref())
            .await
            .expect("reported");
    }

    pub(super) async fn send(&self, id: AllocationId) {
        self.batch(&[id]).await;
        self.service.submit(&self.scope, id).await.expect("submitted");
    }

    /// Debits less credits.
    pub(super) fn balance(&self, account: &Account) -> i128 {
        let world = self.world();
        let postings = world.entries.iter().flat_map(posx_ledger::Entry::postings);
        let of_account = postings.filter(|posting| posting.account == *account);
        of_account
            .map(|posting| {
                let amount = i128::try_from(posting.amount).expect("a test's amount");
                if posting.side == Side::Debit {
                    amount
                } else {
                    -amount
                }
            })
            .sum()
    }

    /// State, cut and owed of one.
    pub(super) fn stand(&self, id: AllocationId) -> (StateName, u128, u128) {
        let one = self.read(id);
        (one.state.name(), one.cut.base_units(), one.owed.base_units())
    }

    pub(super) fn sold(&self) -> i64 {
        self.world().stock[&tier()].sold
    }

    /// What the books say is what the parts say.
    pub(super) fn check_books(&self) {
        let world = self.world();
        let sum = |of: &dyn Fn(&Allocation) -> u128| world.allocations.values().map(of).sum::<u128>();
        let released = |release: &crate::Release| match release.state {
            ReleaseState::Revoked => release.amount.base_units(),
            _ => release.cut.base_units(),
        };
        let taken = sum(&|one| one.cut.base_units()) + world.releases.values().map(released).sum::<u128>();
        let restocked: u128 = world
            .restocks
            .values()
            .map(|one| u128::from(one.units) * 100)
            .sum();
        let number = |amount: u128| i128::try_from(amount).expect("a test's amount");
        assert_eq!(
            self.balance(&Account::TokensReturned),
            number(taken) - number(restocked)
        );
        assert_eq!(self.balance(&Account::TokensFree), number(restocked));
        assert_eq!(
            self.balance(&Account::TokensOwed(buyer())),
            number(sum(&|one| one.debt().base_units()))
        );
        let done = |one: &Allocation| {
            let sent = one.place() == Place::Sent;
            let at_the_buyer = one.left().base_units() - one.received.base_units();
            if sent { at_the_buyer } else { 0 }
        };
        assert_eq!(self.balance(&Account::TokensDelivered), number(sum(&done)));
    }
}

#[tokio::test]
async fn a_partial_refund_cuts_what_is_pending_and_only_the_rest_is_sent() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    assert!(shop.returned(order, 33).await.changed);
    assert_eq!(shop.stand(id), (StateName::Pending, 330, 0));
    assert_eq!(shop.read(id).amount.base_units(), 1000, "as it was made");
    let again = shop.service.adjust(&shop.scope, order).await.expect("again");
    assert_eq!(again, crate::Adjusted::default());
    shop.check_books();
    shop.send(id).await;
    assert_eq!(shop.custody.made()[0].amount.base_units(), 670);
    shop.ends(id, "COMPLETED").await;
    assert_eq!(shop.stand(id), (StateName::Done, 330, 0));
    assert_eq!(shop.delivery(1), Delivery::Done);
    assert_eq!(shop.balance(&Account::TokensDelivered), 670);
    shop.service.adjust(&shop.scope, order).await.expect("again");
    assert_eq!(
        shop.stand(id),
        (StateName::Done, 330, 0),
        "nothing is owed of what was not sent"
    );
    shop.check_books();
}

#[tokio::test]
async fn a_full_refund_cancels_and_a_failed_one_restores() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.returned(order, 100).await;
    assert_eq!(shop.stand(id), (StateName::Cancelled, 1000, 0));
    assert_eq!(shop.delivery(1), Delivery::None);
    let refused = shop.service.create_batch(&shop.scope, actor(), &[id], None).await;
    assert_eq!(refused.expect_err("cancelled").code(), "allocation_not_pending");
    shop.returned(order, 0).await;
    assert_eq!(shop.stand(id), (StateName::Pending, 0, 0));
    assert_eq!(shop.delivery(1), Delivery::Pending);
    assert_eq!(shop.balance(&Account::TokensReturned), 0);
    shop.check_books();
    shop.send(id).await;
}

#[tokio::test]
async fn an_order_that_was_refunded_before_its_job_ran_is_allocated_what_is_left() {
    let shop = shop();
    let (part, whole) = (shop.sale(1), shop.sale(2));
    shop.change(part, |facts| facts.returned = money(40));
    let id = shop.make(part).await;
    assert_eq!(shop.stand(id), (StateName::Pending, 400, 0));
    let adjusted = shop.returned(whole, 100).await;
    assert_eq!(shop.stand(adjusted.made[0]), (StateName::Cancelled, 1000, 0));
    let late = shop.service.allocate(&shop.scope, whole).await.expect("late");
    assert_eq!(late, Allocated::AlreadyApplied);
    shop.check_books();
}

#[tokio::test]
async fn what_is_on_its_way_waits_and_becomes_a_debt_when_it_arrives() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.send(id).await;
    let adjusted = shop.returned(order, 25).await;
    assert!(adjusted.waiting && !adjusted.changed);
    assert_eq!(shop.stand(id), (StateName::Submitted, 0, 0));
    shop.ends(id, "COMPLETED").await;
    assert!(
        shop.events().contains(&"order.allocations_unsettled"),
        "its end asks for the job"
    );
    shop.service.adjust(&shop.scope, order).await.expect("adjusted");
    assert_eq!(shop.stand(id), (StateName::Done, 0, 250));
    shop.check_books();
    shop.returned(order, 10).await;
    assert_eq!(shop.stand(id), (StateName::Done, 0, 100));
    shop.returned(order, 0).await;
    assert_eq!(shop.stand(id), (StateName::Done, 0, 0));
    assert_eq!(shop.balance(&Account::TokensClaims), 0);
    shop.check_books();
}

#[tokio::test]
async fn what_is_on_its_way_waits_and_is_cut_when_it_fails() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.send(id).await;
    shop.returned(order, 100).await;
    shop.ends(id, "FAILED").await;
    shop.service.adjust(&shop.scope, order).await.expect("adjusted");
    assert_eq!(shop.stand(id), (StateName::Cancelled, 1000, 0));
    assert_eq!(shop.delivery(1), Delivery::None);
    shop.returned(order, 30).await;
    assert_eq!(
        shop.stand(id),
        (StateName::Failed, 300, 0),
        "its last try had failed: a person sends it again"
    );
    shop.check_books();
    let asked = |shop: &Shop| {
        let events = shop.events();
        events
            .iter()
            .filter(|kind| **kind == "order.allocations_unsettled")
            .count()
    };
    let before = asked(&shop);
    shop.service.retry(&shop.scope, id).await.expect("retried");
    assert_eq!(
        asked(&shop),
        before + 1,
        "what of it is to be cut is looked at again"
    );
    shop.send(id).await;
    let sent: Vec<_> = shop
        .custody
        .made()
        .iter()
        .map(|request| request.amount.base_units())
        .collect();
    assert_eq!(sent, [1000, 700]);
}

/// With a hash, or by a person's veto: nobody can say that it is not at the buyer's.
#[tokio::test]
async fn a_failure_that_may_be_on_chain_is_neither_cut_nor_owed() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.send(id).await;
    let external_id = shop.read(id).external_id.expect("sent").0;
    shop.report(&external_id, "FAILED", Some("0xabc"))
        .await
        .expect("reported");
    let adjusted = shop.returned(order, 100).await;
    assert!(adjusted.waiting && adjusted.doubtful);
    assert_eq!(shop.stand(id), (StateName::Failed, 0, 0));
    assert_eq!(
        shop.world().orders[&order].attention.as_deref(),
        Some("returned_and_perhaps_sent")
    );
}

#[tokio::test]
async fn a_refund_that_fails_after_the_rest_was_sent_is_delivered_by_a_part_of_its_own() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.returned(order, 50).await;
    shop.send(id).await;
    shop.ends(id, "COMPLETED").await;
    let adjusted = shop.returned(order, 20).await;
    let other = adjusted.made[0];
    assert_eq!(shop.stand(id), (StateName::Done, 0, 0));
    assert_eq!(shop.read(id).amount.base_units(), 500);
    assert_eq!(shop.stand(other), (StateName::Pending, 200, 0));
    assert_eq!(
        (shop.read(other).amount.base_units(), shop.read(other).part),
        (500, 1)
    );
    assert_eq!(shop.delivery(1), Delivery::Partial);
    shop.check_books();
    shop.returned(order, 70).await;
    assert_eq!(
        (shop.stand(id), shop.stand(other)),
        ((StateName::Done, 0, 200), (StateName::Cancelled, 500, 0))
    );
    shop.check_books();
}

#[tokio::test]
async fn nothing_of_a_disputed_order_is_queued_or_sent() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.change(order, |facts| facts.disputed = true);
    let refused = shop
        .service
        .create_batch(&shop.scope, actor(), &[id], None)
        .await
        .expect_err("disputed");
    assert_eq!(
        (refused.code(), refused.field().as_deref()),
        ("allocation_order_disputed", Some("allocations/0"))
    );
    shop.change(order, |facts| facts.disputed = false);
    let batch = shop.batch(&[id]).await;
    shop.change(order, |facts| facts.disputed = true);
    let run = shop
        .service
        .submit_batch(&shop.scope, batch)
        .await
        .expect("a run");
    assert_eq!((run.applied, run.already), (0, 1));
    assert!(shop.custody.arrived().is_empty());
    assert_eq!(
        (shop.stand(id), shop.read(id).batch),
        ((StateName::Pending, 0, 0), None)
    );
    let world = shop.world();
    let held = world
        .events
        .iter()
        .find(|event| event.kind == "allocation.held_back")
        .expect("said");
    assert_eq!(held.payload["why"], "order_disputed");
    shop.change(order, |facts| facts.disputed = false);
    shop.send(id).await;
    assert_eq!(shop.custody.made().len(), 1);
}

#[tokio::test]
async fn a_queued_allocation_whose_money_went_back_is_cut_before_it_is_sent() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.batch(&[id]).await;
    assert!(shop.returned(order, 10).await.waiting, "what is queued waits");
    shop.service.submit(&shop.scope, id).await.expect("a look");
    assert!(shop.custody.arrived().is_empty());
    assert_eq!(shop.stand(id), (StateName::Pending, 0, 0));
    shop.service
        .adjust(&shop.scope, order)
        .await
        .expect("the job that it asked for");
    assert_eq!(shop.stand(id), (StateName::Pending, 100, 0));
    shop.send(id).await;
    assert_eq!(shop.custody.made()[0].amount.base_units(), 900, "cut, it is sent");
}

#[tokio::test]
async fn p09_whole_units_of_what_was_cut_are_for_sale_again() {
    let shop = shop();
    let order = shop.sale(1);
    shop.make(order).await;
    let units = |shop: &Shop| (shop.sold(), shop.world().buyers[&(tier(), buyer())]);
    for (minor, left) in [(5, 10), (10, 9), (19, 9), (20, 8), (100, 0), (35, 7), (0, 10)] {
        shop.returned(order, minor).await;
        assert_eq!(units(&shop), (left, left), "{minor} of 100 went back");
        shop.check_books();
    }
}

#[tokio::test]
async fn only_what_is_wished_back_and_not_delivered_is_for_sale_again() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.change(order, |facts| facts.not_restocked = money(30));
    shop.returned(order, 50).await;
    assert_eq!(shop.sold(), 8, "20 of 100 restock");
    shop.change(order, |facts| facts.not_restocked = money(0));
    shop.send(id).await;
    shop.ends(id, "COMPLETED").await;
    shop.returned(order, 100).await;
    assert_eq!(shop.stand(id), (StateName::Done, 500, 500));
    assert_eq!(shop.sold(), 5, "what is at the buyer's is not");
    shop.check_books();
}

#[tokio::test]
async fn what_is_sold_again_is_not_restored_and_a_person_is_told() {
    let shop = shop();
    let order = shop.sale(1);
    let id = shop.make(order).await;
    shop.returned(order, 100).await;
    shop.db.arrange(&shop.scope, |world| {
        world.stock.get_mut(&tier()).expect("stock").sold = 995;
    });
    shop.change(order, |facts| facts.returned = money(0));
    let refused = shop
        .service
        .adjust(&shop.scope, order)
        .await
        .expect_err("five are left of ten");
    assert_eq!(refused.code(), "restored_tokens_sold");
    assert_eq!(
        shop.stand(id),
        (StateName::Cancelled, 1000, 0),
        "all of it, or nothing"
    );
    assert_eq!(
        shop.world().orders[&order].attention.as_deref(),
        Some("restored_tokens_are_sold")
    );
    shop.check_books();
    shop.db.arrange(&shop.scope, |world| {
        world.stock.get_mut(&tier()).expect("stock").sold = 990;
    });
    shop.service
        .adjust(&shop.scope, order)
        .await
        .expect("the job runs again");
    assert_eq!((shop.stand(id), shop.sold()), ((StateName::Pending, 0, 0), 1000));
    shop.check_books();
}

#[tokio::test]
async fn returns_of_an_order_that_is_not_paid_concern_nothing_here() {
    let shop = shop();
    let order = shop.sale(1);
    shop.change(order, |facts| facts.paid = false);
    assert_eq!(shop.returned(order, 10).await, crate::Adjusted::default());
    assert!(shop.world().allocations.is_empty());
}
