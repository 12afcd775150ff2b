//! One good production configuration with every section; each key that is spoiled gives its one problem.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{SANDBOX_PAYMENTS, load, problems};
use crate::settings::SettingsError;
use crate::settings::reference::{Setting, named_in, settings};

type Change = (&'static str, Option<&'static str>);

/// What [`super::PRODUCTION`] has not.
fn sections() -> Vec<Change> {
    vec![
        (
            "POSX__DATABASE__PLATFORM_URL",
            Some("postgres://posx_platform:kT9-good-morning@db.internal/posx?sslmode=require"),
        ),
        (
            "POSX__DATABASE__MIGRATOR_URL",
            Some("postgres://posx_migrator:kT9-good-evening@localhost/posx"),
        ),
        ("POSX__PLATFORM__ISSUER", Some("https://staff.posx.example/")),
        ("POSX__PLATFORM__AUDIENCE", Some("platform")),
        ("POSX__SIGN_IN__ISSUER", Some("https://api.posx.example/")),
        ("POSX__SIGN_IN__AUDIENCE", Some("posx")),
        ("POSX__SIGN_IN__PRIVATE_KEY", Some(private_key())),
        ("POSX__SESSIONS__ORIGINS", Some("https://console.posx.example")),
        ("POSX__SESSIONS__PROVIDERS", Some(PROVIDERS)),
        (
            "POSX__WALLETS__NODES",
            Some(r#"[{"chain_id": 1, "url": "https://rpc.example/key"}]"#),
        ),
        (
            "POSX__REDIS__URL",
            Some("redis://:kT9-quiet-evening@cache.internal"),
        ),
        (
            "POSX__MAIL__SMTP_URL",
            Some("smtps://posx:kT9-happy-evening@mail.posx.example"),
        ),
        ("POSX__MAIL__FROM", Some("POSX <no-reply@posx.example>")),
        (
            "POSX__MAIL__INVITATION_LINK",
            Some("https://app.posx.example/{site}/join#{token}"),
        ),
    ]
}

const PROVIDERS: &str = r#"[{"issuer": "https://login.site.org/", "token_url": "https://login.site.org/token", "client_id": "console",
    "client_secret": "kT9-early-morning", "redirect_uris": ["https://console.posx.example/callback"]}]"#;

