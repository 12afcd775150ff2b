//! A second person agrees once, to one request of another; the database keeps that as well.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{
    ApprovalId, IdempotentCall, IdentityId, Page, PageRequest, Refusal as _, Review, SystemIds,
};
use posx_tenancy::{
    APPROVAL_LIFE, Approval, ApprovalFilter, ApprovalQueries as _, ApprovalStateName, Approvals, AskApproval,
    ReviewedOperation, ReviewedRequest, Role,
};
use sqlx::Row as _;

use crate::server::{connect, shared, superuser};
use crate::world::{World, noon, unique};

pub const HASH: [u8; 32] = [9; 32];

impl World {
    pub fn approvals(&self) -> Approvals {
        Approvals::new(
            Arc::new(self.database.clone()),
            self.clock.clone(),
            Arc::new(SystemIds),
        )
    }

    /// A member of that role.
    pub async fn colleague(&self, role: Role) -> IdentityId {
        let subject = unique(20);
        let appointed = self
            .platform
            .appoint(&self.site, "https://issuer.test", &subject, role);
        appointed.await.expect("appointed")
    }

    pub async fn asked(&self, maker: IdentityId, hash: [u8; 32]) -> Approval {
        let request = ReviewedRequest {
            method: "POST".to_owned(),
            path: "/api/v1/tiers/x/supply-corrections".to_owned(),
            body: r#"{"quantity":500}"#.to_owned(),
            hash,
        };
        let wish = AskApproval {
            operation: ReviewedOperation::SupplyCorrection,
            quantity: 500,
            request,
            maker,
        };
        self.approvals().ask(&self.scope, wish).await.expect("asked")
    }

    pub async fn limited(&self, operation: ReviewedOperation, limit: Option<i64>, by: IdentityId, key: &str) {
        let call = call_of(by, key, [1; 32], None);
        self.approvals()
            .change_limit(&self.scope, operation, limit, by, call)
            .await
            .expect("limited");
    }

