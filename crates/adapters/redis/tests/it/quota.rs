//! Budgets whose refusals are remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::future::join_all;
use posx_assistant::testing::{FakeQuota, reservation, spent};
use posx_assistant::{
    Asker, BudgetKey, BudgetScope, Limit, Limits, Micros, Period, Purpose, Quota, QuotaError, Reservation,
    Spent, day_of,
};
use posx_kernel::{IdentityId, ModelCallId, SiteId, SiteScope, StoreError, Timestamp};
use posx_redis::{LocalRefusals, QuotaMemory, REFUSAL_AGE_MAX, RedisRefusals, Refusals};
use uuid::Uuid;

use crate::server::RedisServer;

/// The truth, and how often it is asked.
#[derive(Debug, Clone)]
struct Counting {
    truth: FakeQuota,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Quota for Counting {
    async fn reserve(&self, scope: &SiteScope, wish: &Reservation) -> Result<(), QuotaError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.truth.reserve(scope, wish).await
    }
    async fn settle(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        self.truth.settle(scope, call, spent).await
    }
    async fn release(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        self.truth.release(scope, call, spent).await
    }
    async fn note_refused(
        &self,
        scope: &SiteScope,
        wish: &Reservation,
        by: (BudgetScope, Period),
        times: u32,
    ) -> Result<(), StoreError> {
        self.truth.note_refused(scope, wish, by, times).await
    }
    async fn expire(&self, scope: &SiteScope, now: Timestamp) -> Result<usize, StoreError> {
        self.truth.expire(scope, now).await
    }
}

struct World {
    truth: FakeQuota,
    asked: Arc<AtomicUsize>,
    memory: QuotaMemory,
}

fn world(refusals: Arc<dyn Refusals>, month: u64) -> World {
    let limit = Limit {
        scope: BudgetScope::Site,
        purpose: None,
        period: Period::Month,
        limit_micros: Micros::new(month).unwrap(),
    };
    let truth = FakeQuota::new(chrono_tz::UTC, Limits::new(vec![limit]).unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Counting {
        truth: truth.clone(),
        asked: asked.clone(),
    };
    let memory = QuotaMemory::new(Arc::new(counting), refusals);
    World { truth, asked, memory }
}

fn scope() -> SiteScope {
    SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(1)))
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn call(number: u128) -> ModelCallId {
    ModelCallId::from_uuid(Uuid::from_u128(number))
}

fn wish(number: u128, cost: u64) -> Reservation {
    let asker = Asker::Member(IdentityId::from_uuid(Uuid::from_u128(9)));
    reservation(call(number), asker, Purpose::StaffChat, cost, now())
}

impl World {
    async fn reserve(&self, number: u128, cost: u64) -> bool {
        match self.memory.reserve(&scope(), &wish(number, cost)).await {
            Ok(()) => true,
            Err(QuotaError::UsedUp {
                scope,
                period,
                resets_at,
                ..
            }) => {
                assert_eq!((scope, period), (BudgetScope::Site, Period::Month));
                assert_eq!(resets_at, "2026-07-01T00:00:00Z".parse::<Timestamp>().unwrap());
                false
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// Reserved and spent.
    fn of_month(&self) -> (u64, u64) {
        let asker = Asker::Member(IdentityId::from_uuid(Uuid::from_u128(9)));
        let keys = BudgetKey::of_call(Purpose::StaffChat, asker, day_of(now(), chrono_tz::UTC));
        let counter = self.truth.counter(keys.last().unwrap());
        (counter.reserved.get(), counter.spent.get())
    }
}

/// What every memory does.
async fn remembers(refusals: Arc<dyn Refusals>) {
    let world = world(refusals, 10);
    assert!(world.reserve(1, 8).await);
    assert!(!world.reserve(2, 3).await);
    assert_eq!(world.asked(), 2);
    for number in 10..60 {
        assert!(!world.reserve(number, 3).await);
    }
    assert_eq!(world.asked(), 0, "a flood does not reach the truth");
    assert!(world.reserve(3, 2).await, "what may still fit is asked for");
    world
        .memory
        .settle(&scope(), call(1), &spent(1, now()))
        .await
        .unwrap();
    assert!(world.reserve(4, 3).await, "what went back is there at once");
    assert!(!world.reserve(5, 9).await);
    world
        .memory
        .release(&scope(), call(3), &spent(0, now()))
        .await
        .unwrap();
    assert!(!world.reserve(6, 9).await);
    assert_eq!(world.asked(), 4);
    // The counts come into the log, with the first call's id.
    world.memory.tell().await;
    let told: u32 = world.truth.calls().iter().map(|call| call.refused_times).sum();
    assert_eq!(told, 53);
    // Another site knows nothing of it.
    let elsewhere = SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(2)));
    let other = world.memory.reserve(&elsewhere, &wish(7, 9)).await;
    assert!(other.is_err() && world.asked() == 1);
    // And it is of an age.
    assert!(!world.reserve(8, 9).await);
    assert_eq!(world.asked(), 0);
    tokio::time::sleep(REFUSAL_AGE_MAX + std::time::Duration::from_millis(50)).await;
    assert!(!world.reserve(9, 9).await);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_flood_of_refused_calls_is_refused_from_this_process_without_redis() {
    remembers(Arc::new(LocalRefusals::default())).await;
}

#[tokio::test]
async fn a_flood_of_refused_calls_is_refused_from_redis() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    remembers(Arc::new(RedisRefusals::new(&server.url()).unwrap())).await;
}

#[tokio::test]
async fn what_goes_back_in_one_process_is_there_for_the_other_at_once() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let here = world(Arc::new(RedisRefusals::new(&server.url()).unwrap()), 10);
    let there = QuotaMemory::new(
        Arc::new(here.truth.clone()),
        Arc::new(RedisRefusals::new(&server.url()).unwrap()),
    );
    assert!(here.reserve(1, 10).await);
    assert!(!here.reserve(2, 10).await);
    assert!(there.reserve(&scope(), &wish(3, 10)).await.is_err());
    there.release(&scope(), call(1), &spent(0, now())).await.unwrap();
    assert!(here.reserve(4, 10).await);
}

