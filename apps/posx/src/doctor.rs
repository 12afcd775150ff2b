//! `posx doctor`: each line is ok, or says what to do.

use std::time::Duration;

use posx_kernel::{Clock as _, SystemClock, SystemIds};
use posx_postgres::{Database, DatabaseOptions, JobsDatabase, PlatformDatabase, audit_isolation};
use posx_runtime::{IssuerSettings, Services, Settings};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::cli::Reading;
use crate::failure::{CommandError, Outcome, chain};
use crate::ui;

/// Tokens have 30 seconds of leeway, and jobs come due by the database's clock.
const SKEW_MS_MAX: i64 = 2_000;
const PROVIDER_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    ok: bool,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
}

#[derive(Debug, Default)]
struct Report {
    lines: Vec<Line>,
}

impl Report {
    fn ok(&mut self, name: impl Into<String>, says: impl Into<String>) {
        self.lines.push(Line {
            name: name.into(),
            ok: true,
            says: says.into(),
            to_do: None,
        });
    }

    fn fault(&mut self, name: impl Into<String>, says: impl Into<String>, to_do: impl Into<String>) {
        self.lines.push(Line {
            name: name.into(),
            ok: false,
            says: says.into(),
            to_do: Some(to_do.into()),
        });
    }

    fn judge(&mut self, name: impl Into<String>, says: Result<String, String>, to_do: &str) {
        match says {
            Ok(says) => self.ok(name, says),
            Err(says) => self.fault(name, says, to_do),
        }
    }
}

pub async fn run(arguments: &Reading) -> Result<Outcome, CommandError> {
    let mut report = Report::default();
    match arguments.config.load() {
        Ok(settings) => {
            report.ok(
                "configuration",
                format!("complete, for {:?}", settings.environment),
            );
            database(&mut report, &settings).await;
            roles(&mut report, &settings).await;
            providers(&mut report, &settings).await;
            wiring(&mut report, &settings).await;
        }
        Err(error) => report.fault(
            "configuration",
            chain(&error),
            "set what is named, in the file (--config) or as POSX__SECTION__KEY: see docs/configuration.md",
        ),
    }
    show(&report, arguments.json);
    Ok(Outcome::of(report.lines.iter().all(|line| line.ok)))
}

fn show(report: &Report, json: bool) {
    if json {
        return ui::json(&report.lines);
    }
    for line in &report.lines {
        match &line.to_do {
            None => ui::good(&format!("{}: {}", line.name, line.says)),
            Some(to_do) => {
                ui::bad(&format!("{}: {}", line.name, line.says));
                ui::detail(&format!("to do: {to_do}"));
            }
        }
    }
}

async fn database(report: &mut Report, settings: &Settings) {
    let url = settings.database.app_url.expose_secret();
    let options = DatabaseOptions {
        pool_size: 1,
        ..DatabaseOptions::default()
    };
    let database = match Database::connect(url, options).await {
        Ok(database) => database,
        Err(error) => {
            return report.fault(
                "database as posx_app",
                chain(&error),
                "start PostgreSQL, check database.app_url, or make the roles: posx migrate --superuser-url URL",
            );
        }
    };
    report.ok("database as posx_app", "answers");
    match database.posture().await {
        Ok(posture) if posture.is_sound() => {
            report.ok("role", "row-level security applies to it");
        }
        Ok(posture) => report.fault(
            "role",
            posture.problems.join("; "),
            "let database.app_url name the role posx_app, as posx migrate --superuser-url makes it",
        ),
        Err(error) => report.fault("role", chain(&error), "look at the database's log"),
    }
    let pending = match database.pending_migrations().await {
        Ok(0) => Ok("none is pending".to_owned()),
        Ok(pending) => Err(format!("{pending} of this version are not in the database")),
        Err(error) => Err(chain(&error)),
    };
    report.judge("migrations", pending, "posx migrate");
    let audit = match audit_isolation(url).await {
        Ok(audit) if audit.findings.is_empty() => {
            Ok(format!("{} tables of sites, no finding", audit.site_tables))
        }
        Ok(audit) => Err(format!("{} finding(s)", audit.findings.len())),
        Err(error) => Err(chain(&error)),
    };
    report.judge("isolation", audit, "posx audit isolation");
    clock(report, &database).await;
    database.close().await;
}