    /// The events of an approval, with who did each.
    pub async fn told(&self, id: ApprovalId) -> Vec<(String, String)> {
        let rows = sqlx::query(
            "select kind, actor_kind from events where site_id = $1 and subject_id = $2 order by id",
        )
        .bind(self.site.id.as_uuid())
        .bind(id.as_uuid())
        .fetch_all(&mut superuser().await)
        .await
        .expect("events");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

pub fn call_of(maker: IdentityId, key: &str, hash: [u8; 32], approval: Option<ApprovalId>) -> IdempotentCall {
    IdempotentCall {
        actor: maker.to_string(),
        operation: "POST /api/v1/tiers/{id}/supply-corrections",
        key: key.to_owned(),
        fingerprint: hash,
        review: Review::Needed(approval),
        at: noon(),
    }
}

#[tokio::test]
async fn what_was_asked_and_decided_reads_back() {
    let world = World::new().await;
    let (maker, checker) = (
        world.colleague(Role::Owner).await,
        world.colleague(Role::Admin).await,
    );
    let service = world.approvals();
    let now = noon();
    let view = async |id| {
        world
            .database
            .approval(&world.scope, id, now)
            .await
            .expect("read")
            .expect("there")
    };

    let asked = world.asked(maker, HASH).await;
    assert_eq!(
        world.asked(maker, HASH).await,
        asked,
        "the same again is the same"
    );
    assert_ne!(
        world.asked(checker, HASH).await.id,
        asked.id,
        "of another it is not"
    );
    let approved = service
        .approve(&world.scope, asked.id, checker, &HASH)
        .await
        .expect("approved");
    assert_eq!(world.asked(maker, HASH).await, approved);
    let shown = view(asked.id).await;
    assert_eq!(shown, posx_tenancy::ApprovalView::of(&approved, now));
    assert_eq!((shown.checker, shown.decided_at), (Some(checker), Some(now)));

    let other = world.asked(maker, [1; 32]).await;
    let rejected = service
        .reject(&world.scope, other.id, checker, " too many ")
        .await
        .expect("rejected");
    let shown = view(other.id).await;
    assert_eq!(shown, posx_tenancy::ApprovalView::of(&rejected, now));
    assert_eq!(shown.reason.as_deref(), Some("too many"));
    let third = world.asked(maker, [2; 32]).await;
    let withdrawn = service
        .withdraw(&world.scope, third.id, maker)
        .await
        .expect("withdrawn");
    assert_eq!(
        view(third.id).await,
        posx_tenancy::ApprovalView::of(&withdrawn, now)
    );
    assert_ne!(
        world.asked(maker, [2; 32]).await.id,
        third.id,
        "what ended is asked anew"
    );
    let kinds = |told: Vec<(String, String)>| told.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(
        kinds(world.told(asked.id).await),
        ["approval.submitted", "approval.approved"]
    );
    assert_eq!(
        kinds(world.told(other.id).await),
        ["approval.submitted", "approval.rejected"]
    );
    assert_eq!(
        kinds(world.told(third.id).await),
        ["approval.submitted", "approval.withdrawn"]
    );
}

#[tokio::test]
async fn lists_know_states_pages_and_time() {
    let world = World::new().await;
    let (maker, checker) = (
        world.colleague(Role::Owner).await,
        world.colleague(Role::Admin).await,
    );
    for number in 0..5 {
        world.asked(maker, [number; 32]).await;
    }
    let approved = world.asked(maker, [0; 32]).await;
    let service = world.approvals();
    service
        .approve(&world.scope, approved.id, checker, &[0; 32])
        .await
        .expect("approved");
    let list = async |state, page, now| -> Page<posx_tenancy::ApprovalView> {
        let filter = ApprovalFilter { state };
        let listed = world.database.approvals(&world.scope, filter, page, now).await;
        listed.expect("a page")
    };
    let whole = PageRequest::new(None, None);
    let late = noon() + APPROVAL_LIFE;
    for (state, now, count) in [
        (None, noon(), 5),
        (Some(ApprovalStateName::Submitted), noon(), 4),
        (Some(ApprovalStateName::Approved), noon(), 1),
        (Some(ApprovalStateName::Expired), noon(), 0),
        (Some(ApprovalStateName::Draft), noon(), 0),
        (Some(ApprovalStateName::Expired), late, 5),
        (Some(ApprovalStateName::Submitted), late, 0),
        (Some(ApprovalStateName::Approved), late, 0),
    ] {
        let page = list(state, whole, now).await;
        assert_eq!(page.items.len(), count, "{state:?} at {now}");
        assert!(
            page.items
                .iter()
                .all(|item| state.is_none_or(|state| item.state == state))
        );
    }
    let first = list(None, PageRequest::new(Some(3), None), noon()).await;
    let second = list(None, PageRequest::new(Some(3), first.next), noon()).await;
    assert_eq!((first.items.len(), second.items.len()), (3, 2));
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn one_maker_has_so_many_open_requests_and_no_more() {
    let world = World::new().await;
    let maker = world.colleague(Role::Owner).await;
    for number in 0..50 {
        world.asked(maker, [number; 32]).await;
    }
    let one_more = || AskApproval {
        operation: ReviewedOperation::PlanCreation,
        quantity: 1,
        request: ReviewedRequest {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            body: "null".to_owned(),
            hash: [99; 32],
        },
        maker,
    };
    let refused = world
        .approvals()
        .ask(&world.scope, one_more())
        .await
        .expect_err("too many");
    assert_eq!(refused.code(), "approvals_too_many");
    // What has expired waits for nobody.
    world.clock.advance(APPROVAL_LIFE);
    world
        .approvals()
        .ask(&world.scope, one_more())
        .await
        .expect("asked");
}

type Step = (&'static str, String, Result<(), &'static str>);
/// What an update would set, one after another, and what the database says of it.
fn steps([maker, checker, stranger]: [IdentityId; 3]) -> Vec<Step> {
    let at = noon().to_rfc3339();
    let decide = |state: &str, who: IdentityId| {
        format!(
            "state = '{state}', checker_id = '{}', decided_at = '{at}'",
            who.as_uuid()
        )
    };
    let approved = decide("approved", checker);
    let ended = format!("ended_at = '{at}'");
    vec![
        ("by the maker", decide("approved", maker), Err("23514")),
        ("by who is no member", decide("approved", stranger), Err("23503")),
        ("by nobody", "state = 'approved'".to_owned(), Err("23514")),
        (
            "skipping the second person",
            format!("{}, {ended}", decide("applied", checker)),
            Err("23001"),
        ),
        ("another body", "body = '{}'".to_owned(), Err("23001")),
        (
            "another hash",
            r"request_hash = decode(repeat('01', 32), 'hex')".to_owned(),
            Err("23001"),
        ),
        (
            "another maker",
            format!("maker_id = '{}'", checker.as_uuid()),
            Err("23001"),
        ),
        (
            "more time",
            "expires_at = expires_at + interval '1 day'".to_owned(),
            Err("23001"),
        ),
        (
            "too late",
            approved.replace(&at, "2026-06-02T12:00:00Z"),
            Err("23514"),
        ),
        ("as it should be", approved.clone(), Ok(())),
        (
            "by another then",
            format!("state = 'applied', {ended}, checker_id = '{}'", maker.as_uuid()),
            Err("23001"),
        ),
        ("used", format!("state = 'applied', {ended}"), Ok(())),
        (
            "used twice",
            "state = 'approved', ended_at = null".to_owned(),
            Err("23001"),
        ),
    ]
}

#[tokio::test]
async fn the_database_itself_knows_two_people_and_one_way() {
    let world = World::new().await;
    let (maker, checker) = (
        world.colleague(Role::Owner).await,
        world.colleague(Role::Admin).await,
    );
    let stranger = World::new().await.colleague(Role::Owner).await;
    let asked = world.asked(maker, HASH).await;
    let begin = format!(
        "begin; set local app.current_site_id = '{}'",
        world.site.id.as_uuid()
    );
    let mut app = connect(&shared().app_url).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(begin))
        .execute(&mut app)
        .await
        .expect("begun");
    for (what, set, expected) in steps([maker, checker, stranger]) {
        sqlx::query("savepoint s")
            .execute(&mut app)
            .await
            .expect("a savepoint");
        let sql = format!("update approvals set {set} where id = '{}'", asked.id.as_uuid());
        let done = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut app).await;
        let code = done
            .as_ref()
            .err()
            .and_then(|error| error.as_database_error()?.code());
        match expected {
            Ok(()) => assert_eq!(done.map(|done| done.rows_affected()).ok(), Some(1), "{what}"),
            Err(expected) => {
                assert_eq!(code.as_deref(), Some(expected), "{what}");
                sqlx::query("rollback to s")
                    .execute(&mut app)
                    .await
                    .expect("rolled back");
            }
        }
    }
    let deleted = sqlx::query("delete from approvals").execute(&mut app).await;
    assert!(deleted.is_err());
}

#[tokio::test]
async fn a_limit_is_lowered_alone_and_lifted_by_two() {
    let world = World::new().await;
    let owner = world.colleague(Role::Owner).await;
    let operation = ReviewedOperation::SupplyCorrection;
    let service = world.approvals();
    let review = async |quantity| {
        let named = Some(ApprovalId::from_uuid(uuid::Uuid::nil()));
        service
            .review(&world.scope, operation, quantity, named)
            .await
            .expect("a review")
            != Review::NotNeeded
    };
    assert!(!review(i64::MAX).await, "without a limit nobody is asked");
    // Alone there is nobody to ask.
    world.limited(operation, Some(10), owner, "a").await;
    world.limited(operation, Some(100), owner, "b").await;
    assert!(!review(100).await && review(101).await);
    assert!(
        !service
            .review(&world.scope, ReviewedOperation::PlanCreation, 1, None)
            .await
            .is_ok_and(|review| review != Review::NotNeeded),
        "each operation has its own"
    );

    let admin = world.colleague(Role::Admin).await;
    world.limited(operation, Some(50), owner, "c").await;
    let change = async |limit, key: &str, approval| {
        let call = call_of(owner, key, [5; 32], approval);
        let changed = service
            .change_limit(&world.scope, operation, limit, owner, call)
            .await;
        changed
            .map(|made| made.replayed)
            .map_err(|refused| refused.code())
    };
    for higher in [Some(51), None] {
        assert_eq!(change(higher, "d", None).await, Err("approval_needed"));
    }
    assert_eq!(change(Some(-1), "d", None).await, Err("approval_limit_invalid"));
    let asked = world.asked(owner, [5; 32]).await;
    service
        .approve(&world.scope, asked.id, admin, &[5; 32])
        .await
        .expect("approved");
    assert_eq!(change(None, "d", Some(asked.id)).await, Ok(false));
    assert!(!review(i64::MAX).await);
    assert_eq!(change(None, "d", Some(asked.id)).await, Ok(true), "a repeat");
    let own = ReviewedOperation::LimitRaise;
    let call = call_of(owner, "e", [5; 32], None);
    let refused = service
        .change_limit(&world.scope, own, Some(1), owner, call)
        .await;
    assert_eq!(
        refused.expect_err("it has none").code(),
        "approval_limit_not_found"
    );
    let limits = world
        .database
        .approval_limits(&world.scope)
        .await
        .expect("limits");
    let shown: Vec<_> = limits
        .iter()
        .map(|limit| (limit.operation, limit.quantity_max))
        .collect();
    assert_eq!(shown, [(operation, None)]);
}

#[tokio::test]
async fn who_may_not_decide_is_no_second_person() {
    let world = World::new().await;
    let owner = world.colleague(Role::Owner).await;
    for role in [Role::Manager, Role::Viewer, Role::Member, Role::Cashier] {
        world.colleague(role).await;
    }
    let operation = ReviewedOperation::AllocationBatch;
    world.limited(operation, Some(1), owner, "a").await;
    world.limited(operation, None, owner, "b").await;
}

#[tokio::test]
async fn time_is_up_after_a_day() {
    let world = World::new().await;
    let (maker, checker) = (
        world.colleague(Role::Owner).await,
        world.colleague(Role::Admin).await,
    );
    let asked = world.asked(maker, HASH).await;
    world.clock.advance(APPROVAL_LIFE - TimeDelta::microseconds(1));
    assert_eq!(world.asked(maker, HASH).await, asked);
    world.clock.advance(TimeDelta::microseconds(1));
    let service = world.approvals();
    let late = service.approve(&world.scope, asked.id, checker, &HASH).await;
    assert_eq!(late.expect_err("expired").code(), "approval_not_open");
    assert_ne!(world.asked(maker, HASH).await.id, asked.id);
}
