use std::collections::BTreeSet;

use super::*;
use crate::{Settings, SettingsError};

const TOP: &str = "";

fn load(name: &str, value: &str) -> Result<Settings, SettingsError> {
    Settings::load(None, std::iter::once((name.to_owned(), value.to_owned())))
}

/// The keys that the loader knows in a section, told by itself: "unknown field `no_such_key`, expected one of `app_url`, …"
fn known_to_the_loader(section: &str) -> BTreeSet<String> {
    let name = format!("POSX__{}NO_SUCH_KEY", section.to_uppercase().replace('.', "__"));
    let message = load(&name, "1").unwrap_err().to_string();
    let (_, expected) = message
        .split_once("expected")
        .unwrap_or_else(|| panic!("{section}: {message}"));
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The same of one table of a list.
fn known_in_tables_of(list: &str) -> BTreeSet<String> {
    let (list, value) = match list.split_once("[].") {
        Some((outer, inner)) => (outer, format!(r#"[{{"{inner}": [{{"no_such_key": 1}}]}}]"#)),
        None => (list, r#"[{"no_such_key": 1}]"#.to_owned()),
    };
    let name = format!("POSX__{}", list.to_uppercase().replace('.', "__"));
    let message = load(&name, &value).unwrap_err().to_string();
    let (_, expected) = message
        .split_once("expected")
        .unwrap_or_else(|| panic!("{list}: {message}"));
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_the_loader_knows_and_what_the_reference_says_is_the_same() {
    let keys: BTreeSet<String> = settings().into_iter().map(|setting| setting.key).collect();
    let below = |prefix: &str| -> BTreeSet<String> {
        let rest = keys.iter().filter_map(|key| key.strip_prefix(prefix));
        rest.map(|rest| rest.split(['.', '[']).next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(below(TOP), known_to_the_loader(TOP));
    let prefixes: BTreeSet<&str> = keys
        .iter()
        .filter_map(|key| key.rfind('.').map(|at| &key[..=at]))
        .collect();
    assert!(prefixes.len() > 20, "{prefixes:?}");
    for prefix in prefixes {
        let known = match prefix.strip_suffix("[].") {
            Some(list) => known_in_tables_of(list),
            None => known_to_the_loader(prefix),
        };
        assert_eq!(below(prefix), known, "{prefix}");
    }
}

#[test]
fn every_setting_says_what_it_is_for() {
    let all = settings();
    assert!(all.len() > 90, "{}", all.len());
    for setting in &all {
        assert!(
            setting.meaning.len() > 5 && !setting.meaning.contains("[`"),
            "{setting:?}"
        );
        assert!(
            setting.meaning.ends_with(['.', ')']) || setting.meaning.ends_with('`'),
            "{setting:?}"
        );
    }
    let of = |key: &str| all.iter().find(|setting| setting.key == key).unwrap();
    assert_eq!(all[0].key, "environment");
    assert_eq!(
        of("server.bind").default,
        Fallback::Value("127.0.0.1:8080".into())
    );
    assert_eq!(
        of("wallets.chain_ids").default,
        Fallback::Value("1,137,56".into())
    );
    assert_eq!(
        of("custody.mode").takes,
        Takes::OneOf(vec!["sandbox".into(), "live".into()])
    );
    assert_eq!(of("payments.accounts").takes, Takes::Tables);
    assert!(of("payments.accounts").secret && of("sessions.providers").secret && !of("issuers").secret);
    assert!(of("environment").needed && of("server.address_salt").needed);
    assert!(!of("mail.from").needed && !of("issuers[].issuer").needed && !of("payments.secret_key").needed);
}

#[test]
fn every_secret_may_come_from_a_file() {
    let secrets: Vec<_> = settings().into_iter().filter(|setting| setting.secret).collect();
    let variables: Vec<_> = secrets.iter().filter_map(Setting::variable).collect();
    assert!(variables.len() > 15, "{variables:?}");
    for variable in variables {
        let error = load(&format!("{variable}_FILE"), "/nowhere/at/all").unwrap_err();
        let said = error.to_string();
        // What an optional section must have is missing: the loader came as far as that.
        let sections = ["mail.", "sign_in.", "documents.s3"];
        let of_section =
            said.ends_with("is missing") && sections.iter().any(|section| said.contains(section));
        assert!(
            said.contains("_file cannot be read") || of_section,
            "{variable}: {said}"
        );
    }
}

#[test]
fn a_list_of_tables_is_json_wherever_it_comes_from() {
    for setting in settings().iter().filter(|setting| setting.takes == Takes::Tables) {
        if let Some(variable) = setting.variable() {
            let said = load(&variable, "not json").unwrap_err().to_string();
            assert!(
                said.contains(&format!("{} is not a JSON array", setting.key)),
                "{said}"
            );
        }
    }
}

#[test]
fn a_problem_leads_to_its_setting() {
    for (problem, key) in [
        (
            "server.allowed_hosts is missing, in production",
            "server.allowed_hosts",
        ),
        (
            "the password in database.app_url is weak: it is a placeholder",
            "database.app_url",
        ),
        (
            "issuers[12].jwks_url is not an https:// address",
            "issuers[].jwks_url",
        ),
        (
            "payments.accounts[0].webhook_secrets[1] is weak",
            "payments.accounts[].webhook_secrets",
        ),
        ("secrets.master_keys[1] is not usable", "secrets.master_keys"),
    ] {
        assert_eq!(named_in(problem).unwrap().key, key);
    }
    assert_eq!(named_in("something else"), None);
}

#[test]
fn the_documents_are_those_of_the_types() {
    // Written again by `cargo xtask regen`.
    for (path, there, now) in [
        (
            "docs/configuration.md",
            include_str!("../../../../../docs/configuration.md"),
            markdown(),
        ),
        (
            ".env.example",
            include_str!("../../../../../.env.example"),
            env_example(),
        ),
    ] {
        assert!(
            there.trim_end() == now.trim_end(),
            "{path} is out of date: run `cargo xtask regen`"
        );
    }
}

#[test]
fn every_line_of_the_example_is_taken_by_the_loader() {
    let text = env_example();
    let lines: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .collect();
    let names: BTreeSet<_> = lines
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| name.starts_with("POSX__"))
        .collect();
    let settings = settings();
    let expected = settings.iter().filter_map(|setting| {
        let file = if setting.secret { "_FILE" } else { "" };
        setting.variable().map(|variable| format!("{variable}{file}"))
    });
    assert_eq!(
        names,
        expected.collect::<Vec<_>>().iter().map(String::as_str).collect()
    );
    for (name, value) in lines
        .iter()
        .filter(|(name, value)| name.starts_with("POSX__") && !value.is_empty())
    {
        // Whatever else is missing: this is a setting, and its value has the right form.
        let read = load(name, value);
        let taken = match &read {
            Err(SettingsError::Shape(said)) => said.ends_with("is missing") || name.ends_with("GAS_FLOORS"),
            other => matches!(other, Err(SettingsError::Problems(_))),
        };
        assert!(taken, "{name}={value}: {read:?}");
    }
    // What must be given is what is not commented out.
    let needed = text.lines().filter(|line| line.starts_with("POSX__")).count();
    assert_eq!(needed, settings.iter().filter(|setting| setting.needed).count());
}
