//! `posx doctor` against a real database and the sandbox's stand-ins: well, and with each thing broken.

use std::process::{Command, Output};
use std::sync::Arc;

use posx_kernel::SystemClock;
use posx_sandbox::{World, WorldConfig};
use posx_testkit::TestDatabase;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::said;

type Changes<'a> = &'a [(&'a str, &'a str)];

fn doctor(arguments: &[&str], env: &[(String, String)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posx"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSX"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    let env = env.iter().map(|(name, value)| (name, value));
    command.arg("doctor").args(arguments).envs(env);
    command.output().expect("posx runs")
}

/// Of its own: in the shared one, tests of the keys keep some that no master key of ours unwraps.
pub async fn database() -> &'static TestDatabase {
    static DATABASE: OnceCell<TestDatabase> = OnceCell::const_new();
    let migrated = Box::pin(async {
        let database = posx_testkit::database().named(&format!("posx_test_doctor_{}", std::process::id()));
        let (name, passwords) = (&database.name, database.passwords());
        posx_postgres::bootstrap(&posx_testkit::database().superuser_url, name, &passwords)
            .await
            .expect("a database");
        posx_postgres::migrate(&database.migrator_url, &database.jobs_url)
            .await
            .expect("its schema");
        database
    });
    DATABASE.get_or_init(|| migrated).await
}

/// The sandbox's configuration, with changes; `POSX__` is left out.
pub async fn settings(world: &World, changes: Changes<'_>) -> Vec<(String, String)> {
    let (database, secrets) = (database().await, world.secrets());
    let issuers = format!(
        r#"[{{"issuer": "{}", "audience": "posx"}}]"#,
        world.issuer().url()
    );
    let mut env = std::collections::BTreeMap::from([
        ("ENVIRONMENT", "sandbox".to_owned()),
        ("DATABASE__APP_URL", database.app_url.clone()),
        ("DATABASE__JOBS_URL", database.jobs_url.clone()),
        ("DATABASE__PLATFORM_URL", database.platform_url.clone()),
        ("DATABASE__MIGRATOR_URL", database.migrator_url.clone()),
        ("ISSUERS", issuers),
        ("SECRETS__MASTER_KEYS", posx_testkit::MASTER_KEY.to_owned()),
        ("PAYMENTS__PROVIDER", "sandbox".to_owned()),
        ("PAYMENTS__BASE_URL", world.stripe_url()),
        ("PAYMENTS__SECRET_KEY", secrets.stripe_secret_key.clone()),
        ("PAYMENTS__WEBHOOK_SECRETS", secrets.stripe_webhook.join(",")),
        ("CUSTODY__PROVIDER", "sandbox".to_owned()),
        ("CUSTODY__BASE_URL", world.fireblocks_url()),
        ("CUSTODY__API_KEY", "key-of-the-doctor-test".to_owned()),
        ("CUSTODY__JWKS_URL", world.fireblocks_jwks_url()),
        ("MAIL__FROM", "POSX <no-reply@posx.example>".to_owned()),
        (
            "MAIL__INVITATION_LINK",
            "https://app.posx.example/join#{token}".to_owned(),
        ),
    ]);
    env.extend(changes.iter().map(|(name, value)| (*name, (*value).to_owned())));
    env.into_iter()
        .map(|(name, value)| (format!("POSX__{name}"), value))
        .collect()
}

async fn world() -> World {
    World::start(WorldConfig::new(Arc::new(SystemClock)))
        .await
        .expect("a world")
}

