//! `posx audit trail`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use posx_kernel::SystemClock;
use posx_postgres::{SealedUpTo, TrailCheck};
use posx_runtime::Services;
use posx_tenancy::{PlatformError, SiteCode};
use posx_worker::check_trail;
use serde::Deserialize;
use serde_json::json;

use crate::cli::{Config, TrailArguments};
use crate::failure::{CommandError, Outcome};
use crate::ui;

/// A line of an export.
#[derive(Debug, Deserialize)]
struct Line {
    position: i64,
    digest: String,
    event: String,
}

pub async fn run(arguments: TrailArguments) -> Result<Outcome, CommandError> {
    let from = arguments.known.unwrap_or_default();
    let check = match (&arguments.export, &arguments.site) {
        (Some(file), _) => check_export(file, from)?,
        (None, Some(site)) => check_site(&arguments.reading.config, site, from).await?,
        (None, None) => return Err(PlatformError::Code.into()),
    };
    let (position, digest) = (check.good.position, check.good.digest_hex());
    if arguments.reading.json {
        ui::json(&json!({ "position": position, "digest": digest, "broken": check.broken }));
    } else if let Some(broken) = check.broken {
        ui::bad(&format!(
            "seal {broken} does not agree with its event or with the one before it"
        ));
    } else {
        ui::good(&format!(
            "{position} events agree; the last place is {position}:{digest}"
        ));
    }
    Ok(Outcome::of(check.broken.is_none()))
}

async fn check_site(config: &Config, site: &str, from: SealedUpTo) -> Result<TrailCheck, CommandError> {
    let asked = |source| CommandError::Database {
        role: "posx_app",
        source,
    };
    let code = SiteCode::new(site).ok_or(PlatformError::Code)?;
    let services = Services::connect(&config.load()?, Arc::new(SystemClock)).await?;
    let found = services.directory.site_by_code(&code).await.map_err(asked)?;
    let site = found.ok_or(PlatformError::Unknown)?;
    let check = check_trail(&services, site.id, from).await.map_err(asked);
    services.close().await;
    check
}

/// Lines up to the known place are passed over.
fn check_export(path: &Path, from: SealedUpTo) -> Result<TrailCheck, CommandError> {
    let unreadable = |source| CommandError::File {
        path: path.display().to_string(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut good = from;
    for text in BufReader::new(file).lines() {
        let text = text.map_err(unreadable)?;
        let line: Line = serde_json::from_str(&text).map_err(|error| unreadable(error.into()))?;
        if line.position <= good.position {
            continue;
        }
        match good.next(&line.event, line.position, &line.digest) {
            Some(next) => good = next,
            None => {
                return Ok(TrailCheck {
                    good,
                    broken: Some(line.position),
                });
            }
        }
    }
    Ok(TrailCheck { good, broken: None })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn export(events: &[&str]) -> Vec<String> {
        let mut place = SealedUpTo::default();
        let mut lines = Vec::new();
        for (position, event) in (1..).zip(events) {
            let digest = digest_of(&place, event);
            lines.push(json!({ "position": position, "digest": digest, "event": event }).to_string());
            place = place.next(event, position, &digest).expect("it agrees");
        }
        lines
    }

    fn digest_of(place: &SealedUpTo, event: &str) -> String {
        let bytes: Vec<u8> = place.digest.iter().copied().chain(event.bytes()).collect();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        SealedUpTo {
            position: 1,
            digest: digest.as_ref().to_vec(),
        }
        .digest_hex()
    }

    fn broken(lines: &[String], from: SealedUpTo) -> Option<i64> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for line in lines {
            writeln!(file, "{line}").expect("written");
        }
        check_export(file.path(), from).expect("readable").broken
    }

    #[test]
    fn an_export_is_checked_without_a_database() {
        let lines = export(&["one", "two", "three"]);
        let start = SealedUpTo::default;
        assert_eq!(broken(&lines, start()), None);
        assert_eq!(
            broken(&[lines[0].clone(), lines[2].clone()], start()),
            Some(3),
            "one is left out"
        );
        let changed = lines[1].replace("two", "2");
        assert_eq!(
            broken(&[lines[0].clone(), changed, lines[2].clone()], start()),
            Some(2)
        );
        let second: Line = serde_json::from_str(&lines[1]).expect("a line");
        let place = |position| SealedUpTo::parse(&format!("{position}:{}", second.digest));
        assert_eq!(broken(&lines, place(2).expect("a place")), None);
        assert_eq!(
            broken(&lines[1..], place(1).expect("a place")),
            Some(2),
            "a place of another chain"
        );
        assert_eq!(SealedUpTo::parse("2:abc"), None);
        assert_eq!(SealedUpTo::parse("x:"), None);
    }
}