/// Each alone; `None` is missing. The problem begins with, or is, what is said.
const SPOILED: &[(&str, Option<&str>, &str)] = &[
    ("environment", None, "environment is missing"),
    ("database.app_url", None, "database.app_url is missing"),
    (
        "database.app_url",
        Some("mysql://posx_app:kT9-correct-horse@localhost/posx"),
        "database.app_url is not a postgres:// address",
    ),
    (
        "database.app_url",
        Some("postgres://postgres:kT9-correct-horse@localhost/posx"),
        "database.app_url is of a superuser or the owner",
    ),
    (
        "database.jobs_url",
        Some("postgres://posx_owner:kT9-correct-horsE@localhost/posx"),
        "database.jobs_url is of a superuser or the owner",
    ),
    (
        "database.platform_url",
        Some("postgres://posx_migrator:kT9-correct-horsE@localhost/posx"),
        "database.platform_url is of a superuser or the owner",
    ),
    (
        "database.migrator_url",
        Some("postgres://postgres:kT9-correct-horsE@localhost/posx"),
        "database.migrator_url is of a superuser or the owner",
    ),
    (
        "database.app_url",
        Some("postgres://posx_app:kT9-correct-horse@db.internal/posx"),
        "database.app_url has no TLS",
    ),
    (
        "database.jobs_url",
        Some("postgres://posx_jobs@localhost/posx"),
        "database.jobs_url has no password",
    ),
    (
        "database.jobs_url",
        Some("postgres://posx_jobs:posx_jobs@localhost/posx"),
        "the password in database.jobs_url is weak",
    ),
    (
        "database.jobs_url",
        Some("postgres://posx_jobs:kT9-correct-horse@localhost/posx"),
        "the password in database.jobs_url is the one of database.app_url",
    ),
    ("server.allowed_hosts", None, "server.allowed_hosts is missing"),
    (
        "server.allowed_hosts",
        Some("*.posx.example"),
        "server.allowed_hosts has",
    ),
    ("server.address_salt", None, "server.address_salt is missing"),
    (
        "server.address_salt",
        Some("kT9-correct-horse"),
        "server.address_salt is weak: it has fewer than 32",
    ),
    (
        "server.address_salt",
        Some("0123456789abcdef0123456789abcdef"),
        "server.address_salt is weak: it is one piece, repeated",
    ),
    (
        "server.metrics_bind",
        Some("0.0.0.0:9090"),
        "server.metrics_bind is not a private address",
    ),
    (
        "worker.metrics_bind",
        Some("[::]:9091"),
        "worker.metrics_bind is not a private address",
    ),
    (
        "issuers",
        Some(
            r#"[{"issuer": "http://login.site.org/", "audience": "posx"}, {"issuer": "https://login.site.org/", "audience": "posx"}]"#,
        ),
        "issuers[0].issuer is not an https:// address",
    ),
    ("custody.provider", None, "custody.provider is missing"),
    (
        "custody.provider",
        Some("sandbox"),
        "custody.provider is the sandbox, in production",
    ),
    ("custody.api_key", None, "custody.api_key is missing"),
    (
        "custody.api_key",
        Some("your-key-goes-here-1"),
        "custody.api_key is weak: it is a placeholder",
    ),
    (
        "custody.jwks_url",
        Some("http://keys.example/jwks"),
        "custody.jwks_url is not an https:// address",
    ),
    (
        "assistant.providers",
        Some(r#"[{"name": "a", "protocol": "sandbox", "base_url": "https://models.example/v1"}]"#),
        "assistant.providers[0].protocol is the sandbox's, in production",
    ),
    (
        "assistant.providers",
        Some(r#"[{"name": "a", "protocol": "openai", "base_url": "http://models.example/v1"}]"#),
        "assistant.providers[0].base_url is not an https address",
    ),
    (
        "payments.provider",
        Some("sandbox"),
        "payments.provider is the sandbox, in production",
    ),
    (
        "payments.base_url",
        Some("http://127.0.0.1:12111"),
        "payments.base_url is not an https:// address",
    ),
    (
        "payments.accounts",
        Some(r#"[{"site": "NA", "secret_key": "sk_test_51H8abcdefgh"}]"#),
        "payments.accounts[0].secret_key is of test mode",
    ),
    (
        "payments.webhook_secrets",
        Some("whsec_aaaaaaaaaaaaaaaaaaaa,changeme-changeme-1"),
        "payments.webhook_secrets[1] is weak",
    ),
    ("secrets.master_keys", None, "secrets.master_keys is missing"),
    (
        "secrets.master_keys",
        Some("m1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        "secrets.master_keys[0] is not usable: the key is not random",
    ),
    (
        "platform.issuer",
        Some("http://staff.posx.example/"),
        "platform.issuer is not an https:// address",
    ),
    (
        "platform.jwks_url",
        Some("http://staff.posx.example/jwks"),
        "platform.jwks_url is not an https:// address",
    ),
    (
        "sign_in.issuer",
        Some("http://api.posx.example/"),
        "sign_in.issuer is not an https:// address",
    ),
    (
        "sign_in.private_key",
        Some("-----BEGIN PRIVATE KEY-----"),
        "sign_in.private_key is not usable",
    ),
    ("sessions.origins", None, "sessions.origins is missing"),
    (
        "sessions.origins",
        Some("https://*.posx.example"),
        "sessions.origins[0] is not an origin",
    ),
    (
        "sessions.origins",
        Some("http://console.posx.example"),
        "sessions.origins[0] is not an origin",
    ),
    (
        "sessions.insecure_cookie",
        Some("true"),
        "sessions.insecure_cookie is on, in production",
    ),
    (
        "sessions.providers",
        Some(
            r#"[{"issuer": "https://login.site.org/", "token_url": "http://login.site.org/token", "client_id": "c", "redirect_uris": ["https://a.example/cb"]}]"#,
        ),
        "sessions.providers[0].token_url is not an https:// address",
    ),
    (
        "sessions.providers",
        Some(
            r#"[{"issuer": "https://login.site.org/", "token_url": "https://login.site.org/token", "client_id": "c", "redirect_uris": ["http://a.example/cb"]}]"#,
        ),
        "sessions.providers[0].redirect_uris",
    ),
    (
        "sessions.providers",
        Some(
            r#"[{"issuer": "https://login.site.org/", "token_url": "https://login.site.org/token", "client_id": "c", "client_secret": "changeme", "redirect_uris": ["https://a.example/cb"]}]"#,
        ),
        "sessions.providers[0].client_secret is weak",
    ),
    (
        "wallets.nodes",
        Some(r#"[{"chain_id": 1, "url": "http://rpc.example/key"}]"#),
        "wallets.nodes[0].url is not an https:// address",
    ),
    (
        "wallets.cooling_off_hours",
        Some("0"),
        "wallets.cooling_off_hours is not 1 to 720",
    ),
    (
        "redis.url",
        Some("redis://:password-password-1@cache.internal"),
        "the password in redis.url is weak: it is a placeholder",
    ),
    (
        "mail.smtp_url",
        Some("smtp://posx:kT9-happy-evening@mail.posx.example"),
        "mail.smtp_url is not usable: it does not insist on TLS",
    ),
    (
        "mail.smtp_url",
        Some("smtps://posx:posx@mail.posx.example"),
        "the password in mail.smtp_url is weak",
    ),
    (
        "mail.invitation_link",
        Some("http://localhost:5173/join#{token}"),
        "mail.invitation_link is not an https:// address",
    ),
    (
        "step_up.required",
        Some("false"),
        "step_up.required is off, in production",
    ),
];

/// Those that take the place of something else.
fn exchanged() -> Vec<(&'static str, Vec<Change>, &'static str)> {
    vec![
        (
            "issuers",
            vec![("POSX__ISSUERS", None), ("POSX__SESSIONS__PROVIDERS", None)],
            "issuers is empty",
        ),
        (
            "mail.folder",
            vec![
                ("POSX__MAIL__SMTP_URL", None),
                ("POSX__MAIL__FOLDER", Some("/var/mail/posx")),
            ],
            "mail.folder keeps messages from their readers, in production",
        ),
        (
            "custody.base_url",
            vec![
                ("POSX__CUSTODY__REGION", None),
                ("POSX__CUSTODY__JWKS_URL", Some("https://keys.example/jwks")),
                ("POSX__CUSTODY__BASE_URL", Some("http://custody.example")),
            ],
            "custody.base_url is not an https:// address",
        ),
        (
            "documents.s3.endpoint",
            vec![
                ("POSX__DOCUMENTS__S3__ENDPOINT", Some("http://s3.example")),
                ("POSX__DOCUMENTS__S3__REGION", Some("eu-central-1")),
                ("POSX__DOCUMENTS__S3__BUCKET", Some("papers")),
                ("POSX__DOCUMENTS__S3__ACCESS_KEY", Some("AKIA4EVENING")),
                (
                    "POSX__DOCUMENTS__S3__SECRET_KEY",
                    Some("wJalr-9XUtnFEMI-K7MDENG-bPxRfiCY"),
                ),
            ],
            "documents.s3.endpoint is not an https:// address",
        ),
        (
            "payments.provider",
            SANDBOX_PAYMENTS.into(),
            "payments.provider is the sandbox, in production",
        ),
    ]
}

fn private_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    })
}

fn with(changes: &[Change]) -> Vec<Change> {
    let mut all = sections();
    all.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    all.extend(changes);
    all
}

fn assert_refused(key: &str, changes: &[Change], said: &str) {
    let Err(SettingsError::Problems(found)) = load(&with(changes)) else {
        panic!("{key} is taken, or cannot be read, in the place of: {said}")
    };
    assert_eq!(found.len(), 1, "{key}: {found:?}");
    assert!(found[0].starts_with(said), "{key}: {found:?}");
    let named = named_in(&found[0]).unwrap().key;
    assert!(
        named == key || named.starts_with(&format!("{key}[]")),
        "{key}: {named} in {found:?}"
    );
    for value in changes.iter().filter_map(|(_, value)| *value) {
        // A path, a flag, a host name and the like may be told; what is as long as a secret may not.
        assert!(value.len() < 16 || !found[0].contains(value), "{key}: {found:?}");
    }
}

fn variable(key: &str) -> &'static str {
    let setting = settings().into_iter().find(|setting| setting.key == key);
    setting.unwrap().variable().unwrap().leak()
}

#[test]
fn p40_production_takes_a_good_configuration_with_every_section() {
    let settings = load(&sections()).unwrap();
    assert!(settings.sessions.is_some() && settings.platform.is_some() && settings.mail.is_some());
}

#[test]
fn p40_each_spoiled_key_gives_production_its_one_problem() {
    for (key, value, said) in SPOILED {
        // The sandbox needs more than its name.
        if (*key, *value) != ("payments.provider", Some("sandbox")) {
            assert_refused(key, &[(variable(key), *value)], said);
        }
    }
    for (key, changes, said) in exchanged() {
        assert_refused(key, &changes, said);
    }
}

#[test]
fn what_the_reference_calls_refused_or_needed_is_tried() {
    let exchanged = exchanged();
    let is_tried = |setting: &Setting| {
        let key = &setting.key;
        let of_list = |said: &str| said.replace("[0]", "[]").split(' ').next() == Some(key);
        SPOILED
            .iter()
            .any(|(tried, _, said)| tried == key || of_list(said))
            || exchanged.iter().any(|(tried, ..)| tried == key)
    };
    for setting in settings() {
        assert!(
            setting.refused.is_none() || is_tried(&setting),
            "{} is refused, and never tried",
            setting.key
        );
        if setting.needed {
            assert_refused(
                &setting.key,
                &[(variable(&setting.key), None)],
                &format!("{} is missing", setting.key),
            );
        }
    }
}

#[test]
fn p40_every_problem_is_told_at_once() {
    let changes: Vec<Change> = vec![
        ("POSX__SERVER__ALLOWED_HOSTS", None),
        ("POSX__SERVER__ADDRESS_SALT", None),
        ("POSX__STEP_UP__REQUIRED", Some("false")),
        ("POSX__SESSIONS__INSECURE_COOKIE", Some("true")),
        ("POSX__SESSIONS__ORIGINS", Some("*")),
        ("POSX__CUSTODY__PROVIDER", Some("sandbox")),
        ("POSX__SECRETS__MASTER_KEYS", None),
        ("POSX__SERVER__METRICS_BIND", Some("0.0.0.0:9090")),
        (
            "POSX__DATABASE__APP_URL",
            Some("postgres://postgres:postgres@db.internal/posx"),
        ),
    ];
    let found = problems(&with(&changes));
    // The database's URL has three: its role, no TLS, its password.
    assert_eq!(found.len(), changes.len() + 2, "{found:#?}");
}