/// The operator's limit is no ceiling of what the site's own key pays for.
#[tokio::test]
async fn a_refusal_of_who_pays_otherwise_says_nothing_of_a_call() {
    let world = world(Arc::new(LocalRefusals::default()), 10);
    assert!(!world.reserve(1, 11).await);
    world.asked();
    let own = Reservation {
        operator_pays: false,
        ..wish(2, 11)
    };
    assert!(world.memory.reserve(&scope(), &own).await.is_err());
    assert_eq!(world.asked(), 1, "the truth is asked");
    assert!(!world.reserve(3, 11).await);
    assert_eq!(world.asked(), 0);
}

/// A refusal that was on its way while something went back is not remembered.
#[tokio::test]
async fn a_refusal_that_is_out_of_date_when_it_comes_is_not_remembered() {
    let server = RedisServer::start();
    let mut memories: Vec<Arc<dyn Refusals>> = vec![Arc::new(LocalRefusals::default())];
    if let Some(server) = &server {
        memories.push(Arc::new(RedisRefusals::new(&server.url()).unwrap()));
    }
    for memory in memories {
        let (site, budgets) = (
            SiteId::from_uuid(Uuid::from_u128(1)),
            vec!["site::month".to_owned()],
        );
        let one = Micros::new(1).unwrap();
        let posx_redis::Seen::Nothing(Some(generation)) = memory.look(site, &budgets, one).await else {
            panic!("nothing was refused yet");
        };
        let refused = posx_redis::Remembered {
            at: 0,
            left: Micros::ZERO,
            resets_at: now(),
        };
        memory.forget(site).await;
        memory.remember(site, &budgets[0], &refused, &generation).await;
        assert!(matches!(
            memory.look(site, &budgets, one).await,
            posx_redis::Seen::Nothing(_)
        ));
    }
}

/// P34: Redis wiped, gone and back in the middle of 1,000 calls at once changes nothing but speed.
#[tokio::test]
async fn p34_redis_wiped_or_gone_in_the_middle_changes_nothing_but_speed() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let world = world(Arc::new(RedisRefusals::new(&server.url()).unwrap()), 1_000);
    let client = redis::Client::open(server.url()).unwrap();
    let mut held = 0_u64;
    for round in 0..10_u128 {
        match round {
            3 | 5 => {
                let mut connection = client.get_multiplexed_async_connection().await.unwrap();
                redis::cmd("FLUSHALL")
                    .query_async::<()>(&mut connection)
                    .await
                    .unwrap();
            }
            6 => server.kill(),
            8 => server.start_again(),
            _ => {}
        }
        let calls = (0..100).map(|number| {
            let (id, world) = (round * 100 + number, &world);
            async move {
                if !world.reserve(id, 10).await {
                    return 0;
                }
                if number % 2 == 0 {
                    world
                        .memory
                        .settle(&scope(), call(id), &spent(4, now()))
                        .await
                        .unwrap();
                }
                1
            }
        });
        held += join_all(calls).await.into_iter().sum::<u64>();
        let (reserved, spent) = world.of_month();
        assert!(reserved + spent <= 1_000, "round {round}: {reserved} + {spent}");
    }
    assert!(held >= 100, "{held}");
    let (reserved, spent) = world.of_month();
    // Nothing was refused that fits: what is left holds no further call.
    tokio::time::sleep(REFUSAL_AGE_MAX).await;
    while world.reserve(5_000 + u128::from(held), 10).await {
        held += 1;
    }
    assert!(
        1_000 - world.of_month().0 - world.of_month().1 < 10,
        "{reserved} {spent}"
    );
}
