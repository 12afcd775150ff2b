//! What every store must do of vesting and of what goes back, checked through its ports.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use posx_kernel::{
    Begin, ManualClock, OrderId, Refusal as _, SeededIds, SiteScope, TierId, Timestamp, TokenAmount,
    VestingPolicyId, VestingScheduleId,
};
use uuid::Uuid;

use super::FakeCustody;
use crate::ReleaseName::{Allocated, Locked, Revoked};
use crate::{
    Adjusted, Allocation, Allocations, AllocationsTx, CreatePolicy, PeriodUnit, Release, ReleaseName,
    StateName, Unlocked,
};

/// Sells outside of what the contract is about.
#[async_trait]
pub trait Seller: Send + Sync {
    /// Four units of the tier, paid now by a buyer whom the tier counts.
    async fn sell(&self) -> OrderId;
    /// So many hundredths of the order went back in all.
    async fn give_back(&self, order: OrderId, hundredths: i64);
    /// Units of the tier that are sold.
    async fn sold(&self) -> i64;
}

/// What the caller has put into the store.
#[expect(missing_debug_implementations, reason = "a seller is what its maker likes")]
pub struct VestingGiven<'a> {
    pub scope: SiteScope,
    /// Another site, with nothing in it.
    pub elsewhere: SiteScope,
    /// Counts what one buyer holds. Nothing of it is sold.
    pub tier: TierId,
    pub seller: &'a dyn Seller,
    pub now: Timestamp,
}

struct Stage<'a> {
    db: &'a dyn Begin<dyn AllocationsTx>,
    given: &'a VestingGiven<'a>,
    service: Allocations,
    clock: Arc<ManualClock>,
}

/// Runs on a store in which only [`VestingGiven`] is.
pub async fn vesting_contract(db: Arc<dyn Begin<dyn AllocationsTx>>, given: &VestingGiven<'_>) {
    let clock = Arc::new(ManualClock::stopped_at(given.now));
    let ids = Arc::new(SeededIds::new(u64::from_le_bytes(
        given.tier.as_uuid().as_bytes()[8..16]
            .try_into()
            .expect("eight bytes"),
    )));
    let service = Allocations::new(
        Arc::clone(&db),
        Arc::new(FakeCustody::default()),
        clock.clone(),
        ids,
    );
    let stage = Stage {
        db: db.as_ref(),
        given,
        service,
        clock,
    };
    let plain = given.seller.sell().await;
    let policy = stage.a_policy_has_versions_and_a_start().await;
    stage.a_tier_is_vested_from_then_on(policy).await;
    stage.a_line_without_vesting_is_cut_and_restored(plain).await;
    let order = given.seller.sell().await;
    stage.releases_are_made_once_and_sum_to_the_line(order).await;
    stage.what_goes_back_is_taken_from_what_is_locked(order).await;
    stage.what_is_due_is_allocated_once(order).await;
    stage.what_is_locked_is_revoked_once().await;
}

