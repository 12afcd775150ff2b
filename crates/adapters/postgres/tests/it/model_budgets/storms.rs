//! Many calls at once through all that stands before the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt as _;
use futures::future::join_all;
use posx_assistant::testing::{
    FALLBACK_MODEL, FakeSecrets, FakeSetups, MODEL, Script, ScriptedModel, Step, choice, providers,
    reservation, spent,
};
use posx_assistant::{
    Ask, Asker, BudgetScope, CONSENT_TEXT_VERSION, FinishReason, Gateway, GatewayParts, Message,
    ModelAccount, ModelError, Part, Period, Price, PriceBook, PriceTier, Purpose, Quota, QuotaError,
};
use posx_kernel::{IdentityId, Refusal as _, SystemIds, SystemRandomness, Timestamp};
use posx_redis::{QuotaMemory, RedisRefusals};

use super::{call, limit, micros, number, over, redis_server};
use crate::world::{World, noon};

/// Dearer from 120 tokens of input on; the fallback is twice as dear.
fn tiered() -> PriceBook {
    let price = |provider: &str, model: &str, unit: u64| {
        let tier = |from_input_tokens, unit| PriceTier {
            from_input_tokens,
            input: micros(unit),
            cached_input: micros(unit / 10),
            output: micros(3 * unit),
        };
        Price {
            version: 1,
            provider: provider.to_owned(),
            model: model.to_owned(),
            valid_from: Timestamp::UNIX_EPOCH,
            tiers: vec![tier(0, unit), tier(120, 2 * unit)],
        }
    };
    let prices = vec![
        price("main", MODEL, 1_000_000),
        price("other", FALLBACK_MODEL, 2_000_000),
    ];
    PriceBook::new(prices).expect("a book")
}

/// The next try of a provider that has a bad day.
fn bad_day(tries: &AtomicU32) -> Script {
    let word = || {
        Script::events([])
            .say("Seven orders")
            .wait(Duration::from_millis(5))
    };
    match tries.fetch_add(1, Ordering::SeqCst) % 8 {
        0 => Script::error(ModelError::Unavailable("away".into())),
        1 => Script::error(ModelError::TimedOut),
        2 => Script::error(ModelError::RateLimited { retry_after: None }),
        3 => word().step(Step::Fail(ModelError::Broken("cut".into()))),
        // It says no usage, or more than it was asked for.
        4 => word().finish(FinishReason::Stop),
        5 => word().usage(90_000, 90_000).finish(FinishReason::Stop),
        6 => word().usage(130, 12).finish(FinishReason::Stop),
        _ => word().usage(60, 50).finish(FinishReason::Stop),
    }
}

fn gateway(world: &World, quota: Arc<dyn Quota>) -> Gateway {
    let (setups, at) = (FakeSetups::default(), Timestamp::UNIX_EPOCH);
    let account = ModelAccount::new(Purpose::StaffChat, choice("main", MODEL), at);
    let fallback = choice("other", FALLBACK_MODEL);
    setups.put_account(
        &world.scope,
        account.choose(choice("main", MODEL), Some(fallback), at),
    );
    setups.put_consent(&world.scope, Purpose::StaffChat, CONSENT_TEXT_VERSION);
    let tries = AtomicU32::new(0);
    Gateway::new(GatewayParts {
        model: Arc::new(ScriptedModel::answering(move |_| bad_day(&tries))),
        quota,
        prices: Arc::new(tiered()),
        setups: Arc::new(setups),
        providers: Arc::new(providers()),
        secrets: Arc::new(FakeSecrets::default()),
        clock: world.clock.clone(),
        ids: Arc::new(SystemIds),
        randomness: Arc::new(SystemRandomness),
    })
}

fn question(member: IdentityId) -> Ask {
    Ask {
        purpose: Purpose::StaffChat,
        asker: Asker::Member(member),
        system: "Answer shortly.".to_owned(),
        messages: vec![Message::User(vec![Part::Text("How many orders?".to_owned())])],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 50,
    }
}

