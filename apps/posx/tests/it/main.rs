//! The command line from outside: help, exit statuses, and what is said when something is missing. That the demo's story
//! holds is checked by `cargo verify`, which runs it in release.

mod doctor;
mod reconcile;
mod vaults;

use std::process::{Command, Output};

const COMMANDS: [&[&str]; 15] = [
    &["demo"],
    &["serve"],
    &["migrate"],
    &["doctor"],
    &["audit", "isolation"],
    &["reconcile"],
    &["site", "create"],
    &["site", "set"],
    &["site", "vaults"],
    &["member", "appoint"],
    &["platform", "appoint"],
    &["platform", "grant", "open"],
    &["keys", "list"],
    &["keys", "rotate"],
    &["token"],
];

/// Without any setting of ours.
fn posx(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posx"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSX"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("posx runs")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn every_command_has_help() {
    let all = posx(&["--help"]);
    assert_eq!(all.status.code(), Some(0));
    assert!(said(&all).contains("Exit status:"));
    for command in COMMANDS {
        let help = posx(&[command, &["--help"]].concat());
        assert_eq!(help.status.code(), Some(0), "{command:?}");
        assert!(said(&help).contains("Usage: posx"), "{command:?}");
    }
}

#[test]
fn what_is_not_understood_is_status_2_and_explained() {
    for wrong in [
        &["sell"] as &[&str],
        &["demo", "--postgres", "mysql"],
        &["demo", "--port", "70000"],
        &[
            "demo",
            "--data",
            "/tmp/x",
            "--database-url",
            "postgres://a:b@127.0.0.1/c",
        ],
        &["site", "create", "NA", "--name", "n", "--currency", "XXX"],
        &["site", "set", "NA"],
        &["site", "set", "NA", "--cors-origin", "*"],
        &["site", "set", "NA", "--cors-origin", "https://shop.example/page"],
        &[
            "site",
            "set",
            "NA",
            "--cors-origin",
            "https://shop.example",
            "--no-cors-origins",
        ],
        &[
            "site",
            "create",
            "NA",
            "--name",
            "n",
            "--currency",
            "USD",
            "--time-zone",
            "Moon/Sea",
        ],
        &[
            "member",
            "appoint",
            "--site",
            "NA",
            "--issuer",
            "i",
            "--subject",
            "s",
            "--role",
            "king",
        ],
        &[
            "platform",
            "appoint",
            "--subject",
            "s",
            "--name",
            "n",
            "--role",
            "owner",
        ],
        &["platform", "disable", "somebody"],
        &["reconcile", "--provider", "paypal", "--day", "2026-06-01"],
        &["reconcile", "--provider", "stripe", "--day", "yesterday"],
        &["reconcile", "--provider", "stripe"],
    ] {
        let output = posx(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", said(&output));
        assert!(said(&output).contains("--help"), "{wrong:?}: {}", said(&output));
    }
}

#[test]
fn without_settings_a_command_fails_and_names_what_is_missing() {
    for command in [
        &["serve"] as &[&str],
        &["migrate"],
        &["audit", "isolation"],
        &["site", "list"],
        &["platform", "list"],
        &["token", "--subject", "s"],
    ] {
        let output = posx(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let said = said(&output);
        for missing in ["environment is missing", "database.app_url is missing"] {
            assert!(said.contains(missing), "{command:?}: {said}");
        }
    }
}

#[test]
fn doctor_says_as_json_what_to_do() {
    let output = posx(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(lines[0]["name"], "configuration");
    assert_eq!(lines[0]["ok"], false);
    assert!(
        lines[0]["to_do"]
            .as_str()
            .unwrap()
            .contains("docs/configuration.md")
    );
}

#[test]
fn a_token_is_asked_for_on_this_machine_only() {
    let output = posx(&["token", "--subject", "s", "--issuer", "https://login.example/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("on this machine"), "{}", said(&output));
}

#[test]
fn a_database_address_that_is_none_is_never_shown() {
    let output = posx(&["demo", "--exit", "--database-url", "mysql://a:secret-of-mine@h/d"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!said(&output).contains("secret-of-mine"), "{}", said(&output));
}
