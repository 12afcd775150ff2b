//! One server of many processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use posx_pgcluster::{Cluster, ClusterError, Options};

use crate::helper::{Other, Starting, fast, is_running, postmaster, reachable_dir, soon};

#[test]
fn processes_that_start_together_share_one_server_and_it_goes_after_the_last() {
    let state = reachable_dir();
    let starting: Vec<_> = (0..4).map(|_| Other::spawn("share", state.path())).collect();
    let mut users: Vec<Other> = starting.into_iter().map(Starting::ready).collect();
    let run_dir = users[0].run_dir.clone();
    assert!(users.iter().all(|user| user.run_dir == run_dir));
    assert_eq!(
        users.iter().filter(|user| user.ran_hook).count(),
        1,
        "the hook runs once"
    );
    let pid = postmaster(&run_dir.join("data"));

    let last = users.pop().unwrap();
    let killed = users.pop().unwrap();
    users.into_iter().for_each(Other::end);
    killed.kill();
    thread::sleep(Duration::from_secs(3));
    assert!(is_running(pid), "one user is left");
    last.end();
    soon("the server is stopped", || !is_running(pid));
    soon("its directory is removed", || !run_dir.exists());
}

#[test]
fn a_server_survives_the_gap_between_two_processes() {
    let state = reachable_dir();
    let first = Other::start("share", state.path());
    let run_dir = first.run_dir.clone();
    first.end();
    let second = Other::start("share", state.path());
    assert_eq!(second.run_dir, run_dir);
    assert!(!second.ran_hook, "the table is there already");
}

#[test]
fn a_server_that_was_killed_is_replaced_and_initialised_anew() {
    let state = reachable_dir();
    let first = Other::start("share", state.path());
    let run_dir = first.run_dir.clone();
    kill(&postmaster(&run_dir.join("data")).to_string());
    let second = Other::start("share", state.path());
    assert_ne!(second.run_dir, run_dir);
    assert!(second.ran_hook);
    soon("what is left of the first is removed", || !run_dir.exists());
}

#[test]
fn a_state_whose_processes_were_all_killed_is_replaced() {
    let state = reachable_dir();
    let first = Other::start("share", state.path());
    let run_dir = first.run_dir.clone();
    let server = postmaster(&run_dir.join("data"));
    kill(
        fs::read_to_string(run_dir.join("watch"))
            .unwrap()
            .split('-')
            .next()
            .unwrap(),
    );
    kill(&server.to_string());
    first.kill();
    let second = Other::start("share", state.path());
    assert_ne!(second.run_dir, run_dir);
    assert!(!run_dir.exists());
}

#[test]
fn a_process_that_comes_while_the_server_goes_gets_another() {
    let state = reachable_dir();
    for round in 0..3_u64 {
        let user = Other::start("share", state.path());
        user.end();
        // Around the end of the grace time of one second.
        thread::sleep(Duration::from_millis(1200 + 400 * round));
        let next = Other::start("share", state.path());
        let current = current_of(state.path());
        assert_eq!(next.run_dir, current);
        assert!(is_running(postmaster(&current.join("data"))));
        next.end();
    }
}

#[test]
fn a_shared_server_keeps_no_data() {
    let options = Options {
        data_dir: Some("/tmp/anything".into()),
        ..fast()
    };
    let refused = Cluster::shared("kept", &options).unwrap_err();
    assert!(matches!(refused, ClusterError::SharedIsTemporary));
}

fn kill(pid: &str) {
    assert!(
        Command::new("kill")
            .args(["-KILL", pid])
            .status()
            .unwrap()
            .success()
    );
}

/// Where the link of the only key in this state directory points to.
fn current_of(state: &Path) -> PathBuf {
    let key = fs::read_dir(state).unwrap().flatten().next().unwrap().path();
    fs::read_link(key.join("current")).unwrap()
}
