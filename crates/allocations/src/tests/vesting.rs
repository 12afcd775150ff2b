//! Lines that are delivered little by little.

use super::returns::tier;
use super::*;
use crate::testing::{Seller, VestingGiven, policy, vesting_contract};
use crate::{CreatePolicy, PeriodUnit, Release, ReleaseName, VestingError, VestingPolicy};

/// 10 % at the start, the rest in three months; the start is the clock's day 0.
fn terms() -> VestingPolicy {
    VestingPolicy {
        share_at_start: "0.1".parse().expect("a rate"),
        starts_on: Some(at(0).date_naive()),
        ..policy(3, PeriodUnit::Month)
    }
}

impl Shop {
    /// A paid order of 1000 tokens under the policy, allocated.
    async fn vested(&self, policy: VestingPolicy) -> OrderId {
        let order = self.sale(1);
        let id = policy.id;
        self.db.arrange(&self.scope, |world| {
            world.policies.insert(id, policy);
        });
        self.change(order, |facts| facts.lines[0].vesting = Some(id));
        self.service
            .allocate(&self.scope, order)
            .await
            .expect("allocated");
        order
    }

    fn releases(&self) -> Vec<Release> {
        let mut releases: Vec<_> = self.world().releases.into_values().collect();
        releases.sort_by_key(|release| release.number);
        releases
    }

    fn release_states(&self) -> Vec<ReleaseName> {
        self.releases()
            .iter()
            .map(|release| release.state.name())
            .collect()
    }

    /// Of the allocation of a release.
    fn allocated_of(&self, number: usize) -> Allocation {
        self.read(self.releases()[number].state.allocation().expect("allocated"))
    }

    async fn unlock(&self) -> u64 {
        let run = self.service.unlock_due(&self.scope).await.expect("a run");
        assert_eq!(run.held, 0);
        run.orders
    }

    fn schedule(&self) -> posx_kernel::VestingScheduleId {
        *self.world().schedules.keys().next().expect("a schedule")
    }

    async fn revoke(&self) -> Result<(), VestingError> {
        let revoked = self
            .service
            .revoke_vesting(&self.scope, self.schedule(), "left", None)
            .await;
        revoked.map(drop)
    }
}

use ReleaseName::{Allocated as Sent, Due, Locked, Revoked};

/// Sells at the fake's counter.
struct Counter<'a>(&'a Shop);

#[async_trait::async_trait]
impl Seller for Counter<'_> {
    async fn sell(&self) -> OrderId {
        let world = self.0.world();
        let order = self.0.sale(world.orders.len() as u128 + 1);
        let vesting = world.tier_terms.last().and_then(|(_, policy, _)| *policy);
        self.0.change(order, |facts| {
            let line = &mut facts.lines[0];
            (line.quantity, line.tokens, line.vesting) = (4, TokenAmount::from_base_units(400), vesting);
        });
        // A sale of ten.
        self.0.db.arrange(&self.0.scope, |world| {
            world.stock.get_mut(&tier()).expect("stock").sold -= 6;
        });
        order
    }

    async fn give_back(&self, order: OrderId, hundredths: i64) {
        self.0.change(order, |facts| facts.returned = money(hundredths));
    }

    async fn sold(&self) -> i64 {
        self.0.world().stock[&tier()].sold
    }
}

#[tokio::test]
async fn the_fake_passes_the_vesting_contract() {
    let shop = shop();
    shop.db.arrange(&shop.scope, |world| {
        let (supply, reserved, sold) = (1000, 0, 0);
        world.stock.insert(
            tier(),
            posx_tiers::Stock {
                supply,
                reserved,
                sold,
            },
        );
    });
    let given = VestingGiven {
        scope: shop.scope.clone(),
        elsewhere: site(2),
        tier: tier(),
        seller: &Counter(&shop),
        now: at(0),
    };
    vesting_contract(Arc::new(shop.db.clone()), &given).await;
    shop.check_books();
}

#[tokio::test]
async fn p25_a_vested_line_becomes_a_schedule_and_its_first_release_an_allocation() {
    let shop = shop();
    let order = shop.vested(terms()).await;
    assert_eq!(shop.release_states(), [Sent, Locked, Locked, Locked]);
    let amounts: Vec<_> = shop
        .releases()
        .iter()
        .map(|release| release.amount.base_units())
        .collect();
    assert_eq!(amounts, [100, 300, 300, 300]);
    assert_eq!(shop.allocated_of(0).amount.base_units(), 100);
    assert_eq!(shop.delivery(1), Delivery::Pending);
    let again = shop.service.allocate(&shop.scope, order).await.expect("again");
    assert_eq!(again, Allocated::AlreadyApplied);
    let first = shop.allocated_of(0).id;
    shop.send(first).await;
    shop.ends(first, "COMPLETED").await;
    assert_eq!(shop.delivery(1), Delivery::Partial, "the rest is still to come");
}

