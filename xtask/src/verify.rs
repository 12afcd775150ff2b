//! The gate: every check of the tree but the tests themselves, each named with its time; the first that fails ends it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::regen::Regen;
use crate::simulate::Simulate;
use crate::{Failed, cargo, counterparts, postgres, tidy};

enum Outcome {
    Passed,
    /// All that could be checked on this machine; the rest is named.
    PassedWithout(String),
    Skipped(String),
}

struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<Outcome, Failed>,
}

/// Cheap ones first; the derived files and the demo share one release build.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: |root| cargo(root, &["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        run: |root| tidy::run(root).map(|()| Outcome::Passed),
    },
    Step {
        name: "clippy",
        run: |root| {
            cargo(
                root,
                &[
                    "clippy",
                    "--quiet",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "--deny",
                    "warnings",
                ],
            )
        },
    },
    Step {
        name: "derived files",
        run: |root| {
            let regen = Regen {
                check: true,
                release: true,
            };
            regen.run(root).map(|()| Outcome::Passed)
        },
    },
    Step {
        name: "licences, advisories, sources",
        run: deny,
    },
    Step {
        name: "simulation, 1,000 seeds",
        run: |root| Simulate::of_gate().run(root).map(|()| Outcome::Passed),
    },
    Step {
        name: "counterparts",
        run: against_counterparts,
    },
    Step {
        name: "demo",
        run: |root| cargo(root, &["demo", "--exit"]),
    },
    Step {
        name: "storage and demo on the wheel's PostgreSQL, by URL",
        run: |root| Ok(postgres::other_version(root)?.map_or(Outcome::Passed, Outcome::Skipped)),
    },
];

fn cargo(root: &Path, arguments: &[&str]) -> Result<Outcome, Failed> {
    cargo::run(root, arguments).map(|()| Outcome::Passed)
}

fn deny(root: &Path) -> Result<Outcome, Failed> {
    if !cargo::has(root, "deny") {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed: cargo install --locked cargo-deny".to_owned(),
        ));
    }
    cargo(root, &["deny", "check"])
}

/// They need python3, Node and their registries, which nothing else of the gate does.
fn against_counterparts(root: &Path) -> Result<Outcome, Failed> {
    let tested = counterparts::against_all(root)?;
    let left_out = tested.left_out.join("; ");
    Ok(match (tested.left_out.is_empty(), tested.any) {
        (true, _) => Outcome::Passed,
        (false, true) => Outcome::PassedWithout(left_out),
        (false, false) => Outcome::Skipped(left_out),
    })
}

pub(crate) fn run(root: &Path) -> Result<(), Failed> {
    let started = Instant::now();
    let report = run_steps(STEPS, root)?;
    println!("\nverify passed in {}", seconds(started.elapsed()));
    print!("{report}");
    Ok(())
}

fn run_steps(steps: &[Step], root: &Path) -> Result<String, Failed> {
    let mut report = String::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n== verify {}/{}: {}", index + 1, steps.len(), step.name);
        let started = Instant::now();
        let outcome = (step.run)(root);
        let time = seconds(started.elapsed());
        let line = match outcome {
            Ok(Outcome::Passed) => format!("  ok       {time:>8}  {}\n", step.name),
            Ok(Outcome::PassedWithout(what)) => {
                format!("  ok       {time:>8}  {}, WITHOUT {what}\n", step.name)
            }
            Ok(Outcome::Skipped(why)) => format!("  skipped  {time:>8}  {}: {why}\n", step.name),
            Err(Failed(why)) => {
                return Err(Failed(format!(
                    "verify stopped at {} after {time}: {why}",
                    step.name
                )));
            }
        };
        print!("{line}");
        report.push_str(&line);
    }
    Ok(report)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Step = Step {
        name: "good",
        run: |_| Ok(Outcome::Passed),
    };

    #[test]
    fn the_first_failure_ends_it_and_is_named() {
        let bad = Step {
            name: "bad",
            run: |_| Err(Failed("no".to_owned())),
        };
        let never = Step {
            name: "never",
            run: |_| panic!("a step after a failure ran"),
        };
        let said = run_steps(&[GOOD, bad, never], Path::new("."))
            .unwrap_err()
            .to_string();
        assert!(
            said.starts_with("verify stopped at bad after ") && said.ends_with(": no"),
            "{said}"
        );
    }

    #[test]
    fn what_was_skipped_or_left_out_is_said() {
        let skipped = Step {
            name: "deny",
            run: |_| Ok(Outcome::Skipped("not installed".to_owned())),
        };
        let partly = Step {
            name: "partly",
            run: |_| Ok(Outcome::PassedWithout("oidc (no node)".to_owned())),
        };
        let report = run_steps(&[GOOD, skipped, partly], Path::new(".")).unwrap();
        for said in [
            "good\n",
            "deny: not installed\n",
            "partly, WITHOUT oidc (no node)\n",
        ] {
            assert!(report.contains(said), "{report}");
        }
    }
}
