use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Missing, inputs, provide};
use crate::counterparts::catalogue::{Part, Places};
use crate::tidy::planted;

/// A tree with small inputs, and a machine with these programs only.
fn machine(programs: &[(&str, &str)]) -> Places {
    let directory = planted::directory();
    let places = Places {
        source: directory.join("counterparts"),
        cache: directory.join("cache"),
        path: format!("{}:/usr/bin:/bin", directory.join("bin").display()).into(),
    };
    for file in [Part::Node, Part::Localstripe].into_iter().flat_map(inputs) {
        let path = places.source.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    fs::create_dir_all(directory.join("bin")).unwrap();
    for (name, body) in programs {
        script(&directory.join("bin").join(name), body);
    }
    places
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn remove(places: &Places) {
    fs::remove_dir_all(places.cache.parent().unwrap()).unwrap();
}

fn calls(places: &Places) -> usize {
    let calls = fs::read_to_string(places.cache.parent().unwrap().join("calls"));
    calls.unwrap_or_default().lines().count()
}

const NEW_NODE: (&str, &str) = ("node", "echo v22.1.0");
/// Writes down that it was called, beside the cache.
const GOOD_NPM: (&str, &str) = ("npm", "echo call >>../../calls");

#[test]
fn what_is_installed_is_installed_once() {
    let places = machine(&[NEW_NODE, GOOD_NPM]);
    provide(Part::Node, &places).unwrap();
    provide(Part::Node, &places).unwrap();
    assert_eq!(calls(&places), 1);
    assert!(places.cache.join("node/spec_server.mjs").exists());
    remove(&places);
}

#[test]
fn another_pin_or_another_program_installs_from_nothing() {
    let places = machine(&[NEW_NODE, GOOD_NPM]);
    provide(Part::Node, &places).unwrap();
    let stale = places.cache.join("node/stale");
    fs::write(&stale, "").unwrap();
    fs::write(places.source.join("package-lock.json"), "another").unwrap();
    provide(Part::Node, &places).unwrap();
    assert_eq!(calls(&places), 2);
    assert!(!stale.exists());
    script(&places.source.parent().unwrap().join("bin/node"), "echo v24.0.0");
    provide(Part::Node, &places).unwrap();
    assert_eq!(calls(&places), 3);
    remove(&places);
}

#[test]
fn a_failed_installation_is_tried_again() {
    let places = machine(&[NEW_NODE, ("npm", "echo call >>../../calls; exit 1")]);
    provide(Part::Node, &places).unwrap_err();
    provide(Part::Node, &places).unwrap_err();
    assert_eq!(calls(&places), 2);
    remove(&places);
}

#[track_caller]
fn says(programs: &[(&str, &str)], part: Part) -> Missing {
    let places = machine(programs);
    let said = provide(part, &places).unwrap_err();
    remove(&places);
    said
}

#[track_caller]
fn is_left_out(programs: &[(&str, &str)], part: Part, why: &str) {
    match says(programs, part) {
        Missing::LeftOut(said) => assert!(said.contains(why), "{said}"),
        Missing::Failed(said) => panic!("not left out: {said}"),
    }
}

#[test]
fn a_machine_without_the_program_or_with_an_old_one_leaves_out() {
    is_left_out(&[("node", "exit 127")], Part::Node, "node is not in PATH");
    is_left_out(
        &[("node", "echo v18.19.0")],
        Part::Node,
        "node is 18.19.0: 20.0 or newer",
    );
    let old = ("python3", "echo Python 3.9.2");
    is_left_out(&[old], Part::Localstripe, "python3 is 3.9.2: 3.11 or newer");
}

#[test]
fn a_python_without_venv_leaves_out() {
    let python =
        "case $1 in --version) echo Python 3.13.1 ;; *) echo 'No module named venv' >&2; exit 1 ;; esac";
    is_left_out(&[("python3", python)], Part::Localstripe, "No module named venv");
}

#[test]
fn a_registry_that_is_away_leaves_out() {
    let npm = "echo 'npm error code ENOTFOUND' >&2; exit 1";
    is_left_out(
        &[NEW_NODE, ("npm", npm)],
        Part::Node,
        "cannot be reached: npm error code ENOTFOUND",
    );
    let venv = r#"[ "$1" = --version ] && { echo Python 3.13.1; exit; }
        mkdir -p "$3/bin" && printf '#!/bin/sh\necho "WARNING: Retrying after NewConnectionError" >&2\necho ERROR >&2\nexit 1\n' >"$3/bin/python"
        chmod 755 "$3/bin/python""#;
    is_left_out(
        &[("python3", venv)],
        Part::Localstripe,
        "Retrying after NewConnectionError",
    );
}

#[test]
fn a_file_that_is_not_the_pinned_one_fails() {
    let npm = "echo 'npm error code EINTEGRITY' >&2; exit 1";
    let Missing::Failed(said) = says(&[NEW_NODE, ("npm", npm)], Part::Node) else {
        panic!("a wrong file was left out");
    };
    assert!(said.contains("npm ci") && said.contains("EINTEGRITY"), "{said}");
}
