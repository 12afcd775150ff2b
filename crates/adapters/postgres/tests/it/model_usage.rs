//! The log of calls of models and what is read from it, and the prices as they were used.

use chrono::TimeDelta;
use posx_assistant::testing::{reservation, spent};
use posx_assistant::{Asker, BudgetScope, Period, Price, PriceTier, Purpose, Quota as _, day_of};
use posx_kernel::StoreError;
use posx_postgres::{JobsDatabase, ModelUsageBy};
use posx_tenancy::PersonalDataStore as _;

use crate::model_budgets::{call, limit, micros, number};
use crate::server::shared;
use crate::world::{World, noon};

/// The day of all that happens here.
fn today(world: &World) -> posx_postgres::Period {
    let day = day_of(noon(), chrono_tz::UTC);
    posx_postgres::Period {
        from: day,
        until: day.succ_opt().expect("a day"),
        time_zone: chrono_tz::UTC,
        currency: world.site.currency,
    }
}

/// L02: what is settled is what the provider, or we, counted; the row of the call says which.
#[tokio::test]
async fn l02_a_call_is_one_row_of_the_log_from_its_reservation_to_its_end() {
    let world = World::new().await;
    let member = world.member(None).await;
    let (quota, id, asker) = (world.quota(), call(), Asker::Member(member.identity));
    let wish = reservation(id, asker, Purpose::Documents, 100, noon());
    quota.reserve(&world.scope, &wish).await.expect("held");
    let period = today(&world);
    let log = async || {
        world
            .database
            .model_calls(&world.scope, &period, None)
            .await
            .expect("a read")
            .0
    };
    let (held, ended_late) = (log().await, noon() + TimeDelta::days(1));
    assert_eq!(
        (held.len(), held[0].state.as_str(), held[0].cost_micros),
        (1, "held", None)
    );
    let estimate = posx_assistant::Spent {
        by_provider: false,
        ..spent(30, ended_late)
    };
    quota.settle(&world.scope, id, &estimate).await.expect("settled");
    let rows = log().await;
    assert_eq!(
        rows.len(),
        1,
        "on the day of the reservation, however late it ends"
    );
    let row = &rows[0];
    assert_eq!(
        (row.state.as_str(), row.cost_micros, row.by_provider),
        ("spent", Some(micros(30)), Some(false))
    );
    assert_eq!(row.member_id, Some(member.identity));
    // Who answered, and at which price: not who was asked first.
    assert_eq!(
        (&*row.provider, &*row.model, row.price_version),
        ("groq", "large", 2)
    );
    for by in [
        ModelUsageBy::Day,
        ModelUsageBy::Purpose,
        ModelUsageBy::Model,
        ModelUsageBy::Member,
    ] {
        let rows = world
            .database
            .model_usage(&world.scope, &period, by)
            .await
            .expect("a read");
        assert_eq!(
            (rows.len(), rows[0].calls, rows[0].cost_micros),
            (1, 1, micros(30)),
            "{by:?}"
        );
        assert_eq!(
            (rows[0].latency_ms_p50, rows[0].latency_ms_p95),
            (Some(120), Some(120))
        );
        let of = match by {
            ModelUsageBy::Day => "2026-06-01".to_owned(),
            ModelUsageBy::Purpose => "documents".to_owned(),
            ModelUsageBy::Model => "groq/large".to_owned(),
            ModelUsageBy::Member => member.identity.to_string(),
        };
        assert_eq!(rows[0].of, of);
    }
}

#[tokio::test]
async fn a_call_that_cost_nothing_says_how_it_went_and_slows_no_statistics() {
    let world = World::new().await;
    let member = world.member(None).await.identity;
    let (quota, id) = (world.quota(), call());
    let wish = reservation(id, Asker::Member(member), Purpose::Documents, 100, noon());
    quota.reserve(&world.scope, &wish).await.expect("held");
    let went = posx_assistant::Spent {
        tries: 6,
        latency_ms: 41_000,
        outcome: "model_unavailable",
        ..spent(0, noon())
    };
    quota.release(&world.scope, id, &went).await.expect("released");
    let period = today(&world);
    let (rows, _) = world
        .database
        .model_calls(&world.scope, &period, None)
        .await
        .expect("a read");
    let row = &rows[0];
    assert_eq!(
        (&*row.state, row.outcome.as_deref(), row.tries, row.latency_ms),
        ("released", Some("model_unavailable"), Some(6), Some(41_000))
    );
    assert_eq!(
        (&*row.model, row.cost_micros, row.by_provider),
        ("large", None, None)
    );
    let usage = world
        .database
        .model_usage(&world.scope, &period, ModelUsageBy::Model)
        .await
        .expect("a read");
    assert_eq!(
        (&*usage[0].of, usage[0].calls, usage[0].latency_ms_p50),
        ("groq/large", 1, None)
    );
}