fn lines(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// As `section: name`.
fn faults(lines: &[Value]) -> Vec<String> {
    let faults = lines.iter().filter(|line| line["ok"] == false);
    faults
        .map(|line| {
            assert!(
                line["to_do"].as_str().is_some_and(|to_do| to_do.len() > 5),
                "{line}"
            );
            let part = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", part("section"), part("name"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_has_no_fault() {
    let (world, folder) = (world().await, tempfile::tempdir().expect("a folder"));
    let mail = folder.path().join("mail").display().to_string();
    let output = doctor(&["--json"], &settings(&world, &[("MAIL__FOLDER", &mail)]).await);
    let lines = lines(&output);
    assert_eq!(faults(&lines), Vec::<String>::new(), "{}", said(&output));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for name in [
        "configuration",
        "database as posx_app",
        "role",
        "migrations",
        "isolation",
        "clock",
        "database as posx_jobs",
        "database as posx_platform",
        "role of the platform plane",
        "database as posx_migrator",
        "data keys",
        "payment provider",
        "custodian",
        "keys of the custodian",
        "mail folder",
        "start",
    ] {
        assert!(
            lines.iter().any(|line| line["name"] == name),
            "{name} in {lines:#?}"
        );
    }
    // What was tried out is gone.
    assert_eq!(std::fs::read_dir(&mail).expect("the folder").count(), 0);
    let text = said(&doctor(&[], &settings(&world, &[("MAIL__FOLDER", &mail)]).await));
    assert!(
        text.contains("── database") && text.contains("✓ migrations: none is pending"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_broken_is_named_and_nothing_else() {
    let (world, folder) = (world().await, tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let (mail, beneath) = (
        folder.path().display().to_string(),
        file.join("mail").display().to_string(),
    );
    let database = database().await;
    let nobody = r#"[{"issuer": "http://127.0.0.1:9/", "audience": "posx"}]"#;
    let broken: [(Changes<'_>, &[&str]); 8] = [
        (
            &[("DATABASE__APP_URL", &database.migrator_url)],
            &["database: role", "start: start"],
        ),
        (
            &[("DATABASE__MIGRATOR_URL", &database.app_url)],
            &["database: database as posx_migrator"],
        ),
        (&[("ISSUERS", nobody)], &["issuers: keys of http://127.0.0.1:9/"]),
        (
            &[("CUSTODY__JWKS_URL", "http://127.0.0.1:9/jwks")],
            &["custody: keys of the custodian"],
        ),
        (
            &[("PAYMENTS__BASE_URL", "http://127.0.0.1:9")],
            &["payments: payment provider"],
        ),
        (&[("REDIS__URL", "redis://127.0.0.1:9")], &["redis: redis"]),
        (&[("MAIL__FOLDER", &beneath)], &["mail: mail folder"]),
        (
            &[("MAIL__FOLDER", ""), ("MAIL__SMTP_URL", "smtp://127.0.0.1:9")],
            &["mail: mail server"],
        ),
    ];
    for (changes, expected) in broken {
        let mut all = vec![("MAIL__FOLDER", mail.as_str())];
        all.extend(changes);
        let output = doctor(&["--json"], &settings(&world, &all).await);
        let found = faults(&lines(&output));
        // Whoever may become the owner fails more than one check.
        let all_there = expected
            .iter()
            .all(|fault| found.iter().any(|found| found == fault));
        assert!(
            all_there && (found.len() == expected.len() || expected.len() > 1),
            "{changes:?}: {found:?}"
        );
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn p40_each_problem_of_a_configuration_is_a_line_with_its_cure() {
    let env = [
        ("POSX__ENVIRONMENT", "production"),
        (
            "POSX__DATABASE__APP_URL",
            "postgres://postgres:hunter2@db.internal/posx",
        ),
        ("POSX__SESSIONS__ORIGINS", "*"),
        ("POSX__STEP_UP__REQUIRED", "false"),
        ("POSX__CUSTODY__API_KEY", "changeme-changed-me"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let output = doctor(&["--json"], &env);
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let found = faults(&lines);
    for fault in [
        "database: database.app_url",
        "database: database.jobs_url",
        "server: server.allowed_hosts",
        "server: server.address_salt",
        "sessions: sessions.origins",
        "step_up: step_up.required",
        "custody: custody.api_key",
        "secrets: secrets.master_keys",
    ] {
        assert!(found.iter().any(|found| found == fault), "{fault} in {found:#?}");
    }
    let salt = lines
        .iter()
        .find(|line| line["name"] == "server.address_salt")
        .expect("its line");
    let to_do = salt["to_do"].as_str().expect("a cure");
    assert!(
        to_do.contains("POSX__SERVER__ADDRESS_SALT or POSX__SERVER__ADDRESS_SALT_FILE"),
        "{to_do}"
    );
    // Sections are together.
    let sections: Vec<_> = lines.iter().filter_map(|line| line["section"].as_str()).collect();
    let mut groups: Vec<_> = sections
        .chunk_by(|one, next| one == next)
        .map(|group| group[0])
        .collect();
    let count = groups.len();
    groups.sort_unstable();
    groups.dedup();
    assert_eq!(groups.len(), count, "{sections:?}");
    for secret in ["hunter2", "changed-me"] {
        assert!(!said(&output).contains(secret), "{}", said(&output));
    }
}

#[test]
fn the_servers_refuse_what_doctor_refuses() {
    let env = ("POSX__STEP_UP__REQUIRED", "false");
    for arguments in [&["serve"] as &[&str], &["doctor"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posx"));
        let output = command
            .args(arguments)
            .env_clear()
            .envs([env])
            .output()
            .expect("posx runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output).contains("step_up.required is off, in production"),
            "{}",
            said(&output)
        );
    }
}