async fn clock(report: &mut Report, database: &Database) {
    let before = SystemClock.now();
    let skew = database.server_clock().await.map(|server| {
        let after = SystemClock.now();
        // Half of the way there and back is on the way back.
        (server - (before + (after - before) / 2)).num_milliseconds()
    });
    let says = match skew {
        Ok(skew) if skew.abs() <= SKEW_MS_MAX => Ok(format!("database and machine differ by {skew} ms")),
        Ok(skew) => Err(format!("database and machine differ by {skew} ms")),
        Err(error) => Err(chain(&error)),
    };
    report.judge("clock", says, "let both machines keep time by NTP");
}

async fn roles(report: &mut Report, settings: &Settings) {
    let jobs = JobsDatabase::connect(settings.database.jobs_url.expose_secret(), 1).await;
    let jobs = jobs.map(|_| "answers".to_owned()).map_err(|error| chain(&error));
    report.judge(
        "database as posx_jobs",
        jobs,
        "check database.jobs_url, or make the roles: posx migrate --superuser-url URL",
    );
    let Some(url) = &settings.database.platform_url else {
        return report.ok(
            "database as posx_platform",
            "not configured: posx site and posx member need it",
        );
    };
    let (clock, ids) = (std::sync::Arc::new(SystemClock), std::sync::Arc::new(SystemIds));
    let platform = PlatformDatabase::connect(url.expose_secret(), clock, ids).await;
    let platform = platform
        .map(|_| "answers".to_owned())
        .map_err(|error| chain(&error));
    report.judge(
        "database as posx_platform",
        platform,
        "check database.platform_url, or make the roles: posx migrate --superuser-url URL",
    );
}

async fn providers(report: &mut Report, settings: &Settings) {
    let client = match reqwest::Client::builder().timeout(PROVIDER_PATIENCE).build() {
        Ok(client) => client,
        Err(error) => return report.fault("providers", chain(&error), "check the system's certificates"),
    };
    for (name, url) in [
        ("payment provider", &settings.payments.base_url),
        ("custodian", &settings.custody.base_url),
    ] {
        let answer = client.get(url).send().await;
        let says = answer
            .map(|_| format!("{url} answers"))
            .map_err(|error| chain(&error));
        report.judge(
            name,
            says,
            "check its address in the settings, and the way to it through the network",
        );
    }
    let keys = settings
        .issuers
        .iter()
        .map(|issuer| (issuer.issuer.clone(), keys_of(issuer)));
    let tenants = settings.auth0.iter().map(|tenant| {
        let issuer = format!("https://{}/", tenant.domain);
        let document = format!("{issuer}.well-known/openid-configuration");
        (issuer, document)
    });
    let custodian = (
        settings.custody.base_url.clone(),
        settings.custody.jwks_url.clone(),
    );
    for (whose, url) in keys.chain(tenants).chain([custodian]) {
        let says = match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => Ok(format!("{url} answers")),
            Ok(answer) => Err(format!("{url} answers {}", answer.status())),
            Err(error) => Err(chain(&error)),
        };
        report.judge(
            format!("keys of {whose}"),
            says,
            "check the issuer or jwks_url in the settings",
        );
    }
}

/// The key set, or the document that tells where it is.
fn keys_of(issuer: &IssuerSettings) -> String {
    issuer.jwks_url.clone().unwrap_or_else(|| {
        let base = issuer.issuer.trim_end_matches('/');
        format!("{base}/.well-known/openid-configuration")
    })
}

/// What a server would do at its start, and what only it knows.
async fn wiring(report: &mut Report, settings: &Settings) {
    let clock = std::sync::Arc::new(SystemClock);
    let services = match Services::connect(settings, clock).await {
        Ok(services) => services,
        Err(error) => return report.fault("start", chain(&error), "mend what is named above"),
    };
    report.ok("start", "API and worker would start");
    if let Some(redis) = &services.redis {
        let says = if redis.ping().await {
            Ok("answers".to_owned())
        } else {
            Err("does not answer".to_owned())
        };
        report.judge(
            "redis",
            says,
            "start it or check redis.url; without it limits are counted in each process",
        );
    }
    services.close().await;
}
