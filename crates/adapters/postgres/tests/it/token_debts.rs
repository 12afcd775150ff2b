//! How debts of tokens end, on the real store.

use std::sync::Arc;

use posx_allocations::{DebtError, SettleDebt, Settling, TokenDebtView, VestingQueries as _};
use posx_kernel::{AllocationId, OrderId, PageRequest, Refusal as _, TokenAmount, retry_busy};
use posx_tenancy::Member;
use sqlx::AssertSqlSafe;
use tokio::task::JoinSet;

use crate::server::superuser;
use crate::world::{World, unique};

fn tokens(units: u128) -> TokenAmount {
    TokenAmount::from_base_units(units)
}

impl World {
    async fn debts(&self) -> Vec<TokenDebtView> {
        let page = PageRequest::new(Some(100), None);
        let debts = self.database.token_debts(&self.scope, None, page).await;
        debts.expect("a list").items
    }

    async fn settle(&self, of: AllocationId, how: Settling, amount: u128) -> Result<(), DebtError> {
        let wish = SettleDebt {
            allocation: of,
            how,
            amount: tokens(amount),
            reason: "as agreed".to_owned(),
            tx_hash: (how == Settling::Received).then(|| format!("0x{}", unique(20))),
            by: self.actor,
        };
        retry_busy(|| self.allocations.settle_debt(&self.scope, &wish, None))
            .await
            .map(drop)
    }

    /// What was delivered goes back in part, and a token of that debt is given up.
    pub async fn forgives(&self, buyer: &Member) {
        let (_, debt) = self.owed_by(buyer).await;
        self.settle(debt.allocation, Settling::Waived, 1)
            .await
            .expect("given up");
    }

    /// Four units were delivered.
    pub async fn delivers(&self, buyer: &Member) -> OrderId {
        let tier = self.tier_with(50, 1000, Some(100)).await;
        let order = self.buys_four(buyer, tier).await;
        let made = self.allocations.adjust(&self.scope, order).await;
        let made = made.expect("allocated").made;
        let batch = self.approved(&made).await;
        let sent = self.allocations.submit_batch(&self.scope, batch).await;
        assert_eq!(sent.expect("sent").applied, 1);
        let name = format!("{}-1", made[0]);
        let mut transfers = self.custody.transfers();
        transfers.retain(|transfer| transfer.external_id.as_ref().is_some_and(|id| id.0 == name));
        let mut transfer = transfers.remove(0);
        "COMPLETED".clone_into(&mut transfer.status);
        transfer.tx_hash = Some(format!("0x{name}"));
        let applied = self.allocations.apply_report(&self.scope, &transfer).await;
        applied.expect("delivered");
        order
    }

    /// Four units were delivered, and half of the money went back.
    async fn owed_by(&self, buyer: &Member) -> (OrderId, TokenDebtView) {
        let order = self.delivers(buyer).await;
        self.gives_back(order, 50).await;
        let adjusted = self.allocations.adjust(&self.scope, order).await;
        assert!(adjusted.expect("adjusted").changed);
        let mut debts = self.debts().await;
        debts.retain(|debt| debt.order == order);
        (order, debts.remove(0))
    }

