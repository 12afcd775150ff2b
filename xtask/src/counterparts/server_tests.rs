use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::{fs, thread};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::{ProcessId, STOP_PATIENCE, Server, answers, spawn, wait_until};
use crate::counterparts::catalogue::{Counterpart, Launch, Places};
use crate::tidy::planted;

fn places(directory: &Path) -> Places {
    Places {
        source: directory.to_owned(),
        cache: directory.to_owned(),
        path: "/usr/bin:/bin".into(),
    }
}

/// A server that says its pid in a file, then goes on with this.
fn running(directory: &Path, then: &str) -> (Server, ProcessId) {
    let launch = Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), format!("echo $$ >new && mv new pid; {then}").into()],
        environment: Vec::new(),
    };
    let watcher = spawn(&launch, &places(directory), directory, &directory.join("log")).unwrap();
    let server = Server {
        url: String::new(),
        watcher,
    };
    let pid = directory.join("pid");
    assert!(wait_until(STOP_PATIENCE, || pid.exists()), "it does not run");
    let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let process = ProcessId::of(pid);
    assert!(process.is_alive());
    (server, process)
}

#[test]
fn a_server_ends_with_its_starter() {
    let directory = planted::directory();
    let (server, process) = running(&directory, "exec sleep 600");
    drop(server);
    assert!(!process.is_alive());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_server_that_does_not_want_to_end_is_killed() {
    let directory = planted::directory();
    let (server, process) = running(&directory, "trap '' TERM; while :; do sleep 0.2; done");
    drop(server);
    assert!(!process.is_alive());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_server_that_is_kept_runs_on_and_ends_by_its_id() {
    let directory = planted::directory();
    let (server, process) = running(&directory, "exec sleep 600");
    let id = server.id();
    // In life its starter is gone by then, and the system reaps it.
    let reaper = thread::spawn(move || waitpid(Pid::from_raw(id.pid), WaitOptions::empty()).map(drop));
    server.keep().unwrap();
    let ended = wait_until(std::time::Duration::from_millis(300), || !process.is_alive());
    assert!(!ended && id.is_alive(), "it was told to go on");
    assert!(id.end());
    assert!(!process.is_alive() && !id.is_alive());
    reaper.join().unwrap().unwrap();
    assert!(id.end(), "ending what has ended is no fault");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_server_that_ends_at_once_tells_its_last_words() {
    let directory = planted::directory();
    let counterpart = Counterpart {
        name: "brief",
        variable: "POSX_COUNTERPART_BRIEF",
        needs: &[],
        probe: "/",
        launch: |_, port| Launch {
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".into(), format!("echo no luck on {port}; exit 3").into()],
            environment: Vec::new(),
        },
    };
    let said = Server::start(&counterpart, &places(&directory), &directory).unwrap_err();
    assert!(
        said.starts_with("it ended before it answered\nno luck on "),
        "{said}"
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_pid_that_was_given_to_another_process_is_not_taken_for_the_first() {
    let me = ProcessId::of(std::process::id().cast_signed());
    assert!(me.is_alive());
    let before = ProcessId {
        started: me.started + 1,
        ..me
    };
    assert!(!before.is_alive() || me.started == 0);
}

#[test]
fn a_refusal_is_an_answer_and_a_failure_is_none() {
    for (status, is_answer) in [("404 Not Found", true), ("200 OK", true), ("503 Away", false)] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The request may come in any number of pieces.
            let mut request = Vec::new();
            let mut piece = [0; 256];
            while !request.ends_with(b"\r\n\r\n") {
                let length = stream.read(&mut piece).unwrap();
                assert!(length > 0, "the request ends");
                request.extend_from_slice(&piece[..length]);
            }
            assert!(request.starts_with(b"GET /probe HTTP/1.1\r\n"));
            // In one piece: who asks reads the first words and goes.
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        assert_eq!(answers(port, "/probe"), is_answer, "{status}");
        serving.join().unwrap();
        assert!(!answers(port, "/probe"), "nobody is there any more");
    }
}
