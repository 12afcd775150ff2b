//! `posx doctor`: each line is ok, or says what is wrong and what to do.

mod database;
mod outside;

use std::sync::Arc;

use posx_kernel::SystemClock;
use posx_runtime::settings::reference::{Setting, named_in};
use posx_runtime::{Services, Settings, SettingsError};
use serde::Serialize;

use crate::cli::Reading;
use crate::failure::{CommandError, Outcome, chain};
use crate::{keys, ui};

#[derive(Debug, Serialize)]
struct Line {
    /// Of the settings, where it belongs to one.
    section: String,
    name: String,
    ok: bool,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
}

#[derive(Debug, Default)]
struct Report {
    lines: Vec<Line>,
    section: String,
}

impl Report {
    /// The lines that follow belong to it.
    fn section(&mut self, section: &str) {
        section.clone_into(&mut self.section);
    }

    fn ok(&mut self, name: impl Into<String>, says: impl Into<String>) {
        self.push(name.into(), says.into(), None);
    }

    fn fault(&mut self, name: impl Into<String>, says: impl Into<String>, to_do: impl Into<String>) {
        self.push(name.into(), says.into(), Some(to_do.into()));
    }

    fn judge(&mut self, name: impl Into<String>, says: Result<String, String>, to_do: &str) {
        match says {
            Ok(says) => self.ok(name, says),
            Err(says) => self.fault(name, says, to_do),
        }
    }

    fn push(&mut self, name: String, says: String, to_do: Option<String>) {
        self.lines.push(Line {
            section: self.section.clone(),
            name,
            ok: to_do.is_none(),
            says,
            to_do,
        });
    }
}

pub async fn run(arguments: &Reading) -> Result<Outcome, CommandError> {
    let mut report = Report::default();
    report.section("configuration");
    match arguments.config.load() {
        Ok(settings) => {
            report.ok(
                "configuration",
                format!("complete, for {:?}", settings.environment),
            );
            database::look(&mut report, &settings).await;
            secrets(&mut report, &settings).await;
            outside::look(&mut report, &settings).await;
            Box::pin(start(&mut report, &settings)).await;
        }
        Err(error) => configuration(&mut report, &error),
    }
    show(&report, arguments.json);
    Ok(Outcome::of(report.lines.iter().all(|line| line.ok)))
}

/// Each problem under its section, with what the setting is for.
fn configuration(report: &mut Report, error: &SettingsError) {
    let to_do =
        "set what is named, in the file (--config) or as POSX__SECTION__KEY: see docs/configuration.md";
    let SettingsError::Problems(problems) = error else {
        return report.fault("configuration", chain(error), to_do);
    };
    report.fault("configuration", format!("{} problem(s)", problems.len()), to_do);
    let mut named: Vec<_> = problems
        .iter()
        .map(|problem| (named_in(problem), problem))
        .collect();
    named.sort_by_key(|(setting, _)| setting.as_ref().map(|setting| setting.section().to_owned()));
    for (setting, problem) in named {
        match setting {
            Some(setting) => {
                report.section(setting.section());
                report.fault(setting.key.clone(), problem, cure(&setting));
            }
            None => report.fault("configuration", problem, to_do),
        }
    }
}

fn cure(setting: &Setting) -> String {
    let file = |variable: &String| {
        if setting.secret {
            format!(" or {variable}_FILE")
        } else {
            String::new()
        }
    };
    let variable = setting.variable();
    let variable = variable.map_or_else(String::new, |variable| {
        format!(" ({variable}{})", file(&variable))
    });
    let refused = setting.refused.as_ref();
    let refused = refused.map_or_else(String::new, |refused| format!(" Production refuses: {refused}."));
    format!("set {}{variable}. {}{refused}", setting.key, setting.meaning)
}

fn show(report: &Report, json: bool) {
    if json {
        return ui::json(&report.lines);
    }
    for group in report.lines.chunk_by(|line, next| line.section == next.section) {
        ui::heading(&group[0].section);
        for line in group {
            match &line.to_do {
                None => ui::good(&format!("{}: {}", line.name, line.says)),
                Some(to_do) => {
                    ui::bad(&format!("{}: {}", line.name, line.says));
                    ui::detail(&format!("to do: {to_do}"));
                }
            }
        }
    }
}

async fn secrets(report: &mut Report, settings: &Settings) {
    report.section("secrets");
    if settings.database.platform_url.is_none() {
        return report.ok(
            "data keys",
            "not looked at: without database.platform_url nobody sees those of all sites",
        );
    }
    report.judge(
        "data keys",
        keys::check(settings).await,
        "let secrets.master_keys hold every key that posx keys list shows",
    );
}

/// What a server would do at its start, and what only it knows.
async fn start(report: &mut Report, settings: &Settings) {
    report.section("start");
    let services = match Services::connect(settings, Arc::new(SystemClock)).await {
        Ok(services) => services.with_platform(settings).await,
        failed @ Err(_) => failed,
    };
    match services {
        Ok(services) => {
            report.ok("start", "API and worker would start");
            services.close().await;
        }
        Err(error) => report.fault("start", chain(&error), "mend what is named above"),
    }
}