#[tokio::test]
async fn releases_become_allocations_on_their_days_and_all_that_was_missed_at_once() {
    let shop = shop();
    shop.vested(terms()).await;
    shop.clock.advance(Duration::days(31) - Duration::microseconds(1));
    assert_eq!(shop.unlock().await, 0, "the 31st of January");
    shop.clock.advance(Duration::microseconds(1));
    assert_eq!(shop.unlock().await, 1);
    assert_eq!(shop.unlock().await, 0, "once");
    assert_eq!(shop.release_states(), [Sent, Sent, Locked, Locked]);
    shop.clock.advance(Duration::days(300));
    assert_eq!(shop.unlock().await, 1);
    assert_eq!(shop.release_states(), [Sent, Sent, Sent, Sent]);
    assert_eq!(shop.world().allocations.len(), 4);
    for id in shop.world().allocations.into_keys() {
        shop.send(id).await;
        shop.ends(id, "COMPLETED").await;
    }
    assert_eq!(shop.delivery(1), Delivery::Done);
    assert_eq!(shop.balance(&Account::TokensDelivered), 1000);
}

#[tokio::test]
async fn without_a_start_everything_is_locked_until_there_is_one() {
    let shop = shop();
    let policy = VestingPolicy {
        starts_on: None,
        ..terms()
    };
    shop.vested(policy.clone()).await;
    shop.clock.advance(Duration::days(3650));
    assert_eq!(shop.unlock().await, 0);
    assert_eq!(shop.release_states(), [Locked, Locked, Locked, Locked]);
    assert_eq!(shop.delivery(1), Delivery::Pending);
    let today = (at(3650) - Duration::days(40)).date_naive();
    shop.service
        .move_start(&shop.scope, policy.id, 1, Some(today))
        .await
        .expect("moved");
    assert_eq!(shop.unlock().await, 1);
    assert_eq!(shop.release_states(), [Sent, Sent, Locked, Locked]);
}

#[tokio::test]
async fn p25_moving_the_start_moves_only_what_is_still_locked() {
    let shop = shop();
    let policy = terms();
    shop.vested(policy.clone()).await;
    shop.clock.advance(Duration::days(31));
    shop.unlock().await;
    let before = shop.releases();
    let later = at(365).date_naive();
    let moved = shop
        .service
        .move_start(&shop.scope, policy.id, 1, Some(later))
        .await
        .expect("moved");
    assert_eq!(moved.revision, 2);
    let stale = shop
        .service
        .move_start(&shop.scope, policy.id, 1, None)
        .await
        .expect_err("stale");
    assert_eq!(stale.code(), "version_stale");
    shop.clock.advance(Duration::days(90));
    assert_eq!(shop.unlock().await, 0, "the rest follows the new start");
    assert_eq!(shop.releases(), before, "what is due stays as it is");
    shop.clock.advance(Duration::days(365));
    assert_eq!(shop.unlock().await, 1);
    assert_eq!(shop.release_states(), [Sent, Sent, Sent, Sent]);
}

#[tokio::test]
async fn a_refund_takes_from_the_last_locked_release_first() {
    let shop = shop();
    let order = shop.vested(terms()).await;
    shop.returned(order, 40).await;
    let cuts = |shop: &Shop| -> Vec<_> { shop.releases().iter().map(|one| one.cut.base_units()).collect() };
    assert_eq!(cuts(&shop), [0, 0, 100, 300]);
    shop.check_books();
    shop.returned(order, 20).await;
    assert_eq!(cuts(&shop), [0, 0, 0, 200]);
    shop.returned(order, 95).await;
    assert_eq!(cuts(&shop), [0, 300, 300, 300]);
    assert_eq!(
        shop.allocated_of(0).cut.base_units(),
        50,
        "then from what is pending"
    );
    shop.check_books();
    shop.clock.advance(Duration::days(31));
    shop.unlock().await;
    assert_eq!(
        shop.release_states(),
        [Sent, Due, Locked, Locked],
        "nothing of it is left to send"
    );
    shop.returned(order, 70).await;
    assert_eq!(shop.release_states(), [Sent, Sent, Locked, Locked]);
    assert_eq!(shop.allocated_of(1).left().base_units(), 200);
    shop.check_books();
}

#[tokio::test]
async fn what_was_sent_of_a_vested_line_is_owed_last() {
    let shop = shop();
    let order = shop.vested(terms()).await;
    let first = shop.allocated_of(0).id;
    shop.send(first).await;
    shop.ends(first, "COMPLETED").await;
    shop.returned(order, 90).await;
    assert_eq!(shop.read(first).owed, TokenAmount::ZERO);
    assert_eq!(shop.delivery(1), Delivery::Done, "nothing more is to come");
    shop.returned(order, 100).await;
    assert_eq!(shop.read(first).owed.base_units(), 100);
    assert_eq!(
        shop.balance(&Account::TokensReturned),
        0,
        "all that was cut is in stock again"
    );
    assert_eq!(shop.balance(&Account::TokensFree), 900);
    shop.check_books();
}

