//! What the settings lead to beside the database.

use std::path::Path;
use std::time::Duration;

use posx_mail::SmtpMailer;
use posx_oidc::{FetchKeys as _, HttpKeys, IssuerConfig};
use posx_redis::RedisLimiter;
use posx_runtime::{MailSettings, Settings};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::Report;
use crate::failure::chain;

const PROVIDER_PATIENCE: Duration = Duration::from_secs(5);
const PROBE: &str = ".posx-doctor";

pub(super) async fn look(report: &mut Report, settings: &Settings) {
    issuers(report, settings).await;
    providers(report, settings).await;
    if let Some(redis) = &settings.redis {
        report.section("redis");
        report.judge(
            "redis",
            ping(redis.url.expose_secret()).await,
            "start it or check redis.url; without it limits are counted in each process",
        );
    }
    if let Some(settings) = &settings.mail {
        report.section("mail");
        mail(report, settings).await;
    }
}

async fn issuers(report: &mut Report, settings: &Settings) {
    report.section("issuers");
    match settings.token_issuers() {
        Ok(issuers) => {
            for issuer in &issuers {
                key_set(report, issuer, "check the issuer or its jwks_url").await;
            }
        }
        Err(error) => report.fault("issuers", chain(&error), "check issuers, auth0 and cognito"),
    }
    if let Some(platform) = &settings.platform {
        report.section("platform");
        let to_do = "check platform.issuer or platform.jwks_url";
        key_set(report, &platform.token_issuer(), to_do).await;
    }
}

/// Found and fetched as a server does it.
async fn key_set(report: &mut Report, issuer: &IssuerConfig, to_do: &str) {
    let says = match HttpKeys::for_issuer(issuer) {
        Ok(keys) => match keys.fetch().await {
            Ok(document) => count(&document),
            Err(error) => Err(chain(&error)),
        },
        Err(error) => Err(chain(&error)),
    };
    let to_do = format!("{to_do} in the settings, and the way to it through the network");
    report.judge(format!("keys of {}", issuer.issuer()), says, &to_do);
}

fn count(document: &[u8]) -> Result<String, String> {
    let set: Value = serde_json::from_slice(document).unwrap_or_default();
    match set["keys"].as_array().map_or(0, Vec::len) {
        0 => Err("there is no key".to_owned()),
        keys => Ok(format!("{keys} key(s)")),
    }
}

async fn providers(report: &mut Report, settings: &Settings) {
    let client = reqwest::Client::builder().timeout(PROVIDER_PATIENCE).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return report.fault("providers", chain(&error), "check the system's certificates"),
    };
    let (payments, custody) = (&settings.payments, &settings.custody);
    for (section, name, url) in [
        ("payments", "payment provider", &payments.base_url),
        ("custody", "custodian", &custody.base_url),
    ] {
        report.section(section);
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
    let says = match client.get(&custody.jwks_url).send().await {
        Ok(answer) if answer.status().is_success() => Ok(format!("{} answers", custody.jwks_url)),
        Ok(answer) => Err(format!("{} answers {}", custody.jwks_url, answer.status())),
        Err(error) => Err(chain(&error)),
    };
    report.judge("keys of the custodian", says, "check custody.jwks_url");
}

async fn ping(url: &str) -> Result<String, String> {
    let redis = RedisLimiter::new(url).map_err(|error| chain(&error))?;
    if redis.ping().await {
        Ok("answers".to_owned())
    } else {
        Err("does not answer".to_owned())
    }
}

async fn mail(report: &mut Report, settings: &MailSettings) {
    if let Some(url) = &settings.smtp_url {
        let says = match SmtpMailer::greet(url).await {
            Ok(()) => Ok("greets, and takes our name and password".to_owned()),
            Err(error) => Err(chain(&error)),
        };
        report.judge(
            "mail server",
            says,
            "check mail.smtp_url: host, port, TLS, user, password",
        );
    }
    if let Some(folder) = &settings.folder {
        let says = match write_into(folder).await {
            Ok(()) => Ok("can be written".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        report.judge("mail folder", says, "let mail.folder be a folder of this user");
    }
}

/// As the first message would; what was written is taken away again.
async fn write_into(folder: &Path) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let probe = folder.join(PROBE);
    tokio::fs::write(&probe, b"").await?;
    tokio::fs::remove_file(&probe).await
}
