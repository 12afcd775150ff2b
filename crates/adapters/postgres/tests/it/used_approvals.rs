//! An approval is used up by its effect, and by that alone.

use std::sync::Arc;

use posx_kernel::{ApprovalId, IdempotentCall, IdentityId, Kind, Refusal as _, Review};
use posx_tenancy::{APPROVAL_LIFE, Role};
use posx_tiers::CorrectSupply;
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::approvals::{HASH, call_of};
use crate::server::superuser;
use crate::world::{World, noon};

/// A tier with three free units, and an approval for correcting them by two.
struct Correction {
    world: Arc<World>,
    maker: IdentityId,
    approval: ApprovalId,
    wish: CorrectSupply,
}

impl Correction {
    async fn approved() -> Self {
        let world = Arc::new(World::with_pool(8).await);
        let (maker, checker) = (
            world.colleague(Role::Owner).await,
            world.colleague(Role::Admin).await,
        );
        let wish = CorrectSupply {
            tier: world.tier(3, 10_000).await,
            quantity: 2,
            reason: "more were minted".to_owned(),
        };
        let approval = world.asked(maker, HASH).await.id;
        let approve = world.approvals();
        approve
            .approve(&world.scope, approval, checker, &HASH)
            .await
            .expect("approved");
        Self {
            world,
            maker,
            approval,
            wish,
        }
    }

    async fn send(&self, call: &IdempotentCall) -> Result<bool, &'static str> {
        let world = &self.world;
        let made = world
            .tiers
            .correct_supply(&world.scope, self.maker, self.wish.clone(), Some(call))
            .await;
        made.map(|made| made.replayed).map_err(|refused| refused.code())
    }

    fn call(&self, key: &str) -> IdempotentCall {
        call_of(self.maker, key, HASH, Some(self.approval))
    }

    async fn supply(&self) -> i64 {
        let row = sqlx::query("select supply from tier_stock where site_id = $1 and tier_id = $2")
            .bind(self.world.site.id.as_uuid())
            .bind(self.wish.tier.as_uuid())
            .fetch_one(&mut superuser().await)
            .await;
        row.expect("a stock").get(0)
    }
}

#[tokio::test]
async fn an_approval_is_used_with_its_effect_once_and_a_repeat_is_shown_the_same() {
    let correction = Correction::approved().await;
    assert_eq!(correction.send(&correction.call("a")).await, Ok(false));
    assert_eq!(correction.supply().await, 5);
    // The same key is answered before anyone is asked; without the approval as well.
    assert_eq!(correction.send(&correction.call("a")).await, Ok(true));
    let bare = call_of(correction.maker, "a", HASH, None);
    assert_eq!(correction.send(&bare).await, Ok(true));
    // Another key is another effect.
    assert_eq!(
        correction.send(&correction.call("b")).await,
        Err("approval_not_approved")
    );
    assert_eq!(correction.supply().await, 5);
    let kinds: Vec<_> = correction.world.told(correction.approval).await;
    assert_eq!(
        kinds.last().map(|(kind, _)| kind.as_str()),
        Some("approval.applied")
    );
}

#[tokio::test]
async fn an_effect_that_fails_leaves_the_approval_unused() {
    let mut correction = Correction::approved().await;
    correction.wish.quantity = -4;
    assert_eq!(
        correction.send(&correction.call("a")).await,
        Err("supply_correction_too_low")
    );
    correction.wish.quantity = 2;
    assert_eq!(correction.send(&correction.call("a")).await, Ok(false));
}

#[tokio::test]
async fn another_request_another_person_another_site_and_another_time_are_refused() {
    let correction = Correction::approved().await;
    let good = correction.call("a");
    let other_body = IdempotentCall {
        fingerprint: [8; 32],
        ..good.clone()
    };
    assert_eq!(correction.send(&other_body).await, Err("approval_mismatch"));
    let other_person = IdempotentCall {
        actor: correction.world.colleague(Role::Owner).await.to_string(),
        ..good.clone()
    };
    assert_eq!(correction.send(&other_person).await, Err("approval_mismatch"));
    let none = IdempotentCall {
        review: Review::Needed(None),
        ..good.clone()
    };
    assert_eq!(correction.send(&none).await, Err("approval_needed"));
    let late = IdempotentCall {
        at: noon() + APPROVAL_LIFE,
        ..good.clone()
    };
    assert_eq!(correction.send(&late).await, Err("approval_not_approved"));
    // The same id, on another site.
    let elsewhere = Correction::approved().await;
    let foreign = IdempotentCall {
        review: Review::Needed(Some(correction.approval)),
        ..elsewhere.call("a")
    };
    assert_eq!(elsewhere.send(&foreign).await, Err("approval_not_found"));
    let service = elsewhere.world.approvals();
    let decided = service
        .approve(
            &elsewhere.world.scope,
            correction.approval,
            elsewhere.maker,
            &HASH,
        )
        .await;
    assert_eq!(decided.expect_err("another site's").kind(), Kind::NotFound);
    assert_eq!(correction.supply().await, 3);
    assert_eq!(correction.send(&good).await, Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_uses_at_once_one_has_an_effect() {
    let correction = Arc::new(Correction::approved().await);
    let mut racing = JoinSet::new();
    for number in 0..20 {
        let correction = correction.clone();
        racing.spawn(async move { correction.send(&correction.call(&format!("key {number}"))).await });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|one| **one == Ok(false)).count(),
        1,
        "{outcomes:?}"
    );
    assert!(
        outcomes
            .iter()
            .all(|one| matches!(one, Ok(false) | Err("approval_not_approved" | "store_busy"))),
        "{outcomes:?}"
    );
    assert_eq!(correction.supply().await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_agreeing_and_taking_back_at_once_one_happens() {
    let world = Arc::new(World::with_pool(4).await);
    let (maker, checker) = (
        world.colleague(Role::Owner).await,
        world.colleague(Role::Admin).await,
    );
    for round in 0..10 {
        let id = world.asked(maker, [round; 32]).await.id;
        let (ours, theirs) = (world.clone(), world.clone());
        let (agreed, taken) = tokio::join!(
            tokio::spawn(async move {
                let done = ours
                    .approvals()
                    .approve(&ours.scope, id, checker, &[round; 32])
                    .await;
                done.is_ok()
            }),
            tokio::spawn(async move {
                theirs
                    .approvals()
                    .withdraw(&theirs.scope, id, maker)
                    .await
                    .is_ok()
            }),
        );
        assert!(agreed.expect("joined") ^ taken.expect("joined"), "round {round}");
    }
}
