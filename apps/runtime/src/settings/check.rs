//! What a configuration must have before anything starts. Every problem is collected.

use std::collections::HashSet;

use posx_fireblocks::Region;
use posx_oidc::IssuerConfig;
use posx_stripe::{Mode, SigningSecret, StripeKey};
use posx_tenancy::SiteCode;
use secrecy::{ExposeSecret, SecretString};

use super::raw::{Raw, RawCustody, RawPayments};
use super::server::is_private;
use super::weakness::{SECRET_CHARACTERS_MIN, weakness, weakness_of_password};
use super::{
    Auth0Settings, CognitoSettings, CustodyMode, CustodyProvider, CustodySettings, Environment,
    IssuerSettings, LogFormat, LogSettings, PaymentProvider, PaymentSettings, RedisSettings, Settings,
    StripeAccountSettings, WalletSettings, WorkerSettings, token_issuers,
};

const STRIPE_URL: &str = "https://api.stripe.com";

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
    check.platform(&raw);
    let database = raw.database.check(production, check.problems);
    raw.server.check(production, check.problems);
    check.issuers(&raw.issuers, &raw.auth0, &raw.cognito);
    let payments = check.payments(raw.payments);
    let custody = check.custody(raw.custody);
    let redis = raw.redis.url.map(|url| RedisSettings { url });
    check.redis(redis.as_ref());
    if let Some(mail) = &raw.mail {
        mail.check(production, check.problems);
    }
    if let Some(documents) = &raw.documents {
        documents.check(production, check.problems);
    }
    // What is wrong with the issuers themselves was said above.
    if let Ok(issuers) = token_issuers(&raw.issuers, &raw.auth0, &raw.cognito) {
        raw.step_up.check(production, &issuers, check.problems);
    }
    check.worker(&raw.worker);
    raw.assistant.check(production, check.problems);
    let wallets = WalletSettings {
        sign_in: raw.sign_in,
        ..raw.wallets
    };
    wallets.check(production, check.problems);
    raw.secrets.check(check.problems);
    if let Some(sessions) = &raw.sessions {
        let issuers = token_issuers(&raw.issuers, &raw.auth0, &raw.cognito).unwrap_or_default();
        sessions.check(production, wallets.sign_in.is_some(), &issuers, check.problems);
    }
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
        server: raw.server,
        issuers: raw.issuers,
        auth0: raw.auth0,
        cognito: raw.cognito,
        payments: payments?,
        custody: custody?,
        wallets,
        secrets: raw.secrets,
        sessions: raw.sessions,
        redis,
        mail: raw.mail,
        documents: raw.documents,
        platform: raw.platform,
        step_up: raw.step_up,
        assistant: raw.assistant,
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

    fn platform(&mut self, raw: &Raw) {
        let Some(platform) = &raw.platform else { return };
        let configured = raw.issuers.iter().map(|issuer| Some(issuer.audience.as_str()));
        let auth0 = raw.auth0.iter().map(|tenant| Some(tenant.audience.as_str()));
        let cognito = raw.cognito.iter().map(|pool| pool.audience.as_deref());
        let ours = raw.sign_in.iter().map(|sign_in| Some(sign_in.audience.as_str()));
        let audiences: Vec<_> = configured
            .chain(auth0)
            .chain(cognito)
            .chain(ours)
            .flatten()
            .collect();
        self.address("platform.issuer", &platform.issuer);
        if let Some(url) = &platform.jwks_url {
            self.address("platform.jwks_url", url);
        }
        platform.check(raw.database.platform_url.is_some(), &audiences, self.problems);
    }

    fn payments(&mut self, raw: RawPayments) -> Option<PaymentSettings> {
        let provider = self.required("payments.provider", raw.provider);
        let base_url = match provider {
            Some(PaymentProvider::Stripe) => Some(raw.base_url.unwrap_or_else(|| STRIPE_URL.to_owned())),
            Some(PaymentProvider::Sandbox) => self.required("payments.base_url", raw.base_url),
            None => raw.base_url,
        };
        if let Some(url) = &base_url {
            self.address("payments.base_url", url);
        }
        self.webhook_secrets("payments.webhook_secrets", &raw.webhook_secrets);
        self.webhook_secrets("payments.connect_webhook_secrets", &raw.connect_webhook_secrets);
        let secret_key = match provider {
            Some(PaymentProvider::Stripe) => {
                self.unless(
                raw.secret_key.is_none(),
                "payments.secret_key is the sandbox's: Stripe has one key for each site, in payments.accounts",
            );
                self.stripe_accounts(&raw.accounts, !raw.webhook_secrets.is_empty());
                None
            }
            Some(PaymentProvider::Sandbox) => {
                self.unless(
                    !self.production,
                    "payments.provider is the sandbox, in production",
                );
                self.unless(
                    !raw.webhook_secrets.is_empty(),
                    "payments.webhook_secrets is missing: give one, or two while it is being replaced",
                );
                self.secret("payments.secret_key", raw.secret_key)
            }
            None => None,
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

    fn redis(&mut self, redis: Option<&RedisSettings>) {
        let Some(url) = redis.map(|redis| redis.url.expose_secret()) else {
            return;
        };
        self.unless(
            url.starts_with("redis://") || url.starts_with("unix://"),
            "redis.url is not a redis:// address",
        );
        if let Some(weakness) = weakness_of_password(url).filter(|_| self.production) {
            self.problems
                .push(format!("the password in redis.url is weak: {weakness}"));
        }
    }

    fn worker(&mut self, worker: &WorkerSettings) {
        self.unless(
            !self.production || worker.metrics_public || is_private(worker.metrics_bind),
            "worker.metrics_bind is not a private address: bind it to one, or say so by worker.metrics_public",
        );
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