impl Stage<'_> {
    async fn tx(&self) -> Box<dyn AllocationsTx> {
        self.db.begin(&self.given.scope).await.expect("a transaction")
    }

    async fn allocations(&self, order: OrderId) -> Vec<Allocation> {
        let mut all = self.tx().await.allocations().of_order(order).await.expect("read");
        all.sort_by_key(|one| one.part);
        all
    }

    async fn releases(&self, order: OrderId) -> Vec<Release> {
        self.tx()
            .await
            .vesting()
            .releases_of_order(order)
            .await
            .expect("read")
    }

    async fn states(&self, order: OrderId) -> Vec<ReleaseName> {
        self.releases(order)
            .await
            .iter()
            .map(|release| release.state.name())
            .collect()
    }

    async fn adjust(&self, order: OrderId) -> Adjusted {
        self.service
            .adjust(&self.given.scope, order)
            .await
            .expect("adjusted")
    }

    async fn gives_back(&self, order: OrderId, hundredths: i64) {
        self.given.seller.give_back(order, hundredths).await;
        assert!(self.adjust(order).await.changed);
        assert_eq!(
            self.adjust(order).await,
            Adjusted::default(),
            "once more changes nothing"
        );
    }

    async fn a_policy_has_versions_and_a_start(&self) -> VestingPolicyId {
        let (service, given) = (&self.service, self.given);
        let wish = || CreatePolicy {
            name: "Seed".to_owned(),
            share_at_start: "0.25".parse().expect("a rate"),
            cliff_months: 1,
            periods: 3,
            unit: PeriodUnit::Week,
            revocable: true,
            starts_on: None,
        };
        let mut made = Vec::new();
        for version in 1..=2 {
            let id = service
                .create_policy(&given.scope, wish(), None)
                .await
                .expect("made")
                .id;
            let stored = self
                .tx()
                .await
                .vesting()
                .policy(id)
                .await
                .expect("read")
                .expect("the policy");
            assert_eq!(
                (stored.version, stored.revision, stored.starts_on),
                (version, 1, None)
            );
            assert_eq!(
                (stored.cliff_months, stored.periods, stored.unit),
                (1, 3, PeriodUnit::Week)
            );
            assert_eq!(stored.share_at_start.to_string(), "0.25");
            made.push(id);
        }
        let id = made[1];
        let today = given.now.date_naive();
        let moved = async |scope: &SiteScope, seen| {
            let moved = service.move_start(scope, id, seen, Some(today)).await;
            moved.map(|policy| policy.revision).map_err(|error| error.code())
        };
        assert_eq!(moved(&given.elsewhere, 1).await, Err("vesting_policy_not_found"));
        assert_eq!(moved(&given.scope, 1).await, Ok(2));
        assert_eq!(moved(&given.scope, 1).await, Err("version_stale"));
        let started = self.tx().await.vesting().started_policies().await.expect("read");
        assert_eq!(started.iter().map(|policy| policy.id).collect::<Vec<_>>(), [id]);
        id
    }

    async fn a_tier_is_vested_from_then_on(&self, policy: VestingPolicyId) {
        let (service, given) = (&self.service, self.given);
        let code = async |scope: &SiteScope, tier, policy| {
            let set = service.set_tier_vesting(scope, tier, policy, None).await;
            set.map(drop).map_err(|error| error.code())
        };
        let nothing = Uuid::from_u128(404);
        assert_eq!(
            code(&given.scope, TierId::from_uuid(nothing), None).await,
            Err("tier_not_found")
        );
        assert_eq!(
            code(&given.elsewhere, given.tier, None).await,
            Err("tier_not_found")
        );
        let unknown = VestingPolicyId::from_uuid(nothing);
        assert_eq!(
            code(&given.scope, given.tier, Some(unknown)).await,
            Err("vesting_policy_not_found")
        );
        assert_eq!(code(&given.scope, given.tier, Some(policy)).await, Ok(()));
        // What is sold now is sold later than that.
        self.clock.advance(Duration::seconds(1));
    }

    /// It was placed before the tier was vested.
    async fn a_line_without_vesting_is_cut_and_restored(&self, order: OrderId) {
        assert_eq!(self.adjust(order).await.made.len(), 1);
        assert!(self.releases(order).await.is_empty());
        assert_eq!(self.given.seller.sold().await, 4);
        self.gives_back(order, 50).await;
        let cut = self.allocations(order).await.remove(0);
        assert_eq!(cut.amount.base_units(), 2 * cut.cut.base_units());
        assert_eq!((cut.state.name(), cut.changes), (StateName::Pending, 1));
        assert_eq!(self.given.seller.sold().await, 2);
        self.gives_back(order, 100).await;
        let cancelled = self.allocations(order).await.remove(0);
        assert_eq!(
            (cancelled.state.name(), cancelled.cut),
            (StateName::Cancelled, cut.amount)
        );
        self.gives_back(order, 0).await;
        let restored = self.allocations(order).await.remove(0);
        assert_eq!(
            (restored.state.name(), restored.cut),
            (StateName::Pending, TokenAmount::ZERO)
        );
        assert_eq!(self.given.seller.sold().await, 4);
        assert!(self.service.adjust(&self.given.elsewhere, order).await.is_err());
    }

    async fn releases_are_made_once_and_sum_to_the_line(&self, order: OrderId) {
        let made = self.adjust(order).await;
        assert_eq!((made.made.len(), made.schedules.len()), (1, 1));
        assert_eq!(self.adjust(order).await, Adjusted::default());
        assert_eq!(self.states(order).await, [Allocated, Locked, Locked, Locked]);
        let releases = self.releases(order).await;
        let sum: u128 = releases.iter().map(|release| release.amount.base_units()).sum();
        assert_eq!(sum, releases[0].amount.base_units() * 4);
        let first = self.allocations(order).await.remove(0);
        assert_eq!(releases[0].state.allocation(), Some(first.id));
        assert_eq!(first.amount, releases[0].amount);
        let states = self
            .tx()
            .await
            .allocations()
            .states_of_order(order)
            .await
            .expect("read");
        assert_eq!(states, [StateName::Pending; 4], "what is locked is still to come");
    }

    async fn what_goes_back_is_taken_from_what_is_locked(&self, order: OrderId) {
        let sold = self.given.seller.sold().await;
        self.gives_back(order, 50).await;
        let releases = self.releases(order).await;
        let left: Vec<_> = releases.iter().map(|release| release.left().is_zero()).collect();
        assert_eq!(
            left,
            [true, false, true, true],
            "the last first; the first has its allocation"
        );
        assert_eq!(self.given.seller.sold().await, sold - 2);
        let states = self
            .tx()
            .await
            .allocations()
            .states_of_order(order)
            .await
            .expect("read");
        assert_eq!(states, [StateName::Pending; 2]);
        self.gives_back(order, 0).await;
        assert_eq!(self.given.seller.sold().await, sold);
    }

    async fn what_is_due_is_allocated_once(&self, order: OrderId) {
        let (service, given) = (&self.service, self.given);
        let unlock = async |scope: &SiteScope| service.unlock_due(scope).await.expect("a run");
        assert_eq!(
            unlock(&given.scope).await,
            Unlocked::default(),
            "nothing before the end of the cliff"
        );
        self.clock.advance(Duration::days(38));
        assert_eq!(unlock(&given.elsewhere).await, Unlocked::default());
        assert_eq!(unlock(&given.scope).await, Unlocked { orders: 1, held: 0 });
        assert_eq!(unlock(&given.scope).await, Unlocked::default());
        assert_eq!(self.states(order).await, [Allocated, Allocated, Locked, Locked]);
        let parts: Vec<_> = self.allocations(order).await.iter().map(|one| one.part).collect();
        assert_eq!(parts, [0, 1]);
    }

    async fn what_is_locked_is_revoked_once(&self) {
        let (service, given) = (&self.service, self.given);
        let order = given.seller.sell().await;
        let schedule: VestingScheduleId = self.adjust(order).await.schedules[0];
        let revoked = async |scope: &SiteScope| {
            let revoked = service
                .revoke_vesting(scope, schedule, "left the programme", None)
                .await;
            revoked.map(drop).map_err(|error| error.code())
        };
        assert_eq!(revoked(&given.elsewhere).await, Err("vesting_schedule_not_found"));
        for _ in 0..2 {
            assert_eq!(revoked(&given.scope).await, Ok(()));
            assert_eq!(self.states(order).await, [Allocated, Allocated, Revoked, Revoked]);
        }
        let stored = self
            .tx()
            .await
            .vesting()
            .schedule(schedule)
            .await
            .expect("read")
            .expect("the schedule");
        assert_eq!(
            stored.revoked_at,
            Some(given.now + Duration::seconds(1) + Duration::days(38))
        );
        self.clock.advance(Duration::days(365));
        assert_eq!(service.unlock_due(&given.scope).await.expect("a run").held, 0);
        assert_eq!(self.states(order).await, [Allocated, Allocated, Revoked, Revoked]);
    }
}
