//! What a configuration must have before anything starts. Every problem is collected.

use std::collections::HashSet;

use posx_fireblocks::Region;
use posx_oidc::IssuerConfig;
use posx_stripe::{Mode, SigningSecret, StripeKey};
use posx_tenancy::SiteCode;
use secrecy::{ExposeSecret, SecretString};

use super::raw::{Raw, RawCustody, RawDatabase, RawPayments, RawServer};
use super::{
    Auth0Settings, CognitoSettings, CustodyMode, CustodyProvider, CustodySettings, DatabaseSettings,
    Environment, IssuerSettings, LogFormat, LogSettings, PaymentProvider, PaymentSettings, RedisSettings,
    ServerSettings, Settings, StripeAccountSettings, WalletSettings, WorkerSettings, token_issuers,
};

const STRIPE_URL: &str = "https://api.stripe.com";

/// Shorter is guessed, or a placeholder.
const SECRET_CHARACTERS_MIN: usize = 16;
/// Of a database role, in production.
const PASSWORD_CHARACTERS_MIN: usize = 16;
const PLACEHOLDERS: [&str; 5] = ["changeme", "change-me", "change_me", "placeholder", "example"];

struct Check<'a> {
    production: bool,
    problems: &'a mut Vec<String>,
}

/// `None`: there are problems, and `problems` has each.
pub(super) fn check(raw: Raw, problems: &mut Vec<String>) -> Option<Settings> {
    // Who does not say where a process runs gets the strictest rules.
    let environment = raw.environment.unwrap_or(Environment::Production);
    if raw.environment.is_none() {
        problems.push("environment is missing".into());
    }
    let production = environment == Environment::Production;
    let mut check = Check { production, problems };
    let database = check.database(raw.database);
    let server = check.server(&raw.server);
    check.issuers(&raw.issuers, &raw.auth0, &raw.cognito);
    let payments = check.payments(raw.payments);
    let custody = check.custody(raw.custody);
    let redis = raw.redis.url.map(|url| RedisSettings { url });
    if let Some(redis) = &redis {
        let url = redis.url.expose_secret();
        check.unless(
            url.starts_with("redis://") || url.starts_with("unix://"),
            "redis.url is not a redis:// address",
        );
    }
    check.worker(&raw.worker);
    let wallets = WalletSettings {
        sign_in: raw.sign_in,
        ..raw.wallets
    };
    wallets.check(production, check.problems);
    let format = raw.log.format.unwrap_or(if production {
        LogFormat::Json
    } else {
        LogFormat::Pretty
    });
    if !problems.is_empty() {
        return None;
    }
    Some(Settings {
        environment,
        database: database?,
        server,
        issuers: raw.issuers,
        auth0: raw.auth0,
        cognito: raw.cognito,
        payments: payments?,
        custody: custody?,
        wallets,
        redis,
        log: LogSettings {
            format,
            filter: raw.log.filter.unwrap_or_else(|| "info".into()),
        },
        worker: raw.worker,
    })
}