    pub async fn owing() -> (Arc<Self>, OrderId, TokenDebtView) {
        let world = Arc::new(Self::with_pool(8).await);
        let buyer = world.member(None).await;
        let (order, debt) = world.owed_by(&buyer).await;
        (world, order, debt)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_settle_at_once_settle_no_more_than_is_owed() {
    let (world, _, debt) = World::owing().await;
    let owed = debt.owed.base_units();
    // Each wants a third: three of eight get it.
    let mut staff = JoinSet::new();
    for number in 0..8 {
        let world = Arc::clone(&world);
        let how = Settling::ALL[number % 2];
        staff.spawn(async move { world.settle(debt.allocation, how, owed / 3).await.is_ok() });
    }
    let settled = staff
        .join_all()
        .await
        .into_iter()
        .filter(|settled| *settled)
        .count();
    assert_eq!(settled, 3);
    world.check_books().await;
    let left = world.debts().await;
    assert_eq!(
        left.iter().map(|debt| debt.owed.base_units()).sum::<u128>(),
        owed - owed / 3 * 3
    );
    let page = PageRequest::new(Some(2), None);
    let list = world
        .database
        .token_settlements(&world.scope, debt.allocation, page)
        .await;
    let list = list.expect("a read").expect("the allocation");
    assert_eq!((list.items.len(), list.next.is_some()), (2, true));
    assert_eq!(list.items[0].amount, tokens(owed / 3));
}

#[tokio::test]
async fn what_came_back_is_sent_again_when_its_money_comes_back_after_all() {
    let (world, order, debt) = World::owing().await;
    let owed = debt.owed.base_units();
    world
        .settle(debt.allocation, Settling::Received, owed)
        .await
        .expect("received");
    assert!(world.debts().await.is_empty());
    world.check_books().await;
    world.gives_back(order, 0).await;
    world
        .allocations
        .adjust(&world.scope, order)
        .await
        .expect("adjusted");
    world.check_books().await;
    let pending =
        world.sum("select sum(amount)::text from allocations where site_id = $1 and state = 'pending'");
    assert_eq!(pending.await, owed.to_string());
}

#[tokio::test]
async fn another_sites_debt_is_not_found() {
    let ((world, _, debt), elsewhere) = (World::owing().await, World::new().await);
    let refused = elsewhere.settle(debt.allocation, Settling::Waived, 1).await;
    assert_eq!(refused.expect_err("not theirs").code(), "allocation_not_found");
    let page = PageRequest::new(None, None);
    let seen = elsewhere
        .database
        .token_settlements(&elsewhere.scope, debt.allocation, page)
        .await;
    assert!(seen.expect("a read").is_none());
    assert_eq!(world.debts().await[0].owed, debt.owed);
}

#[tokio::test]
async fn an_allocation_never_says_something_else_than_its_settlements() {
    let (world, _, debt) = World::owing().await;
    world
        .settle(debt.allocation, Settling::Waived, 2)
        .await
        .expect("waived");
    let (site, id) = (world.site.id.as_uuid(), debt.allocation.as_uuid());
    let settlement = |amount: u8| {
        format!(
            "insert into token_settlements (site_id, id, allocation_id, how, amount, reason, made_by, at)
             select site_id, gen_random_uuid(), '{id}', 'waived', {amount}, 'x', made_by, at from token_settlements where site_id = '{site}'"
        )
    };
    for (sql, constraint) in [
        (
            format!("update allocations set waived = 3 where id = '{id}'"),
            "allocations_settled_is_their_sum",
        ),
        (
            format!("update allocations set received = 1 where id = '{id}'"),
            "allocations_settled_is_their_sum",
        ),
        (settlement(1), "allocations_settled_is_their_sum"),
        (settlement(0), "token_settlements_amount_check"),
        (
            format!("update allocations set received = amount where id = '{id}'"),
            "allocations_parts_within_amount",
        ),
    ] {
        let written = sqlx::query(AssertSqlSafe(sql))
            .execute(&mut superuser().await)
            .await;
        let error = written
            .expect_err(constraint)
            .into_database_error()
            .expect("refused");
        assert_eq!(error.constraint(), Some(constraint));
    }
    for change in [
        "update token_settlements set amount = 1",
        "delete from token_settlements",
    ] {
        let sql = format!("{change} where site_id = '{site}'");
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut superuser().await)
            .await
            .expect_err("never changed");
    }
}

#[tokio::test]
async fn tokens_of_one_transaction_are_one_buyers_and_end_a_debt_once() {
    let (world, _, debt) = World::owing().await;
    let hash = format!("0x{}", unique(20));
    let came_back = async |of: AllocationId, amount, hash: &str| {
        let wish = SettleDebt {
            allocation: of,
            how: Settling::Received,
            amount: tokens(amount),
            reason: "sent back".to_owned(),
            tx_hash: Some(hash.to_owned()),
            by: world.actor,
        };
        let settled = retry_busy(|| world.allocations.settle_debt(&world.scope, &wish, None)).await;
        settled.map(drop).map_err(|refused| refused.code())
    };
    assert_eq!(came_back(debt.allocation, 1, &hash).await, Ok(()));
    let again = hash.to_lowercase().trim_start_matches("0x").to_owned();
    for same in [&hash, &again] {
        assert_eq!(
            came_back(debt.allocation, 1, same).await,
            Err("token_debt_transaction_used")
        );
    }
    let (_, of_another) = world.owed_by(&world.member(None).await).await;
    assert_ne!(of_another.allocation, debt.allocation);
    assert_eq!(
        came_back(of_another.allocation, 1, &again).await,
        Err("token_debt_transaction_used")
    );
    world.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_named_many_times_at_once_counts_once() {
    let (world, _, debt) = World::owing().await;
    let hash = format!("0x{}", unique(20));
    let mut staff = JoinSet::new();
    for _ in 0..6 {
        let (world, hash) = (Arc::clone(&world), hash.clone());
        staff.spawn(async move {
            let wish = SettleDebt {
                allocation: debt.allocation,
                how: Settling::Received,
                amount: tokens(1),
                reason: "sent back".to_owned(),
                tx_hash: Some(hash),
                by: world.actor,
            };
            let settling = retry_busy(|| world.allocations.settle_debt(&world.scope, &wish, None));
            settling.await.is_ok()
        });
    }
    let counted = staff.join_all().await.into_iter().filter(|done| *done);
    assert_eq!(counted.count(), 1);
    world.check_books().await;
}