#[tokio::test]
async fn revoking_takes_what_is_locked_and_leaves_what_is_due_or_sent() {
    let shop = shop();
    shop.vested(terms()).await;
    // The second has become due, and the job has not run.
    shop.clock.advance(Duration::days(31));
    shop.revoke().await.expect("revoked");
    assert_eq!(shop.release_states(), [Sent, Due, Revoked, Revoked]);
    assert_eq!(shop.balance(&Account::TokensReturned), 600);
    shop.check_books();
    shop.revoke().await.expect("again");
    assert_eq!(shop.balance(&Account::TokensReturned), 600);
    assert!(shop.events().contains(&"order.allocations_unsettled"));
    let order = order_id(1);
    shop.service.adjust(&shop.scope, order).await.expect("the job");
    assert_eq!(shop.release_states(), [Sent, Sent, Revoked, Revoked]);
    shop.clock.advance(Duration::days(3650));
    assert_eq!(shop.unlock().await, 0);
    assert_eq!(shop.release_states(), [Sent, Sent, Revoked, Revoked]);
}

#[tokio::test]
async fn a_refund_and_a_revocation_end_the_same_in_either_order() {
    let mut ends = Vec::new();
    for refund_first in [true, false] {
        let shop = shop();
        let order = shop.vested(terms()).await;
        if refund_first {
            shop.returned(order, 50).await;
            shop.revoke().await.expect("revoked");
        } else {
            shop.revoke().await.expect("revoked");
            shop.returned(order, 50).await;
        }
        shop.check_books();
        ends.push((
            shop.allocated_of(0).left(),
            shop.balance(&Account::TokensReturned),
        ));
        shop.returned(order, 100).await;
        assert_eq!(shop.allocated_of(0).state.name(), StateName::Cancelled);
        shop.check_books();
        shop.returned(order, 0).await;
        assert_eq!(shop.allocated_of(0).left().base_units(), 100);
        assert_eq!(
            shop.balance(&Account::TokensReturned),
            900,
            "what was revoked stays so"
        );
        shop.check_books();
    }
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test]
async fn what_is_not_revocable_is_not_revoked_and_a_reason_is_needed() {
    let shop = shop();
    shop.vested(VestingPolicy {
        revocable: false,
        ..terms()
    })
    .await;
    assert_eq!(
        shop.revoke().await.expect_err("refused").code(),
        "vesting_not_revocable"
    );
    let silent = shop
        .service
        .revoke_vesting(&shop.scope, shop.schedule(), " ", None)
        .await
        .expect_err("silent");
    assert_eq!(
        (silent.code(), silent.field().as_deref()),
        ("vesting_reason_invalid", Some("reason"))
    );
    let nowhere = shop
        .service
        .revoke_vesting(&site(2), shop.schedule(), "left", None)
        .await
        .expect_err("elsewhere");
    assert_eq!(nowhere.code(), "vesting_schedule_not_found");
}

#[tokio::test]
async fn a_policy_of_a_known_name_is_its_next_version() {
    let shop = shop();
    shop.sale(1);
    let wish = || CreatePolicy {
        name: "Seed".to_owned(),
        share_at_start: "0.1".parse().expect("a rate"),
        cliff_months: 6,
        periods: 12,
        unit: PeriodUnit::Month,
        revocable: false,
        starts_on: None,
    };
    let mut made = Vec::new();
    for version in 1..=2 {
        let id = shop
            .service
            .create_policy(&shop.scope, wish(), None)
            .await
            .expect("made")
            .id;
        assert_eq!(shop.world().policies[&id].version, version);
        made.push(id);
    }
    let attached = shop
        .service
        .set_tier_vesting(&shop.scope, tier(), Some(made[1]), None)
        .await;
    assert_eq!(attached.expect("attached").id, tier());
    let unknown = posx_kernel::VestingPolicyId::from_uuid(Uuid::from_u128(404));
    let refused = shop
        .service
        .set_tier_vesting(&shop.scope, tier(), Some(unknown), None)
        .await
        .expect_err("unknown");
    assert_eq!(
        (refused.code(), refused.kind()),
        ("vesting_policy_not_found", posx_kernel::Kind::Invalid)
    );
    let nowhere = posx_kernel::TierId::from_uuid(Uuid::from_u128(404));
    let refused = shop
        .service
        .set_tier_vesting(&shop.scope, nowhere, None, None)
        .await
        .expect_err("no tier");
    assert_eq!(refused.code(), "tier_not_found");
    assert_eq!(
        shop.events(),
        [
            "vesting_policy.created",
            "vesting_policy.created",
            "tier.vesting_changed"
        ]
    );
}