/// Three answers of the model that was chosen, and two of its fallback.
#[tokio::test]
async fn usage_by_model_shows_the_fallback_and_how_long_each_took() {
    let world = World::new().await;
    let member = world.member(None).await.identity;
    let quota = world.quota();
    for (model, latency_ms) in [
        ("small", 300),
        ("small", 100),
        ("small", 200),
        ("large", 5_000),
        ("large", 7_000),
    ] {
        let id = call();
        let wish = reservation(id, Asker::Member(member), Purpose::StaffChat, 100, noon());
        quota.reserve(&world.scope, &wish).await.expect("held");
        let answered = posx_assistant::Spent {
            model: model.to_owned(),
            latency_ms,
            ..spent(10, noon())
        };
        quota.settle(&world.scope, id, &answered).await.expect("settled");
    }
    let period = today(&world);
    let usage = world
        .database
        .model_usage(&world.scope, &period, ModelUsageBy::Model)
        .await
        .expect("a read");
    let seen: Vec<_> = usage
        .iter()
        .map(|row| (&*row.of, row.calls, row.latency_ms_p50, row.latency_ms_p95))
        .collect();
    assert_eq!(
        seen,
        [
            ("groq/large", 2, Some(5_000), Some(7_000)),
            ("groq/small", 3, Some(200), Some(300))
        ]
    );
}

#[tokio::test]
async fn refusals_are_counted_by_whom_and_by_which_budget() {
    let world = World::new().await;
    let member = world.member(None).await.identity;
    world
        .limits(vec![limit(BudgetScope::Member, Period::Day, 0)])
        .await;
    let (quota, asker) = (world.quota(), Asker::Member(member));
    let wish = || reservation(call(), asker, Purpose::StaffChat, 1, noon());
    assert!(quota.reserve(&world.scope, &wish()).await.is_err());
    let remembered = wish();
    for _ in 0..2 {
        let noted = quota
            .note_refused(&world.scope, &remembered, (BudgetScope::Member, Period::Day), 41)
            .await;
        noted.expect("noted once");
    }
    let period = today(&world);
    let rows = world
        .database
        .model_refusals(&world.scope, &period)
        .await
        .expect("a read");
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(
        (row.scope, row.period, row.member_id, row.refused),
        (BudgetScope::Member, Period::Day, Some(member), 42)
    );
    let usage = world
        .database
        .model_usage(&world.scope, &period, ModelUsageBy::Day)
        .await
        .expect("a read");
    assert_eq!((usage[0].calls, usage[0].refused), (0, 42));
}

#[tokio::test]
async fn what_is_old_of_the_log_goes_and_what_is_under_way_and_credits_stay() {
    let world = World::new().await;
    let member = world.member(None).await.identity;
    world.asks_models(member).await;
    let later = day_of(noon(), chrono_tz::UTC) + TimeDelta::days(100);
    let gone = world
        .database
        .purge_model_calls(&world.scope, later - TimeDelta::days(100))
        .await;
    assert_eq!(gone.expect("purged"), 0);
    let gone = world.database.purge_model_calls(&world.scope, later).await;
    assert_eq!(gone.expect("purged"), 2, "the settled and the refused one");
    assert_eq!(
        number("select count(*) from model_calls where site_id = $1", &world).await,
        1
    );
    assert_eq!(
        number(
            "select sum(spent)::bigint from model_credits where site_id = $1",
            &world
        )
        .await,
        5
    );
    let elsewhere = World::new().await;
    assert_eq!(
        elsewhere
            .database
            .purge_model_calls(&elsewhere.scope, later)
            .await
            .expect("purged"),
        0
    );
}

#[tokio::test]
async fn a_price_is_recorded_once_and_an_edit_of_it_is_told() {
    let provider = crate::world::unique(12);
    let price = |model: &str, input| Price {
        version: 1,
        provider: provider.clone(),
        model: model.to_owned(),
        valid_from: noon(),
        tiers: vec![PriceTier {
            from_input_tokens: 0,
            input: micros(input),
            cached_input: micros(1),
            output: micros(2),
        }],
    };
    let database = JobsDatabase::connect(&shared().jobs_url, 2)
        .await
        .expect("a pool");
    let record = async |prices: &[Price]| -> Result<Vec<String>, StoreError> {
        database.record_model_prices(prices, noon()).await
    };
    assert_eq!(
        record(&[price("small", 3)]).await.expect("recorded"),
        Vec::<String>::new()
    );
    assert_eq!(
        record(&[price("small", 3), price("large", 9)])
            .await
            .expect("recorded"),
        Vec::<String>::new()
    );
    let edited = record(&[price("small", 4), price("large", 9)])
        .await
        .expect("compared");
    assert_eq!(edited, [format!("{provider}/small in version 1")]);
}

#[tokio::test]
async fn a_persons_export_shows_their_calls_of_models_and_nobody_elses() {
    let world = World::new().await;
    let (ann, bob) = (world.member(None).await, world.member(None).await);
    for member in [&ann, &bob, &bob] {
        let wish = reservation(
            call(),
            Asker::Member(member.identity),
            Purpose::StaffChat,
            9,
            noon(),
        );
        world.quota().reserve(&world.scope, &wish).await.expect("held");
    }
    for (member, calls) in [(ann, 1), (bob, 2)] {
        let text = world.database.export(&world.scope, member.party).await;
        let text = text.expect("a read").expect("the party");
        let export: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let rows = export["model_calls"].as_array().expect("a section");
        assert_eq!(rows.len(), calls);
        let own = member.identity.as_uuid().to_string();
        assert!(rows.iter().all(|row| row["member_id"] == own));
    }
}