/// Every fifth reader leaves at the first word.
async fn ask(gateway: &Gateway, world: &World, member: IdentityId, at: usize) -> &'static str {
    let mut stream = match gateway.open(&world.scope, question(member)).await {
        Ok(stream) => stream,
        Err(error) => return error.code(),
    };
    while let Some(event) = stream.next().await {
        match event {
            Err(error) => return error.code(),
            Ok(_) if at.is_multiple_of(5) => return "left",
            Ok(_) => {}
        }
    }
    "answered"
}

/// P34: streams, tries, fallbacks, tiers, silences and readers who leave, under a day and a month at once.
#[tokio::test]
async fn p34_a_storm_of_streams_on_a_bad_day_never_passes_a_day_or_a_month() {
    let world = World::with_pool(8).await;
    let member = world.member(None).await.identity;
    let (day, month) = (30_000, 20_000);
    world
        .limits(vec![
            limit(BudgetScope::Member, Period::Day, day),
            limit(BudgetScope::Site, Period::Month, month),
        ])
        .await;
    let gateway = gateway(&world, Arc::new(world.quota()));
    let calls = (0..300).map(|at| ask(&gateway, &world, member, at));
    let ends = join_all(calls).await;
    assert!(gateway.drain(Duration::from_secs(30)).await);
    for end in [
        "answered",
        "left",
        "model_budget_used_up",
        "model_answer_broke_off",
    ] {
        assert!(ends.contains(&end), "none ended as {end}: {ends:?}");
    }
    let store = ends.iter().filter(|end| end.starts_with("store_")).count();
    assert_eq!(store, 0, "{ends:?}");
    let sum = "select coalesce(sum(cost), 0)::bigint from model_calls where site_id = $1";
    let settled = number(sum, &world).await;
    assert!(settled > 0 && settled <= 20_000, "{settled}");
    let counted = "select min(spent + reserved) from model_counters where site_id = $1 and (scope, period) in (('member', 'day'), ('site', 'month'))";
    assert_eq!(
        (
            number(counted, &world).await,
            over(&world, BudgetScope::Site).await
        ),
        (settled, settled),
        "in both budgets, and nothing is held any more"
    );
    let open = "select count(*) from model_calls where site_id = $1 and state = 'held'";
    assert_eq!(number(open, &world).await, 0);
}

/// P34: the truth is in PostgreSQL. Redis forgets all in the middle of 1,000 calls at once.
#[tokio::test]
async fn p34_redis_wiped_in_the_middle_changes_nothing_of_what_the_database_counts() {
    let Some(mut server) = redis_server::RedisServer::start() else {
        return;
    };
    let world = World::with_pool(8).await;
    let member = world.member(None).await.identity;
    world
        .limits(vec![limit(BudgetScope::Site, Period::Month, 1_004)])
        .await;
    let refusals = RedisRefusals::new(&server.url()).expect("an address");
    let quota = QuotaMemory::new(Arc::new(world.quota()), Arc::new(refusals));
    let one = |number: usize| {
        let (quota, world) = (&quota, &world);
        async move {
            let id = call();
            let wish = reservation(id, Asker::Member(member), Purpose::StaffChat, 10, noon());
            match quota.reserve(&world.scope, &wish).await {
                Err(QuotaError::UsedUp { .. }) => return 0,
                other => other.expect("held"),
            }
            if number.is_multiple_of(2) {
                let settled = quota.settle(&world.scope, id, &spent(4, noon())).await;
                settled.expect("settled");
            }
            1
        }
    };
    // It keeps nothing on a disk.
    let wipe = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.kill();
            server.start_again();
        }
    };
    let (made, ()) = tokio::join!(join_all((0..1_000).map(one)), wipe);
    let held: i64 = made.into_iter().sum();
    let total = over(&world, BudgetScope::Site).await;
    assert!(held >= 100 && total <= 1_004, "{held} calls, {total}");
    let calls = "select sum(case state when 'held' then worst_case else cost end)::bigint from model_calls
         where site_id = $1 and state <> 'refused'";
    assert_eq!(number(calls, &world).await, total, "the log says the same");
    let freed = quota.expire(&world.scope, noon() + TimeDelta::hours(1)).await;
    assert!(freed.expect("expired") > 0);
}
