use std::sync::Arc;

use posx_allocations::testing::FakeCustody;
use posx_commissions::testing::FakePayoutGateway;
use posx_kernel::{ManualClock, SiteId};
use posx_ledger::reconcile::testing::NoLines;
use posx_orders::testing::ScriptedGateway;
use posx_runtime::{CustodyMode, Providers, Services, Settings, StartError};
use posx_tenancy::{Bucket, RateVerdict};

pub fn settings(changes: &[(&str, &str)]) -> Settings {
    let database = posx_testkit::database();
    let mut env = std::collections::BTreeMap::from([
        ("ENVIRONMENT", "sandbox"),
        ("DATABASE__APP_URL", &database.app_url),
        ("DATABASE__JOBS_URL", &database.jobs_url),
        (
            "ISSUERS",
            r#"[{"issuer": "http://127.0.0.1:9/", "audience": "posx"}]"#,
        ),
        ("SECRETS__MASTER_KEYS", posx_testkit::MASTER_KEY),
        ("PAYMENTS__PROVIDER", "sandbox"),
        ("PAYMENTS__BASE_URL", "http://127.0.0.1:9"),
        ("PAYMENTS__SECRET_KEY", "sk_test_of_the_runtime"),
        ("PAYMENTS__WEBHOOK_SECRETS", "whsec_of_the_runtime"),
        ("CUSTODY__PROVIDER", "sandbox"),
        ("CUSTODY__BASE_URL", "http://127.0.0.1:9"),
        ("CUSTODY__API_KEY", "key-of-the-runtime-test"),
        ("CUSTODY__JWKS_URL", "http://127.0.0.1:9/jwks"),
    ]);
    env.extend(changes.iter().copied());
    let env = env
        .iter()
        .map(|(key, value)| (format!("POSX__{key}"), (*value).to_owned()));
    Settings::load(None, env).unwrap()
}

pub async fn connect(settings: &Settings) -> Result<Services, StartError> {
    let providers = Providers {
        stripe: None,
        payment_lines: Arc::new(NoLines),
        custody_lines: Arc::new(NoLines),
        language_model: Arc::new(posx_assistant::testing::ScriptedModel::default()),
        payments: Arc::new(ScriptedGateway::default()),
        payouts: Arc::new(FakePayoutGateway::default()),
        custody: Arc::new(FakeCustody::default()),
    };
    Services::connect_with(settings, Arc::new(ManualClock::default()), providers).await
}

#[tokio::test]
async fn a_start_needs_the_database_and_nothing_else_of_the_outside() {
    let services = connect(&settings(&[("REDIS__URL", "redis://127.0.0.1:9")]))
        .await
        .unwrap();
    let nobody = SiteId::from_uuid(services.ids.uuid(services.clock.now()));
    assert_eq!(services.directory.site(nobody).await.unwrap(), None);
    let bucket = Bucket::per_minute("read", "ann", 10);
    let verdict = services.limiter.check(&[bucket]).await;
    assert!(matches!(verdict, RateVerdict::Allowed { .. }), "{verdict:?}");
    assert!(!services.redis.as_ref().unwrap().ping().await);
    assert!(services.database.ping().await.is_ok());
    services.close().await;
    assert!(services.database.ping().await.is_err());
}

#[tokio::test]
async fn p41_a_start_as_superuser_or_owner_is_refused() {
    let database = posx_testkit::database();
    for url in [&database.superuser_url, &database.migrator_url] {
        let error = connect(&settings(&[("DATABASE__APP_URL", url)]))
            .await
            .unwrap_err();
        assert!(matches!(error, StartError::Posture(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_start_without_its_database_fails_and_shows_no_password() {
    let url = "postgres://posx_app:hunter2hunter2@127.0.0.1:9/posx";
    let error = connect(&settings(&[("DATABASE__APP_URL", url)]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StartError::Database { role: "posx_app", .. }),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn p27_the_sandboxes_are_reached_on_this_machine_only() {
    Services::connect(&settings(&[]), Arc::new(ManualClock::default()))
        .await
        .unwrap();
    for (key, kind) in [
        ("PAYMENTS__BASE_URL", "payment"),
        ("CUSTODY__BASE_URL", "custody"),
    ] {
        let settings = settings(&[(key, "https://api.somewhere.org")]);
        let error = Services::connect(&settings, Arc::new(ManualClock::default()))
            .await
            .unwrap_err();
        assert!(
            matches!(error, StartError::Provider { kind: of, .. } if of == kind),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_stripe_account_of_a_site_that_is_not_there_stops_the_start_and_one_of_a_site_is_used() {
    let site = posx_testkit::fresh_site("USD").await;
    let accounts = |code: &str| {
        format!(
            r#"[{{"site": "{code}", "secret_key": "sk_test_0123456789abcdef",
                 "webhook_secrets": ["whsec_0123456789abcdef"]}}]"#
        )
    };
    let connect = async |code: &str| {
        let mut settings = settings(&[
            ("PAYMENTS__PROVIDER", "stripe"),
            ("PAYMENTS__SECRET_KEY", ""),
            ("PAYMENTS__ACCOUNTS", &accounts(code)),
        ]);
        // Nothing listens there: a start asks no provider.
        settings.payments.base_url = "http://127.0.0.1:9".to_owned();
        Services::connect(&settings, Arc::new(ManualClock::default())).await
    };
    let error = connect("NOWHERE").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "payments.accounts names the site NOWHERE, and there is none"
    );
    let services = connect(site.code.as_str()).await.unwrap();
    assert_eq!(services.payments.provider(), "stripe");
    assert!(services.stripe_webhooks.sites.contains_key(&site.code));
}

#[tokio::test]
async fn p27_a_workspace_with_real_tokens_is_not_reached_without_both_locks() {
    for region in ["us", "eu", "eu2"] {
        let mut settings = settings(&[
            ("CUSTODY__PROVIDER", "fireblocks"),
            ("CUSTODY__BASE_URL", ""),
            ("CUSTODY__JWKS_URL", ""),
            ("CUSTODY__REGION", region),
            ("CUSTODY__PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----"),
        ]);
        for (mode, real_transfers) in [(CustodyMode::Sandbox, true), (CustodyMode::Live, false)] {
            (settings.custody.mode, settings.custody.real_transfers) = (mode, real_transfers);
            let error = Services::connect(&settings, Arc::new(ManualClock::default()))
                .await
                .unwrap_err();
            let StartError::Provider {
                kind: "custody",
                source,
            } = error
            else {
                panic!("{error:?}")
            };
            assert!(
                source.to_string().contains("transfers there are real"),
                "{source}"
            );
        }
    }
}