impl Check<'_> {
    fn unless(&mut self, fine: bool, problem: &str) {
        if !fine {
            self.problems.push(problem.to_owned());
        }
    }

    fn required<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.problems.push(format!("{key} is missing"));
        }
        value
    }

    fn secret(&mut self, key: &str, value: Option<SecretString>) -> Option<SecretString> {
        let secret = self.required(key, value)?;
        if let Some(weakness) = weakness(secret.expose_secret(), SECRET_CHARACTERS_MIN) {
            self.problems.push(format!("{key} is weak: {weakness}"));
        }
        Some(secret)
    }

    fn database(&mut self, raw: RawDatabase) -> Option<DatabaseSettings> {
        let app_url = self.required("database.app_url", raw.app_url);
        let jobs_url = self.required("database.jobs_url", raw.jobs_url);
        let all = [
            ("database.app_url", &app_url),
            ("database.jobs_url", &jobs_url),
            ("database.platform_url", &raw.platform_url),
            ("database.migrator_url", &raw.migrator_url),
        ];
        for (key, url) in all {
            if let Some(url) = url {
                self.database_url(key, url.expose_secret());
            }
        }
        self.unless(
            (1..=1_000).contains(&raw.pool_size),
            "database.pool_size is not 1 to 1000",
        );
        self.unless(
            (4..=1_000).contains(&raw.jobs_pool_size),
            "database.jobs_pool_size is not 4 to 1000",
        );
        Some(DatabaseSettings {
            app_url: app_url?,
            jobs_url: jobs_url?,
            platform_url: raw.platform_url,
            migrator_url: raw.migrator_url,
            pool_size: raw.pool_size,
            jobs_pool_size: raw.jobs_pool_size,
        })
    }

    fn database_url(&mut self, key: &str, url: &str) {
        if !posx_postgres::is_database_url(url) {
            self.problems.push(format!("{key} is not a postgres:// address"));
        } else if self.production {
            match password_of(url).map(|password| weakness(password, PASSWORD_CHARACTERS_MIN)) {
                None => self.problems.push(format!("{key} has no password")),
                Some(Some(weakness)) => self
                    .problems
                    .push(format!("the password in {key} is weak: {weakness}")),
                Some(None) => {}
            }
        }
    }

    fn server(&mut self, raw: &RawServer) -> ServerSettings {
        self.unless(
            (1_024..=16 * 1024 * 1024).contains(&raw.body_limit_bytes),
            "server.body_limit_bytes is not 1024 to 16777216",
        );
        self.unless(raw.workers != Some(0), "server.workers is 0");
        self.unless(raw.request_timeout_s > 0, "server.request_timeout_s is 0");
        let limits = raw.rate_limits;
        let all = [
            limits.public_per_minute,
            limits.caller_per_minute,
            limits.writes_per_minute,
            limits.webhooks_per_minute,
        ];
        self.unless(
            all.iter().all(|limit| *limit > 0),
            "a limit in server.rate_limits is 0",
        );
        self.unless(
            raw.bind.port() == 0 || raw.bind != raw.metrics_bind,
            "server.metrics_bind is the public address",
        );
        ServerSettings {
            bind: raw.bind,
            metrics_bind: raw.metrics_bind,
            body_limit_bytes: raw.body_limit_bytes,
            workers: raw.workers,
            trusted_proxies: raw.trusted_proxies,
            request_timeout_s: raw.request_timeout_s,
            shutdown_grace_s: raw.shutdown_grace_s,
            rate_limits: raw.rate_limits,
        }
    }

    fn issuers(&mut self, issuers: &[IssuerSettings], auth0: &[Auth0Settings], cognito: &[CognitoSettings]) {
        self.unless(
            !(issuers.is_empty() && auth0.is_empty() && cognito.is_empty()),
            "issuers is empty, and there is no auth0 and no cognito: nobody could log in",
        );
        match token_issuers(issuers, auth0, cognito) {
            Err(error) => self.problems.push(error.to_string()),
            Ok(all) => {
                let mut seen = HashSet::new();
                for issuer in all.iter().map(IssuerConfig::issuer) {
                    self.unless(
                        seen.insert(issuer),
                        &format!("the issuer {issuer} is there twice"),
                    );
                }
            }
        }
        for (at, issuer) in issuers.iter().enumerate() {
            self.address(&format!("issuers[{at}].issuer"), &issuer.issuer);
            if let Some(url) = &issuer.jwks_url {
                self.address(&format!("issuers[{at}].jwks_url"), url);
            }
            self.unless(
                !issuer.audience.is_empty(),
                &format!("issuers[{at}].audience is empty"),
            );
        }
    }

    fn payments(&mut self, raw: RawPayments) -> Option<PaymentSettings> {
        let provider = self.required("payments.provider", raw.provider);
        let base_url = match provider {
            Some(PaymentProvider::Stripe) => Some(raw.base_url.unwrap_or_else(|| STRIPE_URL.to_owned())),
            _ => self.required("payments.base_url", raw.base_url),
        };
        if let Some(url) = &base_url {
            self.address("payments.base_url", url);
        }
        self.webhook_secrets("payments.webhook_secrets", &raw.webhook_secrets);
        self.webhook_secrets("payments.connect_webhook_secrets", &raw.connect_webhook_secrets);
        let secret_key = if provider == Some(PaymentProvider::Stripe) {
            self.unless(
                raw.secret_key.is_none(),
                "payments.secret_key is the sandbox's: Stripe has one key for each site, in payments.accounts",
            );
            self.stripe_accounts(&raw.accounts, !raw.webhook_secrets.is_empty());
            None
        } else {
            self.unless(
                !(self.production && provider.is_some()),
                "payments.provider is the sandbox, in production",
            );
            self.unless(
                !raw.webhook_secrets.is_empty(),
                "payments.webhook_secrets is missing: give one, or two while it is being replaced",
            );
            self.secret("payments.secret_key", raw.secret_key)
        };
        Some(PaymentSettings {
            provider: provider?,
            base_url: base_url?,
            secret_key,
            webhook_secrets: raw.webhook_secrets,
            connect_webhook_secrets: raw.connect_webhook_secrets,
            accounts: raw.accounts,
        })
    }

    fn stripe_accounts(&mut self, accounts: &[StripeAccountSettings], shared_endpoint: bool) {
        self.unless(
            !accounts.is_empty(),
            "payments.accounts is missing: no site could be paid",
        );
        let mode = Mode::of_livemode(self.production);
        for (at, account) in accounts.iter().enumerate() {
            let key = format!("payments.accounts[{at}]");
            self.unless(
                SiteCode::new(&account.site).is_some(),
                &format!("{key}.site is not a site's code"),
            );
            self.unless(
                !accounts[..at].iter().any(|other| other.site == account.site),
                &format!("{key}.site is there twice"),
            );
            match StripeKey::new(&account.secret_key) {
                Err(error) => self
                    .problems
                    .push(format!("{key}.secret_key is not usable: {error}")),
                Ok(found) if found.mode() != mode => self.problems.push(format!(
                    "{key}.secret_key is of {} mode, and here only {mode} keys are used",
                    found.mode()
                )),
                Ok(_) => {}
            }
            self.webhook_secrets(&format!("{key}.webhook_secrets"), &account.webhook_secrets);
            self.unless(
                shared_endpoint || !account.webhook_secrets.is_empty(),
                &format!("{key}.webhook_secrets is missing, and there is no shared endpoint (payments.webhook_secrets)"),
            );
        }
    }

    fn webhook_secrets(&mut self, key: &str, secrets: &[SecretString]) {
        self.unless(
            secrets.len() <= 2,
            &format!("{key} has more than two: one, or two while it is being replaced"),
        );
        for (at, secret) in secrets.iter().enumerate() {
            if let Err(error) = SigningSecret::new(secret) {
                self.problems.push(format!("{key}[{at}] is weak: {error}"));
            } else if let Some(weakness) = weakness(secret.expose_secret(), SECRET_CHARACTERS_MIN) {
                self.problems.push(format!("{key}[{at}] is weak: {weakness}"));
            }
        }
    }

    fn custody(&mut self, raw: RawCustody) -> Option<CustodySettings> {
        let provider = self.required("custody.provider", raw.provider);
        let fireblocks = provider == Some(CustodyProvider::Fireblocks);
        self.unless(
            !(self.production && provider == Some(CustodyProvider::Sandbox)),
            "custody.provider is the sandbox, in production",
        );
        let region = raw.region.as_deref().and_then(Region::from_name);
        self.unless(
            raw.region.is_none() || region.is_some(),
            "custody.region is not us, eu, eu2 or sandbox of Fireblocks",
        );
        self.unless(
            region.is_none() || raw.base_url.is_none(),
            "custody.region and custody.base_url name two places: give one",
        );
        let base_url = raw
            .base_url
            .or_else(|| region.map(|region| region.api_url().to_owned()));
        let jwks_url = raw
            .jwks_url
            .or_else(|| region.map(|region| region.webhook_keys_url().to_owned()));
        let base_url = self.required("custody.base_url", base_url);
        let jwks_url = self.required("custody.jwks_url", jwks_url);
        for (key, url) in [("custody.base_url", &base_url), ("custody.jwks_url", &jwks_url)] {
            if let Some(url) = url {
                self.address(key, url);
            }
        }
        let api_key = self.secret("custody.api_key", raw.api_key);
        self.unless(
            !fireblocks || raw.private_key.is_some(),
            "custody.private_key is missing",
        );
        self.unless(
            self.production || raw.mode == CustodyMode::Sandbox,
            "custody.mode is live, outside production",
        );
        Some(CustodySettings {
            provider: provider?,
            region,
            base_url: base_url?,
            api_key: api_key?,
            private_key: raw.private_key,
            mode: raw.mode,
            real_transfers: raw.real_transfers,
            jwks_url: jwks_url?,
            gas_floors: raw.gas_floors,
        })
    }

    fn worker(&mut self, worker: &WorkerSettings) {
        let lanes = [
            worker.events_concurrency,
            worker.providers_concurrency,
            worker.sweeps_concurrency,
        ];
        self.unless(
            lanes.iter().all(|lane| (1..=1_000).contains(lane)),
            "a concurrency in worker is not 1 to 1000",
        );
        self.unless(
            (1..=10_000).contains(&worker.local_queue_size),
            "worker.local_queue_size is not 1 to 10000",
        );
        self.unless(
            (10..=60_000).contains(&worker.poll_interval_ms),
            "worker.poll_interval_ms is not 10 to 60000",
        );
        self.unless(
            worker.heartbeat_s > 0 && worker.sweep_s > 0,
            "worker.heartbeat_s or worker.sweep_s is 0",
        );
        self.unless(
            u32::from(worker.dead_after_s) >= 2 * u32::from(worker.heartbeat_s),
            "worker.dead_after_s is less than two heartbeats: living workers would be taken for dead",
        );
    }

    /// https in production; elsewhere also http.
    fn address(&mut self, key: &str, url: &str) {
        let host = match url.strip_prefix("https://") {
            Some(host) => Some(host),
            None => url.strip_prefix("http://").filter(|_| !self.production),
        };
        match host {
            Some(host) if !host.is_empty() && !url.contains(char::is_whitespace) => {
                self.unless(!host.contains('@'), &format!("{key} carries a password"));
            }
            _ => self.problems.push(format!("{key} is not an https:// address")),
        }
    }
}

fn weakness(secret: &str, characters_min: usize) -> Option<String> {
    let lower = secret.to_lowercase();
    let first = secret.chars().next();
    if secret.chars().count() < characters_min {
        Some(format!("it has fewer than {characters_min} characters"))
    } else if secret.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some("it has white space in it".into())
    } else if secret.chars().all(|c| Some(c) == first) {
        Some("it is one character, repeated".into())
    } else if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        Some("it is a placeholder".into())
    } else {
        None
    }
}

/// `postgres://role:password@host/…`
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty()).then_some(password)
}
