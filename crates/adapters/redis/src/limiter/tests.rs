//! The script and the process count alike.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::{Client, Connection};

use super::*;

#[path = "../../tests/it/server.rs"]
#[expect(dead_code, reason = "the integration tests use all of it")]
mod server;

/// What a client may be counted on, and how long after the one before it calls.
fn calls() -> impl Strategy<Value = Vec<(Vec<Bucket>, u64)>> {
    let key = prop::sample::select(vec!["ann", "bob"]);
    let bucket = (key, 1_u32..5_000, 1_u32..6).prop_map(|(key, per_minute, burst)| (key, per_minute, burst));
    let limits = (bucket.clone(), bucket.clone(), bucket);
    limits.prop_flat_map(|(first, second, third)| {
        let of = |class, (key, per_minute, burst): (&str, u32, u32)| {
            Bucket::per_minute(class, key, per_minute).burst(burst)
        };
        let all = vec![of("public", first), of("member", second), of("site", third)];
        let some = prop::sample::subsequence(all, 1..=3);
        prop::collection::vec(
            (some, prop_oneof![0_u64..50, 0_u64..2_000_000, 0_u64..90_000_000]),
            1..60,
        )
    })
}

fn by_script(
    script: &Script,
    connection: &mut Connection,
    run: u32,
    buckets: &[Bucket],
    now_us: u64,
) -> RateVerdict {
    let keys = buckets.iter().map(|bucket| format!("{run}:{}", bucket.id()));
    let mut call = keyed(script, keys);
    for bucket in buckets {
        call.arg(bucket.interval_us()).arg(bucket.burst);
    }
    call.arg(now_us / 1_000_000).arg(now_us % 1_000_000);
    match call.invoke(connection).unwrap() {
        (1_u8, bucket, remaining) => RateVerdict::Allowed { bucket, remaining },
        (_, bucket, retry_after_s) => RateVerdict::Refused {
            bucket,
            retry_after_s,
        },
    }
}

/// The script as it is, but for its clock; its keys stay for as long as the runs last.
fn script_with_a_clock() -> Script {
    let text = include_str!("../gcra.lua");
    let moved = text
        .replace("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}")
        .replace("'PX', math.ceil((following[i] - now) / 1000) + 1", "'EX', 3600");
    assert_eq!(moved.matches("#ARGV").count(), 2, "{moved}");
    assert_eq!(moved.matches("3600").count(), 1, "{moved}");
    Script::new(&moved)
}

#[test]
fn redis_and_the_process_say_the_same_of_any_sequence_of_calls() {
    let Some(server) = server::RedisServer::start() else {
        return;
    };
    let script = script_with_a_clock();
    let connection = Client::open(server.url()).unwrap().get_connection().unwrap();
    let (connection, runs) = (std::cell::RefCell::new(connection), std::cell::Cell::new(0));
    let both = |calls: Vec<(Vec<Bucket>, u64)>| {
        let local = LocalLimiter::default();
        runs.set(runs.get() + 1);
        // As large as the microseconds of our century: a script's numbers are doubles.
        let mut now_us = 1_800_000_000_000_000;
        for (buckets, later_us) in calls {
            now_us += later_us;
            let shared = by_script(
                &script,
                &mut connection.borrow_mut(),
                runs.get(),
                &buckets,
                now_us,
            );
            prop_assert_eq!(shared, local.check_at(&buckets, now_us), "{:?}", buckets);
        }
        Ok(())
    };
    TestRunner::default().run(&calls(), both).unwrap();
}

proptest! {
    #[test]
    fn a_bucket_never_gives_more_than_its_burst_and_its_rate(
        per_minute in 1_u32..600,
        burst in 1_u32..20,
        pauses in prop::collection::vec(0_u64..3_000_000, 1..200),
    ) {
        let local = LocalLimiter::default();
        let bucket = [Bucket::per_minute("api", "ann", per_minute).burst(burst)];
        let (mut now_us, mut allowed) = (0_u64, 0_u64);
        for pause in pauses {
            now_us += pause;
            if matches!(local.check_at(&bucket, now_us), RateVerdict::Allowed { .. }) {
                allowed += 1;
            }
            let most = u64::from(burst) + now_us / bucket[0].interval_us();
            prop_assert!(allowed <= most, "{allowed} of {most}");
        }
    }
}
