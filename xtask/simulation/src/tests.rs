use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::jobs::TASKS;
use crate::reactions::REACTIONS;

/// Each must be found within so many seeds.
const SEEDS_MAX: u64 = 1_000;

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 0..30 {
        let options = Options {
            traced: true,
            ..Options::default()
        };
        let (first, second) = (run(seed, &options), run(seed, &options));
        let summary = |run: &Run| (run.fingerprint, run.steps, run.broken.clone());
        assert_eq!(summary(&first), summary(&second), "seed {seed}");
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

#[test]
fn two_seeds_are_two_runs() {
    let fingerprints: BTreeSet<_> = (0..50)
        .map(|seed| run(seed, &Options::default()).fingerprint)
        .collect();
    assert_eq!(fingerprints.len(), 50);
}

#[test]
fn p12_p13_p21_p22_p24_p25_p26_p31_nothing_is_broken_under_any_faults() {
    for seed in 0..300 {
        let run = run(seed, &Options::default());
        assert!(
            run.broken.is_empty(),
            "cargo xtask simulate --seed {seed}: {:#?}",
            run.broken
        );
    }
}

#[test]
fn nothing_is_broken_by_each_fault_alone_or_without_any() {
    let alone = Fault::ALL.iter().map(|fault| vec![*fault]);
    for faults in alone.chain([Vec::new(), Fault::ALL.to_vec()]) {
        for seed in 0..10 {
            let options = Options {
                faults: Some(faults.clone()),
                ..Options::default()
            };
            let run = run(seed, &options);
            assert!(
                run.broken.is_empty(),
                "seed {seed}, {faults:?}: {:#?}",
                run.broken
            );
        }
    }
}

#[test]
fn every_planted_bug_is_found_within_a_thousand_seeds() {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let search = || {
        while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let options = Options {
                bug: Some(*bug),
                ..Options::default()
            };
            if !(0..SEEDS_MAX).any(|seed| !run(seed, &options).broken.is_empty()) {
                missed.lock().unwrap().push(*bug);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(search);
        }
    });
    assert!(Bug::ALL.len() >= 30, "{}", Bug::ALL.len());
    assert!(missed.lock().unwrap().is_empty(), "{missed:?}");
}

/// Jobs of the product that no scene leads to: nobody is invited in it.
const OUTSIDE: &[&str] = &["send_invitation", "read_document"];

/// The product's table, as its source says: each literal with a dot is an event, the next one its task.
fn of_the_product() -> BTreeSet<(String, String)> {
    let source = include_str!("../../../crates/adapters/postgres/src/outbox.rs");
    let table = source.split("const REACTIONS").nth(1).unwrap();
    let table = table.split("\n];").next().unwrap();
    let literals: Vec<_> = table.split('"').skip(1).step_by(2).collect();
    let events = literals.windows(2).filter(|pair| pair[0].contains('.'));
    events
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect()
}

#[test]
fn the_same_events_add_the_same_jobs_as_in_the_product() {
    let own: BTreeSet<_> = REACTIONS
        .iter()
        .map(|reaction| (reaction.event.to_owned(), reaction.task.to_owned()))
        .collect();
    let mut product = of_the_product();
    assert!(product.len() > 5, "{product:?}");
    product.retain(|(_, task)| !OUTSIDE.contains(&task.as_str()));
    assert_eq!(own, product);
    for (_, task) in &own {
        assert!(TASKS.contains(&task.as_str()), "{task}");
    }
}
