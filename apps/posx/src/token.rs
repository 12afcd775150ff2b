//! `posx token`: an access token from the sandbox's issuer, which asks for no password.

use std::net::IpAddr;

use posx_runtime::Environment;
use reqwest::Url;
use serde_json::Value;

use crate::cli::TokenArguments;
use crate::failure::{CommandError, Outcome};
use crate::ui;

const AUDIENCE: &str = "posx";

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("tokens are only given in the sandbox: the settings say another environment")]
    NotSandbox,
    #[error("the sandbox's issuer is on this machine, as http://127.0.0.1:PORT/issuer/")]
    NotLocal,
    #[error("the issuer cannot be reached: is the sandbox running?")]
    Unreachable(#[source] reqwest::Error),
    #[error("the issuer refuses: {0}")]
    Refused(String),
}

pub async fn run(arguments: &TokenArguments) -> Result<Outcome, CommandError> {
    let (issuer, audience) = from_where(arguments)?;
    let answer = ask(&issuer, &audience, arguments).await?;
    if arguments.reading.json {
        ui::json(&answer);
    } else {
        ui::line(answer["access_token"].as_str().unwrap_or_default());
    }
    Ok(Outcome::Done)
}

/// The issuer's address, with its final slash, and the audience.
fn from_where(arguments: &TokenArguments) -> Result<(String, String), CommandError> {
    let named = arguments.audience.clone();
    if let Some(issuer) = &arguments.issuer {
        return Ok((issuer.clone(), named.unwrap_or_else(|| AUDIENCE.to_owned())));
    }
    let settings = arguments.reading.config.load()?;
    if settings.environment != Environment::Sandbox {
        return Err(TokenError::NotSandbox.into());
    }
    let first = settings
        .issuers
        .into_iter()
        .next()
        .ok_or(CommandError::SettingMissing("issuers"))?;
    Ok((first.issuer, named.unwrap_or(first.audience)))
}

async fn ask(issuer: &str, audience: &str, arguments: &TokenArguments) -> Result<Value, TokenError> {
    let url = local(issuer)?;
    let form = [
        ("subject", arguments.subject.clone()),
        ("audience", audience.to_owned()),
        ("lifetime_seconds", arguments.lifetime.to_string()),
    ];
    let answer = reqwest::Client::new().post(url).form(&form).send().await;
    let answer = answer.map_err(TokenError::Unreachable)?;
    let granted = answer.status().is_success();
    let body: Value = answer.json().await.map_err(TokenError::Unreachable)?;
    if granted {
        return Ok(body);
    }
    let why = body["error_description"].as_str().unwrap_or("no reason given");
    Err(TokenError::Refused(why.to_owned()))
}

fn local(issuer: &str) -> Result<Url, TokenError> {
    let url = format!("{}/token", issuer.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| TokenError::NotLocal)?;
    let host = url.host_str().unwrap_or_default();
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if url.scheme() == "http" && is_local {
        Ok(url)
    } else {
        Err(TokenError::NotLocal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_issuer_of_this_machine_is_asked() {
        assert_eq!(
            local("http://127.0.0.1:9/issuer/").unwrap().as_str(),
            "http://127.0.0.1:9/issuer/token"
        );
        for elsewhere in [
            "https://login.example/",
            "http://10.0.0.1/issuer/",
            "rubbish",
            "ftp://127.0.0.1/",
        ] {
            assert!(
                matches!(local(elsewhere), Err(TokenError::NotLocal)),
                "{elsewhere}"
            );
        }
    }
}
