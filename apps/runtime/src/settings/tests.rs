mod refusals;

use std::io::Write as _;
use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::{Environment, LogFormat, PaymentProvider, Settings, SettingsError};

/// A configuration that production takes.
const PRODUCTION: [(&str, &str); 15] = [
    ("POSX__ENVIRONMENT", "production"),
    (
        "POSX__DATABASE__APP_URL",
        "postgres://posx_app:kT9-correct-horse@db.internal/posx?sslmode=verify-full",
    ),
    (
        "POSX__DATABASE__JOBS_URL",
        "postgres://posx_jobs:kT9-battery-staple@db.internal/posx?sslmode=verify-full",
    ),
    (
        "POSX__ISSUERS",
        r#"[{"issuer": "https://login.site.org/", "audience": "posx"}]"#,
    ),
    ("POSX__PAYMENTS__PROVIDER", "stripe"),
    (
        "POSX__PAYMENTS__ACCOUNTS",
        r#"[{"site": "NA", "secret_key": "sk_live_51H8abcdefgh"}]"#,
    ),
    (
        "POSX__PAYMENTS__WEBHOOK_SECRETS",
        "whsec_abcdefgh12345678,whsec_ijklmnop12345678",
    ),
    (
        "POSX__SECRETS__MASTER_KEYS",
        "2026a:VR5r3fGcoU+Ju4tdxvJLONY4xH31hf5kBSxgsPVPb6M=",
    ),
    ("POSX__CUSTODY__PROVIDER", "fireblocks"),
    ("POSX__CUSTODY__REGION", "us"),
    ("POSX__CUSTODY__PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----"),
    ("POSX__CUSTODY__API_KEY", "7d3f1a90-5b2e-4a6c"),
    ("POSX__SERVER__RATE_LIMITS__WRITES_PER_MINUTE", "17"),
    ("POSX__SERVER__ALLOWED_HOSTS", "api.posx.example"),
    ("POSX__SERVER__ADDRESS_SALT", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
];

/// What the sandbox needs in the place of Stripe's accounts.
const SANDBOX_PAYMENTS: [(&str, Option<&str>); 3] = [
    ("POSX__PAYMENTS__PROVIDER", Some("sandbox")),
    ("POSX__PAYMENTS__BASE_URL", Some("https://sandbox.internal")),
    ("POSX__PAYMENTS__SECRET_KEY", Some("sk_test_51H8abcdefgh")),
];

fn load(changes: &[(&str, Option<&str>)]) -> Result<Settings, SettingsError> {
    let unchanged = PRODUCTION
        .iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let set = changes
        .iter()
        .filter_map(|(name, value)| value.map(|value| ((*name).to_owned(), value.to_owned())));
    Settings::load(None, unchanged.chain(set))
}

fn problems(changes: &[(&str, Option<&str>)]) -> Vec<String> {
    match load(changes) {
        Err(SettingsError::Problems(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("posx.toml");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    (directory, path)
}

#[test]
fn a_complete_production_configuration_is_taken() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.environment, Environment::Production);
    assert_eq!(settings.payments.provider, PaymentProvider::Stripe);
    assert_eq!(settings.payments.webhook_secrets.len(), 2);
    assert_eq!(settings.server.rate_limits.writes_per_minute, 17);
    assert_eq!(settings.server.body_limit_bytes, 65_536);
    assert_eq!(settings.server.allowed_hosts, ["api.posx.example"]);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.issuers[0].issuer, "https://login.site.org/");
    assert!(settings.redis.is_none());
    assert_eq!(settings.custody.base_url, "https://api.fireblocks.io");
    assert_eq!(
        settings.custody.jwks_url,
        "https://keys.fireblocks.io/.well-known/jwks.json"
    );
    assert!(!settings.custody.real_transfers);
}

#[test]
fn p40_a_start_without_secrets_fails_and_names_each_of_them() {
    let secrets = [
        "DATABASE__APP_URL",
        "DATABASE__JOBS_URL",
        "SECRETS__MASTER_KEYS",
        "CUSTODY__API_KEY",
        "CUSTODY__PRIVATE_KEY",
    ];
    let names: Vec<String> = secrets.iter().map(|secret| format!("POSX__{secret}")).collect();
    let without: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
    let all = problems(&without).join("\n");
    for (secret, change) in secrets.iter().zip(&without) {
        let key = secret.to_lowercase().replace("__", ".");
        assert!(all.contains(&format!("{key} is missing")), "{key} in:\n{all}");
        let alone = problems(std::slice::from_ref(change));
        assert_eq!(alone.len(), 1, "{alone:?}");
        assert!(alone[0].starts_with(&key), "{alone:?}");
    }
    // An empty variable is no value.
    assert_eq!(
        problems(&[("POSX__CUSTODY__API_KEY", Some(""))]),
        ["custody.api_key is missing"]
    );
}

#[test]
fn p40_a_weak_secret_stops_the_start_and_is_named() {
    for (name, value, problem) in [
        (
            "POSX__PAYMENTS__ACCOUNTS",
            r#"[{"site": "NA", "secret_key": "sk_live_1"}]"#,
            "payments.accounts[0].secret_key is not usable",
        ),
        (
            "POSX__CUSTODY__API_KEY",
            "short",
            "custody.api_key is weak: it has fewer",
        ),
        (
            "POSX__CUSTODY__API_KEY",
            "aaaaaaaaaaaaaaaaaaaa",
            "custody.api_key is weak: it is one",
        ),
        (
            "POSX__CUSTODY__API_KEY",
            "ChangeMe-ChangeMe-1",
            "custody.api_key is weak: it is a placeholder",
        ),
        (
            "POSX__CUSTODY__API_KEY",
            "7d3f1a90 5b2e 4a6c 99",
            "custody.api_key is weak: it has white space",
        ),
        (
            "POSX__PAYMENTS__WEBHOOK_SECRETS",
            "whsec_1",
            "payments.webhook_secrets[0] is weak",
        ),
        (
            "POSX__DATABASE__APP_URL",
            "postgres://posx_app@localhost/posx",
            "database.app_url has no password",
        ),
        (
            "POSX__DATABASE__JOBS_URL",
            "postgres://posx_jobs:posx@localhost/posx",
            "the password in database.jobs_url is weak",
        ),
    ] {
        let found = problems(&[(name, Some(value))]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(problem), "{found:?}");
        assert!(!found[0].contains(value), "{found:?}");
    }
}

#[test]
fn production_refuses_sandbox_providers_and_plain_http() {
    for (name, value, problem) in [
        (
            "POSX__CUSTODY__PROVIDER",
            "sandbox",
            "custody.provider is the sandbox, in production",
        ),
        (
            "POSX__ISSUERS",
            r#"[{"issuer": "http://127.0.0.1:9/", "audience": "posx"}]"#,
            "issuers[0].issuer is not an https:// address",
        ),
        (
            "POSX__ISSUERS",
            r#"[{"issuer": "https://a/", "audience": "posx", "jwks_url": "http://a/jwks"}]"#,
            "issuers[0].jwks_url is not an https:// address",
        ),
        (
            "POSX__CUSTODY__JWKS_URL",
            "http://a/jwks",
            "custody.jwks_url is not an https:// address",
        ),
        (
            "POSX__ISSUERS",
            "[]",
            "issuers is empty, and there is no auth0 and no cognito: nobody could log in",
        ),
        (
            "POSX__WORKER__DEAD_AFTER_S",
            "7",
            "worker.dead_after_s is less than two heartbeats: living workers would be taken for dead",
        ),
    ] {
        assert_eq!(problems(&[(name, Some(value))]), [problem]);
    }
    let refused = "payments.provider is the sandbox, in production";
    assert_eq!(problems(&SANDBOX_PAYMENTS), [refused]);
    // The sandbox takes all of that.
    load(&[
        ("POSX__ENVIRONMENT", Some("sandbox")),
        SANDBOX_PAYMENTS[0],
        SANDBOX_PAYMENTS[1],
        SANDBOX_PAYMENTS[2],
        ("POSX__CUSTODY__JWKS_URL", Some("http://127.0.0.1:9/jwks")),
        (
            "POSX__DATABASE__APP_URL",
            Some("postgres://posx_app@%2Ftmp%2Frun/posx"),
        ),
    ])
    .unwrap();
}

#[test]
fn without_a_word_about_the_environment_nothing_starts_and_the_strictest_rules_hold() {
    let mut changes = vec![("POSX__ENVIRONMENT", None)];
    changes.extend(SANDBOX_PAYMENTS);
    let found = problems(&changes);
    assert_eq!(
        found,
        [
            "environment is missing",
            "payments.provider is the sandbox, in production"
        ]
    );
}

#[test]
fn an_unknown_key_is_refused_in_the_environment_and_in_the_file() {
    for name in [
        "POSX__SERVER__BNID",
        "POSX__SERVR__BIND",
        "POSX__REDIS__HOST",
        "POSX__",
    ] {
        let error = load(&[(name, Some("0.0.0.0:1"))]).unwrap_err();
        assert!(matches!(error, SettingsError::Shape(_)), "{name}: {error}");
    }
    let (_directory, path) = file("[server]\nbnid = '0.0.0.0:1'\n");
    let error = Settings::load(Some(&path), std::iter::empty()).unwrap_err();
    assert!(error.to_string().contains("bnid"), "{error}");
    // What does not begin with our prefix is not ours.
    load(&[("POSX_CONFIG", Some("/x")), ("HOME", Some("/root"))]).unwrap();
}

#[test]
fn the_environment_wins_over_the_file() {
    let (_directory, path) =
        file("[server]\nbind = '127.0.0.1:1'\nmetrics_bind = '127.0.0.1:2'\n[log]\nfilter = 'warn'\n");
    let env = PRODUCTION
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain([("POSX__SERVER__BIND".to_owned(), "127.0.0.1:3".to_owned())]);
    let settings = Settings::load(Some(&path), env).unwrap();
    assert_eq!(settings.server.bind.port(), 3);
    assert_eq!(settings.server.metrics_bind.port(), 2);
    assert_eq!(settings.log.filter, "warn");
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_end() {
    let (_one, key) = file("7d3f1a90-5b2e-4a6c\n");
    let (_two, hooks) = file("whsec_abcdefgh12345678\nwhsec_ijklmnop12345678\n");
    let settings = load(&[
        ("POSX__CUSTODY__API_KEY", None),
        ("POSX__CUSTODY__API_KEY_FILE", key.to_str()),
        ("POSX__PAYMENTS__WEBHOOK_SECRETS", None),
        ("POSX__PAYMENTS__WEBHOOK_SECRETS_FILE", hooks.to_str()),
    ])
    .unwrap();
    assert_eq!(settings.custody.api_key.expose_secret(), "7d3f1a90-5b2e-4a6c");
    assert_eq!(
        settings.payments.webhook_secrets[1].expose_secret(),
        "whsec_ijklmnop12345678"
    );
}

#[test]
fn a_secret_file_that_is_missing_or_one_too_many_is_named() {
    let found = problems(&[
        ("POSX__CUSTODY__API_KEY", None),
        ("POSX__CUSTODY__API_KEY_FILE", Some("/nowhere/at/all")),
        ("POSX__PAYMENTS__ACCOUNTS_FILE", Some("/nowhere/at/all")),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("the file of custody.api_key_file cannot be read"));
    assert!(found[1].starts_with("both payments.accounts and payments.accounts_file"));
    assert_eq!(found[2], "custody.api_key is missing");
}

#[test]
fn no_error_and_no_debug_shows_a_secret() {
    let settings = load(&[("POSX__REDIS__URL", Some("redis://:hunter2-kT9-correct@cache"))]).unwrap();
    let shown = format!("{settings:?}");
    for secret in [
        "correct-horse",
        "battery-staple",
        "sk_live",
        "whsec",
        "7d3f1a90",
        "hunter2",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    // A secret in the wrong place is the likeliest mistake.
    for name in [
        "POSX__DATABASE",
        "POSX__DATABASE__POOL_SIZE",
        "POSX__ENVIRONMENT",
        "POSX__SERVER__BIND",
        "POSX__ISSUERS",
    ] {
        let error = load(&[(name, Some("hunter2hunter2"))]).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{name}: {error:?}"
        );
    }
    let (_directory, path) = file("[database]\napp_url = hunter2hunter2\n");
    let error = Settings::load(Some(&path), std::iter::empty()).unwrap_err();
    assert!(
        matches!(error, SettingsError::Syntax { line: 2, .. }),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn the_settings_need_no_stripe_account_for_sites_may_give_theirs() {
    let settings = load(&[
        ("POSX__PAYMENTS__ACCOUNTS", None),
        ("POSX__PAYMENTS__WEBHOOK_SECRETS", None),
    ]);
    assert!(settings.unwrap().payments.accounts.is_empty());
}

#[test]
fn master_keys_come_one_to_a_line_from_a_file_of_their_own() {
    let (one, two) = (
        "2026a:VR5r3fGcoU+Ju4tdxvJLONY4xH31hf5kBSxgsPVPb6M=",
        "2025:q8xUW9nDzXyHXb+1v2wqkyV6A8mCk0rYlRj5pPZ3dHs=",
    );
    let (_directory, path) = file(&format!("{one}\n{two}\n"));
    let settings = load(&[
        ("POSX__SECRETS__MASTER_KEYS", None),
        ("POSX__SECRETS__MASTER_KEYS_FILE", path.to_str()),
    ])
    .unwrap();
    let keys: Vec<_> = settings
        .secrets
        .master_keys
        .iter()
        .map(secrecy::SecretString::expose_secret)
        .collect();
    assert_eq!(keys, [one, two]);
    assert!(!format!("{settings:?}").contains("VR5r3"));
}

#[test]
fn stripe_accounts_are_checked_one_by_one() {
    let account = |json: &str, more: &[(&str, Option<&str>)]| {
        let mut changes = vec![("POSX__PAYMENTS__ACCOUNTS", Some(json))];
        changes.extend(more);
        problems(&changes).join("\n")
    };
    let good = r#"{"site": "NA", "secret_key": "sk_live_51H8abcdefgh"}"#;
    for (json, problem) in [
        (
            format!("[{good}, {good}]"),
            "payments.accounts[1].site is there twice",
        ),
        (
            r#"[{"site": "na", "secret_key": "sk_live_51H8abcdefgh"}]"#.to_owned(),
            "payments.accounts[0].site is not a site's code",
        ),
        (
            r#"[{"site": "NA", "secret_key": "sk_test_51H8abcdefgh"}]"#.to_owned(),
            "payments.accounts[0].secret_key is of test mode, and here only live keys are used",
        ),
        (
            r#"[{"site": "NA", "secret_key": "sk_live_51H8abcdefgh", "webhook_secrets": ["whsec_1"]}]"#
                .to_owned(),
            "payments.accounts[0].webhook_secrets[0] is weak",
        ),
    ] {
        let found = account(&json, &[]);
        assert!(found.starts_with(problem), "{found}");
        assert!(!found.contains("51H8"), "{found}");
    }
    let without = [("POSX__PAYMENTS__WEBHOOK_SECRETS", None)];
    let found = account(&format!("[{good}]"), &without);
    assert!(
        found.starts_with("payments.accounts[0].webhook_secrets is missing"),
        "{found}"
    );
    let sandboxs = [("POSX__PAYMENTS__SECRET_KEY", Some("sk_live_51H8abcdefgh"))];
    let found = account(&format!("[{good}]"), &sandboxs);
    assert!(
        found.starts_with("payments.secret_key is the sandbox's"),
        "{found}"
    );
}

#[test]
fn the_sandbox_speaks_the_version_of_stripe_that_the_adapter_asks_for() {
    assert_eq!(posx_sandbox::STRIPE_API_VERSION, posx_stripe::API_VERSION);
}

#[test]
fn auth0_and_cognito_are_issuers_of_their_own() {
    let settings = load(&[
        ("POSX__ISSUERS", None),
        (
            "POSX__AUTH0",
            Some(r#"[{"domain": "shop.eu.auth0.com", "audience": "https://api.shop", "organization": "org_1"}]"#),
        ),
        (
            "POSX__COGNITO",
            Some(r#"[{"pool_id": "eu-west-1_Ab12Cd34E", "client_ids": ["client1"]}]"#),
        ),
    ])
    .unwrap();
    let issuers = settings.token_issuers().unwrap();
    let names: Vec<_> = issuers.iter().map(posx_oidc::IssuerConfig::issuer).collect();
    assert_eq!(
        names,
        [
            "https://shop.eu.auth0.com/",
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd34E",
            "https://issuer.cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd34E",
        ]
    );
    for (name, value) in [
        (
            "POSX__AUTH0",
            r#"[{"domain": "https://shop.eu.auth0.com/", "audience": "a"}]"#,
        ),
        (
            "POSX__COGNITO",
            r#"[{"pool_id": "somewhere", "client_ids": ["a"]}]"#,
        ),
        (
            "POSX__AUTH0",
            r#"[{"domain": "login.site.org", "audience": "a"}]"#,
        ),
    ] {
        assert_eq!(problems(&[(name, Some(value))]).len(), 1, "{value}");
    }
}

#[test]
fn a_custodians_place_is_a_region_or_an_address_and_live_is_for_production() {
    for (changes, problem) in [
        (
            vec![("POSX__CUSTODY__REGION", Some("moon"))],
            "custody.region is not us, eu, eu2 or sandbox of Fireblocks",
        ),
        (
            vec![("POSX__CUSTODY__BASE_URL", Some("https://api.fireblocks.io"))],
            "custody.region and custody.base_url name two places: give one",
        ),
        (
            vec![
                ("POSX__ENVIRONMENT", Some("development")),
                ("POSX__CUSTODY__MODE", Some("live")),
                (
                    "POSX__PAYMENTS__ACCOUNTS",
                    Some(r#"[{"site": "NA", "secret_key": "sk_test_51H8abcdefgh"}]"#),
                ),
            ],
            "custody.mode is live, outside production",
        ),
    ] {
        assert_eq!(problems(&changes)[0], problem);
    }
    let floors = r#"[{"token": "USDC_POLYGON", "gas": "MATIC_POLYGON", "gas_decimals": 18, "minimum": "500000000000000000"}]"#;
    let settings = load(&[("POSX__CUSTODY__GAS_FLOORS", Some(floors))]).unwrap();
    assert_eq!(settings.custody.gas_floors[0].gas, "MATIC_POLYGON");
}
