use chrono::{DateTime, TimeDelta};
use posx_kernel::{IdempotentCall, ManualClock, Review, SeededIds, SiteId};
use uuid::Uuid;

use super::*;
use crate::testing::FakeQuota;
use crate::{BudgetScope, Period};

fn scope() -> SiteScope {
    SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(7)))
}

fn world() -> (FakeQuota, ModelBudgets, Timestamp) {
    let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let quota = FakeQuota::new(chrono_tz::UTC, Limits::default());
    let clock = Arc::new(ManualClock::stopped_at(now));
    let ids = Arc::new(SeededIds::new(1));
    let budgets = ModelBudgets::new(Arc::new(quota.clone()), Arc::new(quota.clone()), clock, ids);
    (quota, budgets, now)
}

fn limit(micros: u64) -> Limit {
    Limit {
        scope: BudgetScope::Site,
        purpose: None,
        period: Period::Month,
        limit_micros: Micros::new(micros).unwrap(),
    }
}

fn credit(amount: u64) -> AddCredit {
    AddCredit {
        kind: CreditKind::TopUp,
        amount: Micros::new(amount).unwrap(),
        note: Some("March".into()),
        expires_at: None,
    }
}

fn call(key: &str, fingerprint: u8) -> IdempotentCall {
    IdempotentCall {
        actor: "idn_1".into(),
        operation: "POST /api/v1/assistant/credits",
        key: key.into(),
        fingerprint: [fingerprint; 32],
        review: Review::NotNeeded,
        at: DateTime::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn limits_are_replaced_whole_by_whoever_saw_the_last_version_and_the_change_is_told() {
    let (quota, budgets, _) = world();
    let first = budgets.set_limits(&scope(), 1, vec![limit(5)]).await.unwrap();
    assert_eq!(first.version, 2);
    let stale = budgets.set_limits(&scope(), 1, Vec::new()).await;
    assert!(matches!(stale, Err(BudgetError::Stale)));
    let twice = budgets
        .set_limits(&scope(), 2, vec![limit(1), limit(2)])
        .await
        .unwrap_err();
    assert_eq!(
        (twice.code(), twice.field().as_deref()),
        ("model_limit_twice", Some("limits/1"))
    );
    let second = budgets.set_limits(&scope(), 2, Vec::new()).await.unwrap();
    assert_eq!((second.version, second.limits.all()), (3, &[][..]));
    let events = quota.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].payload["changes"]["limits"][1][0]["limit_micros"], 5);
}

#[tokio::test]
async fn a_credit_is_added_once_under_a_key() {
    let (quota, budgets, _) = world();
    let made = budgets
        .add_credit(&scope(), credit(9), Some(&call("a", 1)))
        .await
        .unwrap();
    let again = budgets
        .add_credit(&scope(), credit(9), Some(&call("a", 1)))
        .await
        .unwrap();
    assert_eq!(made.id, again.id);
    let other = budgets.add_credit(&scope(), credit(8), Some(&call("a", 2))).await;
    assert!(matches!(other, Err(BudgetError::Key(KeyRefusal::Reused))));
    assert_eq!(quota.events().len(), 1);
    assert!(quota.credit(made.id).is_some());
}

#[tokio::test]
async fn a_credit_of_nothing_or_that_has_lapsed_or_with_an_empty_note_is_none() {
    let (_, budgets, now) = world();
    for (wish, field) in [
        (credit(0), "amount_micros"),
        (
            AddCredit {
                expires_at: Some(now),
                ..credit(1)
            },
            "expires_at",
        ),
        (
            AddCredit {
                note: Some(" ".into()),
                ..credit(1)
            },
            "note",
        ),
        (
            AddCredit {
                note: Some("x".repeat(201)),
                ..credit(1)
            },
            "note",
        ),
    ] {
        let refused = budgets.add_credit(&scope(), wish, None).await.unwrap_err();
        assert_eq!(refused.field().as_deref(), Some(field));
        assert_eq!(refused.kind(), Kind::Invalid);
    }
}
